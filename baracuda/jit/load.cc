#include "baracuda/jit/load.h"

#include <fmt/core.h>

#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "baracuda/core/propagate.h"
#include "baracuda/jit/kernel_cache.h"

namespace baracuda::jit {
namespace {

using KernelPtr = std::shared_ptr<const cuda::Kernel>;

/// In one process the embedded headers, the options and NVRTC are fixed, so text and target say as much as the key, and
/// a kernel that is loaded already is found without hashing its headers. That it may be of another compiler, from a
/// pack, makes no difference: it is of the same sources.
class LoadedKernels {
 public:
  KernelPtr find(const KernelSpec& spec, int ordinal) const {
    const auto entry = kernels_.find(identity(spec, ordinal));
    return entry == kernels_.end() ? nullptr : entry->second;
  }
  void add(const KernelSpec& spec, int ordinal, KernelPtr kernel) {
    kernels_.emplace(identity(spec, ordinal), std::move(kernel));
  }

  std::mutex mutex;

 private:
  using Identity = std::tuple<std::string, int, bool, int>;
  static Identity identity(const KernelSpec& spec, int ordinal) {
    return {spec.text, spec.target.sm, spec.target.arch_specific, ordinal};
  }
  std::map<Identity, KernelPtr> kernels_;
};

}  // namespace

Result<KernelPtr> load_kernel(const KernelSpec& spec, const Stream& stream) {
  if (!stream.device().is_cuda())
    return Error::invalid_problem(fmt::format("kernel {} cannot be loaded on a CPU stream", spec.name));
  static auto& loaded = *new LoadedKernels;  // never destroyed: the driver may be gone before static objects are
  const int ordinal = stream.device().ordinal;
  {
    const std::lock_guard lock(loaded.mutex);
    if (KernelPtr kernel = loaded.find(spec, ordinal)) return kernel;
  }

  BARACUDA_ASSIGN_OR_RETURN(const bool is_capturing, stream.is_capturing());
  if (is_capturing) {
    return Error::unsupported(fmt::format(
        "kernel {} is not loaded, and nothing can be compiled or loaded while the stream is captured; call select "
        "before the capture begins",
        spec.name));
  }
  BARACUDA_ASSIGN_OR_RETURN(const auto compiled, process_kernel(spec));

  // Compiling ran in parallel; loading takes a few hundred microseconds and is done once per device, so under the lock.
  const std::lock_guard lock(loaded.mutex);
  if (KernelPtr kernel = loaded.find(spec, ordinal)) return kernel;
  BARACUDA_ASSIGN_OR_RETURN(
      KernelPtr kernel, cuda::Kernel::load(stream, compiled->cubin, kKernelEntry).transform_error([&](Error error) {
        error.message = fmt::format("kernel {} for {}: {}", spec.name, spec.target.name(), error.message);
        return error;
      }));
  loaded.add(spec, ordinal, kernel);
  return kernel;
}

}  // namespace baracuda::jit
