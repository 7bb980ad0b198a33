#include "baracuda/jit/compile_forecast.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "baracuda/jit/files.h"
#include "baracuda/jit/jit.h"
#include "baracuda/jit/kernel_cache.h"

namespace baracuda {
namespace {

using Callback = std::function<void(const LongCompile&)>;

struct CallbackSlot {
  std::mutex mutex;
  std::shared_ptr<const Callback> callback;
};
CallbackSlot& slot() {
  static auto& slot = *new CallbackSlot;
  return slot;
}

}  // namespace

void set_long_compile_callback(Callback callback) {
  auto kept = callback ? std::make_shared<const Callback>(std::move(callback)) : nullptr;
  const std::lock_guard lock(slot().mutex);
  slot().callback.swap(kept);
}

namespace jit {
namespace {

// NVRTC 13.0 on one core of the machine that builds this: an empty kernel 40 ms, kernels of 9 to 13 kB of text with
// their headers 100 to 150 ms, a wgmma GEMM of 50 kB 250 to 500 ms.
constexpr double kSecondsAtLeast = 0.04, kSecondsPerByte = 9e-6;

double seconds_by_size(const KernelSpec& spec) {
  std::size_t bytes = spec.text.size();
  if (const auto included = included_sources(spec.text, embedded_sources()))
    for (const EmbeddedSource* source : *included) bytes += source->text.size();
  return kSecondsAtLeast + kSecondsPerByte * static_cast<double>(bytes);
}

}  // namespace

double CompileForecast::seconds(const KernelSpec& spec, KernelStore* store) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = seconds_of_op_.find(op_of(spec.name));
    if (known != seconds_of_op_.end()) return known->second;
  }
  const double stored = store ? store->seconds_of_similar(spec) : 0;
  return stored > 0 ? stored : seconds_by_size(spec);
}

void CompileForecast::took(const KernelSpec& spec, double seconds) {
  const std::lock_guard lock(mutex_);
  seconds_of_op_.insert_or_assign(std::string(op_of(spec.name)), seconds);
}

void tell_of_long_compile(const KernelSpec& spec, double expected_seconds) {
  if (expected_seconds <= kLongCompileSeconds) return;
  say(fmt::format("compiling {} for {}, which takes about {:.1f} s", spec.name, spec.target.name(), expected_seconds));
  std::shared_ptr<const Callback> callback;
  {
    const std::lock_guard lock(slot().mutex);
    callback = slot().callback;
  }
  if (callback) (*callback)({spec.name, spec.target.name(), expected_seconds});
}

}  // namespace jit
}  // namespace baracuda
