// Scales and zero points of rows that are quantized by their own range.

#if defined(BARACUDA_DEVICE_NUMERIC_QUANTIZE) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_QUANTIZE
#undef BARACUDA_DEVICE_NUMERIC_QUANTIZE
#else
#define BARACUDA_DEVICE_NUMERIC_QUANTIZE
#endif

#include "baracuda/device/numeric/lanes.cuh"

BARACUDA_NUMERIC_BEGIN

/// The extremes of a row. At first all zero, and what is added only widens it.
template <class T>
struct RowRange {
  T magnitude;  ///< max|x|; infinite or NaN where the row has something that is
  T least;      ///< min(x, 0), where asymmetric
  T greatest;   ///< max(x, 0), where asymmetric
};

/// How the values of a row become codes, clamp(round(x / scale) + zero_point).
template <class T>
struct RowQuantization {
  T scale;
  int zero_point;

  bool finite() const { return scale == scale; }  ///< else the scale is NaN, and every code is clamp(zero_point)
};

inline int clamp_code(int code, int q_min, int q_max) {
  const int raised = code < q_min ? q_min : code;
  return raised > q_max ? q_max : raised;
}

template <bool kSymmetric, class T>
RowQuantization<T> quantization_of(const RowRange<T>& range, int q_min, int q_max) {
  const bool finite = range.magnitude - range.magnitude == T(0);
  RowQuantization<T> row{quiet_nan<T>(), 0};
  if (finite) {
    row.scale = kSymmetric ? range.magnitude / static_cast<T>(q_max)
                           : (range.greatest - range.least) / static_cast<T>(q_max - q_min);
    if (row.scale == T(0)) row.scale = T(1);
  }
  if (!kSymmetric) {
    const T least = finite ? round_half_even(range.least / row.scale) : T(q_min);
    row.zero_point = clamp_code(q_min - static_cast<int>(least), q_min, q_max);
  }
  return row;
}

BARACUDA_NUMERIC_END

#endif
