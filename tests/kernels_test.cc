// Every CUDA kernel of every op compiles for every arch class, without a GPU.

#include "testing/kernels.h"

#include <gtest/gtest.h>

#include <set>

#include "baracuda/jit/nvrtc.h"
#include "baracuda/plan/candidate.h"
#include "testing/options.h"

namespace baracuda::testing {
namespace {

/// Every kernel with --full, else what each op lists.
Result<std::vector<OpKernel>> kernels_to_test(std::span<const CompileTarget> targets) {
  if (options().full) return all_kernels_of(targets);
  return kernels_of(all_ops(), targets);
}

TEST(Kernels, HaveAKeyOfTheirOwn) {
  for (const CompileTarget& target : native_compile_targets()) {
    std::set<std::string> keys, names;
    const auto kernels = kernels_to_test({&target, 1});
    ASSERT_TRUE(kernels) << kernels.error().message;
    for (const OpKernel& kernel : *kernels) {
      const auto key = key_of(kernel, "13.0");
      ASSERT_TRUE(key) << key.error().message;
      EXPECT_TRUE(keys.insert(*key).second) << kernel.spec.name << " is compiled twice";
      EXPECT_TRUE(names.insert(kernel.spec.name).second) << kernel.spec.name << " is the name of two";
    }
    EXPECT_FALSE(keys.empty());
  }
}

std::vector<std::string> names_of(const std::vector<OpKernel>& kernels) {
  std::vector<std::string> names;
  for (const OpKernel& kernel : kernels) names.push_back(kernel.spec.name + " " + kernel.spec.target.name());
  return names;
}

TEST(Kernels, OfACaseAreThoseThatSelectPrepares) {
  const std::vector<CompileTarget> targets = {*parse_compile_target("sm80"), *parse_compile_target("sm80@sm90")};
  const std::vector<std::string> lines = {
      "write_slice element=s4 dest=8x16 start=0x0 end=8x16 dest_strides=32x1 seed=7",
      "kv_cache_append element=bf16 layout=paged num_tokens=1 num_kv_heads=8 k_head_dim=128 v_head_dim=128",
      "write_slice element=s4 dest=8x16 start=0x0 end=4x2",  // the same kernels as the first
  };
  const auto kernels = kernels_of(lines, targets);
  ASSERT_TRUE(kernels) << kernels.error().message;
  EXPECT_EQ(names_of(*kernels),
            (std::vector<std::string>{"write_slice.rows.1_byte sm80", "write_slice.nibbles.1_byte sm80",
                                      "write_slice.rows.1_byte sm90", "write_slice.nibbles.1_byte sm90",
                                      "kv_cache_append.paged.2_byte sm80", "kv_cache_append.paged.2_byte sm90"}));
  EXPECT_EQ(kernels->back().target, "sm80@sm90");
}

TEST(Kernels, ABadLineIsNamed) {
  const std::vector<CompileTarget> targets = native_compile_targets();
  std::size_t line_idx = 0;
  for (const char* bad : {"no_such_op", "element=bf16", "write_slice element=f33", "write_slice start=1",
                          "kv_cache_append element=s4", "write_slice write_slice"}) {
    const std::vector<std::string> lines = {"kv_cache_append", bad, "no_such_op"};
    EXPECT_FALSE(kernels_of(lines, targets, &line_idx)) << bad;
    EXPECT_EQ(line_idx, 1u);
  }
}

TEST(CompileTarget, NamesAClassOrOneThatIsForced) {
  for (const CompileTarget& target : native_compile_targets()) {
    const auto parsed = parse_compile_target(target.name);
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->device, target.device);
    EXPECT_EQ(parsed->preference, target.preference);
  }
  struct Expected {
    const char* name;
    CodeTarget code;
  };
  for (const auto& [name, code] : {Expected{"sm80", CodeTarget::for_cuda(80, false)},
                                   {"sm90a", CodeTarget::for_cuda(90, true)},
                                   {"sm80@sm90", CodeTarget::for_cuda(90, false)},
                                   {"sm89@sm90", CodeTarget::for_cuda(90, false)},
                                   {"sm89@sm100", CodeTarget::for_cuda(100, false)}}) {
    const auto target = parse_compile_target(name);
    ASSERT_TRUE(target) << target.error().message;
    EXPECT_EQ(target->name, name);
    const auto arch = choose_arch("test", target->preference, target->device);
    ASSERT_TRUE(arch) << arch.error().message;
    EXPECT_EQ(arch->target, code) << name;
  }
  for (const char* name :
       {"", "cpu", "sm70", "sm90", "sm80@", "sm80@90", "sm80@sm", "sm80@sm90a", "sm80@sm86", "sm80@sm89", "sm80@sm80",
        "sm90a@sm90", "sm90a@sm89", "sm90a@sm100", "sm80@sm75", "cpu@sm90", "sm80@sm99999999999"}) {
    const auto target = parse_compile_target(name);
    ASSERT_FALSE(target) << name;
    EXPECT_EQ(target.error().kind, ErrorKind::InvalidProblem);
    EXPECT_NE(target.error().message.find("sm80@sm90"), std::string::npos) << target.error().message;
  }
}

TEST(CompileTarget, OfADeviceIsWhatItRunsByItself) {
  DeviceInfo device = DeviceInfo::sm90a();
  EXPECT_EQ(compile_target(device).name, "sm90a");
  device.arch = Arch::Sm89;
  device.target = CodeTarget::for_cuda(120, false);
  EXPECT_EQ(compile_target(device).name, "sm89@sm120");
}

TEST(Kernels, CompileWithoutSpills) {
  if (const auto nvrtc = jit::nvrtc(); !nvrtc && !options().require_nvrtc) GTEST_SKIP() << nvrtc.error().message;
  const auto kernels = kernels_to_test(native_compile_targets());
  ASSERT_TRUE(kernels) << kernels.error().message;
  const auto compiled = compile_kernels(*kernels);
  ASSERT_TRUE(compiled) << compiled.error().message;
  for (std::size_t i = 0; i < kernels->size(); ++i)
    EXPECT_EQ((*compiled)[i].problem, "") << (*kernels)[i].spec.name << " for " << (*kernels)[i].spec.target.name();
}

}  // namespace
}  // namespace baracuda::testing
