// What an operator does without a browser: the subcommands.
#pragma once

#include "options.hpp"

namespace travel_lab {

// Each opens the database, does its work, says so on standard output, and returns the exit status: 0, or 1 after one
// line on standard error. A running server owns a SQLite database, so it must be stopped first;
// those on a PostgreSQL database notice by themselves.
int add_advisor(const AddAdvisorOptions& options);
int add_trip(const AddTripOptions& options);

}  // namespace travel_lab
