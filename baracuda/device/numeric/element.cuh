// Floating-point elements in memory and the values that kernels compute in: f64 in f64, the others in f32.

#if defined(BARACUDA_DEVICE_NUMERIC_ELEMENT) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_ELEMENT
#undef BARACUDA_DEVICE_NUMERIC_ELEMENT
#else
#define BARACUDA_DEVICE_NUMERIC_ELEMENT
#endif

#include "baracuda/core/element.h"
#include "baracuda/device/numeric/convert.cuh"

BARACUDA_NUMERIC_BEGIN

template <Element kElement>
struct ElementTypes {
  using Value = float;
  using Storage = unsigned short;
};
template <>
struct ElementTypes<Element::F32> {
  using Value = float;
  using Storage = float;
};
template <>
struct ElementTypes<Element::F64> {
  using Value = double;
  using Storage = double;
};
template <Element kElement>
using ComputeOf = typename ElementTypes<kElement>::Value;
template <Element kElement>
using StorageOf = typename ElementTypes<kElement>::Storage;

/// The value of an element, exactly.
template <Element kElement>
inline ComputeOf<kElement> to_value(StorageOf<kElement> x) {
  if constexpr (kElement == Element::F32 || kElement == Element::F64) {
    return x;
  } else {
    return decode<kElement, float>(x);
  }
}

/// Rounded once, to nearest even. NaN becomes the one quiet NaN: which one operations make differs between devices.
template <Element kElement>
inline StorageOf<kElement> from_value(ComputeOf<kElement> v) {
  if constexpr (kElement == Element::F32 || kElement == Element::F64) {
    return where(is_nan(v), quiet_nan<ComputeOf<kElement>>(), v);
  } else {
    return static_cast<StorageOf<kElement>>(encode<kElement>(v));
  }
}

/// Element `index` of an array whose element is known at run time alone.
template <class Value>
inline Value load_as(const void* data, Element element, long long index) {
  switch (element) {
    case Element::F16:
      return static_cast<Value>(to_value<Element::F16>(static_cast<const unsigned short*>(data)[index]));
    case Element::Bf16:
      return static_cast<Value>(to_value<Element::Bf16>(static_cast<const unsigned short*>(data)[index]));
    case Element::F64: return static_cast<Value>(static_cast<const double*>(data)[index]);
    default: return static_cast<Value>(static_cast<const float*>(data)[index]);
  }
}

/// Two neighbours, for one access.
template <class T>
struct alignas(2 * sizeof(T)) Pair {
  T value[2];
};

BARACUDA_NUMERIC_END

#endif
