#pragma once

#include <string>
#include <string_view>

#include "baracuda/core/result.h"
#include "baracuda/cuda/driver_api.h"

namespace baracuda::cuda {

inline constexpr int kMinDriverVersion = 12040;  ///< as cuDriverGetVersion spells 12.4

/// The process's driver, opened and initialised at the first call. Errors: Unsupported (no libcuda, no device, driver
/// older than 12.4), Backend. The answer, an error too, stays for the life of the process.
Result<const DriverApi*> driver();

/// Opens one library and resolves every function; nothing is initialised. Errors: Unsupported.
Result<DriverApi> load_driver(const std::string& library);
/// cuInit and the version check. Errors: as driver().
Result<void> initialize(const DriverApi& api);

/// "<what>: CUDA_ERROR_OUT_OF_MEMORY: out of memory", and what to do about it where that is known, as Error::backend:
/// the only way a driver status becomes an error.
Error driver_error(const DriverApi& api, CUresult status, std::string_view what);

/// `what` is read on failure only.
inline Result<void> check(const DriverApi& api, CUresult status, std::string_view what) {
  if (status == CUDA_SUCCESS) [[likely]]
    return {};
  return driver_error(api, status, what);
}

}  // namespace baracuda::cuda
