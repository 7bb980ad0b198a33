// What load_kernel refuses on any machine; cuda_launch_test loads and launches.

#include "baracuda/jit/load.h"

#include <gtest/gtest.h>

namespace baracuda::jit {
namespace {

TEST(LoadKernel, RefusesACpuStream) {
  const auto kernel = load_kernel({"op.rows", "", {}}, Stream::cpu());
  ASSERT_FALSE(kernel);
  EXPECT_EQ(kernel.error().kind, ErrorKind::InvalidProblem);
  EXPECT_NE(kernel.error().message.find("op.rows"), std::string::npos);
}

}  // namespace
}  // namespace baracuda::jit
