#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "baracuda/core/dims.h"
#include "baracuda/core/element.h"
#include "baracuda/core/export.h"
#include "baracuda/core/hash.h"
#include "baracuda/core/view.h"
#include "baracuda/plan/plan.h"

namespace baracuda {

/// Quantizes each row of x to 8-bit integers, with a scale, and a zero point where asymmetric, that fit the row's
/// values. The rows run along the last axis; rows are counted over all axes before it, in row-major order.
///
///   symmetric    scale = max|x| / q_max                                          zero_point = 0
///   asymmetric   scale = (max(x, 0) − min(x, 0)) / (q_max − q_min)               with the row's greatest and least x
///                zero_point = clamp(q_min − round(min(x, 0) / scale), q_min, q_max)
///   both         scale = 1 where the quotient is 0
///                q = clamp(round(x / scale) + zero_point, q_min, q_max)
///
/// x             shape                      f32 | f64 | f16 | bf16   any strides, zero and negative ones too
/// q             shape                      s8 | u8                  any strides that name each element once
/// scale         [product of all axes       f32 (f64 for f64)
///               but the last]
/// zero_point    as scale                   i32                      required where asymmetric, else optional
///
/// Rank 1 to 8. Each step is rounded once, in the stated order, in f32 (f64 for f64); division is true division, round
/// goes half to even, subnormals are not flushed. A row with NaN or ±inf gets scale NaN and 0, clamped to q_min …
/// q_max, for every q and for the asymmetric zero point, so that it dequantizes to NaN; it touches no other row. A
/// finite row whose range passes the greatest number of the format has an infinite asymmetric scale. Rows without
/// elements have scale 1. Without rows nothing is launched. Workspace 0. Deterministic, bit-stable, the same bits on
/// CPU and GPU.
///
/// Errors of select: InvalidProblem (rank 0, a negative extent, 2^63 bytes or more, a range that is not within q's
/// element, symmetric: not q_max > 0 and q_min ≤ q_max, asymmetric: not q_min < q_max), Unsupported (rank over 8,
/// elements, a preference that cannot be met), Backend.
/// Errors of run, nothing written: InvalidProblem (a view's device, shape or length, a null pointer, a reach before the
/// buffer, a missing zero_point, a q that overlaps itself, an output that overlaps any other view by the byte ranges
/// that the views reach), Unsupported (a view's element), MisalignedOperand, BufferTooSmall; Unsupported (strides that
/// need a variant which the preference excludes).
/// Source: torch.ao.quantization's dynamic qparams (per row), ONNX DynamicQuantizeLinear (per tensor).
struct DynamicRangeQuantizeDescriptor {
  Element element = Element::F32;  ///< x's
  Dims shape = {};
  Element output_element = Element::I8;  ///< q's: I8 or U8
  bool symmetric = true;
  std::optional<int> q_min = {};  ///< unset: s8 −127 where symmetric, −128 where not; u8 0
  std::optional<int> q_max = {};  ///< unset: s8 127, u8 255

  friend bool operator==(const DynamicRangeQuantizeDescriptor&, const DynamicRangeQuantizeDescriptor&) = default;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, DynamicRangeQuantizeDescriptor>
void visit_fields(Self& descriptor, Visit&& visit) {
  visit("element", descriptor.element);
  visit("shape", descriptor.shape);
  visit("output_element", descriptor.output_element);
  visit("symmetric", descriptor.symmetric);
  visit("q_min", descriptor.q_min);
  visit("q_max", descriptor.q_max);
}

/// The views of one run.
struct DynamicRangeQuantizeArgs {
  TensorRef x;
  TensorMut q;
  VectorMut scale;
  std::optional<VectorMut> zero_point = {};
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, DynamicRangeQuantizeArgs>
void visit_fields(Self& args, Visit&& visit) {
  visit("x", args.x);
  visit("q", args.q);
  visit("scale", args.scale);
  visit("zero_point", args.zero_point);
}

/// Quantizes rows to 8 bits with scales that fit them. See DynamicRangeQuantizeDescriptor.
class BARACUDA_API DynamicRangeQuantizePlan {
 public:
  using Descriptor = DynamicRangeQuantizeDescriptor;
  using Args = DynamicRangeQuantizeArgs;
  static constexpr std::string_view kName = "dynamic_range_quantize";

  static Result<DynamicRangeQuantizePlan> select(const Stream& stream, const Descriptor& descriptor,
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
  /// The kernel for contiguous tensors that are aligned to 16 bytes.
  const KernelSku& sku() const;
  /// The kernel that these args run on.
  Result<KernelSku> sku(const Args& args) const noexcept;
  const PrecisionGuarantee& precision_guarantee() const { return sku().guarantee; }

  Result<void> run(const Stream& stream, const Workspace& workspace, const Args& args) const noexcept;

 private:
  struct BARACUDA_HIDDEN State;
  explicit DynamicRangeQuantizePlan(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace baracuda

template <>
struct std::hash<baracuda::DynamicRangeQuantizeDescriptor> {
  std::size_t operator()(const baracuda::DynamicRangeQuantizeDescriptor& descriptor) const {
    return baracuda::hash_of(descriptor);
  }
};

static_assert(baracuda::Plan<baracuda::DynamicRangeQuantizePlan>);
