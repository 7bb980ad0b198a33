#pragma once

#include <span>
#include <string>
#include <vector>

#include "baracuda/core/device.h"
#include "baracuda/core/env.h"

namespace baracuda::testing {

/// A library that is opened at run time.
struct FoundLibrary {
  std::string name;          ///< "libcuda", "libnvrtc"
  std::string version = {};  ///< "13.0"; empty where it cannot be used
  std::string path = {};
  std::string problem = {};  ///< why it cannot be used; empty where it can
};
std::vector<FoundLibrary> find_libraries();

/// Every usable CUDA device.
std::vector<DeviceInfo> cuda_devices();

/// Where something runs unless a device is named: the first GPU if there is a driver, and a compiler or a pack of
/// kernels, else the CPU. A pack that cannot be loaded does not hide the GPU: what runs there says what is wrong with
/// it.
Device default_device();

/// What `choose` is shown for an arch class where there is no such machine: DeviceInfo::sm80() and so on, and this CPU.
DeviceInfo typical_device(Arch arch);

}  // namespace baracuda::testing
