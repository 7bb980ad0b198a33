#include "baracuda/cuda/driver.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <cerrno>
#include <new>

#include "baracuda/core/propagate.h"

namespace baracuda::cuda {
namespace {

constexpr const char* kLibrary = "libcuda.so.1";

Result<const DriverApi*> open() {
  BARACUDA_ASSIGN_OR_RETURN(DriverApi api, load_driver(kLibrary));
  BARACUDA_RETURN_IF_ERROR(initialize(api));
  return static_cast<const DriverApi*>(new DriverApi(api));
}

}  // namespace

Result<const DriverApi*> driver() {
  // Never destroyed: buffers and streams in static objects are freed through it at exit.
  static const auto& api = *new Result<const DriverApi*>(open());
  return api;
}

Result<DriverApi> load_driver(const std::string& library) {
  // Never closed: other users of CUDA in the process hold pointers into it, and so do we.
  errno = 0;
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle && errno == ENOMEM) throw std::bad_alloc();  // what may be better the next time is no answer to keep
  if (!handle) {
    return Error::unsupported(
        fmt::format("CUDA needs NVIDIA's driver, 12.4 or newer, but {} cannot be loaded: {}", library, dlerror()));
  }
  DriverApi api;
  const char* missing = nullptr;
#define BARACUDA_RESOLVE(name, parameters)                               \
  api.name = reinterpret_cast<decltype(api.name)>(dlsym(handle, #name)); \
  if (!api.name && !missing) missing = #name;
  BARACUDA_DRIVER_FUNCTIONS(BARACUDA_RESOLVE)
#undef BARACUDA_RESOLVE
  if (missing) {
    return Error::unsupported(
        fmt::format("{} has no {}: the driver is older than 12.4; install driver 550 or newer", library, missing));
  }
  return api;
}

Result<void> initialize(const DriverApi& api) {
  if (const CUresult status = api.cuInit(0); status != CUDA_SUCCESS) {
    Error error = driver_error(api, status, "cuInit");
    if (status == CUDA_ERROR_NO_DEVICE || status == CUDA_ERROR_STUB_LIBRARY) error.kind = ErrorKind::Unsupported;
    if (status == CUDA_ERROR_UNKNOWN) error.message += ": see whether nvidia-smi works; after an update, reboot";
    return error;
  }
  int version = 0;
  BARACUDA_RETURN_IF_ERROR(check(api, api.cuDriverGetVersion(&version), "cuDriverGetVersion"));
  if (version < kMinDriverVersion) {
    return Error::unsupported(fmt::format("the CUDA driver is {}.{}, but 12.4 is needed; install driver 550 or newer",
                                          version / 1000, version % 1000 / 10));
  }
  return {};
}

namespace {

/// What to do about it, where the driver's own text does not tell; else empty.
std::string_view way_out(CUresult status) {
  switch (status) {
    case CUDA_ERROR_OUT_OF_MEMORY: return "free device memory, of this or of another process, or ask for less";
    case CUDA_ERROR_STUB_LIBRARY: return "this libcuda is for linking only: take its folder out of LD_LIBRARY_PATH";
    case CUDA_ERROR_NO_DEVICE: return "see nvidia-smi and CUDA_VISIBLE_DEVICES; the CPU works without";
    case CUDA_ERROR_SYSTEM_NOT_READY: return "start the system's services, nvidia-fabricmanager for one";
    case CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: return "libcuda and the kernel module are of two versions: reboot";
    case CUDA_ERROR_INVALID_IMAGE:
    case CUDA_ERROR_NO_BINARY_FOR_GPU:
    case CUDA_ERROR_UNSUPPORTED_PTX_VERSION:
      return "the code was made by an NVRTC newer than this driver: update the driver, or set BARACUDA_NVRTC_LIBRARY "
             "to "
             "an older one, or make the kernel pack with an older one";
    // Those of which cuda.h says that the context is destroyed, or that the process must be started anew.
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_CONTAINED:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_TENSOR_MEMORY_LEAK:
    case CUDA_ERROR_MPS_CLIENT_TERMINATED:
      return "this process has lost the device, with all that is on it, and every later CUDA call fails alike; a new "
             "process can use it again, and here the CPU goes on working";
    default: return {};
  }
}

}  // namespace

Error driver_error(const DriverApi& api, CUresult status, std::string_view what) {
  const char* name = nullptr;
  const char* text = nullptr;
  if (api.cuGetErrorName(status, &name) != CUDA_SUCCESS || !name) name = "unknown CUresult";
  if (api.cuGetErrorString(status, &text) != CUDA_SUCCESS || !text) text = "no description";
  Error error = Error::backend(status, fmt::format("{}: {}: {}", what, name, text));
  if (const std::string_view advice = way_out(status); !advice.empty()) error.message.append(": ").append(advice);
  return error;
}

}  // namespace baracuda::cuda
