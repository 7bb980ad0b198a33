#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include "baracuda/baracuda.h"

// What a field that visit_fields lists is in C. That follows from its C++ type alone, so that the functions, which walk
// a struct's bytes, and the header, which tools/bindings prints, cannot differ:
//
//   struct_size            size_t
//   bool                   baracuda_flag
//   integers               int64_t
//   double                 double
//   Dims                   baracuda_dims
//   an enumeration         baracuda_ENUMERATION, an int64_t with the enumerator's value
//   ElementwiseOp          const char*, its name: its numbers move
//   EnumSet                uint64_t, bit i for the enumerator with value i
//   a view                 const DLTensor*, NULL: absent
//   optional but a view    baracuda_flag has_FIELD, then FIELD
//
// Every member takes whole words of 8 bytes. So a struct has no padding at its end in which a later version's member
// could come to lie, and its size tells which members it has.

namespace baracuda::capi {

template <class T>
struct OptionalOf {
  static constexpr bool is_optional = false;
  using Value = T;
};
template <class T>
struct OptionalOf<std::optional<T>> {
  static constexpr bool is_optional = true;
  using Value = T;
};

template <class T>
struct SetOf {
  static constexpr bool is_set = false;
};
template <class E>
struct SetOf<EnumSet<E>> {
  static constexpr bool is_set = true;
  using Enum = E;
};

enum class FieldKind { Flag, Integer, Real, Extents, Enumerator, Name, Set, Tensor, Vector };

/// Of a field of type T or std::optional<T>.
template <class T>
constexpr FieldKind kind_of() {
  using Value = typename OptionalOf<T>::Value;
  if constexpr (std::same_as<Value, bool>)
    return FieldKind::Flag;
  else if constexpr (std::integral<Value>)
    return FieldKind::Integer;
  else if constexpr (std::same_as<Value, double>)
    return FieldKind::Real;
  else if constexpr (std::same_as<Value, Dims>)
    return FieldKind::Extents;
  else if constexpr (std::same_as<Value, ElementwiseOp>)
    return FieldKind::Name;
  else if constexpr (std::is_enum_v<Value>)
    return FieldKind::Enumerator;
  else if constexpr (SetOf<Value>::is_set)
    return FieldKind::Set;
  else if constexpr (std::same_as<Value, TensorRef> || std::same_as<Value, TensorMut>)
    return FieldKind::Tensor;
  else if constexpr (std::same_as<Value, VectorRef> || std::same_as<Value, VectorMut>)
    return FieldKind::Vector;
  else
    static_assert(sizeof(Value) == 0, "a field of this type has no C type yet");
}

constexpr bool is_view(FieldKind kind) { return kind == FieldKind::Tensor || kind == FieldKind::Vector; }

template <class T>
inline constexpr bool kIsOptional = OptionalOf<T>::is_optional;
/// has_FIELD stands before FIELD.
template <class T>
inline constexpr bool kHasFlag = kIsOptional<T> && !is_view(kind_of<T>());
template <class T>
inline constexpr bool kIsWritable =
    std::same_as<typename OptionalOf<T>::Value, TensorMut> || std::same_as<typename OptionalOf<T>::Value, VectorMut>;

inline constexpr std::size_t kWordBytes = 8;

/// Of a member without its flag.
constexpr std::size_t bytes_of(FieldKind kind) {
  return kind == FieldKind::Extents ? (1 + kMaxRank) * kWordBytes : kWordBytes;
}
/// Of a member with its flag.
template <class T>
constexpr std::size_t kFieldBytes = bytes_of(kind_of<T>()) + (kHasFlag<T> ? kWordBytes : 0);

/// sizeof the C struct of a descriptor, a preference or Args.
template <class Struct>
std::size_t struct_bytes() {
  std::size_t bytes = sizeof(std::size_t);
  const Struct fields{};
  visit_fields(fields, [&]<class T>(const char*, const T&) { bytes += kFieldBytes<T>; });
  return bytes;
}

/// The values of an enumeration that have names lie below this.
inline constexpr int kEnumValues = 256;

template <class E>
requires(sizeof(E) == 1) bool is_enumerator(E value) { return std::string_view(name_of(value)) != "invalid"; }

}  // namespace baracuda::capi
