#include "baracuda/ops/quantize/quantization_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "baracuda/core/propagate.h"
#include "baracuda/cpu/parallel_for.h"
#include "baracuda/cuda/launch.h"
#include "baracuda/jit/compile_report.h"
#include "baracuda/jit/load.h"
#include "baracuda/ops/quantize/dequantize.h"
#include "baracuda/ops/quantize/fake_quantize.h"
#include "baracuda/ops/quantize/fake_quantize_backward.h"
#include "baracuda/ops/quantize/quantize.h"
#include "baracuda/ops/quantize/quantize_config.h"
#include "baracuda/ops/quantize/quantize_cpu.h"
#include "baracuda/ops/quantize/quantize_kernels.h"
#include "baracuda/plan/arg_check.h"
#include "baracuda/plan/candidate.h"
#include "baracuda/plan/collapse_axes.h"

namespace baracuda {

std::string_view name_of(QuantizationGranularity granularity) {
  switch (granularity) {
    case QuantizationGranularity::PerTensor: return "per_tensor";
    case QuantizationGranularity::PerChannel: return "per_channel";
    case QuantizationGranularity::PerToken: return "per_token";
    case QuantizationGranularity::PerGroup: return "per_group";
  }
  return "invalid";
}

namespace {

using Granularity = QuantizationGranularity;
using Variant = QuantizeVariant;

// ---- the four plans as one ------------------------------------------------------------------------------------------

/// What a descriptor of any of the plans says.
struct Problem {
  QuantizeOp op;
  std::string_view plan;  ///< "QuantizePlan", for messages
  std::string_view name;  ///< "quantize", for skus and kernels
  Element element, q_element;
  Dims shape;
  Granularity granularity;
  int axis;
  std::int64_t group_size;
  std::optional<Element> zero_point_element;
  std::optional<int> q_min, q_max;
};

/// The plan's op and the name in messages.
template <class Descriptor>
struct PlanOf;
template <>
struct PlanOf<QuantizeDescriptor> {
  static constexpr QuantizeOp kOp = QuantizeOp::Quantize;
  static constexpr std::string_view kPlan = "QuantizePlan";
};
template <>
struct PlanOf<DequantizeDescriptor> {
  static constexpr QuantizeOp kOp = QuantizeOp::Dequantize;
  static constexpr std::string_view kPlan = "DequantizePlan";
};
template <>
struct PlanOf<FakeQuantizeDescriptor> {
  static constexpr QuantizeOp kOp = QuantizeOp::FakeQuantize;
  static constexpr std::string_view kPlan = "FakeQuantizePlan";
};
template <>
struct PlanOf<FakeQuantizeBackwardDescriptor> {
  static constexpr QuantizeOp kOp = QuantizeOp::FakeQuantizeBackward;
  static constexpr std::string_view kPlan = "FakeQuantizeBackwardPlan";
};

template <class Descriptor>
Problem problem_of(const Descriptor& descriptor) {
  Problem problem{PlanOf<Descriptor>::kOp,
                  PlanOf<Descriptor>::kPlan,
                  QuantizationPlan<Descriptor>::kName,
                  descriptor.element,
                  descriptor.q_element,
                  descriptor.shape,
                  descriptor.granularity,
                  descriptor.axis,
                  descriptor.group_size,
                  descriptor.zero_point_element,
                  {},
                  {}};
  if constexpr (requires { descriptor.q_min; }) {
    problem.q_min = descriptor.q_min;
    problem.q_max = descriptor.q_max;
  }
  return problem;
}

/// The views of any of the plans, by role.
struct Operand {
  std::string_view field;
  TensorRef view;
  Element element;
};
struct Operands {
  Operand output, input;
  std::optional<Operand> gradient;
  VectorRef scale;
  std::optional<VectorRef> zero_point;
};

Operands operands_of(const QuantizeDescriptor& descriptor, const QuantizeArgs& args) {
  return {{"q", args.q, descriptor.q_element}, {"x", args.x, descriptor.element}, {}, args.scale, args.zero_point};
}
Operands operands_of(const DequantizeDescriptor& descriptor, const DequantizeArgs& args) {
  return {{"x", args.x, descriptor.element}, {"q", args.q, descriptor.q_element}, {}, args.scale, args.zero_point};
}
Operands operands_of(const FakeQuantizeDescriptor& descriptor, const FakeQuantizeArgs& args) {
  return {{"y", args.y, descriptor.element}, {"x", args.x, descriptor.element}, {}, args.scale, args.zero_point};
}
Operands operands_of(const FakeQuantizeBackwardDescriptor& descriptor, const FakeQuantizeBackwardArgs& args) {
  return {{"dx", args.dx, descriptor.element},
          {"x", args.x, descriptor.element},
          Operand{"dy", args.dy, descriptor.element},
          args.scale,
          args.zero_point};
}

Element output_element(const Problem& problem) {
  return problem.op == QuantizeOp::Quantize ? problem.q_element : problem.element;
}
Element input_element(const Problem& problem) {
  return problem.op == QuantizeOp::Dequantize ? problem.q_element : problem.element;
}
Element scale_element(const Problem& problem) { return problem.element == Element::F64 ? Element::F64 : Element::F32; }

/// What strides of the element count in the kernels: bytes, or nibbles.
std::int64_t stride_unit(Element element) { return std::max(1, element_bytes(element)); }

struct Range {
  int min, max;
};
Range range_of(Element q_element) {
  switch (q_element) {
    case Element::I8: return {-128, 127};
    case Element::U8: return {0, 255};
    case Element::S4: return {-8, 7};
    default: return {0, 15};
  }
}

/// Of a problem that has been validated.
std::int64_t num_elements(const Problem& problem) {
  std::int64_t elements = 0;
  checked_elements(problem.shape, &elements);
  return elements;
}

std::int64_t num_scales(const Problem& problem) {
  const Dims& shape = problem.shape;
  if (problem.granularity == Granularity::PerTensor) return 1;
  if (problem.granularity == Granularity::PerChannel) return shape[problem.axis];
  const int last = shape.rank() - 1;
  Dims scales = shape;
  scales[last] = problem.granularity == Granularity::PerGroup ? shape[last] / problem.group_size : 1;
  std::int64_t count = 0;
  checked_elements(scales, &count);
  return count;
}

// ---- validate -------------------------------------------------------------------------------------------------------

Result<void> validate(const Problem& problem) {
  const auto invalid = [&](std::string message) {
    return Error::invalid_problem(fmt::format("{}: {}", problem.plan, message));
  };
  const auto unsupported = [&](std::string message) {
    return Error::unsupported(fmt::format("{}: {}", problem.plan, message));
  };
  const Element element = problem.element, q_element = problem.q_element;
  if (element != Element::F32 && element != Element::F64 && element != Element::F16 && element != Element::Bf16)
    return unsupported(fmt::format("element is {}, expected f32, f64, f16 or bf16", name_of(element)));
  if (q_element != Element::I8 && q_element != Element::U8 && !is_packed_4bit(q_element))
    return unsupported(fmt::format("q_element is {}, expected i8, u8, s4 or u4", name_of(q_element)));
  if (const auto zero_point = problem.zero_point_element;
      zero_point && zero_point != Element::I32 && zero_point != Element::I8 && zero_point != Element::U8)
    return unsupported(fmt::format("zero_point_element is {}, expected i32, i8 or u8", name_of(*zero_point)));

  const Dims& shape = problem.shape;
  if (shape.rank() == 0) return invalid("shape has rank 0, expected 1 to 8");
  if (shape.rank() > kMaxRank)
    return unsupported(fmt::format("shape has rank {}, expected at most {}", shape.rank(), kMaxRank));
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] < 0) return invalid(fmt::format("shape[{}] is {}, expected at least 0", axis, shape[axis]));
  std::int64_t elements, bytes;
  if (!checked_elements(shape, &elements) || __builtin_mul_overflow(elements, element_bytes(element), &bytes))
    return invalid(fmt::format("shape {} has 2^63 bytes or more", shape.to_string()));

  if (name_of(problem.granularity) == "invalid") return invalid("granularity is none of those that there are");
  const bool per_channel = problem.granularity == Granularity::PerChannel;
  if (per_channel && (problem.axis < 0 || problem.axis >= shape.rank()))
    return invalid(fmt::format("axis is {}, expected 0 to {}", problem.axis, shape.rank() - 1));
  if (!per_channel && problem.axis != 0)
    return invalid(
        fmt::format("axis is {}, but granularity {} has none: expected 0", problem.axis, name_of(problem.granularity)));
  const bool per_group = problem.granularity == Granularity::PerGroup;
  const std::int64_t last = shape[shape.rank() - 1];
  if (per_group && (problem.group_size <= 0 || last % problem.group_size != 0))
    return invalid(fmt::format("group_size is {}, expected a divisor of shape[{}], {}", problem.group_size,
                               shape.rank() - 1, last));
  if (!per_group && problem.group_size != 0)
    return invalid(fmt::format("group_size is {}, but granularity {} has none: expected 0", problem.group_size,
                               name_of(problem.granularity)));
  // An empty tensor can still have more rows than can be counted.
  Dims scales = shape;
  scales[shape.rank() - 1] = 1;
  if (std::int64_t rows;
      problem.granularity != Granularity::PerTensor && !per_channel && !checked_elements(scales, &rows))
    return invalid(fmt::format("shape {} has 2^63 scales or more", shape.to_string()));

  const Range limits = range_of(q_element);
  const int q_min = problem.q_min.value_or(limits.min), q_max = problem.q_max.value_or(limits.max);
  if (q_min < limits.min || q_max > limits.max || q_min > q_max)
    return invalid(fmt::format("q_min is {} and q_max is {}, expected {} ≤ q_min ≤ q_max ≤ {} for {}", q_min, q_max,
                               limits.min, limits.max, name_of(q_element)));
  return {};
}

// ---- the index space ------------------------------------------------------------------------------------------------

/// The operands' offsets in as few axes as describe them.
struct IndexSpace {
  std::array<QuantizeAxis, kMaxQuantizeAxes> axes;
  int num_axes = 0;
  std::array<std::int64_t, kQuantizeOperands> base{};
};

/// The problem must not be empty and every reach proven. `gradient_strides` may be null.
IndexSpace make_index_space(const Problem& problem, const Dims& output_strides, const Dims& input_strides,
                            const Dims* gradient_strides) {
  const Dims& shape = problem.shape;
  const int last = shape.rank() - 1;
  StridedAxis<kQuantizeOperands> axes[kMaxQuantizeAxes];
  int num_axes = 0;
  std::int64_t row_scales = problem.granularity == Granularity::PerGroup ? shape[last] / problem.group_size : 1;
  for (int axis = last; axis >= 0; --axis) {
    StridedAxis<kQuantizeOperands> next;
    next.extent = shape[axis];
    // The strides of an axis of extent 1 are ignored, and may be anything.
    if (next.extent == 1) continue;
    next.strides[kQuantizeOutput] = output_strides[axis] * stride_unit(output_element(problem));
    next.strides[kQuantizeInput] = input_strides[axis] * stride_unit(input_element(problem));
    if (gradient_strides) next.strides[kQuantizeGradient] = (*gradient_strides)[axis] * stride_unit(problem.element);
    if (problem.granularity == Granularity::PerChannel) next.strides[kQuantizeScale] = axis == problem.axis;
    const bool per_row = problem.granularity == Granularity::PerToken || problem.granularity == Granularity::PerGroup;
    if (per_row && axis < last) {
      next.strides[kQuantizeScale] = row_scales;
      row_scales *= next.extent;
    }
    if (problem.granularity == Granularity::PerGroup && axis == last && problem.group_size < next.extent) {
      StridedAxis<kQuantizeOperands> groups = next;
      next.extent = problem.group_size;
      groups.extent /= problem.group_size;
      for (std::int64_t& stride : groups.strides) stride *= problem.group_size;
      groups.strides[kQuantizeScale] = 1;
      if (next.extent > 1) axes[num_axes++] = next;
      next = groups;
    }
    axes[num_axes++] = next;
  }

  IndexSpace space;
  space.num_axes = collapse_axes(axes, num_axes, &space.base);
  if (space.num_axes == 0) {
    axes[0] = {};
    axes[0].strides = {stride_unit(output_element(problem)), stride_unit(input_element(problem)), 0,
                       gradient_strides ? stride_unit(problem.element) : 0};
    space.num_axes = 1;
  }
  for (int k = 0; k < space.num_axes; ++k) {
    space.axes[k].extent = axes[k].extent;
    std::copy(axes[k].strides.begin(), axes[k].strides.end(), space.axes[k].strides);
  }
  return space;
}

/// True where an operand runs through memory without a gap.
bool is_dense(const IndexSpace& space, int operand, std::int64_t unit) {
  for (int k = 0; k < space.num_axes; ++k) {
    if (space.axes[k].strides[operand] != unit) return false;
    unit *= space.axes[k].extent;
  }
  return true;
}

bool is_dense(const IndexSpace& space, const Problem& problem) {
  return is_dense(space, kQuantizeOutput, stride_unit(output_element(problem))) &&
         is_dense(space, kQuantizeInput, stride_unit(input_element(problem))) &&
         (problem.op != QuantizeOp::FakeQuantizeBackward ||
          is_dense(space, kQuantizeGradient, stride_unit(problem.element)));
}

/// The scales of a dense index space, seen from inside: `repeat` elements share one, `count` scales follow each other,
/// and so on from the first again. count = 0 where it is not so.
struct ScalePattern {
  std::int64_t repeat = 1, count = 1;
};
ScalePattern scale_pattern(const IndexSpace& space) {
  ScalePattern pattern;
  int k = 0;
  if (space.axes[k].strides[kQuantizeScale] == 0) pattern.repeat = space.axes[k++].extent;
  if (k < space.num_axes && space.axes[k].strides[kQuantizeScale] == 1) pattern.count = space.axes[k++].extent;
  if (k < space.num_axes && space.axes[k].strides[kQuantizeScale] == 0) ++k;
  if (k < space.num_axes) pattern.count = 0;
  return pattern;
}

int vector_elems(const Problem& problem) { return 16 / element_bytes(problem.element); }

/// Whether a variant of the GPU's can walk the space, if the operands are aligned.
bool serves(Variant variant, const IndexSpace& space, const Problem& problem) {
  if (variant == Variant::Generic) return true;
  if (!is_dense(space, problem)) return false;
  const ScalePattern pattern = scale_pattern(space);
  const int vector = vector_elems(problem);
  if (variant == Variant::Columns) return pattern.repeat == 1 && pattern.count > 1 && pattern.count % vector == 0;
  return pattern.count == 1 || (pattern.count > 1 && pattern.repeat % vector == 0);
}

// ---- candidates -----------------------------------------------------------------------------------------------------

constexpr int kNumVariants = 3;

struct VariantName {
  std::string_view enumerator, stem;
};
constexpr VariantName kVariantNames[kNumVariants] = {
    {"Contiguous", "contiguous"}, {"Columns", "columns"}, {"Generic", "generic"}};
constexpr const VariantName& name_of(Variant variant) { return kVariantNames[static_cast<int>(variant)]; }

/// The first variant that serves.
Variant find_variant(const IndexSpace& space, const Problem& problem) {
  for (Variant variant : {Variant::Contiguous, Variant::Columns})
    if (serves(variant, space, problem)) return variant;
  return Variant::Generic;
}

/// What the variant says to contiguous, aligned tensors; strides are looked at again in `run`.
template <Variant kVariant>
Verdict accepts(const Problem& problem) {
  const Dims strides = contiguous_strides(problem.shape);
  const Variant variant = num_elements(problem) == 0
                              ? Variant::Contiguous
                              : find_variant(make_index_space(problem, strides, strides, &strides), problem);
  if (variant == kVariant) return Verdict::accept();
  const int vector = vector_elems(problem);
  if (kVariant == Variant::Contiguous)
    return Verdict::reject(fmt::format("the elements that share a scale are not whole vectors of {}", vector));
  if (kVariant == Variant::Columns)
    return Verdict::reject(fmt::format("the last axis is not one of scales, a multiple of {} long", vector));
  return Verdict::reject(fmt::format("contiguous tensors are whole vectors of {}", vector));
}

Verdict accepts_any(const Problem&) { return Verdict::accept(); }

using QuantizeCandidate = Candidate<Problem>;

// In the order of the enumerators, which index it.
constexpr QuantizeCandidate kCudaCandidates[kNumVariants] = {
    {Arch::Sm80, Backend::Bespoke, "contiguous", "16-byte vectors with one scale each", accepts<Variant::Contiguous>},
    {Arch::Sm80, Backend::Bespoke, "columns", "16-byte vectors with a scale per element", accepts<Variant::Columns>},
    {Arch::Sm80, Backend::Bespoke, "generic", "elements one by one, any strides", accepts<Variant::Generic>},
};
constexpr QuantizeCandidate kCpuCandidates[] = {
    {Arch::Cpu, Backend::Bespoke, "generic", "SIMD along the innermost axis, any strides", accepts_any},
};

std::span<const QuantizeCandidate> candidates_for(const DeviceInfo& device) {
  if (device.arch == Arch::Cpu) return kCpuCandidates;
  return kCudaCandidates;
}

PrecisionGuarantee guarantee_of(const Problem& problem) {
  return {.math = problem.element == Element::F64 ? MathPrecision::F64 : MathPrecision::F32,
          .bit_stable_on_same_hardware = true,
          .deterministic = true,
          .batch_invariant = true,
          .matches_cpu = true};
}

/// The outcome of `choose`, and what `run` may need besides: strides can ask for any variant.
struct Selection {
  PlanChoice choice;
  ArchChoice arch;
  std::array<KernelSku, kNumVariants> skus;
};

Result<Selection> select_variants(const Problem& problem, const PlanPreference& preference, const DeviceInfo& device) {
  BARACUDA_RETURN_IF_ERROR(validate(problem));
  Selection selection;
  BARACUDA_ASSIGN_OR_RETURN(selection.arch, choose_arch(problem.plan, preference, device));
  const PrecisionGuarantee guarantee = guarantee_of(problem);
  const auto traits_of = [&](const QuantizeCandidate& each) {
    return CandidateTraits{each.arch, each.backend, guarantee, 0};
  };
  const auto candidates = candidates_for(device);
  BARACUDA_ASSIGN_OR_RETURN(const std::size_t picked,
                            pick_candidate(problem.plan, candidates, problem, selection.arch.arch, preference,
                                           traits_of, &selection.choice.candidates));
  const std::size_t first = kNumVariants - candidates.size();  // the CPU has the last alone
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    KernelSku& sku = selection.skus[first + i];
    sku = make_sku(Category::Quantization, problem.name, input_element(problem), candidates[i], selection.arch,
                   guarantee);
    if (input_element(problem) != output_element(problem)) sku.output_element = output_element(problem);
  }
  selection.choice.sku = selection.skus[first + picked];
  selection.choice.target = selection.arch.target;
  return selection;
}

/// Bytes read and written.
template <class Descriptor>
std::int64_t moved_bytes(const Descriptor& descriptor) {
  const Problem problem = problem_of(descriptor);
  if (num_elements(problem) == 0) return 0;
  MovedBytes bytes;
  bytes.add(output_element(problem), problem.shape);
  bytes.add(input_element(problem), problem.shape);
  if (problem.op == QuantizeOp::FakeQuantizeBackward) bytes.add(problem.element, problem.shape);
  bytes.add(scale_element(problem), {num_scales(problem)});
  if (problem.zero_point_element) bytes.add(*problem.zero_point_element, {num_scales(problem)});
  return bytes.sum();
}

// ---- kernels --------------------------------------------------------------------------------------------------------

int q_bits(const Problem& problem) {
  const bool has_q = problem.op == QuantizeOp::Quantize || problem.op == QuantizeOp::Dequantize;
  return has_q && is_packed_4bit(problem.q_element) ? 4 : 8;
}

QuantizeConfig make_config(const Problem& problem, Variant variant) {
  const bool wide = num_elements(problem) > std::numeric_limits<std::int32_t>::max();
  return {.op = problem.op,
          .element = problem.element,
          .q_bits = q_bits(problem),
          .variant = variant,
          .wide_index = wide && variant != Variant::Columns};
}

/// The kernels that some strides of the problem run on; none on the CPU.
std::vector<Variant> kernel_variants(const Problem& problem, const Selection& selection) {
  std::vector<Variant> variants;
  if (selection.arch.arch == Arch::Cpu || num_elements(problem) == 0) return variants;
  for (Variant variant : {Variant::Contiguous, Variant::Columns, Variant::Generic})
    if (variant != Variant::Columns || num_scales(problem) > 1) variants.push_back(variant);
  return variants;
}

}  // namespace

jit::KernelSpec quantize_kernel(const QuantizeConfig& config, const CodeTarget& target) {
  const auto [op, element, q_bits, variant, wide_index] = config;
  struct Name {
    std::string_view op, enumerator;
  };
  constexpr Name kOps[] = {{"quantize", "Quantize"},
                           {"dequantize", "Dequantize"},
                           {"fake_quantize", "FakeQuantize"},
                           {"fake_quantize_backward", "FakeQuantizeBackward"}};
  const Name name = kOps[static_cast<int>(op)];
  const std::string_view element_enumerator = element == Element::F16    ? "F16"
                                              : element == Element::Bf16 ? "Bf16"
                                              : element == Element::F32  ? "F32"
                                                                         : "F64";
  return {
      .name = fmt::format("{}.{}.{}_bit.{}{}", name.op, name_of(element), q_bits, name_of(variant).stem,
                          wide_index ? ".wide" : ""),
      .text = fmt::format(R"(#include "baracuda/ops/quantize/quantize.cuh"
using namespace baracuda;
constexpr QuantizeConfig kConfig{{.op = QuantizeOp::{}, .element = Element::{}, .q_bits = {}, .variant = QuantizeVariant::{}, .wide_index = {}}};
extern "C" __global__ __launch_bounds__(kConfig.num_threads(), 1)
void baracuda_kernel(const __grid_constant__ QuantizeParams params) {{ quantize<kConfig>(params); }}
)",
                          name.enumerator, element_enumerator, q_bits, name_of(variant).enumerator, wide_index),
      .target = target,
  };
}

namespace {

template <class Descriptor>
Result<std::vector<jit::KernelSpec>> kernels_of(const Descriptor& descriptor, const PlanPreference& preference,
                                                const DeviceInfo& device) {
  const Problem problem = problem_of(descriptor);
  BARACUDA_ASSIGN_OR_RETURN(const Selection selection, select_variants(problem, preference, device));
  std::vector<jit::KernelSpec> kernels;
  for (Variant variant : kernel_variants(problem, selection))
    kernels.push_back(quantize_kernel(make_config(problem, variant), selection.arch.target));
  return kernels;
}

}  // namespace

Result<std::vector<jit::KernelSpec>> plan_kernels(const QuantizeDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device) {
  return kernels_of(descriptor, preference, device);
}
Result<std::vector<jit::KernelSpec>> plan_kernels(const DequantizeDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device) {
  return kernels_of(descriptor, preference, device);
}
Result<std::vector<jit::KernelSpec>> plan_kernels(const FakeQuantizeDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device) {
  return kernels_of(descriptor, preference, device);
}
Result<std::vector<jit::KernelSpec>> plan_kernels(const FakeQuantizeBackwardDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device) {
  return kernels_of(descriptor, preference, device);
}

// ---- the plan -------------------------------------------------------------------------------------------------------

namespace {

/// What the driver and the compiler say, in the plan's name.
template <class Descriptor>
Error named(Error error) {
  return in_plan(PlanOf<Descriptor>::kPlan, std::move(error));
}

Result<void> check(const Problem& problem, Device device, const Operands& operands) {
  const ArgChecker checker(problem.plan, device);
  const auto tensor = [&](const Operand& operand) {
    return checker.tensor(operand.field, operand.view, operand.element, problem.shape);
  };
  BARACUDA_ASSIGN_OR_RETURN(const Reach output, tensor(operands.output));
  BARACUDA_ASSIGN_OR_RETURN(const Reach input, tensor(operands.input));
  BARACUDA_RETURN_IF_ERROR(checker.injective(operands.output.field, operands.output.view));
  const NamedReach written{operands.output.field, output};
  BARACUDA_RETURN_IF_ERROR(checker.disjoint(written, {operands.input.field, input}));
  if (operands.gradient) {
    BARACUDA_ASSIGN_OR_RETURN(const Reach gradient, tensor(*operands.gradient));
    BARACUDA_RETURN_IF_ERROR(checker.disjoint(written, {operands.gradient->field, gradient}));
  }
  BARACUDA_ASSIGN_OR_RETURN(const Reach scale,
                            checker.vector("scale", operands.scale, scale_element(problem), num_scales(problem)));
  BARACUDA_RETURN_IF_ERROR(checker.disjoint(written, {"scale", scale}));
  if (operands.zero_point.has_value() != problem.zero_point_element.has_value())
    return Error::invalid_problem(fmt::format("{}: zero_point is {}", problem.plan,
                                              operands.zero_point
                                                  ? "given, but the descriptor has no zero_point_element"
                                                  : "missing, but the descriptor has a "
                                                    "zero_point_element"));
  if (!operands.zero_point) return {};
  BARACUDA_ASSIGN_OR_RETURN(const Reach zero_point, checker.vector("zero_point", *operands.zero_point,
                                                                   *problem.zero_point_element, num_scales(problem)));
  return checker.disjoint(written, {"zero_point", zero_point});
}

QuantizeParams make_params(const Problem& problem, const Operands& operands) {
  const IndexSpace space = make_index_space(problem, operands.output.view.strides, operands.input.view.strides,
                                            operands.gradient ? &operands.gradient->view.strides : nullptr);
  QuantizeParams params{};
  params.output = static_cast<char*>(const_cast<void*>(operands.output.view.data));
  params.input = static_cast<const char*>(operands.input.view.data);
  if (is_packed_4bit(operands.output.element)) {
    params.output_nibble = space.base[kQuantizeOutput];
  } else {
    params.output += space.base[kQuantizeOutput];
  }
  if (is_packed_4bit(operands.input.element)) {
    params.input_nibble = space.base[kQuantizeInput];
  } else {
    params.input += space.base[kQuantizeInput];
  }
  if (operands.gradient)
    params.gradient = static_cast<const char*>(operands.gradient->view.data) + space.base[kQuantizeGradient];
  // A flip moves the scales' corner too.
  params.scale = static_cast<const char*>(operands.scale.data) +
                 space.base[kQuantizeScale] * element_bytes(scale_element(problem));
  if (operands.zero_point) {
    params.zero_point_element = *problem.zero_point_element;
    params.zero_point = static_cast<const char*>(operands.zero_point->data) +
                        space.base[kQuantizeScale] * element_bytes(params.zero_point_element);
  }
  const Range limits = range_of(problem.q_element);
  params.q_min = problem.q_min.value_or(limits.min);
  params.q_max = problem.q_max.value_or(limits.max);
  params.q_sign = limits.min < 0 ? static_cast<unsigned>(-limits.min) : 0;
  params.num_elems = num_elements(problem);
  params.num_axes = space.num_axes;
  std::copy_n(space.axes.begin(), space.num_axes, params.axes);
  return params;
}

/// Whether the vectors of the space lie on their boundaries. A packed corner that is an odd nibble never does.
bool is_aligned(const QuantizeParams& params, const Problem& problem) {
  const QuantizeConfig config = make_config(problem, Variant::Contiguous);
  const auto bytes = [&](Element element) {
    return static_cast<std::uintptr_t>(element == problem.element ? 16 : config.q_vector_bytes());
  };
  const auto output = reinterpret_cast<std::uintptr_t>(params.output + params.output_nibble / 2);
  const auto input = reinterpret_cast<std::uintptr_t>(params.input + params.input_nibble / 2);
  return params.output_nibble % 2 == 0 && params.input_nibble % 2 == 0 &&
         output % bytes(output_element(problem)) == 0 && input % bytes(input_element(problem)) == 0 &&
         reinterpret_cast<std::uintptr_t>(params.gradient) % 16 == 0;
}

/// The variant for these views.
Variant find_variant(const QuantizeParams& params, const Problem& problem) {
  if (!is_aligned(params, problem)) return Variant::Generic;
  IndexSpace space;
  space.num_axes = params.num_axes;
  std::copy_n(params.axes, params.num_axes, space.axes.begin());
  return find_variant(space, problem);
}

/// Fills what only the GPU needs and returns the number of blocks.
std::uint32_t fill_grid(const QuantizeConfig& config, const Problem& problem, QuantizeParams* params) {
  std::int64_t items = params->num_elems;
  std::int64_t items_per_block = QuantizeConfig::num_threads();
  if (config.variant == Variant::Generic) {
    if (!config.wide_index)
      for (int k = 0; k < params->num_axes; ++k)
        params->divisors[k] = make_fast_divisor(static_cast<unsigned>(params->axes[k].extent));
  } else {
    // Vectors start at the corner.
    params->output += params->output_nibble / 2;
    params->input += params->input_nibble / 2;
    params->output_nibble = params->input_nibble = 0;
    IndexSpace space;
    space.num_axes = params->num_axes;
    std::copy_n(params->axes, params->num_axes, space.axes.begin());
    const ScalePattern pattern = scale_pattern(space);
    params->num_scales = pattern.count;
    const std::int64_t vector = vector_elems(problem);
    if (config.variant == Variant::Contiguous) {
      params->vectors_per_scale = std::max<std::int64_t>(1, pattern.repeat / vector);
      items = params->num_elems / vector;
      items_per_block *= config.unroll();
      if (!config.wide_index) {
        params->vectors_per_scale_divisor = make_fast_divisor(static_cast<unsigned>(params->vectors_per_scale));
        params->num_scales_divisor = make_fast_divisor(static_cast<unsigned>(pattern.count));
      }
    } else {
      params->num_rows = params->num_elems / pattern.count;
      items = (params->num_rows + QuantizeConfig::rows_per_thread() - 1) / QuantizeConfig::rows_per_thread() *
              (pattern.count / vector);
    }
  }
  constexpr std::int64_t kMaxBlocks = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>((items + items_per_block - 1) / items_per_block, 1, kMaxBlocks));
}

}  // namespace

template <class Descriptor>
struct QuantizationPlan<Descriptor>::State {
  Descriptor descriptor;
  Problem problem;
  Device device;
  bool empty = false;
  Selection selection;
  std::array<std::shared_ptr<const cuda::Kernel>, kNumVariants> kernels;
  QuantizeCpuKernel cpu_kernel = nullptr;

  /// What `run` needs of args that have passed every check. variant: none where there is nothing to do.
  struct Prepared {
    std::optional<Variant> variant;
    QuantizeParams params;
  };
  Result<Prepared> prepare(const Args& args) const {
    const Operands operands = operands_of(descriptor, args);
    BARACUDA_RETURN_IF_ERROR(check(problem, device, operands));
    Prepared prepared{};
    if (empty) return prepared;
    prepared.params = make_params(problem, operands);
    prepared.variant = device.is_cpu() ? Variant::Generic : find_variant(prepared.params, problem);
    return prepared;
  }
};

template <class Descriptor>
Result<PlanChoice> QuantizationPlan<Descriptor>::choose(const Descriptor& descriptor, const PlanPreference& preference,
                                                        const DeviceInfo& device) noexcept try {
  return select_variants(problem_of(descriptor), preference, device).transform([](Selection&& selection) {
    return std::move(selection.choice);
  });
} catch (...) {
  return internal::thrown_error(PlanOf<Descriptor>::kPlan);
}

template <class Descriptor>
Result<Explanation> QuantizationPlan<Descriptor>::explain(const Descriptor& descriptor,
                                                          const PlanPreference& preference,
                                                          const DeviceInfo& device) noexcept try {
  return explain_copy<QuantizationPlan>(descriptor, preference, device, moved_bytes<Descriptor>);
} catch (...) {
  return internal::thrown_error(PlanOf<Descriptor>::kPlan);
}

template <class Descriptor>
Result<Explanation> QuantizationPlan<Descriptor>::explain(const Stream& stream, const Descriptor& descriptor,
                                                          const PlanPreference& preference) noexcept try {
  return explain(descriptor, preference, stream.device_info());
} catch (...) {
  return internal::thrown_error(PlanOf<Descriptor>::kPlan);
}

template <class Descriptor>
Result<CompileReport> QuantizationPlan<Descriptor>::compile(const Descriptor& descriptor,
                                                            const PlanPreference& preference,
                                                            const DeviceInfo& device) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(const auto kernels, plan_kernels(descriptor, preference, device));
  return jit::compile_report(kernels).transform_error(named<Descriptor>);
} catch (...) {
  return internal::thrown_error(PlanOf<Descriptor>::kPlan);
}

template <class Descriptor>
Result<QuantizationPlan<Descriptor>> QuantizationPlan<Descriptor>::select(const Stream& stream,
                                                                          const Descriptor& descriptor,
                                                                          const PlanPreference& preference) noexcept
    try {
  auto state = std::make_shared<State>();
  state->descriptor = descriptor;
  state->problem = problem_of(descriptor);
  BARACUDA_ASSIGN_OR_RETURN(state->selection, select_variants(state->problem, preference, stream.device_info()));
  state->device = stream.device();
  state->empty = num_elements(state->problem) == 0;
  const CodeTarget target = state->selection.arch.target;
  if (stream.device().is_cpu()) {
    cpu::prepare_threads();
    state->cpu_kernel = quantize_cpu_kernel(target.cpu);
    return QuantizationPlan(std::move(state));
  }
  for (Variant variant : kernel_variants(state->problem, state->selection)) {
    const jit::KernelSpec kernel = quantize_kernel(make_config(state->problem, variant), target);
    BARACUDA_ASSIGN_OR_RETURN(state->kernels[static_cast<int>(variant)],
                              jit::load_kernel(kernel, stream).transform_error(named<Descriptor>));
  }
  return QuantizationPlan(std::move(state));
} catch (...) {
  return internal::thrown_error(PlanOf<Descriptor>::kPlan);
}

template <class Descriptor>
Result<void> QuantizationPlan<Descriptor>::can_implement(const Args& args) const noexcept try {
  return state_->prepare(args).transform([](auto&&) {});
} catch (...) {
  return internal::thrown_error(PlanOf<Descriptor>::kPlan);
}

template <class Descriptor>
const Descriptor& QuantizationPlan<Descriptor>::descriptor() const {
  return state_->descriptor;
}

template <class Descriptor>
const KernelSku& QuantizationPlan<Descriptor>::sku() const {
  return state_->selection.choice.sku;
}

template <class Descriptor>
Result<KernelSku> QuantizationPlan<Descriptor>::sku(const Args& args) const noexcept try {
  return state_->prepare(args).transform([&](auto&& prepared) {
    return prepared.variant ? state_->selection.skus[static_cast<int>(*prepared.variant)] : sku();
  });
} catch (...) {
  return internal::thrown_error(PlanOf<Descriptor>::kPlan);
}

template <class Descriptor>
Result<void> QuantizationPlan<Descriptor>::run(const Stream& stream, const Workspace&, const Args& args) const noexcept
    try {
  const State& state = *state_;
  const Problem& problem = state.problem;
  BARACUDA_RETURN_IF_ERROR(ArgChecker(problem.plan, state.device).stream(stream.device()));
  BARACUDA_ASSIGN_OR_RETURN(auto prepared, state.prepare(args));
  if (!prepared.variant) return {};
  QuantizeParams& params = prepared.params;
  if (state.cpu_kernel) {
    state.cpu_kernel(params, problem.op, problem.element, q_bits(problem), stream.num_threads());
    return {};
  }
  const std::uint32_t blocks = fill_grid(make_config(problem, *prepared.variant), problem, &params);
  const cuda::LaunchShape shape{.grid = {blocks}, .block = {static_cast<std::uint32_t>(QuantizeConfig::num_threads())}};
  return cuda::launch(*state.kernels[static_cast<int>(*prepared.variant)], stream, shape, &params)
      .transform_error(named<Descriptor>);
} catch (...) {
  return internal::thrown_error(PlanOf<Descriptor>::kPlan);
}

template class QuantizationPlan<QuantizeDescriptor>;
template class QuantizationPlan<DequantizeDescriptor>;
template class QuantizationPlan<FakeQuantizeDescriptor>;
template class QuantizationPlan<FakeQuantizeBackwardDescriptor>;

}  // namespace baracuda
