// The README's example is a program. tests/docs runs it; here it is compiled as strictly as the other blocks.
#include "README_1.inc"
