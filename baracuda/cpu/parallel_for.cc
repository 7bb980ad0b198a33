#include "baracuda/cpu/parallel_for.h"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <deque>
#include <memory>

namespace baracuda::cpu {
namespace internal {
namespace {

/// An arena for each thread count that the machine has: its size bounds the threads whatever the caller's own arena is.
/// oneTBB fills an arena when it is first used. Never freed, since plans may run while static objects are destroyed.
std::deque<tbb::task_arena>& arenas() {
  static auto& by_size = *[] {
    auto fresh = std::make_unique<std::deque<tbb::task_arena>>();
    for (int size = 0; size <= tbb::info::default_concurrency(); ++size) fresh->emplace_back(std::max(1, size));
    return fresh.release();
  }();
  return by_size;
}

}  // namespace

void parallel_for(int num_threads, std::int64_t count, std::int64_t grain,
                  void (*body)(void*, std::int64_t, std::int64_t), void* context) {
  // Whole grains: oneTBB's own grain size bounds a piece by its half only.
  const std::int64_t num_grains = count / grain;  // the last takes the rest
  tbb::task_arena& arena = arenas()[static_cast<std::size_t>(std::min(num_threads, tbb::info::default_concurrency()))];
  arena.execute([&] {
    tbb::parallel_for(tbb::blocked_range<std::int64_t>(0, num_grains),
                      [&](const tbb::blocked_range<std::int64_t>& piece) {
                        body(context, piece.begin() * grain, piece.end() == num_grains ? count : piece.end() * grain);
                      });
  });
}

}  // namespace internal

void prepare_threads() { internal::arenas(); }

}  // namespace baracuda::cpu
