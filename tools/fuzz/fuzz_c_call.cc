// libFuzzer over the C ABI, with the library as GCC compiles it.
#include "testing/c_fuzz.h"

namespace {

/// libFuzzer takes what stands in this section for counters of its own.
__attribute__((section("__libfuzzer_extra_counters"))) std::uint8_t counters[1 << 16];

}  // namespace

/// What GCC's code calls at each edge, since it has none of the counters that clang gives libFuzzer.
extern "C" __attribute__((no_sanitize_coverage)) void __wrap___sanitizer_cov_trace_pc() {
  const auto place = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  ++counters[(place * 0x9e3779b97f4a7c15u) >> 48];
}

/// And where it compares floats, which libFuzzer makes nothing of.
extern "C" __attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_cmpf(float, float) {}
extern "C" __attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_cmpd(double, double) {}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  baracuda::testing::fuzz_c_call({data, size});
  return 0;
}
