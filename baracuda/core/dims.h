#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>

#include "baracuda/core/export.h"

namespace baracuda {

inline constexpr int kMaxRank = 8;

/// Up to eight signed 64-bit numbers, one per axis, outermost first: a shape, strides, or the corners of a window.
/// A list of more than eight numbers remembers its true rank, so that a plan can name it in its error, and drops
/// the numbers past the eighth.
class Dims {
 public:
  constexpr Dims() = default;
  constexpr Dims(std::initializer_list<std::int64_t> values)
      : Dims(std::span<const std::int64_t>(values.begin(), values.size())) {}
  constexpr explicit Dims(std::span<const std::int64_t> values) : rank_(static_cast<int>(values.size())) {
    for (int axis = 0; axis < size(); ++axis) values_[axis] = values[axis];
  }
  /// `rank` times `value`.
  static constexpr Dims filled(int rank, std::int64_t value) {
    Dims dims;
    dims.rank_ = rank;
    for (std::int64_t& each : dims) each = value;
    return dims;
  }

  /// The number of axes asked for; above kMaxRank only the first kMaxRank are held.
  constexpr int rank() const { return rank_; }
  /// The number of axes held: rank(), at least 0 and at most kMaxRank.
  constexpr int size() const { return rank_ < 0 ? 0 : rank_ < kMaxRank ? rank_ : kMaxRank; }
  constexpr bool empty() const { return rank_ == 0; }

  constexpr std::int64_t operator[](int axis) const { return values_[axis]; }
  constexpr std::int64_t& operator[](int axis) { return values_[axis]; }
  constexpr const std::int64_t* begin() const { return values_; }
  constexpr const std::int64_t* end() const { return values_ + size(); }
  constexpr std::int64_t* begin() { return values_; }
  constexpr std::int64_t* end() { return values_ + size(); }

  friend constexpr bool operator==(const Dims& a, const Dims& b) {
    if (a.rank_ != b.rank_) return false;
    for (int axis = 0; axis < a.size(); ++axis)
      if (a[axis] != b[axis]) return false;
    return true;
  }

  /// "4x1024", "scalar" for rank 0.
  BARACUDA_API std::string to_string() const;

 private:
  std::int64_t values_[kMaxRank] = {};
  int rank_ = 0;
};

/// The strides, in elements, of a row-major tensor without gaps. Where a product would overflow the stride is held
/// at the largest 64-bit value; the bounds check rejects such a view.
BARACUDA_API Dims contiguous_strides(const Dims& shape);

}  // namespace baracuda
