#include "baracuda/jit/kernel_cache.h"

#include <chrono>

#include "baracuda/core/propagate.h"

namespace baracuda::jit {

Result<KernelCache::KernelPtr> KernelCache::get(const KernelSpec& spec, const KernelKey& key) {
  std::promise<Result<KernelPtr>> promise;
  std::shared_future<Result<KernelPtr>> theirs;
  {
    const std::lock_guard lock(mutex_);
    const auto [entry, is_ours] = entries_.try_emplace(key);
    if (is_ours) {
      entry->second = promise.get_future().share();
    } else {
      theirs = entry->second;
    }
  }
  if (theirs.valid()) return theirs.get();
  auto kernel = load_or_compile(spec, key);
  promise.set_value(kernel);
  return kernel;
}

KernelCache::KernelPtr KernelCache::find(const KernelKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return nullptr;
  if (entry->second.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return nullptr;
  return entry->second.get().value_or(nullptr);
}

Result<KernelCache::KernelPtr> KernelCache::load_or_compile(const KernelSpec& spec, const KernelKey& key) {
  if (store_) {
    if (auto stored = store_->load(spec, key)) return std::make_shared<const CompiledKernel>(*std::move(stored));
  }
  BARACUDA_ASSIGN_OR_RETURN(CompiledKernel kernel, compile_(spec));
  if (store_) store_->store(spec, kernel);
  return std::make_shared<const CompiledKernel>(std::move(kernel));
}

KernelCache& KernelCache::process() {
  static auto& cache = *new KernelCache([](const KernelSpec& spec) { return compile(spec); });
  return cache;
}

}  // namespace baracuda::jit
