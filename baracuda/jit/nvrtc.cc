#include "baracuda/jit/nvrtc.h"

#include <dlfcn.h>
#include <fmt/core.h>
#include <glob.h>

#include <cerrno>
#include <new>

#include "baracuda/core/propagate.h"
#include "baracuda/jit/field_reader.h"

namespace baracuda::jit {
namespace {

/// libnvrtc opens libnvrtc-builtins by its bare name, which the loader does not find beside it: the wheel's libnvrtc
/// has no RUNPATH. Once it is loaded from there, the name is known. Where that fails libnvrtc may still find its own.
void open_builtins_beside(const NvrtcApi& api) {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(api.nvrtcVersion), &info) || !info.dli_fname) return;
  const std::string_view path = info.dli_fname;
  const std::string folder(path.substr(0, path.rfind('/') + 1));
  const std::string name = fmt::format("{}libnvrtc-builtins.so.{}", folder, to_string(api.version));
  dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL);
}

/// A toolkit's folders for each kind of machine, "x86_64-linux" and "sbsa-linux" among them. What is there for another
/// kind than this one does not open.
std::vector<std::string> toolkit_target_folders() {
  std::vector<std::string> folders;
  glob_t found = {};
  if (glob("/usr/local/cuda/targets/*/lib/", 0, nullptr, &found) == 0)
    folders.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  return folders;
}

Result<NvrtcApi> open(const std::string& library) {
  errno = 0;
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed
  if (!handle && errno == ENOMEM) throw std::bad_alloc();         // what may be better later is no answer to keep
  if (!handle) return Error::unsupported(dlerror());
  NvrtcApi api;
  api.library = library;
#define BARACUDA_RESOLVE(name, result, parameters)                       \
  api.name = reinterpret_cast<decltype(api.name)>(dlsym(handle, #name)); \
  if (!api.name) return Error::unsupported(fmt::format("{}: no function {}", library, #name));
  BARACUDA_NVRTC_FUNCTIONS(BARACUDA_RESOLVE)
#undef BARACUDA_RESOLVE
  if (const int status = api.nvrtcVersion(&api.version.major, &api.version.minor); status != kNvrtcSuccess)
    return nvrtc_error(api, status, "nvrtcVersion");
  if (api.version < kMinNvrtcVersion) {
    return Error::unsupported(
        fmt::format("{}: version {} is older than {}", library, to_string(api.version), to_string(kMinNvrtcVersion)));
  }
  open_builtins_beside(api);
  return api;
}

Result<const NvrtcApi*> open_for_process() {
  BARACUDA_ASSIGN_OR_RETURN(NvrtcApi api, load_nvrtc(nvrtc_candidates(Environment::process())));
  return static_cast<const NvrtcApi*>(new NvrtcApi(std::move(api)));
}

}  // namespace

std::string to_string(NvrtcVersion version) { return fmt::format("{}.{}", version.major, version.minor); }

std::optional<NvrtcVersion> parse_nvrtc_version(std::string_view text) {
  FieldReader reader(text);
  NvrtcVersion version;
  reader.number(version.major);
  reader.expect(".");
  reader.number(version.minor);
  return reader.ended_well() ? std::optional(version) : std::nullopt;
}

std::vector<std::string> nvrtc_candidates(const Environment& environment) {
  if (!environment.nvrtc_library.empty()) return {environment.nvrtc_library};
  constexpr const char* kNames[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};
  std::vector<std::string> folders = {"", "/usr/local/cuda/lib64/", "/usr/local/cuda/lib/"};
  for (std::string& folder : toolkit_target_folders()) folders.push_back(std::move(folder));
  std::vector<std::string> candidates;
  for (const std::string& folder : folders)
    for (const char* name : kNames) candidates.push_back(folder + name);
  return candidates;
}

Result<NvrtcApi> load_nvrtc(const std::vector<std::string>& candidates) {
  std::string reasons;
  for (const std::string& candidate : candidates) {
    auto api = open(candidate);
    if (api) return api;
    reasons += "\n  " + api.error().message;
  }
  return Error::unsupported(
      "CUDA kernels are compiled by libnvrtc, 12.4 or newer, and none was found. It comes with a CUDA toolkit, or in "
      "NVIDIA's wheel: `pip download --no-deps nvidia-cuda-nvrtc`, unzip it, and set BARACUDA_NVRTC_LIBRARY to the "
      "libnvrtc.so in it. Tried:" +
      reasons);
}

Result<const NvrtcApi*> nvrtc() {
  static const auto& api = *new Result<const NvrtcApi*>(open_for_process());
  return api;
}

Error nvrtc_error(const NvrtcApi& api, int status, std::string_view what) {
  Error error = Error::backend(status, fmt::format("{}: {}", what, api.nvrtcGetErrorString(status)));
  if (status == kNvrtcOutOfMemory) error.message += ": the host is out of memory; free some and call again";
  if (status == kNvrtcInvalidOption) {
    error.message += fmt::format(
        ": {} is version {}, which may be older than the GPU; set BARACUDA_NVRTC_LIBRARY to a newer libnvrtc",
        api.library, to_string(api.version));
  }
  return error;
}

}  // namespace baracuda::jit
