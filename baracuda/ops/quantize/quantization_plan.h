#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "baracuda/core/export.h"
#include "baracuda/core/view.h"
#include "baracuda/plan/plan.h"

namespace baracuda {

/// Which elements share a scale and a zero point. Scales are one vector, in row-major order:
///
///   PerTensor    [1]                           all elements
///   PerChannel   [shape[axis]]                 those at one index of `axis`
///   PerToken     [product of shape[:-1]]       a row: those that differ in the last index alone
///   PerGroup     [that · shape[-1]/group_size] group_size neighbours along the last axis, which group_size divides
enum class QuantizationGranularity : std::uint8_t { PerTensor = 0, PerChannel = 1, PerToken = 2, PerGroup = 3 };

inline constexpr QuantizationGranularity kQuantizationGranularities[] = {
    QuantizationGranularity::PerTensor, QuantizationGranularity::PerChannel, QuantizationGranularity::PerToken,
    QuantizationGranularity::PerGroup};

/// "per_tensor", "per_channel", "per_token", "per_group".
BARACUDA_API std::string_view name_of(QuantizationGranularity granularity);

/// What is a plan's own, by its descriptor: Args and kName.
template <class Descriptor>
struct QuantizationPlanTraits;

/// A plan of this family: QuantizePlan, DequantizePlan, FakeQuantizePlan, FakeQuantizeBackwardPlan. See the
/// descriptors.
template <class DescriptorOfPlan>
class BARACUDA_API QuantizationPlan {
 public:
  using Descriptor = DescriptorOfPlan;
  using Args = typename QuantizationPlanTraits<Descriptor>::Args;
  static constexpr std::string_view kName = QuantizationPlanTraits<Descriptor>::kName;

  static Result<QuantizationPlan> select(const Stream& stream, const Descriptor& descriptor,
                                         const PlanPreference& preference = {}) noexcept;
  static Result<PlanChoice> choose(const Descriptor& descriptor, const PlanPreference& preference,
                                   const DeviceInfo& device) noexcept;
  static Result<Explanation> explain(const Descriptor& descriptor, const PlanPreference& preference,
                                     const DeviceInfo& device) noexcept;
  static Result<Explanation> explain(const Stream& stream, const Descriptor& descriptor,
                                     const PlanPreference& preference = {}) noexcept;
  /// Compiles the kernels for `device`, which need not be present.
  static Result<CompileReport> compile(const Descriptor& descriptor, const PlanPreference& preference,
                                       const DeviceInfo& device) noexcept;

  const Descriptor& descriptor() const;
  Result<void> can_implement(const Args& args) const noexcept;
  std::int64_t workspace_size() const { return 0; }
  bool workspace_must_be_zero() const { return false; }
  /// The kernel for contiguous tensors on 16-byte boundaries.
  const KernelSku& sku() const;
  /// The kernel that these args run on.
  Result<KernelSku> sku(const Args& args) const noexcept;
  const PrecisionGuarantee& precision_guarantee() const { return sku().guarantee; }

  Result<void> run(const Stream& stream, const Workspace& workspace, const Args& args) const noexcept;

 private:
  struct BARACUDA_HIDDEN State;
  BARACUDA_HIDDEN explicit QuantizationPlan(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace baracuda
