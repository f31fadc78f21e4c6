#include "run_catch.hpp"

int main(int argc, char** argv) {
  return travelchat::test::run_catch(argc, argv);
}
