#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "baracuda/core/device.h"
#include "baracuda/core/dims.h"
#include "baracuda/core/element.h"
#include "baracuda/core/export.h"

namespace baracuda {

/// The bytes [begin, end) of the buffer that a view looks into: every access is proven to lie inside before launch.
struct ByteRange {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;

  ByteRange() = default;
  ByteRange(const void* data, std::size_t bytes) : begin(reinterpret_cast<std::uintptr_t>(data)), end(begin + bytes) {}
  std::uint64_t bytes() const { return end - begin; }
};

template <Element kElement>
struct ElementIs {
  static constexpr Element value = kElement;
};

/// The element kind of a C++ type; only types that stand for exactly one kind have one.
template <class T>
struct ElementOf {
  static_assert(sizeof(T) == 0,
                "no element kind belongs to this type: float, double, std::int8_t … std::uint64_t, bool");
};
// clang-format off
template <> struct ElementOf<float> : ElementIs<Element::F32> {};
template <> struct ElementOf<double> : ElementIs<Element::F64> {};
template <> struct ElementOf<std::int8_t> : ElementIs<Element::I8> {};
template <> struct ElementOf<std::int16_t> : ElementIs<Element::I16> {};
template <> struct ElementOf<std::int32_t> : ElementIs<Element::I32> {};
template <> struct ElementOf<std::int64_t> : ElementIs<Element::I64> {};
template <> struct ElementOf<std::uint8_t> : ElementIs<Element::U8> {};
template <> struct ElementOf<std::uint16_t> : ElementIs<Element::U16> {};
template <> struct ElementOf<std::uint32_t> : ElementIs<Element::U32> {};
template <> struct ElementOf<std::uint64_t> : ElementIs<Element::U64> {};
template <> struct ElementOf<bool> : ElementIs<Element::Bool> {};
// clang-format on

/// Bytes that `shape` takes in row-major order without gaps, packed kinds rounded up to whole bytes; 0 where a size is
/// negative or the product passes 2^63 (the bounds check rejects such a view).
BARACUDA_API std::uint64_t contiguous_bytes(Element element, const Dims& shape);

/// The bytes that a view's elements reach, from the lowest to the highest and all between them: the least buffer that
/// holds it. Empty where it has no elements, nothing where it leaves the address space. For a known element, extents
/// ≥ 0 and as many strides as extents.
BARACUDA_API std::optional<ByteRange> reached_bytes(const void* data, Element element, const Dims& shape,
                                                    const Dims& strides);

namespace internal {

/// The fields that the read-only and the writable view share. `Pointer` is const void* or void*.
template <class Pointer>
struct TensorView {
  Pointer data = nullptr;  ///< the element at index 0 of every axis; for packed kinds the byte whose low end it is
  Element element = Element::F32;
  Dims shape;    ///< elements per axis, each ≥ 0
  Dims strides;  ///< elements (S4, U4: nibbles) between neighbours per axis, any sign; ignored where extent ≤ 1
  Device device;
  ByteRange buffer;

  int rank() const { return shape.rank(); }
};

}  // namespace internal

/// A read-only tensor: pointer, element, shape, strides, device and the buffer behind it. Plain copyable data that owns
/// nothing. Rank 0 to 8.
struct TensorRef : internal::TensorView<const void*> {
  TensorRef() = default;
  /// Any layout. `buffer` bounds what may be touched.
  TensorRef(const void* data, Element element, Dims shape, Dims strides, Device device, ByteRange buffer)
      : TensorView{data, element, shape, strides, device, buffer} {}
  /// Row-major without gaps; the buffer is exactly the tensor.
  TensorRef(const void* data, Element element, Dims shape, Device device)
      : TensorRef(data, element, shape, contiguous_strides(shape), device,
                  ByteRange(data, contiguous_bytes(element, shape))) {}
  /// The same from a typed pointer, so that a wrong element is caught by the compiler.
  template <class T>
  static TensorRef of(const T* data, Dims shape, Device device) {
    return {data, ElementOf<T>::value, shape, device};
  }
};

/// A writable tensor. Converts to a TensorRef.
struct TensorMut : internal::TensorView<void*> {
  TensorMut() = default;
  TensorMut(void* data, Element element, Dims shape, Dims strides, Device device, ByteRange buffer)
      : TensorView{data, element, shape, strides, device, buffer} {}
  TensorMut(void* data, Element element, Dims shape, Device device)
      : TensorMut(data, element, shape, contiguous_strides(shape), device,
                  ByteRange(data, contiguous_bytes(element, shape))) {}
  template <class T>
  static TensorMut of(T* data, Dims shape, Device device) {
    return {data, ElementOf<T>::value, shape, device};
  }
  operator TensorRef() const { return {data, element, shape, strides, device, buffer}; }
};

enum class MatrixOrder : std::uint8_t { RowMajor = 0, ColMajor = 1 };

namespace internal {

template <class Pointer>
struct MatrixView {
  Pointer data = nullptr;
  Element element = Element::F32;
  std::int64_t rows = 0;  ///< logical elements, in every layout
  std::int64_t cols = 0;
  std::int64_t ld = 0;  ///< storage slots (packed 4-bit: bytes) from one row (RowMajor) or column to the next
  MatrixOrder order = MatrixOrder::RowMajor;
  Device device;
  ByteRange buffer;
};

template <class Pointer>
struct VectorView {
  Pointer data = nullptr;
  Element element = Element::F32;
  std::int64_t length = 0;
  Device device;
  ByteRange buffer;
};

}  // namespace internal

/// A matrix with one leading dimension. The other axis has stride 1.
struct MatrixRef : internal::MatrixView<const void*> {};
/// A writable matrix. Converts to a MatrixRef.
struct MatrixMut : internal::MatrixView<void*> {
  operator MatrixRef() const { return {{data, element, rows, cols, ld, order, device, buffer}}; }
};

/// A read-only vector with stride 1: a bias, scales, indices.
struct VectorRef : internal::VectorView<const void*> {
  template <class T>
  static VectorRef of(const T* data, std::int64_t length, Device device) {
    return {{data, ElementOf<T>::value, length, device, ByteRange(data, static_cast<std::size_t>(length) * sizeof(T))}};
  }
};
/// A writable vector with stride 1: a scratch row, a status.
struct VectorMut : internal::VectorView<void*> {
  template <class T>
  static VectorMut of(T* data, std::int64_t length, Device device) {
    return {{data, ElementOf<T>::value, length, device, ByteRange(data, static_cast<std::size_t>(length) * sizeof(T))}};
  }
  operator VectorRef() const { return {{data, element, length, device, buffer}}; }
};

}  // namespace baracuda
