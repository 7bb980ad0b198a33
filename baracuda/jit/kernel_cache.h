#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "baracuda/core/result.h"
#include "baracuda/jit/compile_forecast.h"
#include "baracuda/jit/compiler.h"
#include "baracuda/jit/kernel_pack.h"
#include "baracuda/jit/kernel_spec.h"

namespace baracuda::jit {

/// Where compiled kernels outlive the process. Called from many threads, for a given key from one at a time.
class KernelStore {
 public:
  virtual ~KernelStore() = default;
  /// Empty where there is no sound entry; a damaged one is the same as none. The name is part of what is looked for.
  virtual std::optional<CompiledKernel> load(const KernelSpec& spec, const KernelKey& key) = 0;
  /// A failure to keep it is the store's own matter.
  virtual void store(const KernelSpec& spec, const CompiledKernel& kernel) = 0;

  /// The right to compile a key, while it lives.
  class Lock {
   public:
    virtual ~Lock() = default;
  };
  /// Waits while another process compiles the key. Null where there is nothing more to wait for: the entry has come,
  /// the other takes too long, or there are no locks. In every case the caller looks for the entry again, and compiles
  /// if there is none.
  virtual std::unique_ptr<Lock> lock(const KernelSpec&, const KernelKey&) { return nullptr; }

  /// What a kernel like this one took to compile; 0 where nothing is known.
  virtual double seconds_of_similar(const KernelSpec&) { return 0; }
};

/// The process's compiled kernels. However many threads ask for a key, one compiles and the others wait for it;
/// distinct keys compile in parallel. A text that does not compile is remembered with its log, so asking again costs
/// nothing; any other failure, as a lack of memory, is not, and the next who asks tries again.
class KernelCache {
 public:
  using Compile = std::function<Result<CompiledKernel>(const KernelSpec&)>;
  using KernelPtr = std::shared_ptr<const CompiledKernel>;

  explicit KernelCache(Compile compile, std::unique_ptr<KernelStore> store = nullptr)
      : compile_(std::move(compile)), store_(std::move(store)) {}

  /// From memory, else from the store, else compiled and given to the store. `key` must be the spec's.
  Result<KernelPtr> get(const KernelSpec& spec, const KernelKey& key);

  /// Whether the store keeps it, for other processes too.
  bool has_stored(const KernelSpec& spec, const KernelKey& key) { return store_ && store_->load(spec, key); }

  /// The one that plans use: the process's NVRTC, and the folder that the environment names.
  static KernelCache& process();

 private:
  Result<KernelPtr> load_or_compile(const KernelSpec& spec, const KernelKey& key) noexcept;

  const Compile compile_;
  const std::unique_ptr<KernelStore> store_;
  CompileForecast forecast_;
  std::mutex mutex_;
  std::map<KernelKey, std::shared_future<Result<KernelPtr>>> entries_;
};

/// The kernel from a pack, else from the cache. `compiler` is the version that the cache compiles with, or why there is
/// no compiler. Errors: as KernelCache::get; Unsupported (in no pack, and no compiler).
Result<KernelCache::KernelPtr> find_or_compile(const KernelSpec& spec, const KernelPacks& packs,
                                               const Result<NvrtcVersion>& compiler, KernelCache& cache);

/// The version of the process's NVRTC. Errors: as nvrtc.
Result<NvrtcVersion> process_compiler();

/// The spec with what the process's environment wants of every compile.
KernelSpec process_spec(KernelSpec spec);

/// The process_spec from the process's packs, else from its cache.
/// Errors: as find_or_compile and KernelPacks::process.
Result<KernelCache::KernelPtr> process_kernel(KernelSpec spec);

/// Whether there is something to take kernels from: NVRTC, or a pack. Errors: Unsupported where there is neither; as
/// KernelPacks::process.
Result<void> process_has_kernels();

}  // namespace baracuda::jit
