#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/env.h"
#include "baracuda/core/result.h"

namespace baracuda::jit {

/// The compiler's version decides the code it makes, so it is part of every kernel's key.
struct NvrtcVersion {
  int major = 0;
  int minor = 0;
  friend auto operator<=>(const NvrtcVersion&, const NvrtcVersion&) = default;
};
/// "13.0".
std::string to_string(NvrtcVersion version);
/// As to_string writes it.
std::optional<NvrtcVersion> parse_nvrtc_version(std::string_view text);

inline constexpr NvrtcVersion kMinNvrtcVersion = {12, 4};

using NvrtcProgram = struct _nvrtcProgram*;
inline constexpr int kNvrtcSuccess = 0;
inline constexpr int kNvrtcOutOfMemory = 1;
inline constexpr int kNvrtcInvalidOption = 5;
inline constexpr int kNvrtcCompilationError = 6;

/// Every function of libnvrtc that we call, once. Its status enum is an int.
#define BARACUDA_NVRTC_FUNCTIONS(X)                                                                       \
  X(nvrtcVersion, int, (int*, int*))                                                                      \
  X(nvrtcGetErrorString, const char*, (int))                                                              \
  X(nvrtcCreateProgram, int,                                                                              \
    (NvrtcProgram*, const char* text, const char* name, int num_headers, const char* const* header_texts, \
     const char* const* header_names))                                                                    \
  X(nvrtcDestroyProgram, int, (NvrtcProgram*))                                                            \
  X(nvrtcCompileProgram, int, (NvrtcProgram, int num_options, const char* const* options))                \
  X(nvrtcGetProgramLogSize, int, (NvrtcProgram, std::size_t*))                                            \
  X(nvrtcGetProgramLog, int, (NvrtcProgram, char*))                                                       \
  X(nvrtcGetCUBINSize, int, (NvrtcProgram, std::size_t*))                                                 \
  X(nvrtcGetCUBIN, int, (NvrtcProgram, char*))

/// One libnvrtc, opened. Its functions may be called from many threads at once.
struct NvrtcApi {
#define BARACUDA_DECLARE(name, result, parameters) result(*name) parameters = nullptr;
  BARACUDA_NVRTC_FUNCTIONS(BARACUDA_DECLARE)
#undef BARACUDA_DECLARE
  NvrtcVersion version;
  std::string library;  ///< what was opened
};

/// What to try, in order: the library that the environment names and no other, else the loader's names, newest first,
/// and then the places where toolkits install it.
std::vector<std::string> nvrtc_candidates(const Environment& environment);
/// The first candidate that opens, has every function and is new enough. Errors: Unsupported, with each one's reason.
Result<NvrtcApi> load_nvrtc(const std::vector<std::string>& candidates);

/// The process's compiler, opened at the first call. The answer, an error too, stays for the life of the process.
Result<const NvrtcApi*> nvrtc();

/// "<what>: NVRTC_ERROR_COMPILATION", and what to do about it where that is known, as Error::backend: the only way an
/// NVRTC status becomes an error.
Error nvrtc_error(const NvrtcApi& api, int status, std::string_view what);

}  // namespace baracuda::jit
