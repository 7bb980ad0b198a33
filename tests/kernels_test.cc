// Every CUDA kernel of every op compiles for every arch class, without a GPU.

#include "testing/kernels.h"

#include <gtest/gtest.h>

#include <set>

#include "baracuda/jit/nvrtc.h"
#include "testing/options.h"

namespace baracuda::testing {
namespace {

TEST(Kernels, HaveAKeyOfTheirOwn) {
  for (Arch arch : kCudaArchs) {
    std::set<std::string> keys, names;
    for (const OpKernel& kernel : kernels_of(ops(), {&arch, 1})) {
      const auto key = key_of(kernel, "13.0");
      ASSERT_TRUE(key) << key.error().message;
      EXPECT_TRUE(keys.insert(*key).second) << kernel.spec.name << " is compiled twice";
      EXPECT_TRUE(names.insert(kernel.spec.name).second) << kernel.spec.name << " is the name of two";
    }
    EXPECT_FALSE(keys.empty());
  }
}

TEST(Kernels, CompileWithoutSpills) {
  if (const auto nvrtc = jit::nvrtc(); !nvrtc && !options().require_nvrtc) GTEST_SKIP() << nvrtc.error().message;
  const std::vector<OpKernel> kernels = kernels_of(ops(), kCudaArchs);
  const auto compiled = compile_kernels(kernels);
  ASSERT_TRUE(compiled) << compiled.error().message;
  for (std::size_t i = 0; i < kernels.size(); ++i)
    EXPECT_EQ((*compiled)[i].problem, "") << kernels[i].spec.name << " for " << kernels[i].spec.target.name();
}

}  // namespace
}  // namespace baracuda::testing
