#pragma once

#include <cstdint>
#include <type_traits>

namespace baracuda::cpu {

namespace internal {
void parallel_for(int num_threads, std::int64_t count, std::int64_t grain,
                  void (*body)(void*, std::int64_t, std::int64_t), void* context);
}

/// Makes what parallel_for needs. `select` of every CPU plan calls it, so that `run` allocates nothing.
void prepare_threads();

/// A piece of work that moves fewer bytes is not worth a second thread.
inline constexpr std::int64_t kBytesPerPiece = 256 << 10;

/// Calls `body(begin, end)` on pieces of [0, count) on up to `num_threads` threads, and returns when all are done.
/// Pieces begin at multiples of `grain` ≥ 1 and are no shorter, so work of less than two grains runs on the caller's
/// thread. `body` must not throw.
template <class Body>
void parallel_for(int num_threads, std::int64_t count, std::int64_t grain, Body&& body) {
  if (count <= 0) return;
  if (num_threads <= 1 || count - grain < grain) {
    body(std::int64_t{0}, count);
    return;
  }
  internal::parallel_for(
      num_threads, count, grain,
      [](void* context, std::int64_t begin, std::int64_t end) {
        (*static_cast<std::remove_reference_t<Body>*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace baracuda::cpu
