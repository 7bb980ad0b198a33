#include "bench/ceiling_kernels.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "testing/options.h"

namespace baracuda::bench {
namespace {

/// Whether one of the 16-byte instructions of sm_80 and up in a cubin has this opcode, its low 12 bits.
bool has_opcode(const jit::CompiledKernel& kernel, unsigned opcode) {
  for (std::size_t at = 0; at + 16 <= kernel.cubin.size(); at += 16) {
    std::uint16_t low;
    std::memcpy(&low, kernel.cubin.data() + at, sizeof(low));
    if ((low & 0xfff) == opcode) return true;
  }
  return false;
}

// IMMA, HMMA, IGMMA and HGMMA with both operands in shared memory.
const std::map<std::string, unsigned> kOpcodes = {{"bench.mma_rate.s8", 0x237},
                                                  {"bench.mma_rate.f16", 0x23c},
                                                  {"bench.wgmma_rate.s8", 0x9f1},
                                                  {"bench.wgmma_rate.f16", 0x9f0}};

class CeilingKernels : public ::testing::TestWithParam<Arch> {};

TEST_P(CeilingKernels, CompileToWhatTheyMeasure) {
  if (const auto nvrtc = jit::nvrtc(); !nvrtc && !testing::options().require_nvrtc)
    GTEST_SKIP() << nvrtc.error().message;
  for (const jit::KernelSpec& spec : ceiling_kernels(GetParam())) {
    const auto compiled = compile_ceiling_kernel(spec);
    ASSERT_TRUE(compiled) << spec.name << ": " << compiled.error().message;
    EXPECT_EQ(compiled->resources.stack_bytes, 0) << spec.name;
    const auto opcode = kOpcodes.find(spec.name);
    if (opcode != kOpcodes.end()) {
      EXPECT_TRUE(has_opcode(*compiled, opcode->second)) << spec.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Archs, CeilingKernels, ::testing::ValuesIn(kCudaArchs),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace baracuda::bench
