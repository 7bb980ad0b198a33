#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "baracuda/core/preference.h"
#include "baracuda/core/view.h"
#include "baracuda/plan/plan.h"

namespace baracuda {

/// A candidate's answer: yes, or no with a reason that completes "not taken: …".
class Verdict {
 public:
  static Verdict accept() { return Verdict(); }
  static Verdict reject(std::string reason) {
    assert(!reason.empty() && "a candidate says why not");
    Verdict verdict;
    verdict.reason_ = std::move(reason);
    return verdict;
  }
  bool accepted() const { return reason_.empty(); }
  const std::string& reason() const { return reason_; }

 private:
  std::string reason_;
};

/// One way to serve a descriptor. An op lists its candidates in the order of preference; the first that accepts wins.
template <class Descriptor>
struct Candidate {
  Arch arch;  ///< the oldest class that can run it; Cpu for the CPU
  Backend backend;
  std::string_view variant;  ///< the sku's
  std::string_view what;     ///< how it works, in a few words
  Verdict (*accepts)(const Descriptor&);
};

/// The class and the code target that a preference leaves of a device.
struct ArchChoice {
  Arch arch = Arch::Cpu;
  CodeTarget target;
  bool target_differs = false;  ///< the target is not what the class is compiled for by itself: "sm80@sm90"
};

/// Errors: Unsupported where a forced class or instruction set is not the device's, or everything is excluded.
Result<ArchChoice> choose_arch(std::string_view plan, const PlanPreference& preference, const DeviceInfo& device);

/// The parts of a candidate that are the same whatever the descriptor.
struct CandidateTraits {
  Arch arch;
  Backend backend;
  PrecisionGuarantee guarantee;
  std::int64_t workspace_bytes;
};
/// Whether class, backend, determinism and workspace cap allow the candidate.
Verdict allowed_by(const CandidateTraits& candidate, Arch arch, const PlanPreference& preference);

/// What a plan that moves bits and computes nothing promises.
inline constexpr PrecisionGuarantee kBitsMoved{.math = MathPrecision::None,
                                               .bit_stable_on_same_hardware = true,
                                               .deterministic = true,
                                               .batch_invariant = true,
                                               .matches_cpu = true};

/// "…: no candidate serves this request; <what>: <reason>; …"
Error no_candidate(std::string_view plan, std::span<const CandidateVerdict> verdicts);

/// "…: preference.autotune is set and <n> candidates qualify, …"
Error cannot_tune(std::string_view plan, std::int64_t num_accepted);

/// Walks the candidates: verdicts for all, and the index of the first that accepts.
/// `guarantee` and `workspace_bytes` are those of each candidate for this descriptor.
template <class Descriptor, class Traits>
Result<std::size_t> pick_candidate(std::string_view plan, std::span<const Candidate<Descriptor>> candidates,
                                   const Descriptor& descriptor, Arch arch, const PlanPreference& preference,
                                   Traits&& traits_of, std::vector<CandidateVerdict>* verdicts) {
  std::optional<std::size_t> picked;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate<Descriptor>& candidate = candidates[i];
    Verdict verdict = allowed_by(traits_of(candidate), arch, preference);
    if (verdict.accepted()) verdict = candidate.accepts(descriptor);
    verdicts->push_back(
        {std::string(candidate.variant) + ": " + std::string(candidate.what), verdict.accepted(), verdict.reason()});
    if (verdict.accepted() && !picked) picked = i;
  }
  if (!picked) return no_candidate(plan, *verdicts);
  if (preference.autotune) {
    const auto num_accepted =
        std::count_if(verdicts->begin(), verdicts->end(), [](auto& each) { return each.accepted; });
    if (num_accepted > 1) return cannot_tune(plan, num_accepted);
  }
  return *picked;
}

/// The sku of a candidate, without what only some ops have: auxiliary, output and bias elements, layout, epilogue.
template <class Descriptor>
KernelSku make_sku(Category category, std::string_view op, Element element, const Candidate<Descriptor>& candidate,
                   const ArchChoice& arch, const PrecisionGuarantee& guarantee) {
  KernelSku sku;
  sku.category = category;
  sku.op = op;
  sku.element = element;
  sku.variant = candidate.variant;
  sku.arch = arch.arch;
  if (arch.target_differs) sku.target = arch.target;
  sku.backend = candidate.backend;
  sku.guarantee = guarantee;
  return sku;
}

/// The bytes that a plan reads and writes; held at the largest number past 2^63.
class MovedBytes {
 public:
  /// A contiguous operand.
  void add(Element element, const Dims& shape) {
    overflow_ |= __builtin_add_overflow(bytes_, contiguous_bytes(element, shape), &bytes_);
  }
  std::int64_t sum() const {
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    return overflow_ || bytes_ > std::uint64_t{kMost} ? kMost : static_cast<std::int64_t>(bytes_);
  }

 private:
  std::uint64_t bytes_ = 0;
  bool overflow_ = false;
};

/// The choice with the cost of a plan that moves `bytes`, read plus written, and computes nothing.
Explanation explain_copy(PlanChoice choice, std::int64_t bytes, const DeviceInfo& device);

/// P::explain of a plan that moves `moved_bytes(descriptor)`, which is asked for descriptors that `choose` takes.
template <class P>
Result<Explanation> explain_copy(const typename P::Descriptor& descriptor, const PlanPreference& preference,
                                 const DeviceInfo& device, std::int64_t (*moved_bytes)(const typename P::Descriptor&)) {
  return P::choose(descriptor, preference, device).transform([&](PlanChoice&& choice) {
    return explain_copy(std::move(choice), moved_bytes(descriptor), device);
  });
}

/// The choice with the cost of a plan that moves `bytes`, read plus written, and does `ops` operations at
/// `ops_per_second`: the least time is that of the slower of the two.
Explanation explain_compute(PlanChoice choice, std::int64_t bytes, std::int64_t ops, double ops_per_second,
                            const DeviceInfo& device);

/// An error of the driver or the compiler, with the plan's name before its message.
Error in_plan(std::string_view plan, Error error);

}  // namespace baracuda
