#pragma once

// 16 bytes of floating-point elements and the numbers in them, with few instructions.

#include "baracuda/device/copy/row_copy.cuh"
#include "baracuda/device/numeric/element.cuh"
#include "baracuda/device/ptx/half.cuh"

namespace baracuda {

/// NaN of f16 becomes another one.
template <Element kElement>
inline void unpack(const Vector16& vector, ComputeOf<kElement> (&values)[16 / element_bytes(kElement)]) {
  if constexpr (kElement == Element::F64) {
    for (int i = 0; i < 2; ++i)
      values[i] = __hiloint2double(static_cast<int>(vector.word[2 * i + 1]), static_cast<int>(vector.word[2 * i]));
  } else if constexpr (kElement == Element::F32) {
    for (int i = 0; i < 4; ++i) values[i] = __uint_as_float(vector.word[i]);
  } else if constexpr (kElement == Element::F16) {
    for (int i = 0; i < 8; ++i)
      values[i] = f32_of_f16(static_cast<unsigned short>(vector.word[i / 2] >> (16 * (i % 2))));
  } else {
    for (int i = 0; i < 8; ++i)
      values[i] = __uint_as_float(i % 2 ? vector.word[i / 2] & 0xffff0000u : vector.word[i / 2] << 16);
  }
}

template <Element kElement>
inline Vector16 pack(const ComputeOf<kElement> (&values)[16 / element_bytes(kElement)]) {
  Vector16 vector;
  if constexpr (kElement == Element::F64) {
    for (int i = 0; i < 2; ++i) {
      vector.word[2 * i] = static_cast<unsigned>(__double2loint(values[i]));
      vector.word[2 * i + 1] = static_cast<unsigned>(__double2hiint(values[i]));
    }
  } else if constexpr (kElement == Element::F32) {
    for (int i = 0; i < 4; ++i) vector.word[i] = __float_as_uint(values[i]);
  } else {
    for (int i = 0; i < 4; ++i)
      vector.word[i] = kElement == Element::F16 ? f16x2_of_f32(values[2 * i], values[2 * i + 1])
                                                : bf16x2_of_f32(values[2 * i], values[2 * i + 1]);
  }
  return vector;
}

}  // namespace baracuda
