#include "baracuda/plan/candidate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace baracuda {
namespace {

constexpr std::string_view kPlan = "TestPlan";

DeviceInfo gpu(int sm, Arch arch) {
  DeviceInfo info;
  info.name = "sm_" + std::to_string(sm);
  info.device = Device::cuda();
  info.arch = arch;
  info.target = CodeTarget::for_cuda(sm, false);
  return info;
}

DeviceInfo cpu(CpuTarget target) {
  DeviceInfo info;
  info.name = "CPU";
  info.target = CodeTarget::for_cpu(target);
  return info;
}

/// "sm80@sm90": as a sku would show the choice, or the error.
std::string choice_text(const PlanPreference& preference, const DeviceInfo& device) {
  const Result<ArchChoice> choice = choose_arch(kPlan, preference, device);
  if (!choice) return choice.error().to_string();
  if (!choice->target_differs) {
    EXPECT_EQ(choice->target, choice->arch == Arch::Cpu ? device.target : native_target(choice->arch));
    return std::string(name_of(choice->arch));
  }
  return std::string(name_of(choice->arch)) + "@" + choice->target.name();
}

const DeviceInfo kSm80 = gpu(80, Arch::Sm80), kSm86 = gpu(86, Arch::Sm80), kSm87 = gpu(87, Arch::Sm80),
                 kSm89 = gpu(89, Arch::Sm89), kSm90 = gpu(90, Arch::Sm90a), kSm100 = gpu(100, Arch::Sm89),
                 kSm120 = gpu(120, Arch::Sm89);

TEST(ChooseArch, TakesTheNewestClassThatLoads) {
  EXPECT_EQ(choice_text({}, kSm80), "sm80");
  EXPECT_EQ(choice_text({}, kSm86), "sm80");
  EXPECT_EQ(choice_text({}, kSm87), "sm80");
  EXPECT_EQ(choice_text({}, kSm89), "sm89");
  EXPECT_EQ(choice_text({}, kSm90), "sm90a");
  // No machine code of ours loads there: the newest text that is not for Hopper alone is compiled for the device.
  EXPECT_EQ(choice_text({}, kSm100), "sm89@sm100");
  EXPECT_EQ(choice_text({}, kSm120), "sm89@sm120");
}

TEST(ChooseArch, AnOlderClassCanBeForced) {
  const PlanPreference sm80{.force_arch = Arch::Sm80}, sm89{.force_arch = Arch::Sm89}, sm90a{.force_arch = Arch::Sm90a};
  EXPECT_EQ(choice_text(sm80, kSm80), "sm80");
  EXPECT_EQ(choice_text(sm80, kSm86), "sm80");
  EXPECT_EQ(choice_text(sm80, kSm89), "sm80");
  EXPECT_EQ(choice_text(sm80, kSm90), "sm80@sm90");
  EXPECT_EQ(choice_text(sm89, kSm90), "sm89@sm90");
  EXPECT_EQ(choice_text(sm80, kSm120), "sm80@sm120");
  EXPECT_EQ(choice_text(sm90a, kSm90), "sm90a");
}

TEST(ChooseArch, AnExcludedClassGivesWayToTheNextOlder) {
  EXPECT_EQ(choice_text({.exclude_archs = {Arch::Sm90a}}, kSm90), "sm89@sm90");
  EXPECT_EQ(choice_text({.exclude_archs = {Arch::Sm90a, Arch::Sm89}}, kSm90), "sm80@sm90");
  EXPECT_EQ(choice_text({.exclude_archs = {Arch::Sm89}}, kSm90), "sm90a");
  EXPECT_EQ(choice_text({.exclude_archs = {Arch::Sm89}}, kSm120), "sm80@sm120");
  EXPECT_EQ(choice_text({.exclude_archs = {Arch::Cpu}}, kSm80), "sm80");
}

TEST(ChooseArch, WhatTheGpuCannotRunIsUnsupported) {
  EXPECT_EQ(choice_text({.force_arch = Arch::Sm89}, kSm86),
            "Unsupported: TestPlan: preference.force_arch is sm89, but sm_86 runs classes up to sm80");
  EXPECT_EQ(choice_text({.force_arch = Arch::Sm90a}, kSm100),
            "Unsupported: TestPlan: preference.force_arch is sm90a, but sm_100 runs classes up to sm89");
  EXPECT_EQ(choice_text({.force_arch = Arch::Cpu}, kSm90),
            "Unsupported: TestPlan: preference.force_arch is cpu, but sm_90 runs classes up to sm90a");
  EXPECT_EQ(choice_text({.force_arch = Arch::Sm80, .exclude_archs = {Arch::Sm80}}, kSm80),
            "Unsupported: TestPlan: preference both forces and excludes the class sm80");
  EXPECT_EQ(choice_text({.exclude_archs = {Arch::Sm80}}, kSm80),
            "Unsupported: TestPlan: preference.exclude_archs leaves no class that sm_80 runs");
  EXPECT_EQ(choice_text({.force_cpu_target = CpuTarget::Avx2}, kSm80),
            "Unsupported: TestPlan: preference.force_cpu_target is avx2, but the device is sm_80");
}

TEST(ChooseArch, OnTheCpuTheBestInstructionSetOrAForcedOne) {
  EXPECT_EQ(choice_text({}, cpu(CpuTarget::Avx512)), "cpu");
  EXPECT_EQ(choice_text({}, cpu(CpuTarget::Scalar)), "cpu");
  EXPECT_EQ(choice_text({.force_cpu_target = CpuTarget::Avx2}, cpu(CpuTarget::Avx2)), "cpu");
  EXPECT_EQ(choice_text({.force_cpu_target = CpuTarget::Avx2}, cpu(CpuTarget::Avx512)), "cpu@avx2");
  EXPECT_EQ(choice_text({.force_cpu_target = CpuTarget::Scalar}, cpu(CpuTarget::Avx512)), "cpu@scalar");
  EXPECT_EQ(choice_text({.force_arch = Arch::Cpu, .exclude_archs = {Arch::Sm80}}, cpu(CpuTarget::Avx2)), "cpu");
  EXPECT_EQ(choice_text({.force_cpu_target = CpuTarget::Avx512}, cpu(CpuTarget::Avx2)),
            "Unsupported: TestPlan: preference.force_cpu_target is avx512, but the device has at most avx2");
  EXPECT_EQ(choice_text({.force_arch = Arch::Sm80}, cpu(CpuTarget::Avx2)),
            "Unsupported: TestPlan: preference.force_arch is sm80, but the device is CPU");
  EXPECT_EQ(choice_text({.exclude_archs = {Arch::Cpu}}, cpu(CpuTarget::Avx2)),
            "Unsupported: TestPlan: preference.exclude_archs has cpu, but the device is CPU");
}

constexpr PrecisionGuarantee kNothing;
constexpr PrecisionGuarantee kEverything{
    .bit_stable_on_same_hardware = true, .deterministic = true, .batch_invariant = true, .matches_cpu = true};

/// Why the candidate is not allowed; empty where it is.
std::string refusal(const CandidateTraits& candidate, Arch arch, const PlanPreference& preference) {
  const Verdict verdict = allowed_by(candidate, arch, preference);
  EXPECT_EQ(verdict.accepted(), verdict.reason().empty());
  return verdict.reason();
}

TEST(AllowedBy, TheClassMustBeThereAndOldEnough) {
  const CandidateTraits on_cpu{Arch::Cpu, Backend::Bespoke, kNothing, 0},
      on_sm89{Arch::Sm89, Backend::Bespoke, kNothing, 0};
  EXPECT_EQ(refusal(on_cpu, Arch::Cpu, {}), "");
  EXPECT_EQ(refusal(on_sm89, Arch::Sm89, {}), "");
  EXPECT_EQ(refusal(on_sm89, Arch::Sm90a, {}), "");
  EXPECT_EQ(refusal(on_sm89, Arch::Sm80, {}), "needs class sm89, have sm80");
  EXPECT_EQ(refusal(on_sm89, Arch::Cpu, {}), "needs CUDA");
  EXPECT_EQ(refusal(on_cpu, Arch::Sm89, {}), "needs the CPU");
}

TEST(AllowedBy, BackendsCanBeForcedAndExcluded) {
  const CandidateTraits bespoke{Arch::Cpu, Backend::Bespoke, kNothing, 0};
  EXPECT_EQ(refusal(bespoke, Arch::Cpu, {.force_backend = Backend::Bespoke}), "");
  EXPECT_EQ(refusal(bespoke, Arch::Cpu, {.exclude_backends = {Backend::Onednn}}), "");
  EXPECT_EQ(refusal(bespoke, Arch::Cpu, {.force_backend = Backend::Onednn}),
            "its backend is bespoke, but the preference forces onednn");
  EXPECT_EQ(refusal(bespoke, Arch::Cpu, {.exclude_backends = {Backend::Cudnn, Backend::Bespoke}}),
            "the preference excludes the backend bespoke");
  EXPECT_EQ(refusal(bespoke, Arch::Cpu, {.force_backend = Backend::Bespoke, .exclude_backends = {Backend::Bespoke}}),
            "the preference excludes the backend bespoke");
}

TEST(AllowedBy, WorkspaceIsCapped) {
  const CandidateTraits needs_100{Arch::Cpu, Backend::Bespoke, kNothing, 100};
  EXPECT_EQ(refusal(needs_100, Arch::Cpu, {}), "");
  EXPECT_EQ(refusal(needs_100, Arch::Cpu, {.max_workspace_bytes = 100}), "");
  EXPECT_EQ(refusal(needs_100, Arch::Cpu, {.max_workspace_bytes = 99}),
            "needs 100 bytes of workspace, but the preference caps it at 99");
  EXPECT_EQ(refusal({Arch::Cpu, Backend::Bespoke, kNothing, 0}, Arch::Cpu, {.max_workspace_bytes = 0}), "");
}

TEST(AllowedBy, EachDeterminismDemandsAllBelowIt) {
  struct Row {
    bool PrecisionGuarantee::*missing;
    Determinism least;  // that notices
    const char* reason;
  };
  for (const Row& row : {
           Row{&PrecisionGuarantee::deterministic, Determinism::RunToRun,
               "its results are not the same bits on every run"},
           {&PrecisionGuarantee::bit_stable_on_same_hardware, Determinism::RunToRun,
            "its results are not the same bits on every run"},
           {&PrecisionGuarantee::batch_invariant, Determinism::BatchInvariant,
            "a row's result depends on the number of rows"},
           {&PrecisionGuarantee::matches_cpu, Determinism::MatchesCpu, "its bits are not the CPU's"},
       }) {
    PrecisionGuarantee guarantee = kEverything;
    guarantee.*row.missing = false;
    for (Determinism asked :
         {Determinism::Any, Determinism::RunToRun, Determinism::BatchInvariant, Determinism::MatchesCpu})
      EXPECT_EQ(refusal({Arch::Cpu, Backend::Bespoke, guarantee, 0}, Arch::Cpu, {.determinism = asked}),
                asked < row.least ? "" : row.reason);
  }
  EXPECT_EQ(refusal({Arch::Cpu, Backend::Bespoke, kEverything, 0}, Arch::Cpu, {.determinism = Determinism::MatchesCpu}),
            "");
}

// --- The walk ---

struct Number {
  int value = 0;
};
Verdict even(const Number& number) {
  return number.value % 2 == 0 ? Verdict::accept() : Verdict::reject("the number is odd");
}
Verdict any(const Number&) { return Verdict::accept(); }

constexpr Candidate<Number> kCandidates[] = {
    {Arch::Sm90a, Backend::Cublas, "wide", "all at once", any},
    {Arch::Sm80, Backend::Bespoke, "pairs", "two by two", even},
    {Arch::Sm80, Backend::Bespoke, "singles", "one by one", any},
    {Arch::Cpu, Backend::Bespoke, "slow", "with a pencil", any},
};

struct Pick {
  Result<std::size_t> index;
  std::vector<CandidateVerdict> verdicts;
};
Pick pick(Number number, Arch arch, const PlanPreference& preference = {}) {
  std::vector<CandidateVerdict> verdicts;
  const auto traits = [](const Candidate<Number>& candidate) {
    return CandidateTraits{candidate.arch, candidate.backend, kEverything, candidate.variant == "pairs" ? 64 : 0};
  };
  auto index = pick_candidate<Number>(kPlan, kCandidates, number, arch, preference, traits, &verdicts);
  return {std::move(index), std::move(verdicts)};
}

TEST(PickCandidate, TheFirstThatAcceptsWins) {
  EXPECT_EQ(pick({2}, Arch::Sm90a).index, Result<std::size_t>(0u));
  EXPECT_EQ(pick({2}, Arch::Sm80).index, Result<std::size_t>(1u));
  EXPECT_EQ(pick({3}, Arch::Sm80).index, Result<std::size_t>(2u));
  EXPECT_EQ(pick({3}, Arch::Cpu).index, Result<std::size_t>(3u));
  EXPECT_EQ(pick({2}, Arch::Sm90a, {.exclude_backends = {Backend::Cublas}}).index, Result<std::size_t>(1u));
  EXPECT_EQ(pick({2}, Arch::Sm80, {.max_workspace_bytes = 0}).index, Result<std::size_t>(2u));
}

TEST(PickCandidate, EveryCandidateHasItsVerdict) {
  const std::vector<CandidateVerdict> verdicts = pick({3}, Arch::Sm89).verdicts;
  ASSERT_EQ(verdicts.size(), 4u);
  const CandidateVerdict expected[] = {{"wide: all at once", false, "needs class sm90a, have sm89"},
                                       {"pairs: two by two", false, "the number is odd"},
                                       {"singles: one by one", true, ""},
                                       {"slow: with a pencil", false, "needs the CPU"}};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(verdicts[i].what, expected[i].what);
    EXPECT_EQ(verdicts[i].accepted, expected[i].accepted);
    EXPECT_EQ(verdicts[i].reason, expected[i].reason);
  }
}

TEST(PickCandidate, WhereAllRefuseTheMessageHasEveryReason) {
  const Pick none = pick({3}, Arch::Sm80, {.force_backend = Backend::Onednn});
  ASSERT_FALSE(none.index);
  EXPECT_EQ(none.index.error(),
            Error::unsupported("TestPlan: no candidate serves this request"
                               "; wide: all at once: needs class sm90a, have sm80"
                               "; pairs: two by two: its backend is bespoke, but the preference forces onednn"
                               "; singles: one by one: its backend is bespoke, but the preference forces onednn"
                               "; slow: with a pencil: needs the CPU"));
}

TEST(Explanation, IsTheChoicePrinted) {
  Explanation explanation;
  explanation.device = DeviceInfo::sm90a();
  explanation.choice.sku = {.op = "halve",
                            .variant = "singles",
                            .arch = Arch::Sm80,
                            .target = CodeTarget::for_cuda(90, false),
                            .guarantee = kEverything};
  explanation.choice.target = CodeTarget::for_cuda(90, false);
  explanation.choice.workspace_bytes = 256;
  explanation.choice.workspace_must_be_zero = true;
  explanation.choice.candidates = {
      {"pairs: two by two", false, "the number is odd"}, {"singles", true, ""}, {"slow", true, ""}};
  explanation.bytes = 4'297'000;
  explanation.ops = 12;
  explanation.seconds = 1e-6;
  EXPECT_EQ(explanation.to_string(),
            "sku        halve/f32/-/-/singles/sm80@sm90/bespoke\n"
            "device     NVIDIA H200\n"
            "code       sm90\n"
            "guarantee  bits moved, nothing computed, bit-stable, deterministic, batch-invariant, matches the CPU\n"
            "workspace  256 bytes, zero before\n"
            "work       4297000 bytes, 12 operations: 1 µs at 4297 GB/s\n"
            "candidates\n"
            "  pairs: two by two: not taken: the number is odd\n"
            "  singles: taken\n"
            "  slow: could serve too, but comes later\n");
}

TEST(CopySeconds, IsZeroWhereTheRateIsUnknown) {
  EXPECT_EQ(explain_copy({}, 100, {}).seconds, 0);
  EXPECT_DOUBLE_EQ(explain_copy({}, 8'594'000'000, DeviceInfo::sm90a()).seconds, 2e-3);
}

TEST(Explain, TakesTheSlowerOfMovingAndComputing) {
  const Explanation computing = explain_compute({}, 4'297'000'000, 4'000'000, 1e9, DeviceInfo::sm90a());
  EXPECT_EQ(computing.bytes, 4'297'000'000);
  EXPECT_EQ(computing.ops, 4'000'000);
  EXPECT_DOUBLE_EQ(computing.seconds, 4e-3);
  EXPECT_DOUBLE_EQ(explain_compute({}, 4'297'000'000, 400'000, 1e9, DeviceInfo::sm90a()).seconds, 1e-3);
  EXPECT_DOUBLE_EQ(explain_compute({}, 4'297'000'000, 400'000, 0, DeviceInfo::sm90a()).seconds, 1e-3);
}

}  // namespace
}  // namespace baracuda
