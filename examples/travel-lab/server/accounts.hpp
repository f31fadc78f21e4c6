// What an operator does without a browser: the subcommands.
#pragma once

#include "options.hpp"

namespace travel_lab {

// Each opens the database, does its work, says so on standard output, and returns the exit status: 0, or 1 after one
// line on standard error. A running server owns a SQLite database, so it must be stopped first;
// those on a PostgreSQL database notice by themselves, within seconds. A password is read from the terminal, twice and
// without showing it, or is the first line of standard input; it is never an argument.
int add_advisor(const AddAdvisorOptions& options);
int add_trip(const AddTripOptions& options);
int set_password(const SetPasswordOptions& options);
int set_access(const AdvisorAccessOptions& options);
int end_sessions(const EndSessionsOptions& options);
int new_epoch(const NewEpochOptions& options);

}  // namespace travel_lab
