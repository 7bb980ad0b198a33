// Opening the driver and asking it for devices, with drivers made here: no GPU needed.

#include "baracuda/cuda/driver.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "baracuda/core/stream.h"
#include "baracuda/cuda/context.h"

namespace baracuda::cuda {
namespace {

bool mentions(const Error& error, std::string_view text) { return error.message.find(text) != std::string::npos; }

/// What the driver made here answers; each test sets what it needs.
struct FakeAnswers {
  CUresult init = CUDA_SUCCESS;
  int version = 13000;
  std::string name = "NVIDIA Something";
  std::map<CUdevice_attribute, int> attributes;
  CUcontext current = nullptr;
  int pushes = 0, pops = 0;
};
FakeAnswers fake;

DriverApi fake_driver() {
  fake = {};
  DriverApi api;
  api.cuInit = [](unsigned) { return fake.init; };
  api.cuDriverGetVersion = [](int* version) { return *version = fake.version, CUDA_SUCCESS; };
  api.cuGetErrorName = [](CUresult status, const char** text) {
    *text = status == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : nullptr;
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  };
  api.cuGetErrorString = [](CUresult status, const char** text) {
    *text = status == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : nullptr;
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  };
  api.cuDeviceGet = [](CUdevice* device, int ordinal) { return *device = ordinal, CUDA_SUCCESS; };
  api.cuDeviceGetName = [](char* name, int size, CUdevice) {
    std::strncpy(name, fake.name.c_str(), static_cast<std::size_t>(size));
    return CUDA_SUCCESS;
  };
  api.cuDeviceTotalMem_v2 = [](std::size_t* bytes, CUdevice) { return *bytes = std::size_t{80} << 30, CUDA_SUCCESS; };
  api.cuDeviceGetAttribute = [](int* value, CUdevice_attribute which, CUdevice) {
    if (!fake.attributes.contains(which)) return CUDA_ERROR_INVALID_VALUE;
    return *value = fake.attributes[which], CUDA_SUCCESS;
  };
  api.cuCtxGetCurrent = [](CUcontext* context) { return *context = fake.current, CUDA_SUCCESS; };
  api.cuCtxPushCurrent_v2 = [](CUcontext context) { return ++fake.pushes, fake.current = context, CUDA_SUCCESS; };
  api.cuCtxPopCurrent_v2 = [](CUcontext*) { return ++fake.pops, fake.current = nullptr, CUDA_SUCCESS; };
  return api;
}

void set_capability(int major, int minor) {
  fake.attributes = {
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, major},
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, minor},
      {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 132},
      {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 50 << 20},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 227 << 10},
      {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 1'000'000},
      {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 4096},
  };
}

TEST(CudaDriver, MissingLibraryIsUnsupportedAndNamed) {
  const auto api = load_driver("libcuda_that_is_not_there.so.1");
  ASSERT_FALSE(api);
  EXPECT_EQ(api.error().kind, ErrorKind::Unsupported);
  EXPECT_TRUE(mentions(api.error(), "libcuda_that_is_not_there.so.1")) << api.error().message;
}

TEST(CudaDriver, LibraryWithoutTheFunctionsIsUnsupported) {
  const auto api = load_driver("libc.so.6");
  ASSERT_FALSE(api);
  EXPECT_EQ(api.error().kind, ErrorKind::Unsupported);
  EXPECT_TRUE(mentions(api.error(), "cuInit") && mentions(api.error(), "install driver 550")) << api.error().message;
}

TEST(CudaDriver, OldDriverIsUnsupportedAndSaysWhatToInstall) {
  const DriverApi api = fake_driver();
  fake.version = 12030;
  const auto done = initialize(api);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::Unsupported);
  EXPECT_TRUE(mentions(done.error(), "12.3") && mentions(done.error(), "12.4") && mentions(done.error(), "550"))
      << done.error().message;
  fake.version = kMinDriverVersion;
  EXPECT_TRUE(initialize(api));
}

TEST(CudaDriver, NoDeviceIsUnsupportedOtherFailuresAreBackend) {
  const DriverApi api = fake_driver();
  fake.init = CUDA_ERROR_NO_DEVICE;
  EXPECT_EQ(initialize(api).error().kind, ErrorKind::Unsupported);
  fake.init = static_cast<CUresult>(999);
  EXPECT_EQ(initialize(api).error().kind, ErrorKind::Backend);
  EXPECT_EQ(initialize(api).error().code, 999);
}

TEST(CudaDriver, ErrorsCarryCodeNameAndText) {
  const DriverApi api = fake_driver();
  const Error error = driver_error(api, CUDA_ERROR_OUT_OF_MEMORY, "Buffer::allocate");
  EXPECT_EQ(error.kind, ErrorKind::Backend);
  EXPECT_EQ(error.code, 2);
  EXPECT_TRUE(
      error.message.starts_with("Buffer::allocate: CUDA_ERROR_OUT_OF_MEMORY: out of memory: free device memory"))
      << error.message;
  // A status that the driver itself does not know.
  EXPECT_EQ(driver_error(api, static_cast<CUresult>(12345), "launch").code, 12345);
}

TEST(CudaDriver, AnswersTheSameFromManyThreads) {
  std::vector<const DriverApi*> seen(8);
  std::vector<std::thread> threads;
  for (auto& each : seen) threads.emplace_back([&each] { each = driver().value_or(nullptr); });
  for (auto& thread : threads) thread.join();
  for (const DriverApi* each : seen) EXPECT_EQ(each, seen[0]);
  EXPECT_EQ(seen[0] == nullptr, !driver().has_value());
}

TEST(CudaDevice, ArchClassFollowsTheCapability) {
  const std::pair<int, Arch> expected[] = {{80, Arch::Sm80},  {86, Arch::Sm80},  {87, Arch::Sm80},  {89, Arch::Sm89},
                                           {90, Arch::Sm90a}, {100, Arch::Sm89}, {103, Arch::Sm89}, {120, Arch::Sm89}};
  for (const auto& [sm, arch] : expected) EXPECT_EQ(*arch_of_capability(sm), arch) << sm;
  for (const int sm : {60, 70, 75}) EXPECT_EQ(arch_of_capability(sm).error().kind, ErrorKind::Unsupported) << sm;
}

TEST(CudaDevice, InfoIsWhatTheDriverSays) {
  const DriverApi api = fake_driver();
  set_capability(8, 6);
  const auto info = query_device(api, 3);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->name, "NVIDIA Something");
  EXPECT_EQ(info->device, Device::cuda(3));
  EXPECT_EQ(info->arch, Arch::Sm80);
  EXPECT_EQ(info->target, CodeTarget::for_cuda(86, false));
  EXPECT_EQ(info->num_multiprocessors, 132);
  EXPECT_EQ(info->memory_bytes, std::int64_t{80} << 30);
  EXPECT_EQ(info->l2_bytes, 50 << 20);
  EXPECT_EQ(info->max_shared_bytes_per_block, 227 << 10);
  // 1 GHz, two transfers a clock, 512 bytes each; 0.87 of it.
  EXPECT_DOUBLE_EQ(info->copy_bytes_per_second, 0.87 * 1024e9);
  // An A100's, of 108 multiprocessors.
  EXPECT_DOUBLE_EQ(info->int8_ops_per_second, DeviceInfo::sm80().int8_ops_per_second * 132 / 108);
}

TEST(CudaDevice, KnownDevicesHaveTheirMeasuredRate) {
  const DriverApi api = fake_driver();
  set_capability(9, 0);
  fake.name = DeviceInfo::sm90a().name;
  EXPECT_EQ(query_device(api, 0)->copy_bytes_per_second, DeviceInfo::sm90a().copy_bytes_per_second);
  EXPECT_EQ(query_device(api, 0)->target, DeviceInfo::sm90a().target);
}

TEST(CudaDevice, OldDeviceIsUnsupportedAndNamed) {
  const DriverApi api = fake_driver();
  set_capability(7, 5);
  const auto info = query_device(api, 0);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().kind, ErrorKind::Unsupported);
  EXPECT_TRUE(mentions(info.error(), "7.5") && mentions(info.error(), "NVIDIA Something")) << info.error().message;
}

TEST(CudaDevice, AFailingAttributeIsABackendError) {
  const DriverApi api = fake_driver();
  set_capability(8, 0);
  fake.attributes.erase(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  EXPECT_EQ(query_device(api, 0).error().kind, ErrorKind::Backend);
}

TEST(CudaDevice, AskingForOneThatIsNotThere) {
  const int count = num_cuda_devices();
  for (const int ordinal : {-1, count, count + 7}) {
    const auto info = DeviceInfo::of(Device::cuda(ordinal));
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().kind, count > 0 ? ErrorKind::InvalidProblem : ErrorKind::Unsupported);
    EXPECT_FALSE(Stream::cuda(ordinal));
    EXPECT_FALSE(Stream::adopt_cuda(nullptr, ordinal));
  }
  EXPECT_EQ(*DeviceInfo::of(Device::cpu()), DeviceInfo::cpu());
}

TEST(CudaContext, GuardPushesOnlyWhatIsNotCurrent) {
  const DriverApi api = fake_driver();
  const auto ours = reinterpret_cast<CUcontext>(8), other = reinterpret_cast<CUcontext>(16);
  {
    fake.current = ours;
    const ContextGuard guard(api, ours);
    EXPECT_EQ(guard.status(), CUDA_SUCCESS);
  }
  EXPECT_EQ(fake.pushes, 0);
  EXPECT_EQ(fake.pops, 0);
  {
    fake.current = other;
    const ContextGuard guard(api, ours);
    EXPECT_EQ(fake.current, ours);
  }
  EXPECT_EQ(fake.pushes, 1);
  EXPECT_EQ(fake.pops, 1);
}

}  // namespace
}  // namespace baracuda::cuda
