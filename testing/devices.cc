#include "testing/devices.h"

#include <algorithm>
#include <iterator>
#include <ostream>

#include "testing/options.h"

namespace baracuda::testing {

const std::vector<Device>& test_devices() {
  static const std::vector<Device> devices = [] {
    if (options().device) return std::vector{*options().device};
    std::vector devices{Device::cpu()};
    for (int ordinal = 0; ordinal < num_cuda_devices(); ++ordinal)
      if (DeviceInfo::of(Device::cuda(ordinal))) devices.push_back(Device::cuda(ordinal));
    return devices;
  }();
  return devices;
}

std::vector<Device> cuda_test_devices() {
  std::vector<Device> devices;
  std::ranges::copy_if(test_devices(), std::back_inserter(devices), &Device::is_cuda);
  return devices;
}

std::vector<TestTarget> targets_of(Device device) {
  std::vector<TestTarget> targets;
  if (device.is_cpu()) {
    for (CpuTarget cpu : available_cpu_targets()) {
      TestTarget& target = targets.emplace_back(TestTarget{device, {}, test_name(device)});
      target.preference.force_cpu_target = cpu;
      target.name.append("_").append(name_of(cpu));
    }
  } else if (Result<DeviceInfo> info = DeviceInfo::of(device)) {
    for (Arch arch : kCudaArchs) {
      if (arch > info->arch) continue;
      TestTarget& target = targets.emplace_back(TestTarget{device, {}, test_name(device)});
      target.preference.force_arch = arch;
      target.name.append("_").append(name_of(arch));
    }
  }
  return targets;
}

std::vector<TestTarget> test_targets() {
  std::vector<TestTarget> targets;
  for (Device device : test_devices())
    for (TestTarget& target : targets_of(device)) targets.push_back(std::move(target));
  return targets;
}

Result<Stream> make_stream(Device device) {
  if (device.is_cpu()) return Stream::cpu();
  return Stream::cuda(device.ordinal);
}

std::string test_name(Device device) { return device.is_cpu() ? "cpu" : "cuda" + std::to_string(device.ordinal); }

void PrintTo(const TestTarget& target, std::ostream* out) { *out << target.name; }

}  // namespace baracuda::testing

namespace baracuda {
void PrintTo(const Device& device, std::ostream* out) { *out << device.name(); }
}  // namespace baracuda
