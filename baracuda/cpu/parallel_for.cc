#include "baracuda/cpu/parallel_for.h"

#include <algorithm>

#ifdef __SANITIZE_THREAD__
#include <thread>
#include <vector>
#else
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <deque>
#include <memory>
#endif

namespace baracuda::cpu {
#ifdef __SANITIZE_THREAD__

// ThreadSanitizer does not see how oneTBB, which is not instrumented, hands over work, and would call all of it a race.
// So here each piece has a thread of its own: what races in a body is found, in oneTBB nothing is looked for.
void internal::parallel_for(int num_threads, std::int64_t count, std::int64_t grain,
                            void (*body)(void*, std::int64_t, std::int64_t), void* context) {
  const std::int64_t num_grains = count / grain;  // the last takes the rest
  const std::int64_t num_pieces =
      std::min<std::int64_t>({num_threads, num_grains, std::max(2u, std::thread::hardware_concurrency())});
  const auto run_piece = [&](std::int64_t piece) {
    // num_grains · piece / num_pieces could overflow.
    const auto first_of = [&](std::int64_t i) {
      return num_grains / num_pieces * i + std::min(i, num_grains % num_pieces);
    };
    body(context, first_of(piece) * grain, piece + 1 == num_pieces ? count : first_of(piece + 1) * grain);
  };
  std::vector<std::jthread> threads;
  for (std::int64_t piece = 1; piece < num_pieces; ++piece) threads.emplace_back(run_piece, piece);
  run_piece(0);
}

void prepare_threads() {}

#else
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

#endif
}  // namespace baracuda::cpu
