// What another node may say, given any bytes: reading it never fails, and what was read is written and read again as
// the same.
//
//   fuzz_hints -max_len=4096 -max_total_time=60

#include "core/hint.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace travelchat::detail;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Hint hint = decode_hint({reinterpret_cast<const char*>(data), size});
  const std::string bytes = encode_hint(hint, SIZE_MAX);
  if (decode_hint(bytes) != hint) {
    std::fprintf(stderr, "broken promise: a hint is read as it was written\n");
    std::abort();
  }
  return 0;
}
