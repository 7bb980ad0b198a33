#pragma once

#include <cstddef>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "baracuda/plan/plan.h"

namespace baracuda {

/// Plans by device, descriptor and preference, for engines whose sizes change every step. Safe for many threads. It
/// keeps everything until `clear`; errors are not kept, so a failed select is tried again.
template <Plan P>
class PlanCache {
 public:
  Result<P> get(const Stream& stream, const typename P::Descriptor& descriptor,
                const PlanPreference& preference = {}) noexcept try {
    Key key{stream.device(), descriptor, preference};
    {
      std::shared_lock lock(mutex_);
      if (auto found = plans_.find(key); found != plans_.end()) return found->second;
    }
    // Selected outside the lock: a compile must not hold up the look-ups of others. Two threads that miss on one key
    // both select; the kernel cache behind it compiles once.
    Result<P> plan = P::select(stream, descriptor, preference);
    if (!plan) return plan;
    std::unique_lock lock(mutex_);
    return plans_.try_emplace(std::move(key), *plan).first->second;
  } catch (...) {
    return internal::thrown_error("PlanCache::get");
  }

  std::size_t size() const {
    std::shared_lock lock(mutex_);
    return plans_.size();
  }
  void clear() {
    std::unique_lock lock(mutex_);
    plans_.clear();
  }

 private:
  struct Key {
    Device device;
    typename P::Descriptor descriptor;
    PlanPreference preference;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return Hasher().add(key.device.kind).add(key.device.ordinal).add(key.descriptor).add(key.preference).value();
    }
  };

  mutable std::shared_mutex mutex_;
  std::unordered_map<Key, P, KeyHash> plans_;
};

}  // namespace baracuda
