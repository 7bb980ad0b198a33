#include "testing/machine.h"

#include <dlfcn.h>
#include <fmt/core.h>
#include <stdlib.h>

#include <cstdlib>
#include <memory>

#include "baracuda/cuda/driver.h"
#include "baracuda/jit/kernel_cache.h"
#include "baracuda/jit/nvrtc.h"

namespace baracuda::testing {
namespace {

/// The file that a function was loaded from, links followed.
std::string path_of(const void* function) {
  Dl_info info;
  if (!dladdr(function, &info)) return {};
  const std::unique_ptr<char, decltype(&std::free)> path(realpath(info.dli_fname, nullptr), &std::free);
  return path ? path.get() : info.dli_fname;
}

FoundLibrary find_libcuda() {
  FoundLibrary found{.name = "libcuda"};
  const Result<const cuda::DriverApi*> api = cuda::driver();
  if (!api) {
    found.problem = api.error().message;
    return found;
  }
  int version = 0;
  (*api)->cuDriverGetVersion(&version);
  found.version = fmt::format("{}.{}", version / 1000, version % 1000 / 10);
  found.path = path_of(reinterpret_cast<const void*>((*api)->cuInit));
  return found;
}

FoundLibrary find_libnvrtc() {
  FoundLibrary found{.name = "libnvrtc"};
  const Result<const jit::NvrtcApi*> api = jit::nvrtc();
  if (!api) {
    found.problem = api.error().message;
    return found;
  }
  found.version = to_string((*api)->version);
  found.path = path_of(reinterpret_cast<const void*>((*api)->nvrtcVersion));
  return found;
}

}  // namespace

std::vector<FoundLibrary> find_libraries() { return {find_libcuda(), find_libnvrtc()}; }

std::vector<DeviceInfo> cuda_devices() {
  std::vector<DeviceInfo> devices;
  for (int ordinal = 0; ordinal < num_cuda_devices(); ++ordinal)
    if (Result<DeviceInfo> info = DeviceInfo::of(Device::cuda(ordinal))) devices.push_back(*std::move(info));
  return devices;
}

Device default_device() {
  const std::vector<DeviceInfo> devices = cuda_devices();
  if (devices.empty()) return Device::cpu();
  const Result<void> kernels = jit::process_has_kernels();
  const bool no_source = !kernels && kernels.error().kind == ErrorKind::Unsupported;
  return no_source ? Device::cpu() : devices.front().device;
}

DeviceInfo typical_device(Arch arch) {
  switch (arch) {
    case Arch::Cpu: break;
    case Arch::Sm80: return DeviceInfo::sm80();
    case Arch::Sm89: return DeviceInfo::sm89();
    case Arch::Sm90a: return DeviceInfo::sm90a();
  }
  return DeviceInfo::cpu();
}

}  // namespace baracuda::testing
