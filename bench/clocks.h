#pragma once

#include <string>

#include "baracuda/core/result.h"

namespace baracuda::bench {

/// Clocks and power of a GPU, from NVIDIA's management library, which comes with the driver.
class GpuClocks {
 public:
  struct Reading {
    int sm_mhz = 0, memory_mhz = 0;
    double watts = 0;
  };

  /// Errors: Unsupported (no such library, or it does not serve the device), saying why.
  static Result<GpuClocks> open(int ordinal);

  Result<Reading> read() const;
  /// Alone, because it is asked for while kernels run.
  Result<int> sm_mhz() const;
  /// "580.159.04".
  const std::string& driver_version() const { return driver_version_; }

 private:
  void* device_ = nullptr;
  std::string driver_version_;
};

}  // namespace baracuda::bench
