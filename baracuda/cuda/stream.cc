#include "baracuda/core/stream.h"

#include <fmt/core.h>

#include <chrono>

#include "baracuda/core/propagate.h"
#include "baracuda/cuda/stream_access.h"

namespace baracuda {
namespace {

using cuda::call;
using cuda::ContextGuard;
using cuda::DeviceContext;
using cuda::DriverApi;

/// A handle from another device or context would fail at the first launch, with a message that explains nothing.
Result<void> check_handle(const DeviceContext& device, cuda::CUstream handle) {
  cuda::CUcontext context = nullptr;
  BARACUDA_RETURN_IF_ERROR(call(device, "Stream::adopt_cuda: the stream's context",
                                [&](const DriverApi& api) { return api.cuStreamGetCtx(handle, &context); }));
  if (context == device.context) return {};

  cuda::CUdevice ordinal = 0;
  const ContextGuard guard(*device.api, context);
  const cuda::CUresult status =
      guard.status() == cuda::CUDA_SUCCESS ? device.api->cuCtxGetDevice(&ordinal) : guard.status();
  BARACUDA_RETURN_IF_ERROR(cuda::check(*device.api, status, "Stream::adopt_cuda: the stream's device"));
  if (ordinal != device.info.device.ordinal) {
    return Error::invalid_problem(fmt::format("Stream::adopt_cuda: the stream belongs to cuda:{}, not to {}", ordinal,
                                              device.info.device.name()));
  }
  return Error::unsupported(fmt::format(
      "Stream::adopt_cuda: the stream lives in a context of its own on {}; only streams of the primary context, which "
      "the CUDA runtime uses, are served",
      device.info.device.name()));
}

}  // namespace

Stream::State::~State() {
  if (!owned) return;
  const ContextGuard guard(*device);
  if (guard.status() == cuda::CUDA_SUCCESS) device->api->cuStreamDestroy_v2(handle);
}

Stream Stream::cpu(int num_threads) noexcept {
  // Made without an allocation, since there is no error to return; never destroyed, for streams in static objects.
  struct Shared {
    DeviceInfo info = DeviceInfo::cpu();
    State state;
    Shared() { state.info = &info; }
  };
  union Undestroyed {
    Shared shared;
    Undestroyed() : shared() {}
    ~Undestroyed() {}
  };
  static const Undestroyed undestroyed;
  const Shared& shared = undestroyed.shared;
  return Stream(std::shared_ptr<const State>(std::shared_ptr<void>(), &shared.state),
                num_threads > 0 ? num_threads : shared.info.num_multiprocessors);
}

Result<Stream> Stream::cuda(int ordinal) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(const DeviceContext* device, cuda::device_context(ordinal));
  auto state = std::make_shared<State>();
  state->info = &device->info;
  state->device = device;
  BARACUDA_RETURN_IF_ERROR(call(*device, "Stream::cuda", [&](const DriverApi& api) {
    return api.cuStreamCreate(&state->handle, cuda::CU_STREAM_NON_BLOCKING);
  }));
  state->owned = true;
  return Stream(std::move(state));
} catch (...) {
  return internal::thrown_error("Stream::cuda");
}

Result<Stream> Stream::adopt_cuda(void* handle, int ordinal) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(const DeviceContext* device, cuda::device_context(ordinal));
  auto state = std::make_shared<State>();
  state->info = &device->info;
  state->device = device;
  state->handle = static_cast<cuda::CUstream>(handle);
  if (handle) BARACUDA_RETURN_IF_ERROR(check_handle(*device, state->handle));
  return Stream(std::move(state));
} catch (...) {
  return internal::thrown_error("Stream::adopt_cuda");
}

Device Stream::device() const { return state_->info->device; }
const DeviceInfo& Stream::device_info() const { return *state_->info; }
void* Stream::cuda_handle() const { return state_->handle; }

Result<void> Stream::synchronize() const noexcept try {
  if (!state_->device) return {};
  return call(*state_->device, "Stream::synchronize",
              [&](const DriverApi& api) { return api.cuStreamSynchronize(state_->handle); });
} catch (...) {
  return internal::thrown_error("Stream::synchronize");
}

Result<bool> Stream::is_capturing() const noexcept try {
  if (!state_->device) return false;
  auto status = cuda::CU_STREAM_CAPTURE_STATUS_NONE;
  BARACUDA_RETURN_IF_ERROR(call(*state_->device, "Stream::is_capturing", [&](const DriverApi& api) {
    return api.cuStreamIsCapturing(state_->handle, &status);
  }));
  return status != cuda::CU_STREAM_CAPTURE_STATUS_NONE;
} catch (...) {
  return internal::thrown_error("Stream::is_capturing");
}

struct Event::State {
  const DeviceContext* device = nullptr;  // null on the CPU
  cuda::CUevent handle = nullptr;
  Device where;
  bool timing = false;
  bool recorded = false;
  std::chrono::steady_clock::time_point recorded_at;  // CPU

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (!handle) return;
    const ContextGuard guard(*device);
    if (guard.status() == cuda::CUDA_SUCCESS) device->api->cuEventDestroy_v2(handle);
  }
};

Result<Event> Event::create(const Stream& stream, bool timing) noexcept try {
  auto state = std::make_shared<State>();
  state->where = stream.device();
  state->timing = timing;
  if (stream.device().is_cuda()) {
    state->device = &StreamAccess::device(stream);
    BARACUDA_RETURN_IF_ERROR(call(*state->device, "Event::create", [&](const DriverApi& api) {
      return api.cuEventCreate(&state->handle, timing ? cuda::CU_EVENT_DEFAULT : cuda::CU_EVENT_DISABLE_TIMING);
    }));
  }
  return Event(std::move(state));
} catch (...) {
  return internal::thrown_error("Event::create");
}

Result<void> Event::record(const Stream& stream) noexcept try {
  if (stream.device() != state_->where) {
    return Error::invalid_problem(fmt::format("Event::record: the event is of {}, the stream of {}",
                                              state_->where.name(), stream.device().name()));
  }
  if (state_->device) {
    BARACUDA_RETURN_IF_ERROR(call(*state_->device, "Event::record", [&](const DriverApi& api) {
      return api.cuEventRecord(state_->handle, StreamAccess::handle(stream));
    }));
  } else {
    state_->recorded_at = std::chrono::steady_clock::now();
  }
  state_->recorded = true;
  return {};
} catch (...) {
  return internal::thrown_error("Event::record");
}

Result<void> Event::wait_on(const Stream& stream) const noexcept try {
  if (!state_->device) return {};  // complete since it was recorded
  if (stream.device().is_cpu()) {
    return Error::invalid_problem(fmt::format(
        "Event::wait_on: a CPU stream is synchronous and cannot wait for an event of {}; call synchronize()",
        state_->where.name()));
  }
  return call(StreamAccess::device(stream), "Event::wait_on", [&](const DriverApi& api) {
    return api.cuStreamWaitEvent(StreamAccess::handle(stream), state_->handle, 0);
  });
} catch (...) {
  return internal::thrown_error("Event::wait_on");
}

Result<void> Event::synchronize() const noexcept try {
  if (!state_->device) return {};
  return call(*state_->device, "Event::synchronize",
              [&](const DriverApi& api) { return api.cuEventSynchronize(state_->handle); });
} catch (...) {
  return internal::thrown_error("Event::synchronize");
}

Result<bool> Event::is_complete() const noexcept try {
  if (!state_->device) return true;
  const ContextGuard guard(*state_->device);
  const cuda::CUresult status =
      guard.status() == cuda::CUDA_SUCCESS ? state_->device->api->cuEventQuery(state_->handle) : guard.status();
  if (status == cuda::CUDA_ERROR_NOT_READY) return false;
  BARACUDA_RETURN_IF_ERROR(cuda::check(*state_->device->api, status, "Event::is_complete"));
  return true;
} catch (...) {
  return internal::thrown_error("Event::is_complete");
}

Result<double> Event::elapsed_ms_since(const Event& start) const noexcept try {
  for (const State* each : {start.state_.get(), state_.get()}) {
    if (!each->timing)
      return Error::invalid_problem("Event::elapsed_ms_since: both events must be created with timing");
    if (!each->recorded) return Error::invalid_problem("Event::elapsed_ms_since: both events must be recorded");
  }
  if (start.state_->where != state_->where) {
    return Error::invalid_problem(fmt::format("Event::elapsed_ms_since: the events are of {} and of {}",
                                              start.state_->where.name(), state_->where.name()));
  }
  if (!state_->device)
    return std::chrono::duration<double, std::milli>(state_->recorded_at - start.state_->recorded_at).count();
  float ms = 0;
  BARACUDA_RETURN_IF_ERROR(call(*state_->device, "Event::elapsed_ms_since", [&](const DriverApi& api) {
    return api.cuEventElapsedTime(&ms, start.state_->handle, state_->handle);
  }));
  return static_cast<double>(ms);
} catch (...) {
  return internal::thrown_error("Event::elapsed_ms_since");
}

}  // namespace baracuda
