#pragma once

#include <concepts>
#include <functional>
#include <optional>
#include <string_view>
#include <type_traits>

#include "baracuda/core/dims.h"
#include "baracuda/core/element.h"
#include "baracuda/core/export.h"
#include "baracuda/core/hash.h"
#include "baracuda/ops/quantize/quantization_plan.h"

namespace baracuda {

/// Floating point to integers of 8 or 4 bits, with scales that are given.
///
///   q = clamp(round_half_even(x / scale) + zero_point, q_min, q_max)
///
/// x           shape                 f32 | f64 | f16 | bf16      any strides, zero and negative ones too
/// scale       as granularity says   f32 (f64 for f64)           stride 1
/// zero_point  as scale              i32 | i8 | u8               stride 1, only with zero_point_element
/// q           shape                 i8 | u8 | s4 | u4           any strides that name each element once
///
/// x / scale is a true division, rounded once in f32 (f64 for f64); the sum is exact, whatever the zero point. NaN is
/// quantized as 0 is, to the zero point, clamped into the range; so is all that has a scale which is not positive and
/// finite.
///
/// Rank 1 to 8. S4 and U4 are packed: strides count nibbles, rows are not padded to bytes, the pointer is nibble 0, and
/// a byte that q only half covers keeps its other half.
/// Without elements nothing is launched. Workspace 0. Deterministic, bit-stable, the same bits on CPU and GPU, but for
/// a NaN's sign and payload.
///
/// Errors of select: InvalidProblem (rank 0, a negative extent, 2^63 bytes or more, an axis that there is none of, a
/// group_size that does not divide the last axis, axis or group_size where the granularity has none, a range that
/// is not q_min ≤ q_max within q_element),
/// Unsupported (rank over 8, elements, a preference that cannot be met), Backend.
/// Errors of run, nothing written: InvalidProblem (a view's device, shape or length, a null pointer, a reach before the
/// buffer, a zero_point missing or forbidden, an output that overlaps itself or, by the byte ranges that the views
/// reach, an input), Unsupported (a view's element; strides that need a variant which the preference excludes),
/// MisalignedOperand, BufferTooSmall.
/// Source: torch.quantize_per_tensor, torch.quantize_per_channel, ONNX QuantizeLinear (which has no rule for NaN).
struct BARACUDA_API QuantizeDescriptor {
  Element element = Element::F32;  ///< x's
  Dims shape;
  Element q_element = Element::I8;  ///< I8, U8, S4 or U4
  QuantizationGranularity granularity = QuantizationGranularity::PerTensor;
  int axis = 0;                 ///< PerChannel: 0 … rank − 1; else 0
  std::int64_t group_size = 0;  ///< PerGroup: elements; else 0
  /// I32, or I8 or U8; unset: symmetric, there is no zero_point, it is 0.
  std::optional<Element> zero_point_element = {};
  std::optional<int> q_min = {};  ///< unset: the least value of q_element, −128, 0, −8 or 0
  std::optional<int> q_max = {};  ///< unset: the greatest, 127, 255, 7 or 15

  friend bool operator==(const QuantizeDescriptor&, const QuantizeDescriptor&) = default;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, QuantizeDescriptor>
void visit_fields(Self& descriptor, Visit&& visit) {
  visit("element", descriptor.element);
  visit("shape", descriptor.shape);
  visit("q_element", descriptor.q_element);
  visit("granularity", descriptor.granularity);
  visit("axis", descriptor.axis);
  visit("group_size", descriptor.group_size);
  visit("zero_point_element", descriptor.zero_point_element);
  visit("q_min", descriptor.q_min);
  visit("q_max", descriptor.q_max);
}

/// The views of one run.
struct QuantizeArgs {
  TensorRef x;
  VectorRef scale;
  std::optional<VectorRef> zero_point = {};  ///< present exactly if the descriptor says so
  TensorMut q;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, QuantizeArgs>
void visit_fields(Self& args, Visit&& visit) {
  visit("x", args.x);
  visit("scale", args.scale);
  visit("zero_point", args.zero_point);
  visit("q", args.q);
}

template <>
struct QuantizationPlanTraits<QuantizeDescriptor> {
  using Args = QuantizeArgs;
  static constexpr std::string_view kName = "quantize";
};

/// Quantizes with given scales. See QuantizeDescriptor.
using QuantizePlan = QuantizationPlan<QuantizeDescriptor>;

}  // namespace baracuda

template <>
struct std::hash<baracuda::QuantizeDescriptor> {
  std::size_t operator()(const baracuda::QuantizeDescriptor& descriptor) const { return baracuda::hash_of(descriptor); }
};

static_assert(baracuda::Plan<baracuda::QuantizePlan>);
