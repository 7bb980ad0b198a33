#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <type_traits>

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

/// "any", "run_to_run", "batch_invariant", "matches_cpu"; "invalid" for a value outside the enumeration.
constexpr const char* name_of(Determinism determinism) {
  switch (determinism) {
    case Determinism::Any: return "any";
    case Determinism::RunToRun: return "run_to_run";
    case Determinism::BatchInvariant: return "batch_invariant";
    case Determinism::MatchesCpu: return "matches_cpu";
  }
  return "invalid";
}

/// A set of enumerators, as bits.
template <class E>
class EnumSet {
 public:
  constexpr EnumSet() = default;
  constexpr EnumSet(std::initializer_list<E> values) {
    for (E value : values) bits_ |= bit(value);
  }
  static constexpr EnumSet of_bits(std::uint32_t bits) {
    EnumSet set;
    set.bits_ = bits;
    return set;
  }
  constexpr bool contains(E value) const { return bits_ & bit(value); }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr std::uint32_t bits() const { return bits_; }
  friend constexpr bool operator==(const EnumSet&, const EnumSet&) = default;

 private:
  static constexpr std::uint32_t bit(E value) { return 1u << (static_cast<unsigned>(value) & 31); }
  std::uint32_t bits_ = 0;
};

template <class E, class Visit>
void visit_fields(const EnumSet<E>& set, Visit&& visit) {
  visit("bits", set.bits());
}

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

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, PlanPreference>
void visit_fields(Self& preference, Visit&& visit) {
  visit("determinism", preference.determinism);
  visit("max_workspace_bytes", preference.max_workspace_bytes);
  visit("force_backend", preference.force_backend);
  visit("exclude_backends", preference.exclude_backends);
  visit("force_arch", preference.force_arch);
  visit("exclude_archs", preference.exclude_archs);
  visit("force_cpu_target", preference.force_cpu_target);
  visit("autotune", preference.autotune);
}

}  // namespace baracuda

template <>
struct std::hash<baracuda::PlanPreference> {
  std::size_t operator()(const baracuda::PlanPreference& preference) const { return baracuda::hash_of(preference); }
};
