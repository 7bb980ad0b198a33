#pragma once

#include "baracuda/core/device.h"
#include "baracuda/cuda/driver.h"

namespace baracuda::cuda {

/// A device in use: its driver and its primary context, which the CUDA runtime and PyTorch use too.
struct DeviceContext {
  const DriverApi* api = nullptr;
  CUcontext context = nullptr;
  DeviceInfo info;
  bool has_memory_pools = false;
};

/// The device's entry. The primary context is retained at the first call and kept until the process ends.
/// Errors: as DeviceInfo::of.
Result<const DeviceContext*> device_context(int ordinal);

/// The newest class that a device of capability 10·major + minor runs. Errors: Unsupported below 8.0.
Result<Arch> arch_of_capability(int sm);
/// What the driver says of a device.
Result<DeviceInfo> query_device(const DriverApi& api, int ordinal);

/// Makes a context current for a scope and leaves the thread as it was. One look-up where it is current already.
class ContextGuard {
 public:
  explicit ContextGuard(const DeviceContext& device) : ContextGuard(*device.api, device.context) {}
  ContextGuard(const DriverApi& api, CUcontext context) : api_(api) {
    CUcontext current = nullptr;
    status_ = api_.cuCtxGetCurrent(&current);
    if (status_ == CUDA_SUCCESS && current != context) [[unlikely]] {
      status_ = api_.cuCtxPushCurrent_v2(context);
      pushed_ = status_ == CUDA_SUCCESS;
    }
  }
  ~ContextGuard() {
    if (!pushed_) [[likely]]
      return;
    CUcontext popped;
    api_.cuCtxPopCurrent_v2(&popped);
  }
  ContextGuard(const ContextGuard&) = delete;
  ContextGuard& operator=(const ContextGuard&) = delete;

  /// The status of entering; CUDA_SUCCESS means that the context is current.
  CUresult status() const { return status_; }

 private:
  const DriverApi& api_;
  CUresult status_ = CUDA_SUCCESS;
  bool pushed_ = false;
};

/// Calls `f` with the device's context current. `what` is read on failure only.
template <class F>
Result<void> call(const DeviceContext& device, std::string_view what, F&& f) {
  const ContextGuard guard(device);
  return check(*device.api, guard.status() == CUDA_SUCCESS ? f(*device.api) : guard.status(), what);
}

}  // namespace baracuda::cuda
