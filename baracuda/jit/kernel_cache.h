#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "baracuda/core/result.h"
#include "baracuda/jit/compiler.h"
#include "baracuda/jit/kernel_spec.h"

namespace baracuda::jit {

/// Where compiled kernels outlive the process. Called from many threads, for a given key from one at a time. The specs
/// are passed along for their names; the key alone decides what is found.
class KernelStore {
 public:
  virtual ~KernelStore() = default;
  /// Empty where there is no sound entry; a damaged one is the same as none.
  virtual std::optional<CompiledKernel> load(const KernelSpec& spec, const KernelKey& key) = 0;
  /// A failure to keep it is the store's own matter.
  virtual void store(const KernelSpec& spec, const CompiledKernel& kernel) = 0;
};

/// The process's compiled kernels. However many threads ask for a key, one compiles and the others wait for it;
/// distinct keys compile in parallel. A failed compile is remembered with its log, so asking again costs nothing.
class KernelCache {
 public:
  using Compile = std::function<Result<CompiledKernel>(const KernelSpec&)>;
  using KernelPtr = std::shared_ptr<const CompiledKernel>;

  explicit KernelCache(Compile compile, std::unique_ptr<KernelStore> store = nullptr)
      : compile_(std::move(compile)), store_(std::move(store)) {}

  /// From memory, else from the store, else compiled and given to the store. `key` must be the spec's.
  Result<KernelPtr> get(const KernelSpec& spec, const KernelKey& key);
  /// What is in memory and sound; null otherwise. Neither waits nor compiles.
  KernelPtr find(const KernelKey& key) const;

  /// The one that plans use: the process's NVRTC, no store.
  static KernelCache& process();

 private:
  Result<KernelPtr> load_or_compile(const KernelSpec& spec, const KernelKey& key);

  const Compile compile_;
  const std::unique_ptr<KernelStore> store_;
  mutable std::mutex mutex_;
  std::map<KernelKey, std::shared_future<Result<KernelPtr>>> entries_;
};

}  // namespace baracuda::jit
