// BARACUDA_DEVICE_ASSERT on every GPU present. It takes the device from its process, so it has one of its own.

#include <gtest/gtest.h>

#include <cstdio>

#include "baracuda/core/buffer.h"
#include "baracuda/cuda/launch.h"
#include "baracuda/jit/load.h"
#include "testing/child_process.h"
#include "testing/devices.h"
#include "tests/doubles/fake_machine.h"

namespace baracuda {
namespace {

using testing::Child;
using testing::ChildArguments;
using testing::RegisterChild;

constexpr const char* kText = R"(#include "baracuda/device/assert.cuh"
struct Params { int* out; int num_elems; };
extern "C" __global__ void baracuda_kernel(const __grid_constant__ Params params) {
  const int i = threadIdx.x;
  BARACUDA_DEVICE_ASSERT(i < params.num_elems);
  params.out[i] = i;
})";

struct Params {
  int* out;
  int num_elems;
};
constexpr int kThreads = 32;

void violate_bounds(Device device, bool debug) {
  const auto stream = Stream::cuda(device.ordinal);
  ASSERT_TRUE(stream) << stream.error().message;
  const auto buffer = Buffer::allocate(*stream, kThreads * sizeof(int));
  ASSERT_TRUE(buffer) << buffer.error().message;
  const auto& info = stream->device_info();
  const auto kernel = jit::load_kernel({"assert", kText, code_target(info, info.arch)}, *stream);
  ASSERT_TRUE(kernel) << kernel.error().message;
  const auto run = [&](int num_elems) -> Result<void> {
    const Params params = {static_cast<int*>(buffer->data()), num_elems};
    if (auto launched = cuda::launch(**kernel, *stream, {.grid = {1}, .block = {kThreads}}, &params); !launched)
      return launched;
    return stream->synchronize();
  };
  EXPECT_TRUE(run(kThreads));
  const Result<void> violated = run(kThreads - 1);
  EXPECT_EQ(violated.has_value(), !debug);
  if (!debug) return;
  for (const Result<void>& lost : {violated, stream->synchronize(), run(kThreads)}) {
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().kind, ErrorKind::Backend);
    EXPECT_EQ(lost.error().code, cuda::CUDA_ERROR_ASSERT);
    EXPECT_NE(lost.error().message.find("lost the device"), std::string::npos) << lost.error().message;
  }
}

int violate_bounds_in_child(const ChildArguments& arguments) {
  const Result<Device> device = Device::parse(arguments[0]);
  if (!device) return 2;
  violate_bounds(*device, arguments[1] == "debug");
  testing::expect_cpu_works();
  return ::testing::UnitTest::GetInstance()->Passed() ? 0 : 1;
}
const RegisterChild kViolateBounds("violate_bounds", violate_bounds_in_child);

TEST(DeviceAssert, IsAnErrorThatLeavesTheCpuAlone) {
  int devices = 0;
  for (const Device device : testing::test_devices()) {
    if (device.is_cpu()) continue;
    ++devices;
    EXPECT_EQ(Child("violate_bounds", {device.name(), "debug"}, {"BARACUDA_JIT_DEBUG=1"}).wait(), 0);
    EXPECT_EQ(Child("violate_bounds", {device.name(), "release"}, {"BARACUDA_JIT_DEBUG=0"}).wait(), 0);
  }
  if (devices == 0) GTEST_SKIP() << "no GPU";
}

}  // namespace
}  // namespace baracuda
