#include <fmt/core.h>

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "baracuda/core/propagate.h"
#include "baracuda/cuda/context.h"

namespace baracuda {
namespace cuda {
namespace {

Result<int> count_devices(const DriverApi& api) {
  int count = 0;
  BARACUDA_RETURN_IF_ERROR(check(api, api.cuDeviceGetCount(&count), "cuDeviceGetCount"));
  return count;
}

Result<int> attribute(const DriverApi& api, CUdevice device, CUdevice_attribute which) {
  int value = 0;
  BARACUDA_RETURN_IF_ERROR(
      check(api, api.cuDeviceGetAttribute(&value, which, device), fmt::format("device attribute {}", int{which})));
  return value;
}

/// What the process knows of each ordinal, filled when first asked.
struct DeviceTable {
  std::mutex mutex;
  std::vector<std::optional<Result<DeviceInfo>>> infos;
  std::vector<std::optional<DeviceContext>> contexts;
};

Result<DeviceTable*> device_table() {
  BARACUDA_ASSIGN_OR_RETURN(const DriverApi* api, driver());
  BARACUDA_ASSIGN_OR_RETURN(const int count, count_devices(*api));
  static auto& table = *[count] {
    auto fresh = std::make_unique<DeviceTable>();
    fresh->infos.resize(count);
    fresh->contexts.resize(count);
    return fresh.release();  // never destroyed: streams in static objects refer to it
  }();
  return &table;
}

Result<void> check_ordinal(const DeviceTable& table, int ordinal) {
  const int count = static_cast<int>(table.infos.size());
  if (count == 0) return Error::unsupported("the CUDA driver finds no device");
  if (ordinal >= 0 && ordinal < count) return {};
  return Error::invalid_problem(
      fmt::format("device cuda:{} does not exist; the driver finds {}, counted from 0", ordinal, count));
}

/// Bytes per second, read plus written.
double copy_rate(const DeviceInfo& info, double memory_clock_khz, double bus_width_bits) {
  for (const DeviceInfo& known : {DeviceInfo::sm80(), DeviceInfo::sm89(), DeviceInfo::sm90a()})
    if (info.name == known.name) return known.copy_bytes_per_second;
  constexpr double kTransfersPerClock = 2;
  constexpr double kReachedByCopy = 0.87;
  return kReachedByCopy * kTransfersPerClock * (memory_clock_khz * 1e3) * (bus_width_bits / 8);
}

/// Of another GPU: by its number of multiprocessors, from the one that its class is named after.
double int8_rate(const DeviceInfo& info) {
  const DeviceInfo known = info.arch == Arch::Sm90a  ? DeviceInfo::sm90a()
                           : info.arch == Arch::Sm89 ? DeviceInfo::sm89()
                                                     : DeviceInfo::sm80();
  return known.int8_ops_per_second * info.num_multiprocessors / known.num_multiprocessors;
}

}  // namespace

Result<Arch> arch_of_capability(int sm) {
  if (sm == 90) return Arch::Sm90a;
  if (sm >= 89) return Arch::Sm89;
  if (sm >= 80) return Arch::Sm80;
  return Error::unsupported(
      fmt::format("compute capability {}.{}, but kernels need 8.0 (Ampere) or newer", sm / 10, sm % 10));
}

Result<DeviceInfo> query_device(const DriverApi& api, int ordinal) {
  CUdevice device = 0;
  BARACUDA_RETURN_IF_ERROR(check(api, api.cuDeviceGet(&device, ordinal), "cuDeviceGet"));
  const auto ask = [&](CUdevice_attribute which) { return attribute(api, device, which); };

  DeviceInfo info;
  info.device = Device::cuda(ordinal);
  char name[256] = {};
  BARACUDA_RETURN_IF_ERROR(check(api, api.cuDeviceGetName(name, sizeof name, device), "cuDeviceGetName"));
  info.name = name;

  BARACUDA_ASSIGN_OR_RETURN(const int major, ask(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR));
  BARACUDA_ASSIGN_OR_RETURN(const int minor, ask(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
  const int sm = 10 * major + minor;
  auto arch = arch_of_capability(sm);
  if (!arch) {
    Error error = std::move(arch).error();
    error.message = fmt::format("{} ({}): {}", info.device.name(), info.name, error.message);
    return error;
  }
  info.arch = *arch;
  info.target = CodeTarget::for_cuda(sm, false);

  BARACUDA_ASSIGN_OR_RETURN(info.num_multiprocessors, ask(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
  std::size_t memory_bytes = 0;
  BARACUDA_RETURN_IF_ERROR(check(api, api.cuDeviceTotalMem_v2(&memory_bytes, device), "cuDeviceTotalMem"));
  info.memory_bytes = static_cast<std::int64_t>(memory_bytes);
  BARACUDA_ASSIGN_OR_RETURN(info.l2_bytes, ask(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE));
  BARACUDA_ASSIGN_OR_RETURN(info.max_shared_bytes_per_block,
                            ask(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
  BARACUDA_ASSIGN_OR_RETURN(const int clock_khz, ask(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE));
  BARACUDA_ASSIGN_OR_RETURN(const int bus_width_bits, ask(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH));
  info.copy_bytes_per_second = copy_rate(info, clock_khz, bus_width_bits);
  info.int8_ops_per_second = int8_rate(info);
  return info;
}

Result<const DeviceContext*> device_context(int ordinal) {
  BARACUDA_ASSIGN_OR_RETURN(DeviceInfo info, DeviceInfo::of(Device::cuda(ordinal)));
  BARACUDA_ASSIGN_OR_RETURN(DeviceTable * table, device_table());
  BARACUDA_ASSIGN_OR_RETURN(const DriverApi* api, driver());

  const std::lock_guard lock(table->mutex);
  std::optional<DeviceContext>& entry = table->contexts[ordinal];
  if (!entry) {
    CUdevice device = 0;
    BARACUDA_RETURN_IF_ERROR(check(*api, api->cuDeviceGet(&device, ordinal), "cuDeviceGet"));
    BARACUDA_ASSIGN_OR_RETURN(const int has_memory_pools,
                              attribute(*api, device, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED));
    CUcontext context = nullptr;
    // A failure is not kept: memory that is short now may be there later.
    BARACUDA_RETURN_IF_ERROR(check(*api, api->cuDevicePrimaryCtxRetain(&context, device),
                                   fmt::format("the primary context of {}", info.device.name())));
    entry = DeviceContext{api, context, std::move(info), has_memory_pools != 0};
  }
  return static_cast<const DeviceContext*>(&*entry);
}

}  // namespace cuda

Result<DeviceInfo> DeviceInfo::of(Device device) noexcept try {
  if (device.is_cpu()) return DeviceInfo::cpu();
  BARACUDA_ASSIGN_OR_RETURN(cuda::DeviceTable * table, cuda::device_table());
  BARACUDA_RETURN_IF_ERROR(cuda::check_ordinal(*table, device.ordinal));
  BARACUDA_ASSIGN_OR_RETURN(const cuda::DriverApi* api, cuda::driver());

  const std::lock_guard lock(table->mutex);
  std::optional<Result<DeviceInfo>>& entry = table->infos[device.ordinal];
  if (!entry) entry = cuda::query_device(*api, device.ordinal);
  return *entry;
} catch (...) {
  return internal::thrown_error("DeviceInfo::of");
}

int num_cuda_devices() noexcept try {
  const auto api = cuda::driver();
  return api ? cuda::count_devices(**api).value_or(0) : 0;
} catch (...) {  // the host is out of memory
  return 0;
}

}  // namespace baracuda
