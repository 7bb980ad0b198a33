// Kernels compiled here, loaded and launched, on every GPU present.

#include "baracuda/cuda/launch.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "baracuda/core/buffer.h"
#include "baracuda/cuda/stream_access.h"
#include "baracuda/jit/load.h"
#include "testing/call_counter.h"
#include "testing/cuda_graph.h"
#include "testing/devices.h"

namespace baracuda::cuda {
namespace {

using jit::KernelSpec;
using jit::load_kernel;
using testing::CudaGraph;

/// out[i] = first + i, through as much shared memory as the launch grants.
struct IotaParams {
  int* out;
  int first;
  int shared_elems;
};
constexpr const char* kIota = R"(
struct Params { int* out; int first; int shared_elems; };
extern "C" __global__ void baracuda_kernel(const __grid_constant__ Params params) {
  extern __shared__ int staged[];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const int slot = params.shared_elems ? params.shared_elems - blockDim.x + threadIdx.x : -1;
  int value = params.first + i;
  if (slot >= 0) { staged[slot] = value; __syncthreads(); value = staged[slot]; }
  params.out[i] = value;
})";

constexpr int kElems = 1024;
constexpr LaunchShape kShape = {.grid = {8}, .block = {128}};

std::vector<Device> devices_with_cuda() {
  std::vector<Device> cuda;
  for (const Device device : testing::test_devices())
    if (device.is_cuda()) cuda.push_back(device);
  return cuda;
}

class Launch : public ::testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    auto made = Stream::cuda(GetParam().ordinal);
    ASSERT_TRUE(made) << made.error().message;
    stream = *made;
    auto allocated = Buffer::allocate(stream, kElems * sizeof(int));
    ASSERT_TRUE(allocated);
    out = std::move(*allocated);
  }

  KernelSpec spec(Arch arch) const { return {"iota", kIota, code_target(stream.device_info(), arch)}; }
  /// One that nothing in this process has loaded.
  KernelSpec fresh_spec() const {
    static int number = 0;
    KernelSpec fresh = spec(stream.device_info().arch);
    fresh.text += "\n// " + std::to_string(number++);
    return fresh;
  }
  std::shared_ptr<const Kernel> load(Arch arch) {
    auto kernel = load_kernel(spec(arch), stream);
    EXPECT_TRUE(kernel) << kernel.error().message;
    return kernel.value_or(nullptr);
  }
  IotaParams params(int first, int shared_elems = 0) const {
    return {static_cast<int*>(out.data()), first, shared_elems};
  }
  void expect_iota(int first, const Stream& on) {
    std::vector<int> host(kElems);
    ASSERT_TRUE(out.copy_to_host(on, host.data(), out.bytes()));
    const auto done = on.synchronize();
    ASSERT_TRUE(done) << done.error().message;
    for (int i = 0; i < kElems; ++i) ASSERT_EQ(host[i], first + i) << i;
  }

  Stream stream = Stream::cpu();
  Buffer out;
};

TEST_P(Launch, EveryArchClassThatTheDeviceRuns) {
  for (const Arch arch : kCudaArchs) {
    if (arch > stream.device_info().arch) continue;
    const auto kernel = load(arch);
    ASSERT_TRUE(kernel);
    EXPECT_GT(kernel->registers(), 0);
    EXPECT_EQ(kernel->local_bytes(), 0);
    EXPECT_EQ(kernel->static_shared_bytes(), 0);
    const int first = 1000 * static_cast<int>(arch);
    const IotaParams args = params(first);
    ASSERT_TRUE(launch(*kernel, stream, kShape, &args));
    expect_iota(first, stream);
  }
}

TEST_P(Launch, AllSharedMemoryIsGranted) {
  const auto kernel = load(stream.device_info().arch);
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->max_dynamic_shared_bytes(), stream.device_info().max_shared_bytes_per_block);
  LaunchShape shape = kShape;
  shape.dynamic_shared_bytes = static_cast<std::uint32_t>(kernel->max_dynamic_shared_bytes());
  const IotaParams args = params(5, kernel->max_dynamic_shared_bytes() / 4);
  ASSERT_TRUE(launch(*kernel, stream, shape, &args));
  expect_iota(5, stream);

  shape.dynamic_shared_bytes += 1024;
  const auto refused = launch(*kernel, stream, shape, &args);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::Backend);
}

TEST_P(Launch, WithProgrammaticSerialization) {
  const auto kernel = load(stream.device_info().arch);
  ASSERT_TRUE(kernel);
  LaunchShape shape = kShape;
  shape.programmatic_serialization = true;
  const IotaParams args = params(9);
  const auto done = launch(*kernel, stream, shape, &args);
  ASSERT_TRUE(done) << done.error().message;
  expect_iota(9, stream);
}

/// Blocks of a cluster, in pairs along x, read each other's shared memory.
TEST_P(Launch, InClusters) {
  if (stream.device_info().target.sm < 90) GTEST_SKIP() << "clusters need compute capability 9.0";
  const auto kernel = load_kernel({"iota_of_peers", R"(#include "baracuda/device/ptx/cluster.cuh"
struct Params { int* out; int first; int shared_elems; };
extern "C" __global__ void baracuda_kernel(const __grid_constant__ Params params) {
  using namespace baracuda;
  __shared__ int4 staged[32];
  const int i = static_cast<int>((blockIdx.y * gridDim.x + blockIdx.x) * 128 + threadIdx.x * 4);
  staged[threadIdx.x] = {params.first + i, params.first + i + 1, params.first + i + 2, params.first + i + 3};
  ptx::cluster_sync();
  const unsigned peer = blockIdx.x ^ 1;
  const int4 value = ptx::ld_shared_cluster(&staged[threadIdx.x], peer);
  int* const out = params.out + (blockIdx.y * gridDim.x + peer) * 128 + threadIdx.x * 4;
  out[0] = value.x, out[1] = value.y, out[2] = value.z, out[3] = value.w;
  ptx::cluster_sync();
})",
                                   stream.device_info().target},
                                  stream);
  ASSERT_TRUE(kernel) << kernel.error().message;
  LaunchShape shape{.grid = {2, 4}, .block = {32}, .cluster = 2};
  const IotaParams args = params(21);
  for (const bool programmatic : {true, false}) {
    shape.programmatic_serialization = programmatic;
    ASSERT_TRUE(out.fill(stream, 0));
    const auto done = launch(**kernel, stream, shape, &args);
    ASSERT_TRUE(done) << done.error().message;
    expect_iota(21, stream);
  }
  const auto clusters = max_active_clusters(**kernel, shape);
  ASSERT_TRUE(clusters) << clusters.error().message;
  EXPECT_GE(*clusters, stream.device_info().num_multiprocessors / 4);
  shape.grid.x = 3;  // no whole number of clusters
  EXPECT_FALSE(launch(**kernel, stream, shape, &args));
}

TEST_P(Launch, OnTheLegacyStream) {
  const auto legacy = Stream::adopt_cuda(nullptr, GetParam().ordinal);
  ASSERT_TRUE(legacy);
  ASSERT_TRUE(stream.synchronize());  // the legacy stream does not wait for a non-blocking one
  const auto kernel = load(stream.device_info().arch);
  const IotaParams args = params(11);
  ASSERT_TRUE(launch(*kernel, *legacy, kShape, &args));
  expect_iota(11, *legacy);
}

TEST_P(Launch, FromAThreadWithoutAContext) {
  const auto kernel = load(stream.device_info().arch);
  const auto legacy = Stream::adopt_cuda(nullptr, GetParam().ordinal);
  ASSERT_TRUE(kernel && legacy && stream.synchronize());
  for (const Stream& on : {stream, *legacy}) {
    std::thread([&] {
      const DriverApi& api = **driver();
      ASSERT_EQ(api.cuCtxSetCurrent(nullptr), CUDA_SUCCESS);
      const IotaParams args = params(13);
      ASSERT_TRUE(launch(*kernel, on, kShape, &args));
      expect_iota(13, on);
      CUcontext current = nullptr;
      ASSERT_EQ(api.cuCtxGetCurrent(&current), CUDA_SUCCESS);
      EXPECT_EQ(current, nullptr);
    }).join();
  }
}

TEST_P(Launch, FromManyThreadsOnTheirStreams) {
  const auto kernel = load(stream.device_info().arch);
  ASSERT_TRUE(kernel);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      const auto own = Stream::cuda(GetParam().ordinal);
      ASSERT_TRUE(own);
      auto buffer = Buffer::allocate(*own, kElems * sizeof(int));
      ASSERT_TRUE(buffer);
      for (int round = 0; round < 50; ++round) {
        const IotaParams args = {static_cast<int*>(buffer->data()), thread + round, 0};
        ASSERT_TRUE(launch(*kernel, *own, kShape, &args));
      }
      std::vector<int> host(kElems);
      ASSERT_TRUE(buffer->copy_to_host(*own, host.data(), buffer->bytes()) && own->synchronize());
      EXPECT_EQ(host[kElems - 1], thread + 49 + kElems - 1);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_P(Launch, InAGraph) {
  const auto kernel = load(stream.device_info().arch);
  ASSERT_TRUE(kernel && stream.synchronize());
  const IotaParams args = params(17);
  auto graph = CudaGraph::capture(stream, [&] { return launch(*kernel, stream, kShape, &args); });
  ASSERT_TRUE(graph) << graph.error().message;
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(out.fill(stream, 0));
    ASSERT_TRUE(graph->replay(stream));
    expect_iota(17, stream);
  }
}

TEST_P(Launch, NothingIsLoadedWhileTheStreamIsCaptured) {
  const KernelSpec fresh = fresh_spec();
  const auto loaded = load(stream.device_info().arch);
  ASSERT_TRUE(loaded);
  auto graph = CudaGraph::capture(stream, [&]() -> Result<void> {
    // What is loaded already is found.
    if (auto kernel = load_kernel(spec(stream.device_info().arch), stream); !kernel) return kernel.error();
    const auto refused = load_kernel(fresh, stream);
    EXPECT_FALSE(refused);
    if (!refused) {
      EXPECT_EQ(refused.error().kind, ErrorKind::Unsupported);
      EXPECT_NE(refused.error().message.find("before the capture"), std::string::npos);
    }
    const IotaParams args = params(19);
    return launch(*loaded, stream, kShape, &args);
  });
  ASSERT_TRUE(graph) << graph.error().message;  // the capture survived
  EXPECT_TRUE(load_kernel(fresh, stream));
}

TEST_P(Launch, LoadingLeavesOtherCapturesAlone) {
  // Another thread's capture in global mode forbids unsafe calls everywhere; loading must not break it.
  const DriverApi& api = **driver();
  const auto other = Stream::cuda(GetParam().ordinal);
  ASSERT_TRUE(other);
  ASSERT_EQ(api.cuStreamBeginCapture_v2(StreamAccess::handle(*other), CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
  std::thread([&] {
    const auto kernel = load_kernel(fresh_spec(), stream);
    EXPECT_TRUE(kernel) << kernel.error().message;
  }).join();
  CUgraph graph = nullptr;
  EXPECT_EQ(api.cuStreamEndCapture(StreamAccess::handle(*other), &graph), CUDA_SUCCESS);
  if (graph) api.cuGraphDestroy(graph);
}

TEST_P(Launch, TheSameSpecIsLoadedOnce) {
  const Arch arch = stream.device_info().arch;
  EXPECT_EQ(load(arch), load(arch));
  KernelSpec renamed = spec(arch);
  renamed.name = "another_name";
  EXPECT_EQ(*load_kernel(renamed, stream), load(arch));
}

TEST_P(Launch, ACubinThatIsNoneIsABackendError) {
  const std::byte junk[64] = {};
  const auto kernel = Kernel::load(stream, junk, "baracuda_kernel");
  ASSERT_FALSE(kernel);
  EXPECT_EQ(kernel.error().kind, ErrorKind::Backend);
}

TEST_P(Launch, DeviceCopies) {
  std::vector<int> host(kElems);
  for (int i = 0; i < kElems; ++i) host[i] = 23 + i;
  auto source = Buffer::allocate(stream, out.bytes());
  ASSERT_TRUE(source && source->copy_from_host(stream, host.data(), out.bytes()));
  ASSERT_TRUE(copy_device_to_device(stream, out.data(), source->data(), static_cast<std::size_t>(out.bytes())));
  expect_iota(23, stream);
}

TEST_P(Launch, DoesNothingSlowOnTheHost) {
  if (!testing::kCanCountCalls) GTEST_SKIP() << "a sanitizer takes the functions that are counted";
  const auto kernel = load(stream.device_info().arch);
  ASSERT_TRUE(kernel);
  const IotaParams args = params(0);
  for (int warm = 0; warm < 3; ++warm) ASSERT_TRUE(launch(*kernel, stream, kShape, &args));
  testing::CallCounter counter;
  const auto launched = launch(*kernel, stream, kShape, &args);
  const auto copied = copy_device_to_device(stream, out.data(), static_cast<char*>(out.data()) + 2048, 1024);
  EXPECT_EQ(counter.stop().total(), 0);
  EXPECT_TRUE(launched && copied && stream.synchronize());
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Launch);
INSTANTIATE_TEST_SUITE_P(Devices, Launch, ::testing::ValuesIn(devices_with_cuda()), testing::NameOfParam());

}  // namespace
}  // namespace baracuda::cuda
