#include "baracuda/cuda/launch.h"

#include <fmt/core.h>

#include "baracuda/core/propagate.h"
#include "baracuda/cuda/stream_access.h"

namespace baracuda::cuda {
namespace {

/// Loading allocates device memory. While another thread captures a graph in global mode that would fail and spoil its
/// capture; relaxed says that this thread's work has nothing to do with it.
class RelaxedCapture {
 public:
  explicit RelaxedCapture(const DriverApi& api) : api_(api) { api_.cuThreadExchangeStreamCaptureMode(&mode_); }
  ~RelaxedCapture() { api_.cuThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  const DriverApi& api_;
  CUstreamCaptureMode mode_ = CU_STREAM_CAPTURE_MODE_RELAXED;  // the thread's own while this object lives
};

/// A launch as cuLaunchKernelEx takes it. Points to itself.
class LaunchConfig {
 public:
  LaunchConfig(const LaunchShape& shape, CUstream stream)
      : config_{shape.grid.x,
                shape.grid.y,
                shape.grid.z,
                shape.block.x,
                shape.block.y,
                shape.block.z,
                shape.dynamic_shared_bytes,
                stream,
                attributes_,
                0} {
    if (shape.programmatic_serialization)
      add(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION).programmaticStreamSerializationAllowed = 1;
    if (shape.cluster > 1) add(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION).clusterDim = {shape.cluster, 1, 1};
  }
  LaunchConfig(const LaunchConfig&) = delete;
  LaunchConfig& operator=(const LaunchConfig&) = delete;

  const CUlaunchConfig* get() const { return &config_; }
  bool has_attributes() const { return config_.numAttrs > 0; }

 private:
  CUlaunchAttributeValue& add(CUlaunchAttributeID id) {
    CUlaunchAttribute& attribute = attributes_[config_.numAttrs++];
    attribute.id = id;
    return attribute.value;
  }

  CUlaunchAttribute attributes_[2] = {};
  CUlaunchConfig config_;
};

}  // namespace

Result<std::shared_ptr<const Kernel>> Kernel::load(const Stream& stream, std::span<const std::byte> cubin,
                                                   const std::string& name) {
  const DeviceContext& device = StreamAccess::device(stream);
  const DriverApi& api = *device.api;
  const ContextGuard guard(device);
  BARACUDA_RETURN_IF_ERROR(check(api, guard.status(), "Kernel::load"));
  const RelaxedCapture relaxed(api);

  std::shared_ptr<Kernel> kernel(new Kernel(device));
  BARACUDA_RETURN_IF_ERROR(
      check(api, api.cuLibraryLoadData(&kernel->library_, cubin.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
            "Kernel::load: cuLibraryLoadData"));
  CUkernel handle = nullptr;
  BARACUDA_RETURN_IF_ERROR(
      check(api, api.cuLibraryGetKernel(&handle, kernel->library_, name.c_str()), "Kernel::load: cuLibraryGetKernel"));
  BARACUDA_RETURN_IF_ERROR(
      check(api, api.cuKernelGetFunction(&kernel->function_, handle), "Kernel::load: cuKernelGetFunction"));
  const CUfunction function = kernel->function_;
  BARACUDA_RETURN_IF_ERROR(check(api, api.cuFuncLoad(function), "Kernel::load: cuFuncLoad"));

  const auto ask = [&](CUfunction_attribute which, int& value) {
    return check(api, api.cuFuncGetAttribute(&value, which, function), "Kernel::load: cuFuncGetAttribute");
  };
  BARACUDA_RETURN_IF_ERROR(ask(CU_FUNC_ATTRIBUTE_NUM_REGS, kernel->registers_));
  BARACUDA_RETURN_IF_ERROR(ask(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, kernel->static_shared_bytes_));
  BARACUDA_RETURN_IF_ERROR(ask(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, kernel->local_bytes_));

  kernel->max_dynamic_shared_bytes_ = device.info.max_shared_bytes_per_block - kernel->static_shared_bytes_;
  BARACUDA_RETURN_IF_ERROR(check(api,
                                 api.cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                                        kernel->max_dynamic_shared_bytes_),
                                 "Kernel::load: the limit of dynamic shared memory"));
  return std::shared_ptr<const Kernel>(std::move(kernel));
}

Kernel::~Kernel() {
  if (!library_) return;
  const ContextGuard guard(device_);
  if (guard.status() == CUDA_SUCCESS) device_.api->cuLibraryUnload(library_);
}

Result<void> launch(const Kernel& kernel, const Stream& stream, const LaunchShape& shape, const void* params) {
  const DeviceContext& device = kernel.device();
  if (stream.device() != device.info.device) [[unlikely]] {
    return Error::invalid_problem(fmt::format("launch: the kernel is loaded on {}, the stream is of {}",
                                              device.info.device.name(), stream.device().name()));
  }
  const DriverApi& api = *device.api;
  void* arguments[] = {const_cast<void*>(params)};
  const LaunchConfig config(shape, StreamAccess::handle(stream));

  const ContextGuard guard(device);
  CUresult status = guard.status();
  if (status == CUDA_SUCCESS) [[likely]]
    status = config.has_attributes()
                 ? api.cuLaunchKernelEx(config.get(), kernel.function(), arguments, nullptr)
                 : api.cuLaunchKernel(kernel.function(), shape.grid.x, shape.grid.y, shape.grid.z, shape.block.x,
                                      shape.block.y, shape.block.z, shape.dynamic_shared_bytes,
                                      StreamAccess::handle(stream), arguments, nullptr);
  return check(api, status, "launch");
}

Result<int> max_active_clusters(const Kernel& kernel, const LaunchShape& shape) {
  const LaunchConfig config(shape, nullptr);
  int clusters = 0;
  BARACUDA_RETURN_IF_ERROR(call(kernel.device(), "max_active_clusters", [&](const DriverApi& api) {
    return api.cuOccupancyMaxActiveClusters(&clusters, kernel.function(), config.get());
  }));
  return clusters;
}

Result<void> copy_device_to_device(const Stream& stream, void* dst, const void* src, std::size_t bytes) {
  return call(StreamAccess::device(stream), "copy_device_to_device", [&](const DriverApi& api) {
    return api.cuMemcpyDtoDAsync_v2(as_device_pointer(dst), as_device_pointer(src), bytes,
                                    StreamAccess::handle(stream));
  });
}

}  // namespace baracuda::cuda
