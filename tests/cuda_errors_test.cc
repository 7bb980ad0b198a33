// What a user is told when CUDA fails, and what works afterwards: each test in a process of its own, with a driver and
// a compiler that fail as they are told to.

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <optional>

#include "baracuda/ops/quantized_linear/quantized_linear.h"
#include "baracuda/ops/write_slice/write_slice.h"
#include "baracuda/plan/plan_cache.h"
#include "testing/cuda_graph.h"
#include "testing/machine.h"
#include "tests/doubles/fake_machine.h"

namespace baracuda {
namespace {

using testing::CudaGraph;
using testing::Fakes;

using Words = std::initializer_list<std::string_view>;

template <class T>
void expect_error(const Result<T>& result, ErrorKind kind, std::int64_t code, Words words) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, kind) << result.error().message;
  EXPECT_EQ(result.error().code, code) << result.error().message;
  for (const std::string_view word : words)
    EXPECT_NE(result.error().message.find(word), std::string::npos) << word << " in: " << result.error().message;
}

constexpr std::int64_t kRows = 8, kCols = 64;

/// A window whose kernels are `rows` and `generic`.
WriteSliceDescriptor window(Element element = Element::F32) {
  return {element, {kRows, kCols}, {1, 3}, {kRows, kCols}};
}

/// A stream with the tensors of window() on it.
struct Work {
  explicit Work(int ordinal = 0) {
    auto made = Stream::cuda(ordinal);
    EXPECT_TRUE(made) << made.error().message;
    stream = *made;
    dest = *Buffer::allocate(stream, kRows * kCols * 8);
    source = *Buffer::allocate(stream, kRows * kCols * 8);
  }
  WriteSliceArgs args(Element element = Element::F32) const {
    return {.dest = dest.tensor(element, {kRows, kCols}), .source = source.tensor(element, {kRows - 1, kCols - 3})};
  }
  Result<WriteSlicePlan> select(Element element = Element::F32) const {
    return WriteSlicePlan::select(stream, window(element));
  }
  Result<void> run(const WriteSlicePlan& plan) const {
    return plan.run(stream, Workspace::none(), args(plan.descriptor().element));
  }
  /// Selects and runs what was not selected before.
  void expect_works(Element element) const {
    const auto plan = select(element);
    ASSERT_TRUE(plan) << plan.error().message;
    const auto ran = run(*plan);
    ASSERT_TRUE(ran) << ran.error().message;
    EXPECT_TRUE(stream.synchronize());
  }

  Stream stream = Stream::cpu();
  Buffer dest, source;
};

// --- the machine that all others differ from in one thing ---

FAKE_CUDA_TEST(CudaErrors, NoneOnASoundMachine) {
  {
    const Work work;
    EXPECT_EQ(testing::default_device(), Device::cuda(0));
    work.expect_works(Element::F32);
    EXPECT_EQ(fakes.cuda.gpus[0].launches, 1);
    EXPECT_EQ(fakes.cuda.gpus[0].loaded_libraries, 2);
    unsigned char bytes[4] = {1, 2, 3, 4}, back[4] = {};
    Buffer buffer = *Buffer::allocate(work.stream, 4);
    EXPECT_TRUE(buffer.copy_from_host(work.stream, bytes, 4) && buffer.copy_to_host(work.stream, back, 4));
    EXPECT_EQ(back[3], 4);
    const auto event = Event::create(work.stream, true);
    EXPECT_TRUE(event);
    EXPECT_EQ(fakes.cuda.streams, 1);
  }
  EXPECT_EQ(fakes.cuda.streams + fakes.cuda.events, 0);
  EXPECT_EQ(fakes.cuda.gpus[0].allocated_bytes, 0u);
}

// --- memory of the device ---

FAKE_CUDA_TEST(CudaErrors, NoMemoryForABuffer) {
  const Stream stream = *Stream::cuda();
  const std::int64_t all = static_cast<std::int64_t>(fakes.cuda.gpus[0].memory_bytes);
  expect_error(Buffer::allocate(stream, all + 1), ErrorKind::Backend, 2,
               {"Buffer::allocate", std::to_string(all + 1), "cuda:0", "OUT_OF_MEMORY", "free device memory"});
  EXPECT_TRUE(Buffer::allocate(stream, all));
  EXPECT_TRUE(Buffer::allocate(stream, all)) << "the first was freed";
}

FAKE_CUDA_TEST(CudaErrors, NoMemoryPools) {
  fakes.cuda.gpus[0].has_memory_pools = false;
  expect_error(Buffer::allocate(*Stream::cuda(), 4), ErrorKind::Unsupported, 0, {"memory pools", "memory of your own"});
}

FAKE_CUDA_TEST(CudaErrors, NoMemoryForTheContext) {
  fakes.cuda.fails["cuDevicePrimaryCtxRetain"] = cuda::CUDA_ERROR_OUT_OF_MEMORY;
  expect_error(Stream::cuda(), ErrorKind::Backend, 2, {"context of cuda:0", "free device memory"});
  fakes.cuda.fails.clear();
  Work().expect_works(Element::F32);
}

FAKE_CUDA_TEST(CudaErrors, NoMemoryToLoadAKernel) {
  const Work work;
  for (const char* function : {"cuLibraryLoadData", "cuFuncLoad"}) {
    fakes.cuda.fails = {{function, cuda::CUDA_ERROR_OUT_OF_MEMORY}};
    PlanCache<WriteSlicePlan> cache;
    expect_error(cache.get(work.stream, window()), ErrorKind::Backend, 2,
                 {"WriteSlicePlan", "kernel write_slice.rows", "sm90a", function, "free device memory"});
    EXPECT_EQ(fakes.cuda.gpus[0].loaded_libraries, 0);
  }
  fakes.cuda.fails.clear();
  work.expect_works(Element::F32);
}

FAKE_CUDA_TEST(CudaErrors, ADriverOlderThanTheCode) {
  const Work work;
  for (const int status : {200, 209, 222}) {
    fakes.cuda.fails = {{"cuLibraryLoadData", static_cast<cuda::CUresult>(status)}};
    expect_error(work.select(), ErrorKind::Backend, status,
                 {"WriteSlicePlan", "newer than this driver", "update the driver", "BARACUDA_NVRTC_LIBRARY", "pack"});
  }
  fakes.cuda.fails.clear();
  work.expect_works(Element::F32);
}

FAKE_CUDA_TEST(CudaErrors, NoMemoryToLaunch) {
  const Work work;
  const auto plan = work.select();
  fakes.cuda.fails["cuLaunchKernel"] = cuda::CUDA_ERROR_OUT_OF_MEMORY;
  expect_error(work.run(*plan), ErrorKind::Backend, 2, {"WriteSlicePlan", "launch", "free device memory"});
  fakes.cuda.fails.clear();
  EXPECT_TRUE(work.run(*plan));
}

// --- what only some kernels ask of the driver ---

FAKE_CUDA_TEST(CudaErrors, ClustersAndTensorMaps) {
  const Stream stream = *Stream::cuda();
  constexpr std::int64_t kM = 4096, kChannels = 8192, kK = 64;
  const QuantizedLinearDescriptor descriptor{.m = kM, .c_out = kChannels, .k = kK};
  const auto select = [&] { return QuantizedLinearPlan::select(stream, descriptor); };

  fakes.cuda.gpus[0].clusters = 0;
  expect_error(select(), ErrorKind::Unsupported, 0, {"QuantizedLinearPlan", "no cluster of 2 blocks"});
  fakes.cuda.gpus[0].clusters = 50;
  fakes.cuda.fails["cuOccupancyMaxActiveClusters"] = cuda::CUDA_ERROR_OUT_OF_MEMORY;
  expect_error(select(), ErrorKind::Backend, 2, {"QuantizedLinearPlan", "max_active_clusters"});
  fakes.cuda.fails.clear();
  const auto plan = select();
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->sku().variant, "wgmma128x256_cluster2");

  const Buffer x = *Buffer::allocate(stream, kM * kK * 4), weight = *Buffer::allocate(stream, kChannels * kK),
               scale = *Buffer::allocate(stream, kChannels * 4), y = *Buffer::allocate(stream, kM * kChannels * 4),
               q = *Buffer::allocate(stream, kM * kK), row_scale = *Buffer::allocate(stream, kM * 4);
  const auto vector = [&](const Buffer& of, std::int64_t length) {
    return VectorMut{{of.data(), Element::F32, length, stream.device(), of.range()}};
  };
  const QuantizedLinearArgs args{.x = x.tensor(Element::F32, {kM, kK}),
                                 .weight = weight.tensor(Element::I8, {kChannels, kK}),
                                 .weight_scale = vector(scale, kChannels),
                                 .y = y.tensor(Element::F32, {kM, kChannels}),
                                 .act_q_scratch = q.tensor(Element::I8, {kM, kK}),
                                 .act_scale_scratch = vector(row_scale, kM)};
  fakes.cuda.fails["cuTensorMapEncodeTiled"] = static_cast<cuda::CUresult>(1);
  expect_error(plan->run(stream, Workspace::none(), args), ErrorKind::Backend, 1,
               {"QuantizedLinearPlan", "encode_tensor_map"});
  fakes.cuda.fails.clear();
  const int launches = fakes.cuda.gpus[0].launches;
  const auto ran = plan->run(stream, Workspace::none(), args);
  EXPECT_TRUE(ran) << ran.error().message;
  EXPECT_EQ(fakes.cuda.gpus[0].launches, launches + 2) << "the quantizer and the product";
}

// --- a device that is lost ---

FAKE_CUDA_TEST(CudaErrors, ALostDevice) {
  {
    Work work;
    auto event = Event::create(work.stream, true), other = Event::create(work.stream, true);
    ASSERT_TRUE(event && other && event->record(work.stream) && other->record(work.stream));
    const auto plan = work.select();
    ASSERT_TRUE(plan);
    auto graph = CudaGraph::capture(work.stream, [&] { return work.run(*plan); });
    ASSERT_TRUE(graph);

    fakes.cuda.fault_of_next_launch = cuda::CUDA_ERROR_LAUNCH_FAILED;
    EXPECT_TRUE(work.run(*plan)) << "the fault comes when the kernel runs";
    const auto expect_lost = [](const auto& result, std::string_view where) {
      expect_error(result, ErrorKind::Backend, 719, {where, "LAUNCH_FAILED", "lost the device", "new process", "CPU"});
    };
    char host[4] = {};
    for (int i = 0; i < 2; ++i) {
      expect_lost(work.stream.synchronize(), "Stream::synchronize");
      expect_lost(work.stream.is_capturing(), "Stream::is_capturing");
      expect_lost(work.run(*plan), "WriteSlicePlan");
      expect_lost(work.select(Element::U8), "WriteSlicePlan");
      expect_lost(work.dest.copy_from_host(work.stream, host, 4), "Buffer::copy_from_host");
      expect_lost(work.dest.copy_to_host(work.stream, host, 4), "Buffer::copy_to_host");
      expect_lost(work.dest.fill(work.stream, 0), "Buffer::fill");
      expect_lost(Buffer::allocate(work.stream, 4), "Buffer::allocate");
      expect_lost(event->record(work.stream), "Event::record");
      expect_lost(event->wait_on(work.stream), "Event::wait_on");
      expect_lost(event->synchronize(), "Event::synchronize");
      expect_lost(event->is_complete(), "Event::is_complete");
      expect_lost(event->elapsed_ms_since(*other), "Event::elapsed_ms_since");
      expect_lost(Event::create(work.stream), "Event::create");
      expect_lost(graph->replay(work.stream), "cuGraphLaunch");
      expect_lost(Stream::cuda(), "Stream::cuda");
    }
    // What needs no device is still answered.
    EXPECT_TRUE(WriteSlicePlan::explain(work.stream, window()));
    EXPECT_TRUE(DeviceInfo::of(Device::cuda()));
    expect_error(plan->run(work.stream, Workspace::none(), {}), ErrorKind::InvalidProblem, 0, {"dest"});
  }
  EXPECT_EQ(fakes.cuda.streams + fakes.cuda.events + fakes.cuda.graphs, 0);
}

FAKE_CUDA_TEST(CudaErrors, EveryWayToLoseADeviceSaysSo) {
  const Stream stream = *Stream::cuda();
  for (const int status : {214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 810}) {
    fakes.cuda.lost = static_cast<cuda::CUresult>(status);
    expect_error(stream.synchronize(), ErrorKind::Backend, status, {"lost the device", "new process"});
  }
  for (const int status : {1, 209, 304, 801, 900, 999}) {
    fakes.cuda.lost = static_cast<cuda::CUresult>(status);
    expect_error(stream.synchronize(), ErrorKind::Backend, status, {"as the fake says"});
    EXPECT_EQ(stream.synchronize().error().message.find("lost"), std::string::npos) << status;
  }
}

// --- devices ---

FAKE_CUDA_TEST(CudaErrors, ADeviceThatIsTooOld) {
  fakes.cuda.gpus = {{.name = "Turing", .sm = 75}, {.name = "Ampere", .sm = 80}};
  EXPECT_EQ(num_cuda_devices(), 2);
  expect_error(DeviceInfo::of(Device::cuda(0)), ErrorKind::Unsupported, 0, {"cuda:0", "Turing", "7.5", "8.0"});
  expect_error(Stream::cuda(0), ErrorKind::Unsupported, 0, {"cuda:0", "Turing", "7.5", "8.0"});
  expect_error(Stream::adopt_cuda(nullptr, 0), ErrorKind::Unsupported, 0, {"Turing"});
  EXPECT_EQ(testing::default_device(), Device::cuda(1));
  Work(1).expect_works(Element::F32);
}

FAKE_CUDA_TEST(CudaErrors, OtherCapabilitiesRunTheNewestClassThatLoads) {
  fakes.cuda.gpus = {{.sm = 86}, {.sm = 89}, {.sm = 90}, {.sm = 100}, {.sm = 120}};
  const char* archs[] = {"sm80", "sm89", "sm90a", "sm89@sm100", "sm89@sm120"};
  for (int ordinal = 0; ordinal < 5; ++ordinal) {
    const Work work(ordinal);
    work.expect_works(Element::F32);
    const std::string sku = work.select()->sku().to_string();
    EXPECT_NE(sku.find(std::string("/") + archs[ordinal] + "/"), std::string::npos) << sku;
  }
}

FAKE_CUDA_TEST(CudaErrors, SeveralDevices) {
  fakes.cuda.gpus.resize(2);
  const Work first(0), second(1);
  first.expect_works(Element::F32);
  EXPECT_EQ(fakes.cuda.gpus[1].loaded_libraries, 0);
  second.expect_works(Element::F32);
  for (const auto& gpu : fakes.cuda.gpus) {
    EXPECT_EQ(gpu.loaded_libraries, 2);
    EXPECT_EQ(gpu.launches, 1);
  }
  EXPECT_EQ(fakes.nvrtc.compiles, 2) << "one for both devices";

  const auto plan = *first.select();
  expect_error(plan.run(second.stream, Workspace::none(), first.args()), ErrorKind::InvalidProblem, 0,
               {"WriteSlicePlan", "cuda:1", "cuda:0"});
  expect_error(plan.run(first.stream, Workspace::none(), second.args()), ErrorKind::InvalidProblem, 0,
               {"dest", "cuda:1", "cuda:0"});
  int host = 0;
  Buffer buffer = *Buffer::allocate(first.stream, 4);
  expect_error(buffer.copy_from_host(second.stream, &host, 4), ErrorKind::InvalidProblem, 0, {"cuda:0", "cuda:1"});
  Event event = *Event::create(first.stream);
  expect_error(event.record(second.stream), ErrorKind::InvalidProblem, 0, {"cuda:0", "cuda:1"});
  expect_error(Stream::adopt_cuda(first.stream.cuda_handle(), 1), ErrorKind::InvalidProblem, 0, {"cuda:0", "cuda:1"});
  for (const int ordinal : {-1, 2, 1000})
    expect_error(Stream::cuda(ordinal), ErrorKind::InvalidProblem, 0,
                 {"cuda:" + std::to_string(ordinal), "finds 2", "from 0"});
}

// --- the driver ---

/// Nothing of CUDA is there, every call says why, and the default is the CPU.
void expect_no_cuda(ErrorKind kind, std::int64_t code, Words words) {
  for (int i = 0; i < 2; ++i) {
    expect_error(Stream::cuda(), kind, code, words);
    expect_error(DeviceInfo::of(Device::cuda()), kind, code, words);
  }
  EXPECT_EQ(num_cuda_devices(), 0);
  EXPECT_EQ(testing::default_device(), Device::cpu());
}

FAKE_CUDA_TEST(CudaErrors, ADriverThatIsTooOld) {
  fakes.cuda.driver_version = 12030;
  expect_no_cuda(ErrorKind::Unsupported, 0, {"12.3", "12.4", "install driver 550"});
}

FAKE_CUDA_TEST(CudaErrors, NoDevice) {
  fakes.cuda.gpus.clear();
  expect_no_cuda(ErrorKind::Unsupported, 100, {"cuInit", "nvidia-smi", "CUDA_VISIBLE_DEVICES"});
}

FAKE_CUDA_TEST(CudaErrors, TheStubOfLibcuda) {
  fakes.cuda.fails["cuInit"] = cuda::CUDA_ERROR_STUB_LIBRARY;
  expect_no_cuda(ErrorKind::Unsupported, 34, {"LD_LIBRARY_PATH"});
}

FAKE_CUDA_TEST(CudaErrors, ADriverOfAnotherVersionThanItsModule) {
  fakes.cuda.fails["cuInit"] = cuda::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
  expect_no_cuda(ErrorKind::Backend, 803, {"cuInit", "reboot"});
}

FAKE_CUDA_TEST(CudaErrors, ADriverThatDoesNotStart) {
  fakes.cuda.fails["cuInit"] = cuda::CUDA_ERROR_UNKNOWN;
  expect_no_cuda(ErrorKind::Backend, 999, {"cuInit", "nvidia-smi"});
}

// --- the compiler ---

FAKE_CUDA_TEST(CudaErrors, ACompilerThatIsTooOld) {
  fakes.nvrtc.major = 12;
  fakes.nvrtc.minor = 3;
  const Work work;
  for (int i = 0; i < 2; ++i)
    expect_error(work.select(), ErrorKind::Unsupported, 0,
                 {"WriteSlicePlan", "12.4 or newer", "libfake_nvrtc.so", "version 12.3", "BARACUDA_NVRTC_LIBRARY"});
  EXPECT_EQ(testing::default_device(), Device::cpu());
  EXPECT_TRUE(work.stream.synchronize());
}

FAKE_CUDA_TEST(CudaErrors, NoCompiler) {
  setenv("BARACUDA_NVRTC_LIBRARY", "/nowhere/libnvrtc.so.13", 1);
  const Work work;
  expect_error(work.select(), ErrorKind::Unsupported, 0,
               {"/nowhere/libnvrtc.so.13", "nvidia-cuda-nvrtc", "BARACUDA_NVRTC_LIBRARY"});
  // What the driver copies needs no compiler.
  const WriteSliceDescriptor whole{Element::F32, {kRows, kCols}, {0, 0}, {kRows, kCols}};
  const auto plan = WriteSlicePlan::select(work.stream, whole, {.force_backend = Backend::Driver});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_TRUE(plan->run(work.stream, Workspace::none(),
                        {.dest = work.dest.tensor(Element::F32, {kRows, kCols}),
                         .source = work.source.tensor(Element::F32, {kRows, kCols})}));
}

FAKE_CUDA_TEST(CudaErrors, ACompilerWithoutItsFunctions) {
  setenv("BARACUDA_NVRTC_LIBRARY", "libc.so.6", 1);
  expect_error(Work().select(), ErrorKind::Unsupported, 0, {"libc.so.6: no function nvrtcVersion"});
}

FAKE_CUDA_TEST(CudaErrors, AKernelThatDoesNotCompile) {
  const Work work;
  fakes.nvrtc.compile_status = 6;
  fakes.nvrtc.log = "baracuda_kernel.cu(3): error: expected a semicolon";
  for (int i = 0; i < 3; ++i)
    expect_error(work.select(), ErrorKind::Backend, 6,
                 {"WriteSlicePlan", "write_slice.rows", "sm90a", "NVRTC_ERROR_COMPILATION", fakes.nvrtc.log});
  EXPECT_EQ(fakes.nvrtc.compiles, 1) << "the text is the same, and so is what becomes of it";
  fakes.nvrtc.compile_status = 0;
  work.expect_works(Element::U8);
}

FAKE_CUDA_TEST(CudaErrors, ACompilerWithoutMemory) {
  const Work work;
  fakes.nvrtc.compile_status = 1;
  for (int i = 0; i < 2; ++i)
    expect_error(work.select(), ErrorKind::Backend, 1, {"NVRTC_ERROR_OUT_OF_MEMORY", "host is out of memory"});
  EXPECT_EQ(fakes.nvrtc.compiles, 2) << "it may be better the next time";
  fakes.nvrtc.compile_status = 0;
  work.expect_works(Element::F32);
}

FAKE_CUDA_TEST(CudaErrors, ACompilerOlderThanTheDevice) {
  fakes.cuda.gpus[0].sm = 120;
  fakes.nvrtc.compile_status = 5;
  fakes.nvrtc.log = "nvrtc: error: invalid value for --gpu-architecture (-arch)";
  expect_error(Work().select(), ErrorKind::Backend, 5,
               {"sm120", "libfake_nvrtc.so is version 13.0", "BARACUDA_NVRTC_LIBRARY", fakes.nvrtc.log});
}

// --- a full disk ---

/// No file of this process grows from now on. Pipes do, such as stderr in the tests.
void fill_disk() {
  signal(SIGXFSZ, SIG_IGN);
  const rlimit nothing = {0, 0};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &nothing), 0);
}

FAKE_CUDA_TEST(CudaErrors, AFullDiskKeepsNothingAndCostsNothingElse) {
  std::string folder = std::filesystem::temp_directory_path() / "baracuda-full-disk-XXXXXX";
  ASSERT_TRUE(mkdtemp(folder.data()));
  setenv("BARACUDA_CACHE_DIR", (folder + "/cache").c_str(), 1);
  setenv("BARACUDA_CACHE_MAX_BYTES", "1000000", 1);
  setenv("BARACUDA_JIT_DUMP", (folder + "/dump").c_str(), 1);
  setenv("BARACUDA_VERBOSE", "1", 1);
  fill_disk();
  ASSERT_TRUE(std::freopen("/dev/full", "w", stderr));  // its messages are lost too
  Work().expect_works(Element::F32);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    EXPECT_TRUE(entry.is_directory() || entry.file_size() == 0) << entry.path();
  std::filesystem::remove_all(folder);
}

// --- a capture ---

FAKE_CUDA_TEST(CudaErrors, SelectInACapture) {
  const Work work;
  const auto plan = work.select();
  ASSERT_TRUE(plan);
  const auto graph = CudaGraph::capture(work.stream, [&]() -> Result<void> {
    expect_error(work.select(Element::U8), ErrorKind::Unsupported, 0,
                 {"WriteSlicePlan", "write_slice.", "captured", "call select before the capture"});
    EXPECT_TRUE(work.select()) << "what is loaded needs neither compiler nor driver";
    expect_error(work.stream.synchronize(), ErrorKind::Backend, 900, {"Stream::synchronize"});
    return work.run(*plan);
  });
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_EQ(fakes.nvrtc.compiles, 2);
  EXPECT_EQ(fakes.cuda.gpus[0].launches, 0);
  work.expect_works(Element::U8);
}

}  // namespace
}  // namespace baracuda
