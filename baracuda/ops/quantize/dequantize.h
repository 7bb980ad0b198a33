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

/// Integers of 8 or 4 bits to floating point.
///
///   x = f32(q − zero_point) · scale
///
/// q           shape                 i8 | u8 | s4 | u4           any strides, zero and negative ones too
/// scale       as granularity says   f32 (f64 for f64)           stride 1
/// zero_point  as scale              i32 | i8 | u8               stride 1, only with zero_point_element
/// x           shape                 f32 | f64 | f16 | bf16      any strides that name each element once
///
/// The difference is exact and then rounded to f32 (f64 for f64), where it is not exact only past 2^24. The product is
/// rounded in f32 (f64), and once more to an x of f16 or bf16. Scales are taken as they are, NaN and negative ones too.
///
/// Rank 1 to 8. S4 and U4 are packed: strides count nibbles, rows are not padded to bytes, the pointer is nibble 0.
/// Without elements nothing is launched. Workspace 0. Deterministic, bit-stable, the same bits on CPU and GPU, but for
/// a NaN's sign and payload.
///
/// Errors of select: InvalidProblem (rank 0, a negative extent, 2^63 bytes or more, an axis that there is none of, a
/// group_size that does not divide the last axis, axis or group_size where the granularity has none),
/// Unsupported (rank over 8, elements, a preference that cannot be met), Backend.
/// Errors of run, nothing written: InvalidProblem (a view's device, shape or length, a null pointer, a reach before the
/// buffer, a zero_point missing or forbidden, an output that overlaps itself or, by the byte ranges that the views
/// reach, an input), Unsupported (a view's element; strides that need a variant which the preference excludes),
/// MisalignedOperand, BufferTooSmall.
/// Source: torch.dequantize, ONNX DequantizeLinear.
struct BARACUDA_API DequantizeDescriptor {
  Element element = Element::F32;  ///< x's
  Dims shape;
  Element q_element = Element::I8;  ///< I8, U8, S4 or U4
  QuantizationGranularity granularity = QuantizationGranularity::PerTensor;
  int axis = 0;                 ///< PerChannel: 0 … rank − 1; else 0
  std::int64_t group_size = 0;  ///< PerGroup: elements; else 0
  /// I32, or I8 or U8; unset: symmetric, there is no zero_point, it is 0.
  std::optional<Element> zero_point_element = {};

  friend bool operator==(const DequantizeDescriptor&, const DequantizeDescriptor&) = default;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, DequantizeDescriptor>
void visit_fields(Self& descriptor, Visit&& visit) {
  visit("element", descriptor.element);
  visit("shape", descriptor.shape);
  visit("q_element", descriptor.q_element);
  visit("granularity", descriptor.granularity);
  visit("axis", descriptor.axis);
  visit("group_size", descriptor.group_size);
  visit("zero_point_element", descriptor.zero_point_element);
}

/// The views of one run.
struct DequantizeArgs {
  TensorRef q;
  VectorRef scale;
  std::optional<VectorRef> zero_point = {};  ///< present exactly if the descriptor says so
  TensorMut x;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, DequantizeArgs>
void visit_fields(Self& args, Visit&& visit) {
  visit("q", args.q);
  visit("scale", args.scale);
  visit("zero_point", args.zero_point);
  visit("x", args.x);
}

template <>
struct QuantizationPlanTraits<DequantizeDescriptor> {
  using Args = DequantizeArgs;
  static constexpr std::string_view kName = "dequantize";
};

/// Turns quantized integers back into floating point. See DequantizeDescriptor.
using DequantizePlan = QuantizationPlan<DequantizeDescriptor>;

}  // namespace baracuda

template <>
struct std::hash<baracuda::DequantizeDescriptor> {
  std::size_t operator()(const baracuda::DequantizeDescriptor& descriptor) const {
    return baracuda::hash_of(descriptor);
  }
};

static_assert(baracuda::Plan<baracuda::DequantizePlan>);
