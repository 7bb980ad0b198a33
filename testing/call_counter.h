#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace baracuda::testing {

/// What a piece of code did on its thread that a call on a hot path must not do.
struct CallCounts {
  int allocations = 0;        ///< malloc and its kin, operator new included
  int locks = 0;              ///< pthread mutexes and read-write locks, those of std included
  int environment_reads = 0;  ///< getenv
  int formats = 0;            ///< snprintf and its kin, fmt::format

  int total() const { return allocations + locks + environment_reads + formats; }
};

/// False under a sanitizer, which takes the functions that we take: nothing is counted then.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kCanCountCalls = false;
#else
inline constexpr bool kCanCountCalls = true;
#endif

/// Counts on this thread from construction to `stop`. A call counts as ours when the first caller that is not a library
/// which works on behalf of its caller (libc, libstdc++, fmt) lies in this executable; what libcuda, oneTBB and others
/// do inside is theirs. For that the test binary defines malloc, pthread_mutex_lock and the rest itself, and passes on.
class CallCounter {
 public:
  CallCounter();
  ~CallCounter() { stop(); }
  /// From now on the allocation of ours after the next `succeed` fails, and so do `fail` − 1 more: the host is out of
  /// memory.
  void fail_allocations(int succeed, int fail) {
    first_failing_ = ours_.allocations + succeed;
    end_failing_ = fail > kMax - first_failing_ ? kMax : first_failing_ + fail;
  }
  bool has_failed() const { return ours_.allocations > first_failing_; }
  CallCounter(const CallCounter&) = delete;
  CallCounter& operator=(const CallCounter&) = delete;

  /// What was ours.
  const CallCounts& stop();
  /// What was not, to see that counting works at all.
  const CallCounts& theirs() const { return theirs_; }

  /// Called by the functions that we define; `caller` is their return address.
  void record(int CallCounts::*kind, void* caller);
  /// The same for an allocation; false where it is to fail.
  bool record_allocation(void* caller);

 private:
  struct Module {
    std::string name;
    std::uintptr_t begin, end;
    bool is_ours, is_neutral;
  };
  bool is_ours(void* caller) const;

  static constexpr int kMax = std::numeric_limits<int>::max();
  std::vector<Module> modules_;
  CallCounts ours_, theirs_;
  int first_failing_ = kMax, end_failing_ = kMax;  // by their number among ours
};

}  // namespace baracuda::testing
