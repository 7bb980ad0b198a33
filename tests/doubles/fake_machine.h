#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "testing/child_process.h"
#include "tests/doubles/fakes.h"

namespace baracuda::testing {

/// For a child: the fake libraries, which the library in this process takes from here on for the real ones.
struct Fakes {
  FakeCuda& cuda;
  FakeNvrtc& nvrtc;
};
/// Runs the body with them, then looks whether the CPU still works. The exit status of the child: 0 where all was as
/// expected.
int run_with_fakes(void (*body)(const Fakes& fakes));
/// That a plan runs on the CPU, whatever became of CUDA in this process.
void expect_cpu_works();
/// Of such a child: the fake libnvrtc, and no kernels on disk.
std::vector<std::string> environment_of_fakes();

/// A test whose body runs in a process of its own, on a machine as `fakes` makes it; with _F, one of a fixture, which
/// is set up in the process that waits for that one.
#define FAKE_CUDA_TEST(suite, name) BARACUDA_FAKE_CUDA_TEST(TEST, suite, name)
#define FAKE_CUDA_TEST_F(suite, name) BARACUDA_FAKE_CUDA_TEST(TEST_F, suite, name)
#define BARACUDA_FAKE_CUDA_TEST(test, suite, name)                                                 \
  void suite##name(const ::baracuda::testing::Fakes& fakes);                                       \
  const ::baracuda::testing::RegisterChild kRegister##suite##name(                                 \
      #suite #name, [](const auto&) { return ::baracuda::testing::run_with_fakes(suite##name); }); \
  test(suite, name) {                                                                              \
    using namespace ::baracuda::testing;                                                           \
    EXPECT_EQ(Child(#suite #name, {}, environment_of_fakes()).wait(std::chrono::seconds(600)), 0); \
  }                                                                                                \
  void suite##name([[maybe_unused]] const ::baracuda::testing::Fakes& fakes)

}  // namespace baracuda::testing
