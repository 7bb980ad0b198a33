#include "baracuda/jit/kernel_cache.h"

#include "baracuda/core/env.h"
#include "baracuda/core/propagate.h"
#include "baracuda/jit/disk_store.h"

namespace baracuda::jit {

Result<KernelCache::KernelPtr> KernelCache::get(const KernelSpec& spec, const KernelKey& key) {
  std::promise<Result<KernelPtr>> promise;
  const std::shared_future<Result<KernelPtr>> ours = promise.get_future().share();
  std::shared_future<Result<KernelPtr>> theirs;
  {
    const std::lock_guard lock(mutex_);
    const auto [entry, is_ours] = entries_.try_emplace(key, ours);
    if (!is_ours) theirs = entry->second;
  }
  if (theirs.valid()) return theirs.get();
  // Whatever happens, those who wait must hear of it: from here to the promise nothing throws.
  Result<KernelPtr> kernel = load_or_compile(spec, key);
  if (!kernel && kernel.error().code != kNvrtcCompilationError) {
    const std::lock_guard lock(mutex_);
    entries_.erase(key);  // what was wrong is not the text, and may be better the next time
  }
  promise.set_value(std::move(kernel));
  return ours.get();
}

Result<KernelCache::KernelPtr> KernelCache::load_or_compile(const KernelSpec& spec, const KernelKey& key) noexcept try {
  std::unique_ptr<KernelStore::Lock> lock;
  if (store_) {
    if (auto stored = store_->load(spec, key)) return std::make_shared<const CompiledKernel>(*std::move(stored));
    lock = store_->lock(spec, key);
    // Another process may have finished in between.
    if (auto stored = store_->load(spec, key)) return std::make_shared<const CompiledKernel>(*std::move(stored));
  }
  tell_of_long_compile(spec, forecast_.seconds(spec, store_.get()));
  BARACUDA_ASSIGN_OR_RETURN(CompiledKernel kernel, compile_(spec));
  forecast_.took(spec, kernel.seconds);
  if (store_) store_->store(spec, kernel);
  return std::make_shared<const CompiledKernel>(std::move(kernel));
} catch (...) {
  return internal::thrown_error(spec.name);
}

namespace {

std::unique_ptr<KernelStore> process_store() {
  const Environment& environment = Environment::process();
  const auto compiler = nvrtc();
  if (!compiler || environment.cache_dir.empty() || environment.cache_max_bytes == 0) return nullptr;
  return std::make_unique<DiskStore>(DiskStore::Options{.dir = environment.cache_dir,
                                                        .max_bytes = environment.cache_max_bytes,
                                                        .nvrtc_version = (*compiler)->version,
                                                        .dump_dir = environment.jit_dump,
                                                        .verbose = environment.verbose});
}

}  // namespace

KernelCache& KernelCache::process() {
  static auto& cache = *new KernelCache([](const KernelSpec& spec) { return compile(spec); }, process_store());
  return cache;
}

Result<KernelCache::KernelPtr> find_or_compile(const KernelSpec& spec, const KernelPacks& packs,
                                               const Result<NvrtcVersion>& compiler, KernelCache& cache) {
  BARACUDA_ASSIGN_OR_RETURN(KernelCache::KernelPtr packed, packs.find(spec));
  if (packed) return packed;
  if (!compiler) return packs.missing(spec, compiler.error());
  BARACUDA_ASSIGN_OR_RETURN(const KernelKey key, kernel_key(spec, *compiler));
  return cache.get(spec, key);
}

Result<NvrtcVersion> process_compiler() {
  return nvrtc().transform([](const NvrtcApi* api) { return api->version; });
}

KernelSpec process_spec(KernelSpec spec) {
  spec.debug = Environment::process().jit_debug;
  return spec;
}

Result<KernelCache::KernelPtr> process_kernel(KernelSpec spec) {
  BARACUDA_ASSIGN_OR_RETURN(const KernelPacks* packs, KernelPacks::process());
  return find_or_compile(process_spec(std::move(spec)), *packs, process_compiler(), KernelCache::process());
}

Result<void> process_has_kernels() {
  BARACUDA_ASSIGN_OR_RETURN(const KernelPacks* packs, KernelPacks::process());
  if (!packs->infos().empty()) return {};
  return nvrtc().transform([](const NvrtcApi*) {});
}

}  // namespace baracuda::jit
