#pragma once

#include <cassert>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "baracuda/core/preference.h"
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

/// "…: no candidate serves this: <what>: <reason>; …"
Error no_candidate(std::string_view plan, std::span<const CandidateVerdict> verdicts);

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
  return *picked;
}

/// The time that bytes take at the device's copy rate. Operations are added by plans that compute.
double copy_seconds(std::int64_t bytes, const DeviceInfo& device);

}  // namespace baracuda
