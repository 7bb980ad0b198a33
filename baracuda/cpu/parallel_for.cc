#include "baracuda/cpu/parallel_for.h"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <mutex>

namespace baracuda::cpu::internal {
namespace {

/// The arena of a thread count, made at its first use and kept: making one costs more than a small operator. Its size
/// bounds the threads whatever the caller's own arena is, and is at most what the machine has. Never freed, since plans
/// may run while static objects are destroyed.
tbb::task_arena& arena(int num_threads) {
  struct Entry {
    std::once_flag once;
    tbb::task_arena* arena = nullptr;
  };
  static const int most = tbb::info::default_concurrency();
  static auto* const entries = new Entry[static_cast<std::size_t>(most) + 1];
  const int size = std::min(num_threads, most);
  Entry& entry = entries[size];
  std::call_once(entry.once, [&] { entry.arena = new tbb::task_arena(size); });
  return *entry.arena;
}

}  // namespace

void parallel_for(int num_threads, std::int64_t count, std::int64_t grain,
                  void (*body)(void*, std::int64_t, std::int64_t), void* context) {
  // Whole grains: oneTBB's own grain size bounds a piece by its half only.
  const std::int64_t num_grains = count / grain;  // the last takes the rest
  arena(num_threads).execute([&] {
    tbb::parallel_for(tbb::blocked_range<std::int64_t>(0, num_grains),
                      [&](const tbb::blocked_range<std::int64_t>& piece) {
                        body(context, piece.begin() * grain, piece.end() == num_grains ? count : piece.end() * grain);
                      });
  });
}

}  // namespace baracuda::cpu::internal
