#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/buffer.h"
#include "baracuda/core/device.h"
#include "baracuda/core/export.h"
#include "baracuda/core/kernel_report.h"
#include "baracuda/core/preference.h"
#include "baracuda/core/result.h"
#include "baracuda/core/sku.h"
#include "baracuda/core/stream.h"

namespace baracuda {

/// What became of one candidate of a plan.
struct CandidateVerdict {
  std::string what;       ///< the variant and how it works
  bool accepted = false;  ///< it could serve; the first that could is picked
  std::string reason;     ///< why not, empty where accepted
};

/// The outcome of `choose`: which kernel, and what it needs. Pure data, made without driver, compiler or environment.
struct PlanChoice {
  KernelSku sku;
  CodeTarget target;  ///< what the code is compiled for
  std::int64_t workspace_bytes = 0;
  bool workspace_must_be_zero = false;
  std::vector<CandidateVerdict> candidates;  ///< in the order of preference
};

/// `choose`, with what the work costs at the device's ceilings.
struct Explanation {
  DeviceInfo device;
  PlanChoice choice;
  std::int64_t bytes = 0;  ///< read plus written, each operand once
  std::int64_t ops = 0;    ///< arithmetic operations
  double seconds = 0;      ///< the least time those take on the device, launch not counted

  BARACUDA_API std::string to_string() const;
};

/// What every plan of the library is checked against, statically.
///
///   Descriptor ──select(stream, desc, preference)──▶ Plan ──run(stream, workspace, args)──▶ done, in stream order
///
/// A plan is an immutable value, cheap to copy; `run` and the rest are const, may be called from many threads, and
/// throw nothing: what is thrown inside becomes an error (internal::thrown_error).
// clang-format off
template <class P>
concept Plan = std::copyable<P> && std::copyable<typename P::Descriptor> &&
    std::equality_comparable<typename P::Descriptor> && std::copyable<typename P::Args> &&
    requires(const P& plan, const Stream& stream, const typename P::Descriptor& descriptor,
             const PlanPreference& preference, const DeviceInfo& device, const Workspace& workspace,
             const typename P::Args& args) {
  { P::kName } -> std::convertible_to<std::string_view>;
  { P::select(stream, descriptor, preference) } noexcept -> std::same_as<Result<P>>;
  { P::choose(descriptor, preference, device) } noexcept -> std::same_as<Result<PlanChoice>>;
  { P::explain(descriptor, preference, device) } noexcept -> std::same_as<Result<Explanation>>;
  { P::explain(stream, descriptor, preference) } noexcept -> std::same_as<Result<Explanation>>;
  { P::compile(descriptor, preference, device) } noexcept -> std::same_as<Result<CompileReport>>;
  { plan.descriptor() } -> std::same_as<const typename P::Descriptor&>;
  { plan.can_implement(args) } noexcept -> std::same_as<Result<void>>;
  { plan.workspace_size() } -> std::same_as<std::int64_t>;
  { plan.workspace_must_be_zero() } -> std::same_as<bool>;
  { plan.sku() } -> std::same_as<const KernelSku&>;
  { plan.sku(args) } noexcept -> std::same_as<Result<KernelSku>>;
  { plan.precision_guarantee() } -> std::same_as<const PrecisionGuarantee&>;
  { plan.run(stream, workspace, args) } noexcept -> std::same_as<Result<void>>;
  { std::hash<typename P::Descriptor>{}(descriptor) } -> std::same_as<std::size_t>;
};
// clang-format on

}  // namespace baracuda
