#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "baracuda/core/activation.h"
#include "baracuda/core/element.h"
#include "baracuda/core/export.h"
#include "baracuda/core/hash.h"
#include "baracuda/core/view.h"
#include "baracuda/plan/plan.h"

namespace baracuda {

/// y = act(x · Wᵀ + bias) with 8-bit weights, for x that is quantized to 8 bits row by row on the way (W8A8).
///
///   1. per row i:  scale_a[i] = max|x[i]| / q_max, 1 where that is 0
///                  q[i, p]    = clamp(round_half_even(x[i, p] / scale_a[i]), q_min, q_max)
///   2. acc[i, n] = Σ_p q[i, p] · (weight[n, p] − weight_zero_point[n])          in s32, exact; no zero point for s8
///   3. y[i, n]   = act(f32(acc[i, n]) · (scale_a[i] · weight_scale[n]) + bias[n])
///
/// x                   [m, k]       element            row stride ≥ k
/// weight              [c_out, k]   s8 | u8            row stride ≥ k; a row per output channel, as nn.Linear's weight
/// weight_scale        [c_out]      f32 | element
/// weight_zero_point   [c_out]      u8                 exactly with u8 weights
/// bias                [c_out]      f32 | element      exactly where bias_element is set
/// act_q_scratch       [m, k]       s8                 contiguous, any address; holds q after the run
/// act_scale_scratch   [m] or more  f32 (f64 for f64)  holds scale_a after the run
/// y                   [m, c_out]   output_element     row stride ≥ c_out
///
/// Elements: x f32, f16 or bf16 with y any of them; x f64 with y f64. Every step is rounded once, in the stated order,
/// in f32 (all in f64 for f64), and y once more to its element; division is true division, subnormals are not flushed.
/// GELU is the exact erf form, exp and erf are within 2 ulp. A row of x with NaN or ±inf has scale NaN and q clamp(0),
/// so that its outputs are NaN, and touches no other row.
///
/// With k = 0 the scales are 1 and the outputs act(bias), or act(0); with c_out = 0 the rows are still quantized; with
/// m = 0 nothing is launched. Workspace 0. Deterministic, bit-stable, batch-invariant, the same bits on CPU and GPU.
///
/// Errors of select: InvalidProblem (a negative size, 2^63 bytes or more, not q_max > 0, q_min ≤ q_max ≤ 127 and
/// q_min ≥ −128), Unsupported (elements; a k for which acc could pass s32: with the default range over 132104 for s8
/// weights, 66311 for u8; a preference that cannot be met), Backend.
/// Errors of run, nothing written: InvalidProblem (a view's device, shape or length, a null pointer, a missing or
/// forbidden weight_zero_point or bias, a y whose rows overlap, an output or scratch that overlaps any other view),
/// Unsupported (a view's element, an inner stride other than 1, a row stride of x or weight smaller than a row, a
/// negative one, a scratch that is not contiguous),
/// MisalignedOperand, BufferTooSmall (also an act_scale_scratch that is too short).
/// Source: Dettmers et al., LLM.int8(), arXiv:2208.07339 (per-row absmax); Xiao et al., SmoothQuant, arXiv:2211.10438.
struct QuantizedLinearDescriptor {
  std::int64_t m = 0;                           ///< rows of x, such as tokens
  std::int64_t c_out = 0;                       ///< output channels
  std::int64_t k = 0;                           ///< input channels
  Element element = Element::F32;               ///< x's
  std::optional<Element> output_element = {};   ///< y's; unset: x's
  Element weight_element = Element::I8;         ///< I8 or U8
  Element weight_scale_element = Element::F32;  ///< F32 or x's
  std::optional<Element> bias_element = {};     ///< F32 or x's; unset: no bias
  Activation activation = Activation::Identity;
  int q_min = -127;
  int q_max = 127;

  friend bool operator==(const QuantizedLinearDescriptor&, const QuantizedLinearDescriptor&) = default;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, QuantizedLinearDescriptor>
void visit_fields(Self& descriptor, Visit&& visit) {
  visit("m", descriptor.m);
  visit("c_out", descriptor.c_out);
  visit("k", descriptor.k);
  visit("element", descriptor.element);
  visit("output_element", descriptor.output_element);
  visit("weight_element", descriptor.weight_element);
  visit("weight_scale_element", descriptor.weight_scale_element);
  visit("bias_element", descriptor.bias_element);
  visit("activation", descriptor.activation);
  visit("q_min", descriptor.q_min);
  visit("q_max", descriptor.q_max);
}

/// The views of one run.
struct QuantizedLinearArgs {
  TensorRef x;
  TensorRef weight;
  VectorRef weight_scale;
  std::optional<VectorRef> weight_zero_point = {};
  std::optional<VectorRef> bias = {};
  TensorMut y;
  TensorMut act_q_scratch;
  VectorMut act_scale_scratch;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, QuantizedLinearArgs>
void visit_fields(Self& args, Visit&& visit) {
  visit("x", args.x);
  visit("weight", args.weight);
  visit("weight_scale", args.weight_scale);
  visit("weight_zero_point", args.weight_zero_point);
  visit("bias", args.bias);
  visit("y", args.y);
  visit("act_q_scratch", args.act_q_scratch);
  visit("act_scale_scratch", args.act_scale_scratch);
}

/// A linear layer over 8-bit weights and rows that are quantized on the way. See QuantizedLinearDescriptor.
class BARACUDA_API QuantizedLinearPlan {
 public:
  using Descriptor = QuantizedLinearDescriptor;
  using Args = QuantizedLinearArgs;
  static constexpr std::string_view kName = "quantized_linear";

  static Result<QuantizedLinearPlan> select(const Stream& stream, const Descriptor& descriptor,
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
  /// The kernel for views that are contiguous and aligned to 16 bytes.
  const KernelSku& sku() const;
  /// The kernel that these args run on.
  Result<KernelSku> sku(const Args& args) const noexcept;
  const PrecisionGuarantee& precision_guarantee() const { return sku().guarantee; }

  Result<void> run(const Stream& stream, const Workspace& workspace, const Args& args) const noexcept;

 private:
  struct BARACUDA_HIDDEN State;
  explicit QuantizedLinearPlan(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace baracuda

template <>
struct std::hash<baracuda::QuantizedLinearDescriptor> {
  std::size_t operator()(const baracuda::QuantizedLinearDescriptor& descriptor) const {
    return baracuda::hash_of(descriptor);
  }
};

static_assert(baracuda::Plan<baracuda::QuantizedLinearPlan>);
