// What needs no compiler, and kernels compiled for every arch class: no GPU needed.

#include "baracuda/jit/compiler.h"

#include <gtest/gtest.h>

#include <thread>

#include "testing/options.h"

namespace baracuda::jit {
namespace {

bool mentions(const Error& error, std::string_view text) { return error.message.find(text) != std::string::npos; }

TEST(ParseLog, ReadsResourcesSpillsAndWarnings) {
  // As NVRTC 13.0 writes it, cut from several kernels.
  const KernelResources resources = parse_log(
      "baracuda_kernel.cu(6): warning #177-D: variable \"unused\" was declared but never referenced\n"
      "ptxas warning : Local memory used for function 'baracuda_kernel', size of stack frame: 488 bytes\n"
      "ptxas warning : Registers are spilled to local memory in function 'baracuda_kernel', 1172 bytes spill stores, "
      "1180 bytes spill loads\n"
      "ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored; unable to determine register count.\n"
      "ptxas info    : 272 bytes gmem, 16 bytes cmem[4]\n"
      "ptxas info    : Compiling entry function 'baracuda_kernel' for 'sm_80'\n"
      "ptxas info    : Function properties for baracuda_kernel\n"
      "ptxas         .     488 bytes stack frame, 1172 bytes spill stores, 1180 bytes spill loads\n"
      "ptxas info    : Used 32 registers, used 1 barriers, 488 bytes cumulative stack size, 132 bytes smem, 368 bytes "
      "cmem[0]\n"
      "ptxas info    : Function properties for _Z1ffi\n"
      "ptxas         .     8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n"
      "ptxas info    : Compile time = 31.387 ms");
  EXPECT_EQ(resources.registers, 32);
  EXPECT_EQ(resources.static_shared_bytes, 132);
  EXPECT_EQ(resources.stack_bytes, 488);
  EXPECT_EQ(resources.spill_store_bytes, 1176);
  EXPECT_EQ(resources.spill_load_bytes, 1192);
  ASSERT_EQ(resources.warnings.size(), 1u);
  EXPECT_NE(resources.warnings[0].find("C7508"), std::string::npos);
}

TEST(ParseLog, ReadsOlderFormatsAndAnyText) {
  const KernelResources resources = parse_log(
      "ptxas info    : Function properties for baracuda_kernel\n"
      "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 10 registers, 16 bytes smem, 400 bytes cmem[0]\n");
  EXPECT_EQ(resources.registers, 10);
  EXPECT_EQ(resources.static_shared_bytes, 16);
  for (const char* text : {"", "\n", "\n\n", " bytes stack frame, ", ": Used  registers",
                           ": Used 99999999999999 registers", "12 bytes stack frame, "})
    parse_log(text);
  EXPECT_EQ(parse_log(""), KernelResources());
}

TEST(Nvrtc, EnvironmentNamesTheOnlyCandidate) {
  Environment environment;
  EXPECT_GT(nvrtc_candidates(environment).size(), 3u);
  EXPECT_EQ(nvrtc_candidates(environment)[0], "libnvrtc.so.13");
  environment.nvrtc_library = "/some/where/libnvrtc.so";
  EXPECT_EQ(nvrtc_candidates(environment), std::vector<std::string>{"/some/where/libnvrtc.so"});
}

TEST(Nvrtc, MissingIsUnsupportedAndSaysWhatToInstall) {
  const auto api = load_nvrtc({"libnvrtc_that_is_not_there.so", "libc.so.6"});
  ASSERT_FALSE(api);
  EXPECT_EQ(api.error().kind, ErrorKind::Unsupported);
  for (const char* text : {"libnvrtc_that_is_not_there.so", "libc.so.6", "pip download --no-deps nvidia-cuda-nvrtc",
                           "BARACUDA_NVRTC_LIBRARY"})
    EXPECT_TRUE(mentions(api.error(), text)) << api.error().message;
}

class Compile : public ::testing::Test {
 protected:
  void SetUp() override {
    if (nvrtc()) return;
    if (testing::options().require_nvrtc) FAIL() << nvrtc().error().message;
    GTEST_SKIP() << nvrtc().error().message;
  }

  Result<CompiledKernel> compile_here(const std::string& text, CodeTarget target = CodeTarget::for_cuda(90, true),
                                      const std::string& name = "test") {
    return compile({name, text, target}, **nvrtc(), sources);
  }

  std::vector<EmbeddedSource> sources = {
      {"a/scale.h", "#pragma once\n#include \"a/element.h\"\nfloat scale(float x) { return kFactor * x; }\n"},
      {"a/element.h", "#pragma once\nconstexpr float kFactor = 3;\n"},
  };
};

constexpr const char* kScale = R"(#include "a/scale.h"
#include "a/element.h"
struct Params { float* x; int n; };
extern "C" __global__ void baracuda_kernel(const __grid_constant__ Params params) {
  __shared__ float tile[32];
  const int i = threadIdx.x;
  tile[i] = params.x[i];
  __syncthreads();
  if (i < params.n) params.x[i] = scale(tile[31 - i]);
}
)";

constexpr const char* kSpilling = R"(
struct Params { float* x; int n; };
extern "C" __global__ __launch_bounds__(1024, 2) void baracuda_kernel(const __grid_constant__ Params params) {
  float v[96];
#pragma unroll
  for (int i = 0; i < 96; ++i) v[i] = params.x[i * 1024 + threadIdx.x];
  for (int k = 0; k < params.n; ++k) {
#pragma unroll
    for (int i = 0; i < 96; ++i) v[i] = v[i] * v[(i + 1) % 96] + k;
  }
#pragma unroll
  for (int i = 0; i < 96; ++i) params.x[i * 1024 + threadIdx.x] = v[i];
}
)";

TEST_F(Compile, EveryArchClassGivesACubin) {
  for (const Arch arch : kCudaArchs) {
    const auto kernel = compile_here(kScale, native_target(arch));
    ASSERT_TRUE(kernel) << kernel.error().message;
    ASSERT_GT(kernel->cubin.size(), 4u);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(kernel->cubin.data()) + 1, 3), "ELF");
    EXPECT_GT(kernel->resources.registers, 0);
    EXPECT_EQ(kernel->resources.static_shared_bytes, 128);
    EXPECT_EQ(kernel->resources.stack_bytes, 0);
    EXPECT_EQ(kernel->resources.spill_store_bytes + kernel->resources.spill_load_bytes, 0);
    EXPECT_TRUE(kernel->resources.warnings.empty());
    EXPECT_EQ(kernel->log.find('\0'), std::string::npos);
    EXPECT_EQ(kernel->key, *kernel_key({"", kScale, native_target(arch)}, (*nvrtc())->version, sources));
  }
}

TEST_F(Compile, WhatIsNotInTheKeyDoesNotChangeTheCode) {
  const auto one = compile_here(kScale), two = compile_here(kScale, CodeTarget::for_cuda(90, true), "another_name");
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->key, two->key);
  EXPECT_EQ(one->cubin, two->cubin);
}

TEST_F(Compile, SpillsAreReported) {
  const auto kernel = compile_here(kSpilling);
  ASSERT_TRUE(kernel) << kernel.error().message;
  EXPECT_GT(kernel->resources.stack_bytes, 0);
  EXPECT_GT(kernel->resources.spill_store_bytes, 0);
  EXPECT_GT(kernel->resources.spill_load_bytes, 0);
  EXPECT_EQ(kernel->resources.registers, 32);
}

TEST_F(Compile, IgnoredInstructionsAreReported) {
  const auto kernel = compile_here(
      "extern \"C\" __global__ void baracuda_kernel(int* x) {\n"
      "  asm volatile(\"setmaxnreg.inc.sync.aligned.u32 240;\");\n"
      "  *x = 1;\n"
      "}\n");
  ASSERT_TRUE(kernel) << kernel.error().message;
  ASSERT_EQ(kernel->resources.warnings.size(), 1u) << kernel->log;
  EXPECT_NE(kernel->resources.warnings[0].find("C7508"), std::string::npos);
}

TEST_F(Compile, MultiplicationsAndAdditionsAreNotContracted) {
  const char* kText = "extern \"C\" __global__ void baracuda_kernel(float* x) { x[0] = x[1] * x[2] + x[3]; }\n";
  const char* kFused =
      "extern \"C\" __global__ void baracuda_kernel(float* x) { x[0] = __fmaf_rn(x[1], x[2], x[3]); }\n";
  const auto plain = compile_here(kText), fused = compile_here(kFused);
  ASSERT_TRUE(plain && fused);
  EXPECT_NE(plain->cubin, fused->cubin);
}

TEST_F(Compile, DebugBringsLinesAndAsserts) {
  const std::string head =
      "#include \"baracuda/device/assert.cuh\"\nextern \"C\" __global__ void baracuda_kernel(int* x) {\n";
  const std::string tail = "\n  *x = 1;\n}\n";
  const std::string text = head + "  BARACUDA_DEVICE_ASSERT(x != nullptr);" + tail;
  const auto code_of = [](const std::string& text, bool debug) {
    const auto kernel = compile({"test", text, CodeTarget::for_cuda(90, true), debug}, **nvrtc(), embedded_sources());
    EXPECT_TRUE(kernel) << kernel.error().message;
    return kernel ? std::string(reinterpret_cast<const char*>(kernel->cubin.data()), kernel->cubin.size()) : "";
  };
  const std::string plain = code_of(text, false), debug = code_of(text, true);
  for (const char* what : {"__assertfail", "x != nullptr", ".debug_line"}) {
    EXPECT_EQ(plain.find(what), plain.npos) << what;
    EXPECT_NE(debug.find(what), debug.npos) << what;
  }
  EXPECT_TRUE(plain == code_of(head + tail, false));  // without debug an assert costs nothing
}

TEST_F(Compile, AnErrorCarriesTheCompilersLog) {
  const auto kernel = compile_here("extern \"C\" __global__ void baracuda_kernel() { undeclared(); }\n",
                                   native_target(Arch::Sm80), "op.rows");
  ASSERT_FALSE(kernel);
  EXPECT_EQ(kernel.error().kind, ErrorKind::Backend);
  EXPECT_EQ(kernel.error().code, 6);  // NVRTC_ERROR_COMPILATION
  for (const char* text : {"op.rows", "sm80", "NVRTC_ERROR_COMPILATION", "undeclared"})
    EXPECT_TRUE(mentions(kernel.error(), text)) << kernel.error().message;
}

TEST_F(Compile, AnErrorOfTheAssemblerCarriesItToo) {
  const auto kernel = compile_here(
      "extern \"C\" __global__ void baracuda_kernel() { asm volatile(\"setmaxnreg.inc.sync.aligned.u32 240;\"); }\n",
      native_target(Arch::Sm80));
  ASSERT_FALSE(kernel);
  EXPECT_TRUE(mentions(kernel.error(), "setmaxnreg")) << kernel.error().message;
}

TEST_F(Compile, UnknownIncludesAreErrors) {
  const auto quoted = compile_here("#include \"a/none.h\"\n", native_target(Arch::Sm80), "op.rows");
  ASSERT_FALSE(quoted);
  EXPECT_EQ(quoted.error().kind, ErrorKind::InvalidProblem);
  EXPECT_TRUE(mentions(quoted.error(), "a/none.h") && mentions(quoted.error(), "op.rows"));
  // The key follows no <…>, so none may be found.
  EXPECT_FALSE(compile_here("#include <cuda_fp16.h>\nextern \"C\" __global__ void baracuda_kernel() {}\n"));
  EXPECT_FALSE(compile_here("#include <a/scale.h>\nextern \"C\" __global__ void baracuda_kernel() {}\n"));
}

TEST_F(Compile, ManyThreadsAtOnce) {
  const auto expected = compile_here(kScale);
  ASSERT_TRUE(expected);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto kernel = compile_here(kScale);
      ASSERT_TRUE(kernel);
      EXPECT_EQ(kernel->cubin, expected->cubin);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_F(Compile, WithTheProcessesHeaders) {
  const auto kernel =
      compile({"empty", "extern \"C\" __global__ void baracuda_kernel() {}\n", native_target(Arch::Sm80)});
  ASSERT_TRUE(kernel) << kernel.error().message;
  EXPECT_GE(kernel->seconds, 0);
}

}  // namespace
}  // namespace baracuda::jit
