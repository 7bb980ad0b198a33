#pragma once

#include <cstring>
#include <limits>
#include <string>

#include "baracuda/capi/c_fields.h"
#include "baracuda/capi/tensor_view.h"

namespace baracuda::capi {

inline constexpr std::size_t kMostStructBytes = 4096;

/// sizeof the C struct when it first came out. No header ever had a shorter one.
template <class Struct>
inline constexpr std::size_t kFirstBytes = 0;
#define FIRST_SIZE(Struct, bytes) \
  template <>                     \
  inline constexpr std::size_t kFirstBytes<Struct> = bytes;
#include "baracuda/capi/first_sizes.def"

/// What struct_size may say.
struct StructSizes {
  std::size_t first;  ///< as the struct first came out
  std::size_t known;  ///< as this library has it
};
template <class Struct>
StructSizes struct_sizes() {
  static_assert(kFirstBytes<Struct> > 0, "a new struct: make bindings writes its size into first_sizes.def");
  return {kFirstBytes<Struct>, struct_bytes<Struct>()};
}

/// Takes the members of a C struct, one after the other in the order of visit_fields, into the fields of a C++ struct,
/// and keeps the first thing that is wrong. A field that the struct is too short for keeps its default.
///
/// Structs are bytes here: members are copied out, whatever their address, and numbers are checked before they become
/// enumerators or bools.
class StructReader {
 public:
  /// `what` is the struct in messages: "descriptor", "args". `device` is the plan's, for views.
  StructReader(std::string_view op, std::string_view what, Device device, const void* c_struct, StructSizes sizes)
      : op_(op), what_(what), device_(device) {
    open(c_struct, sizes);
  }

  template <class T>
  void operator()(const char* name, T& value) {
    if (error_) return;
    if (!enter(kFieldBytes<T>)) {
      if (is_view(kind_of<T>()) && !kIsOptional<T> && !error_) reject_missing(name);
      return;
    }
    if constexpr (is_view(kind_of<T>())) {
      read_view(name, value);
    } else if constexpr (kIsOptional<T>) {
      bool present = false;
      read_flag("has_", name, present);
      if (present)
        read(name, value.emplace());
      else
        place_ += bytes_of(kind_of<T>());
    } else {
      read(name, value);
    }
  }

  Result<void> finish() && { return error_ ? Result<void>(std::move(*error_)) : Result<void>(); }

 private:
  void open(const void* c_struct, StructSizes sizes);
  /// Whether the struct has the next field, of so many bytes.
  bool enter(std::size_t bytes);
  template <class Word>
  Word take() {
    Word word;
    static_assert(sizeof word == kWordBytes);
    std::memcpy(&word, place_, sizeof word);
    place_ += sizeof word;
    return word;
  }

  template <class T>
  void read(const char* name, T& value) {
    if constexpr (kind_of<T>() == FieldKind::Integer) {
      using Limits = std::numeric_limits<T>;
      const auto given = take<std::int64_t>();
      value = static_cast<T>(given);
      if (value != given) [[unlikely]]
        reject(name, given, "a number from " + std::to_string(Limits::min()) + " to " + std::to_string(Limits::max()));
    } else if constexpr (kind_of<T>() == FieldKind::Enumerator) {
      const auto given = take<std::int64_t>();
      value = static_cast<T>(given);
      if (given < 0 || given >= kEnumValues || !is_enumerator(value)) [[unlikely]]
        reject(name, given, "one of " + enumerators<T>());
    } else if constexpr (kind_of<T>() == FieldKind::Set) {
      using E = typename SetOf<T>::Enum;
      const auto given = take<std::uint64_t>();
      std::uint64_t known = 0;
      for (int i = 0; i < 32; ++i) known |= std::uint64_t{is_enumerator(static_cast<E>(i))} << i;
      value = T::of_bits(static_cast<std::uint32_t>(given));
      if (given & ~known) [[unlikely]]
        reject(name, static_cast<std::int64_t>(given), "bits of " + enumerators<E>());
    } else {
      read_one(name, value);
    }
  }
  void read_one(const char* name, bool& value) { read_flag("", name, value); }
  void read_one(const char* name, double& value);
  void read_one(const char* name, Dims& value);
  void read_one(const char* name, ElementwiseOp& value);
  void read_flag(const char* prefix, const char* name, bool& value);

  template <class T>
  void read_view(const char* name, T& value) {
    const auto* tensor = take<const DLTensor*>();
    if (tensor == nullptr) {
      if (!kIsOptional<T>) reject_missing(name);
      return;
    }
    const TensorField field{op_, name, device_};
    auto view = [&] {
      if constexpr (kind_of<T>() == FieldKind::Tensor)
        return tensor_view(field, *tensor);
      else
        return vector_view(field, *tensor);
    }();
    if (view) [[likely]]
      value = *view;
    else
      error_ = std::move(view).error();
  }

  /// "0 contiguous, 1 paged"
  template <class E>
  static std::string enumerators() {
    std::string names;
    for (int i = 0; i < kEnumValues; ++i)
      if (const E value = static_cast<E>(i); is_enumerator(value))
        names.append(names.empty() ? "" : ", ").append(std::to_string(i)).append(" ").append(name_of(value));
    return names;
  }

  void reject(const char* name, std::int64_t given, const std::string& expected);
  void reject_missing(const char* name);

  std::string_view op_, what_;
  Device device_;
  const unsigned char* place_ = nullptr;
  const unsigned char* end_ = nullptr;
  std::optional<Error> error_;
};

/// The C++ struct of a C one. Errors: InvalidProblem (NULL, a struct_size that is no size of this struct, a number or a
/// name that stands for nothing, a required view that is NULL), Unsupported (a member that this library does not know),
/// and those of the views.
template <class Struct>
Result<Struct> read_struct(std::string_view op, std::string_view what, Device device, const void* c_struct) {
  Struct value{};
  StructReader reader(op, what, device, c_struct, struct_sizes<Struct>());
  visit_fields(value, reader);
  if (Result<void> read = std::move(reader).finish(); !read) [[unlikely]]
    return std::move(read).error();
  return value;
}

/// Writes fields as the members of a C struct: the inverse, for defaults. A name is written as NULL: it has none.
class StructWriter {
 public:
  explicit StructWriter(unsigned char* place) : place_(place) {}

  template <class T>
  void operator()(const char*, const T& value) {
    static_assert(!is_view(kind_of<T>()));
    if constexpr (kIsOptional<T>) {
      put(std::int64_t{value.has_value()});
      write(value.value_or(typename OptionalOf<T>::Value{}));
    } else {
      write(value);
    }
  }

 private:
  template <class Word>
  void put(Word word) {
    static_assert(sizeof word == kWordBytes);
    std::memcpy(place_, &word, sizeof word);
    place_ += sizeof word;
  }
  template <class T>
  void write(const T& value) {
    if constexpr (kind_of<T>() == FieldKind::Name)
      put<const char*>(nullptr);
    else if constexpr (kind_of<T>() == FieldKind::Extents)
      write_dims(value);
    else if constexpr (kind_of<T>() == FieldKind::Set)
      put(std::uint64_t{value.bits()});
    else if constexpr (kind_of<T>() == FieldKind::Real)
      put(value);
    else
      put(static_cast<std::int64_t>(value));
  }
  void write_dims(const Dims& dims);

  unsigned char* place_;
};

/// Whether a struct of so many bytes can be one of ours, of whatever version. Errors: InvalidProblem.
Result<void> check_struct(std::string_view op, std::string_view what, const void* c_struct, std::size_t given_bytes,
                          StructSizes sizes);

/// Fills the first `given_bytes` of a C struct with its size and the defaults; members that this library does not know
/// become 0. Errors: those of check_struct.
template <class Struct>
Result<void> write_defaults(std::string_view op, std::string_view what, void* c_struct, std::size_t given_bytes) {
  if (Result<void> checked = check_struct(op, what, c_struct, given_bytes, struct_sizes<Struct>()); !checked)
    return checked;
  unsigned char whole[kMostStructBytes] = {};
  std::memcpy(whole, &given_bytes, sizeof given_bytes);
  StructWriter writer(whole + sizeof given_bytes);
  const Struct defaults{};
  visit_fields(defaults, writer);
  std::memcpy(c_struct, whole, given_bytes);
  return {};
}

}  // namespace baracuda::capi
