#include "bench/clocks.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include "baracuda/core/propagate.h"
#include "baracuda/cuda/driver.h"

namespace baracuda::bench {
namespace {

constexpr const char* kLibrary = "libnvidia-ml.so.1";

// Declared by hand, as the driver's API is, with the names and values of nvml.h.
using nvmlReturn_t = int;
using nvmlDevice_t = void*;
constexpr int kClockSm = 1, kClockMemory = 2;

struct Nvml {
  nvmlReturn_t (*nvmlInit_v2)();
  const char* (*nvmlErrorString)(nvmlReturn_t);
  nvmlReturn_t (*nvmlSystemGetDriverVersion)(char*, unsigned);
  nvmlReturn_t (*nvmlDeviceGetHandleByPciBusId_v2)(const char*, nvmlDevice_t*);
  nvmlReturn_t (*nvmlDeviceGetClockInfo)(nvmlDevice_t, int, unsigned*);
  nvmlReturn_t (*nvmlDeviceGetPowerUsage)(nvmlDevice_t, unsigned*);
};

template <class Function>
bool resolve(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

Result<Nvml> load_nvml() {
  void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);  // stays until the process ends
  if (!library) return Error::unsupported(fmt::format("{} cannot be opened: {}", kLibrary, dlerror()));
  Nvml nvml;
#define BARACUDA_RESOLVE(name) \
  if (!resolve(library, #name, &nvml.name)) return Error::unsupported(fmt::format("{} lacks {}", kLibrary, #name))
  BARACUDA_RESOLVE(nvmlInit_v2);
  BARACUDA_RESOLVE(nvmlErrorString);
  BARACUDA_RESOLVE(nvmlSystemGetDriverVersion);
  BARACUDA_RESOLVE(nvmlDeviceGetHandleByPciBusId_v2);
  BARACUDA_RESOLVE(nvmlDeviceGetClockInfo);
  BARACUDA_RESOLVE(nvmlDeviceGetPowerUsage);
#undef BARACUDA_RESOLVE
  if (const nvmlReturn_t status = nvml.nvmlInit_v2(); status != 0)
    return Error::unsupported(fmt::format("nvmlInit: {}", nvml.nvmlErrorString(status)));
  return nvml;
}

const Result<Nvml>& process_nvml() {
  static const Result<Nvml> nvml = load_nvml();
  return nvml;
}

Result<void> check(nvmlReturn_t status, const char* what) {
  if (status == 0) return {};
  return Error::unsupported(fmt::format("{}: {}", what, process_nvml()->nvmlErrorString(status)));
}

Result<int> clock_mhz(nvmlDevice_t device, int which) {
  unsigned mhz = 0;
  BARACUDA_RETURN_IF_ERROR(
      check(process_nvml()->nvmlDeviceGetClockInfo(device, which, &mhz), "nvmlDeviceGetClockInfo"));
  return static_cast<int>(mhz);
}

}  // namespace

Result<GpuClocks> GpuClocks::open(int ordinal) {
  const Result<Nvml>& nvml = process_nvml();
  if (!nvml) return nvml.error();
  BARACUDA_ASSIGN_OR_RETURN(const cuda::DriverApi* api, cuda::driver());
  cuda::CUdevice device = 0;
  char bus_id[32] = {};
  BARACUDA_RETURN_IF_ERROR(cuda::check(*api, api->cuDeviceGet(&device, ordinal), "cuDeviceGet"));
  BARACUDA_RETURN_IF_ERROR(
      cuda::check(*api, api->cuDeviceGetPCIBusId(bus_id, sizeof(bus_id), device), "cuDeviceGetPCIBusId"));

  GpuClocks clocks;
  BARACUDA_RETURN_IF_ERROR(
      check(nvml->nvmlDeviceGetHandleByPciBusId_v2(bus_id, &clocks.device_), "nvmlDeviceGetHandleByPciBusId"));
  char version[96] = {};
  BARACUDA_RETURN_IF_ERROR(
      check(nvml->nvmlSystemGetDriverVersion(version, sizeof(version)), "nvmlSystemGetDriverVersion"));
  clocks.driver_version_ = version;
  return clocks;
}

Result<GpuClocks::Reading> GpuClocks::read() const {
  Reading reading;
  BARACUDA_ASSIGN_OR_RETURN(reading.sm_mhz, clock_mhz(device_, kClockSm));
  BARACUDA_ASSIGN_OR_RETURN(reading.memory_mhz, clock_mhz(device_, kClockMemory));
  unsigned milliwatts = 0;
  BARACUDA_RETURN_IF_ERROR(
      check(process_nvml()->nvmlDeviceGetPowerUsage(device_, &milliwatts), "nvmlDeviceGetPowerUsage"));
  reading.watts = milliwatts * 1e-3;
  return reading;
}

Result<int> GpuClocks::sm_mhz() const { return clock_mhz(device_, kClockSm); }

}  // namespace baracuda::bench
