// libFuzzer over the C ABI: what a run finds joins tests/data/c_calls, which the tests replay.
#include "testing/c_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  baracuda::testing::fuzz_c_call({data, size});
  return 0;
}
