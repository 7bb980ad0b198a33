#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "baracuda/core/dims.h"

namespace baracuda {

/// Folds the hash of one field after the other into one number. For maps inside one process; what is stored on disk
/// is keyed by SHA-256.
class Hasher {
 public:
  template <class T>
  Hasher& add(const T& value) {
    if constexpr (requires { visit_fields(value, *this); }) {
      visit_fields(value, *this);
    } else if constexpr (std::is_enum_v<T>) {
      mix(static_cast<std::size_t>(value));
    } else {
      mix(std::hash<T>{}(value));
    }
    return *this;
  }
  Hasher& add(const Dims& dims) {
    mix(static_cast<std::size_t>(dims.rank()));
    for (std::int64_t value : dims) mix(static_cast<std::size_t>(value));
    return *this;
  }
  template <class T>
  Hasher& add(const std::optional<T>& value) {
    mix(value.has_value());
    return value ? add(*value) : *this;
  }

  /// Called by visit_fields: every field counts, its name does not.
  template <class T>
  void operator()(const char*, const T& value) {
    add(value);
  }

  std::size_t value() const { return state_; }

 private:
  // The 64-bit finaliser of MurmurHash3 (Austin Appleby, public domain), applied after each word.
  void mix(std::size_t word) {
    std::uint64_t x = state_ ^ (word + 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
    state_ = x ^ (x >> 33);
  }

  std::uint64_t state_ = 0;
};

template <class T>
std::size_t hash_of(const T& value) {
  return Hasher().add(value).value();
}

}  // namespace baracuda
