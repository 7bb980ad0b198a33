#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>

#include "baracuda/core/arch.h"
#include "baracuda/core/hash.h"
#include "baracuda/core/sku.h"

namespace baracuda {

/// How repeatable a caller demands the results to be; each plan's guarantee says what it gives.
enum class Determinism : std::uint8_t {
  Any = 0,
  RunToRun = 1,        ///< the same bits on every run on the same hardware
  BatchInvariant = 2,  ///< also: a row's result does not depend on how many other rows there are
  MatchesCpu = 3,      ///< also: the same bits as the CPU backend
};

/// A set of enumerators, as bits.
template <class E>
class EnumSet {
 public:
  constexpr EnumSet() = default;
  constexpr EnumSet(std::initializer_list<E> values) {
    for (E value : values) bits_ |= bit(value);
  }
  constexpr bool contains(E value) const { return bits_ & bit(value); }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr std::uint32_t bits() const { return bits_; }
  friend constexpr bool operator==(const EnumSet&, const EnumSet&) = default;

 private:
  static constexpr std::uint32_t bit(E value) { return 1u << (static_cast<unsigned>(value) & 31); }
  std::uint32_t bits_ = 0;
};

/// What a caller demands of the choice. What cannot be met is an Unsupported error, never a silent fall-back.
struct PlanPreference {
  Determinism determinism = Determinism::Any;
  std::optional<std::int64_t> max_workspace_bytes = {};  ///< unset: the plan's own default
  std::optional<Backend> force_backend = {};
  EnumSet<Backend> exclude_backends = {};
  std::optional<Arch> force_arch = {};  ///< an older class than the device's runs on it too
  EnumSet<Arch> exclude_archs = {};     ///< the newest class left is taken
  std::optional<CpuTarget> force_cpu_target = {};
  /// Time the candidates that qualify and keep the fastest; a single one is taken untimed. Unsupported by plans that
  /// cannot.
  bool autotune = false;

  friend bool operator==(const PlanPreference&, const PlanPreference&) = default;
};

template <class Visit>
void visit_fields(const PlanPreference& preference, Visit&& visit) {
  visit("determinism", preference.determinism);
  visit("max_workspace_bytes", preference.max_workspace_bytes);
  visit("force_backend", preference.force_backend);
  visit("exclude_backends", preference.exclude_backends.bits());
  visit("force_arch", preference.force_arch);
  visit("exclude_archs", preference.exclude_archs.bits());
  visit("force_cpu_target", preference.force_cpu_target);
  visit("autotune", preference.autotune);
}

}  // namespace baracuda

template <>
struct std::hash<baracuda::PlanPreference> {
  std::size_t operator()(const baracuda::PlanPreference& preference) const { return baracuda::hash_of(preference); }
};
