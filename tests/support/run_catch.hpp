// Catch2's command line, for whatever runs tests: a program, or a module of another language.
#pragma once

namespace travelchat::test {

// Runs the tests that the arguments pick, and returns the exit status. `argv[0]` is the program's name.
int run_catch(int argc, const char* const* argv);

}  // namespace travelchat::test
