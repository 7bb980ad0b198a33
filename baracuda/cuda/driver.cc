#include "baracuda/cuda/driver.h"

#include <dlfcn.h>
#include <fmt/core.h>

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
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
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

Error driver_error(const DriverApi& api, CUresult status, std::string_view what) {
  const char* name = nullptr;
  const char* text = nullptr;
  if (api.cuGetErrorName(status, &name) != CUDA_SUCCESS || !name) name = "unknown CUresult";
  if (api.cuGetErrorString(status, &text) != CUDA_SUCCESS || !text) text = "no description";
  return Error::backend(status, fmt::format("{}: {}: {}", what, name, text));
}

}  // namespace baracuda::cuda
