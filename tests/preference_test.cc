#include "baracuda/core/preference.h"

#include <gtest/gtest.h>

#include "testing/fields.h"

namespace baracuda {
namespace {

TEST(PlanPreference, DefaultDemandsNothing) {
  const PlanPreference preference;
  EXPECT_EQ(preference.determinism, Determinism::Any);
  EXPECT_FALSE(preference.max_workspace_bytes || preference.force_backend || preference.force_arch ||
               preference.force_cpu_target || preference.autotune);
  EXPECT_TRUE(preference.exclude_backends.empty() && preference.exclude_archs.empty());
}

TEST(PlanPreference, EveryFieldCounts) {
  // A new field does not compile here until it is counted, and then fails until it has a change.
  [[maybe_unused]] const auto [f1, f2, f3, f4, f5, f6, f7, f8] = PlanPreference();
  // Set to zero differs from unset.
  testing::expect_every_field_counts<PlanPreference>(
      {}, {{"determinism", [](PlanPreference& preference) { preference.determinism = Determinism::RunToRun; }},
           {"max_workspace_bytes", [](PlanPreference& preference) { preference.max_workspace_bytes = 0; }},
           {"force_backend", [](PlanPreference& preference) { preference.force_backend = Backend::Bespoke; }},
           {"exclude_backends", [](PlanPreference& preference) { preference.exclude_backends = {Backend::Bespoke}; }},
           {"force_arch", [](PlanPreference& preference) { preference.force_arch = Arch::Cpu; }},
           {"exclude_archs", [](PlanPreference& preference) { preference.exclude_archs = {Arch::Cpu}; }},
           {"force_cpu_target", [](PlanPreference& preference) { preference.force_cpu_target = CpuTarget::Scalar; }},
           {"autotune", [](PlanPreference& preference) { preference.autotune = true; }}});
}

TEST(EnumSet, HoldsWhatItWasGiven) {
  constexpr EnumSet<Arch> set = {Arch::Cpu, Arch::Sm90a};
  static_assert(set.contains(Arch::Cpu) && set.contains(Arch::Sm90a));
  static_assert(!set.contains(Arch::Sm80) && !set.contains(Arch::Sm89));
  static_assert(!set.empty() && EnumSet<Arch>().empty());
  static_assert(set == EnumSet<Arch>{Arch::Sm90a, Arch::Cpu, Arch::Cpu});
  static_assert(set != EnumSet<Arch>{Arch::Cpu} && set.bits() == 0b1001);
}

}  // namespace
}  // namespace baracuda
