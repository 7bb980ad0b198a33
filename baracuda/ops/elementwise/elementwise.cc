#include "baracuda/ops/elementwise/elementwise.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "baracuda/core/propagate.h"
#include "baracuda/cpu/parallel_for.h"
#include "baracuda/cuda/launch.h"
#include "baracuda/jit/compile_report.h"
#include "baracuda/jit/load.h"
#include "baracuda/ops/elementwise/elementwise_config.h"
#include "baracuda/ops/elementwise/elementwise_cpu.h"
#include "baracuda/ops/elementwise/elementwise_kernels.h"
#include "baracuda/ops/elementwise/elementwise_table.h"
#include "baracuda/plan/arg_check.h"
#include "baracuda/plan/candidate.h"
#include "baracuda/plan/collapse_axes.h"
#include "baracuda/plan/row_partition.h"

namespace baracuda {
namespace {

using Variant = ElementwiseVariant;

constexpr std::string_view kPlan = "ElementwisePlan";
constexpr int kNumVariants = 3;
constexpr int kMaxInputs = 3;
constexpr std::string_view kInputNames[kMaxInputs] = {"x", "y", "z"};

/// By enumerator: as the kernel's text spells it, and as skus and file names do.
struct VariantName {
  std::string_view enumerator, stem;
};
constexpr VariantName kVariantNames[kNumVariants] = {
    {"Contiguous", "contiguous"}, {"Rows", "rows"}, {"Strided", "strided"}};
constexpr const VariantName& name_of(Variant variant) { return kVariantNames[static_cast<int>(variant)]; }

/// Rows shorter than this, in bytes of the widest operand, are computed element by element: a row kernel would spend
/// its time on partial vectors.
constexpr std::int64_t kMinRowBytes = 64;

// ---- what is asked for ----------------------------------------------------------------------------------------------

/// What the driver and the compiler say, in the plan's name.
Error named(Error error) { return in_plan(kPlan, std::move(error)); }

Error invalid(std::string message) { return Error::invalid_problem(fmt::format("{}: {}", kPlan, message)); }
Error unsupported(std::string message) { return Error::unsupported(fmt::format("{}: {}", kPlan, message)); }

/// A descriptor that has been validated, and what follows from it.
struct Problem {
  const ElementwiseRow* row = nullptr;
  Element output = Element::F32;
  std::int64_t num_elements = 0;

  bool has_condition() const { return row->op == ElementwiseOp::Where; }
};

/// The element of input k.
Element input_element(const Problem& problem, Element element, int k) {
  return k == 0 && problem.has_condition() ? Element::Bool : element;
}

Result<Problem> validate(const ElementwiseDescriptor& descriptor) {
  Problem problem;
  problem.row = find_row(descriptor.op);
  if (!problem.row)
    return unsupported(fmt::format("op is {}, no operator of the table", static_cast<int>(descriptor.op)));
  const ElementwiseRow& row = *problem.row;
  const Element element = descriptor.element;
  if (!row.elements.contains(element))
    return unsupported(
        fmt::format("element is {}, but {} takes {}", name_of(element), row.name, names_of(row.elements)));

  if (row.output == ElementwiseOutput::Chosen) {
    if (!descriptor.output) return invalid(fmt::format("output is absent, but {} needs the element to give", row.name));
    if (!row.elements.contains(*descriptor.output))
      return unsupported(
          fmt::format("output is {}, but {} gives {}", name_of(*descriptor.output), row.name, names_of(row.elements)));
  }
  problem.output = output_element(row, element, descriptor.output.value_or(element));
  if (descriptor.output && *descriptor.output != problem.output)
    return unsupported(fmt::format("output is {}, but {} of {} gives {}; cast it", name_of(*descriptor.output),
                                   row.name, name_of(element), name_of(problem.output)));

  const Dims& shape = descriptor.shape;
  if (shape.rank() > kMaxRank)
    return unsupported(fmt::format("shape has rank {}, expected at most {}", shape.rank(), kMaxRank));
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] < 0) return invalid(fmt::format("shape[{}] is {}, expected at least 0", axis, shape[axis]));
  std::int64_t bytes;
  if (!checked_elements(shape, &problem.num_elements) ||
      __builtin_mul_overflow(problem.num_elements, std::max(element_bytes(element), element_bytes(problem.output)),
                             &bytes))
    return invalid(fmt::format("shape {} has 2^63 bytes or more", shape.to_string()));
  return problem;
}

/// What the work costs when no input is broadcast; held at the largest number past 2^63.
std::int64_t moved_bytes(const ElementwiseDescriptor& descriptor, const Problem& problem) {
  std::int64_t bytes_each = element_bytes(problem.output);
  for (int k = 0; k < problem.row->num_inputs; ++k)
    bytes_each += element_bytes(input_element(problem, descriptor.element, k));
  std::int64_t bytes;
  return __builtin_mul_overflow(problem.num_elements, bytes_each, &bytes) ? std::numeric_limits<std::int64_t>::max()
                                                                          : bytes;
}

// ---- the index space ------------------------------------------------------------------------------------------------

/// The output is operand 0. Strides in bytes.
using Axis = StridedAxis<1 + kMaxInputs>;

/// The index space in as few axes as describe it, at least one.
struct Space {
  std::array<Axis, kMaxRank> axes;
  int num_axes = 0;
  std::array<std::int64_t, 1 + kMaxInputs> offsets{};  // of the base corners from the views' pointers, in bytes
  Variant variant = Variant::Contiguous;
};

struct ElementBytes {
  int output = 0;
  std::array<int, kMaxInputs> inputs{};

  int widest(int num_inputs) const { return std::max(output, *std::max_element(&inputs[0], &inputs[0] + num_inputs)); }
};

/// Whether a vector can be taken along the innermost axis: dense in the output, dense or constant in every input.
bool has_rows(const Space& space, const ElementBytes& bytes, int num_inputs) {
  const Axis& inner = space.axes[0];
  bool rows = inner.strides[0] == bytes.output;
  for (int k = 0; k < num_inputs; ++k) rows &= inner.strides[1 + k] == 0 || inner.strides[1 + k] == bytes.inputs[k];
  return rows;
}

/// `inputs`: views whose shapes broadcast to the output's, which has elements.
Space make_space(const TensorMut& output, const std::array<const TensorRef*, kMaxInputs>& inputs,
                 const ElementBytes& bytes, int num_inputs) {
  Space space;
  const int rank = output.rank();
  for (int axis = 0; axis < rank; ++axis) {
    space.axes[axis].extent = output.shape[axis];
    // Of a single index the stride is never looked at, and may be anything.
    if (output.shape[axis] == 1) continue;
    space.axes[axis].strides[0] = output.strides[axis] * bytes.output;
    for (int k = 0; k < num_inputs; ++k) {
      const int own = axis - (rank - inputs[k]->rank());
      const bool repeats = own < 0 || inputs[k]->shape[own] == 1;
      space.axes[axis].strides[1 + k] = repeats ? 0 : inputs[k]->strides[own] * bytes.inputs[k];
    }
  }
  space.num_axes = collapse_axes(space.axes.data(), rank, &space.offsets);
  if (space.num_axes == 0) {
    space.axes[0] = {1, {bytes.output}};
    space.num_axes = 1;
  }
  if (!has_rows(space, bytes, num_inputs))
    space.variant = Variant::Strided;
  else if (space.num_axes == 1)
    space.variant = Variant::Contiguous;
  else
    space.variant = space.axes[0].extent * bytes.widest(num_inputs) >= kMinRowBytes ? Variant::Rows : Variant::Strided;
  return space;
}

// ---- candidates -----------------------------------------------------------------------------------------------------

/// What the variant says to contiguous tensors, which are one row; strides are looked at again in `run`.
template <Variant kVariant>
Verdict accepts(const ElementwiseDescriptor&) {
  if (kVariant == Variant::Contiguous) return Verdict::accept();
  return Verdict::reject("contiguous tensors are one dense row");
}

using ElementwiseCandidate = Candidate<ElementwiseDescriptor>;

// In the order of the enumerators, which index it.
template <Arch kArch>
constexpr std::array<ElementwiseCandidate, kNumVariants> kCandidates = {{
    {kArch, Backend::Bespoke, name_of(Variant::Contiguous).stem, "one dense row of vectors",
     accepts<Variant::Contiguous>},
    {kArch, Backend::Bespoke, name_of(Variant::Rows).stem, "rows of vectors, dense or repeated",
     accepts<Variant::Rows>},
    {kArch, Backend::Bespoke, name_of(Variant::Strided).stem, "elements one by one, any strides",
     accepts<Variant::Strided>},
}};

PrecisionGuarantee guarantee_of(const Problem& problem, Element element) {
  const Element computed = compute_element(problem.row->op, element);
  PrecisionGuarantee guarantee = kBitsMoved;
  if (problem.has_condition()) return guarantee;
  guarantee.math = computed == Element::F64   ? MathPrecision::F64
                   : computed == Element::F32 ? MathPrecision::F32
                                              : MathPrecision::Integer;
  return guarantee;
}

/// The outcome of `choose`, and what `run` may need besides: strides can ask for any variant.
struct Selection {
  Problem problem;
  PlanChoice choice;
  ArchChoice arch;
  std::array<KernelSku, kNumVariants> skus;
};

Result<Selection> select_variants(const ElementwiseDescriptor& descriptor, const PlanPreference& preference,
                                  const DeviceInfo& device) {
  Selection selection;
  BARACUDA_ASSIGN_OR_RETURN(selection.problem, validate(descriptor));
  BARACUDA_ASSIGN_OR_RETURN(selection.arch, choose_arch(kPlan, preference, device));
  const auto& candidates = device.arch == Arch::Cpu ? kCandidates<Arch::Cpu> : kCandidates<Arch::Sm80>;
  const PrecisionGuarantee guarantee = guarantee_of(selection.problem, descriptor.element);
  const auto traits_of = [&](const ElementwiseCandidate& each) {
    return CandidateTraits{each.arch, each.backend, guarantee, 0};
  };
  BARACUDA_ASSIGN_OR_RETURN(const std::size_t picked,
                            pick_candidate(kPlan, std::span<const ElementwiseCandidate>(candidates), descriptor,
                                           selection.arch.arch, preference, traits_of, &selection.choice.candidates));
  for (int i = 0; i < kNumVariants; ++i) {
    KernelSku& sku = selection.skus[i] = make_sku(Category::Elementwise, selection.problem.row->sku_op,
                                                  descriptor.element, candidates[i], selection.arch, guarantee);
    if (selection.problem.output != descriptor.element) sku.output_element = selection.problem.output;
  }
  selection.choice.sku = selection.skus[picked];
  selection.choice.target = selection.arch.target;
  return selection;
}

// ---- kernels --------------------------------------------------------------------------------------------------------

/// The kernels that some strides of the descriptor run on.
std::vector<ElementwiseConfig> kernel_configs(const ElementwiseDescriptor& descriptor, const Problem& problem) {
  const bool wide = problem.num_elements > std::numeric_limits<std::int32_t>::max();
  std::vector<ElementwiseConfig> configs;
  const auto add = [&](Variant variant, bool wide_index) {
    configs.push_back({descriptor.op, descriptor.element, problem.output, variant, wide_index});
  };
  add(Variant::Contiguous, false);
  if (descriptor.shape.rank() > 1) add(Variant::Rows, wide);
  if (descriptor.shape.rank() > 0) add(Variant::Strided, wide);
  return configs;
}

/// Fills what only the GPU needs and returns the number of blocks.
std::uint32_t fill_grid(const ElementwiseConfig& config, ElementwiseParams* params) {
  std::int64_t items = 1;
  for (int k = config.variant == Variant::Strided ? 0 : 1; k < params->num_axes; ++k) items *= params->axes[k].extent;
  std::int64_t items_per_block = ElementwiseConfig::num_threads();
  if (config.variant == Variant::Strided) {
    items_per_block *= config.unroll();
  } else {
    const std::int64_t vector_bytes = std::int64_t{config.vector_elems()} * element_bytes(config.output);
    auto misaligned = reinterpret_cast<std::uintptr_t>(params->output);
    for (int k = 1; k < params->num_axes; ++k) misaligned |= static_cast<std::uintptr_t>(params->axes[k].output_stride);
    // As partition_rows counts, in vectors of 16 bytes: those of the widest operand.
    const std::int64_t row_bytes = (params->axes[0].extent + config.vector_elems() - 1) / config.vector_elems() * 16;
    // As often as leaves every GPU enough blocks.
    constexpr std::int64_t kManyBlocks = 2048;
    const std::int64_t vectors_per_group = std::int64_t{config.unroll()} * ElementwiseConfig::num_threads() * 16;
    params->num_groups = static_cast<int>(
        std::clamp<std::int64_t>(items * row_bytes / vectors_per_group / kManyBlocks, 1, config.max_groups()));
    const RowPartition partition =
        partition_rows(row_bytes, misaligned % static_cast<std::uintptr_t>(vector_bytes) ? 1 : 0,
                       params->num_groups * config.unroll(), ElementwiseConfig::num_threads());
    params->lanes_log2 = partition.lanes_log2;
    params->chunks_per_row = partition.chunks_per_row;
    if (config.variant == Variant::Rows && !config.wide_index)
      params->chunk_divisor = make_fast_divisor(static_cast<unsigned>(params->chunks_per_row));
    items *= params->chunks_per_row;
    items_per_block >>= params->lanes_log2;
  }
  if (config.variant != Variant::Contiguous && !config.wide_index)
    for (int k = 0; k < params->num_axes; ++k)
      params->divisors[k] = make_fast_divisor(static_cast<unsigned>(params->axes[k].extent));
  params->num_items = items;
  constexpr std::int64_t kMaxBlocks = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::uint32_t>(std::min(kMaxBlocks, (items + items_per_block - 1) / items_per_block));
}

// ---- scalars --------------------------------------------------------------------------------------------------------

template <class T>
T saturated(double value) {
  // The greatest 64-bit integers are no doubles: what rounds up to 2^63 or 2^64 is past them.
  if (value >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  if (value <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  return static_cast<T>(value);
}

template <class T>
unsigned long long bits_of(T value) {
  unsigned long long bits = 0;
  std::memcpy(&bits, &value, sizeof(value));
  return bits;
}

unsigned long long scalar_bits(Element computed, double value) {
  switch (computed) {
    case Element::F32: return bits_of(static_cast<float>(value));
    case Element::F64: return bits_of(value);
    case Element::I8: return bits_of(saturated<std::int8_t>(value));
    case Element::I16: return bits_of(saturated<std::int16_t>(value));
    case Element::I32: return bits_of(saturated<std::int32_t>(value));
    case Element::I64: return bits_of(saturated<std::int64_t>(value));
    case Element::U8: return bits_of(saturated<std::uint8_t>(value));
    case Element::U16: return bits_of(saturated<std::uint16_t>(value));
    case Element::U32: return bits_of(saturated<std::uint32_t>(value));
    case Element::U64: return bits_of(saturated<std::uint64_t>(value));
    default: return bits_of(value != 0);
  }
}

}  // namespace

std::string_view name_of(ElementwiseOp op) {
  const ElementwiseRow* row = find_row(op);
  return row ? row->name : "invalid";
}

jit::KernelSpec elementwise_kernel(const ElementwiseConfig& config, const CodeTarget& target) {
  const auto [op, element, output, variant, wide_index] = config;
  const ElementwiseRow& row = *find_row(op);
  // Elements by number: their enumerators' names are nowhere as text.
  return {
      .name = fmt::format("{}.{}{}.{}{}", row.sku_op, name_of(element),
                          output == element ? "" : fmt::format("_to_{}", name_of(output)), name_of(variant).stem,
                          wide_index ? ".wide" : ""),
      .text = fmt::format(R"(#include "baracuda/ops/elementwise/elementwise.cuh"
using namespace baracuda;
constexpr ElementwiseConfig kConfig{{.op = ElementwiseOp::{}, .element = Element({} /* {} */), .output = Element({} /* {} */), .variant = ElementwiseVariant::{}, .wide_index = {}}};
extern "C" __global__ __launch_bounds__(kConfig.num_threads(), kConfig.min_blocks())
void baracuda_kernel(const __grid_constant__ ElementwiseParams params) {{ elementwise_kernel<kConfig>(params); }}
)",
                          row.enumerator, static_cast<int>(element), name_of(element), static_cast<int>(output),
                          name_of(output), name_of(variant).enumerator, wide_index),
      .target = target,
  };
}

Result<std::vector<jit::KernelSpec>> plan_kernels(const ElementwiseDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device) {
  BARACUDA_ASSIGN_OR_RETURN(const Selection selection, select_variants(descriptor, preference, device));
  std::vector<jit::KernelSpec> kernels;
  if (selection.arch.arch == Arch::Cpu) return kernels;
  for (const ElementwiseConfig& config : kernel_configs(descriptor, selection.problem))
    kernels.push_back(elementwise_kernel(config, selection.arch.target));
  return kernels;
}

// ---- the plan -------------------------------------------------------------------------------------------------------

struct ElementwisePlan::State {
  Descriptor descriptor;
  Device device;
  Selection selection;
  ElementBytes bytes;
  std::array<ElementwiseConfig, kNumVariants> configs{};
  std::array<std::shared_ptr<const cuda::Kernel>, kNumVariants> kernels;
  ElementwiseCpuKernel cpu_kernel;
  std::array<unsigned long long, 2> default_scalars{};

  int num_inputs() const { return selection.problem.row->num_inputs; }
  using Inputs = std::array<const TensorRef*, kMaxInputs>;
  /// The inputs, where exactly those that the operator takes are there.
  Result<Inputs> inputs_of(const Args& args) const;
  Result<void> check(const Args& args, const Inputs& inputs) const;
  bool in_place(const TensorMut& output, const TensorRef& input, int k) const;
  /// The index space of args that have passed every check. Of an empty output: the sku's variant.
  Result<Space> prepare(const Args& args) const;
  ElementwiseParams make_params(const Args& args, const Space& space) const;
};

Result<PlanChoice> ElementwisePlan::choose(const Descriptor& descriptor, const PlanPreference& preference,
                                           const DeviceInfo& device) noexcept try {
  return select_variants(descriptor, preference, device).transform([](Selection&& selection) {
    return std::move(selection.choice);
  });
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<Explanation> ElementwisePlan::explain(const Descriptor& descriptor, const PlanPreference& preference,
                                             const DeviceInfo& device) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(Selection selection, select_variants(descriptor, preference, device));
  const std::int64_t bytes = moved_bytes(descriptor, selection.problem);
  Explanation explanation = explain_copy(std::move(selection.choice), bytes, device);
  if (!selection.problem.has_condition()) explanation.ops = selection.problem.num_elements;
  return explanation;
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<Explanation> ElementwisePlan::explain(const Stream& stream, const Descriptor& descriptor,
                                             const PlanPreference& preference) noexcept try {
  return explain(descriptor, preference, stream.device_info());
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<CompileReport> ElementwisePlan::compile(const Descriptor& descriptor, const PlanPreference& preference,
                                               const DeviceInfo& device) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(const auto kernels, plan_kernels(descriptor, preference, device));
  return jit::compile_report(kernels).transform_error(named);
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<ElementwisePlan> ElementwisePlan::select(const Stream& stream, const Descriptor& descriptor,
                                                const PlanPreference& preference) noexcept try {
  auto state = std::make_shared<State>();
  BARACUDA_ASSIGN_OR_RETURN(state->selection, select_variants(descriptor, preference, stream.device_info()));
  const Problem& problem = state->selection.problem;
  state->descriptor = descriptor;
  state->device = stream.device();
  state->bytes.output = element_bytes(problem.output);
  for (int k = 0; k < problem.row->num_inputs; ++k)
    state->bytes.inputs[k] = element_bytes(input_element(problem, descriptor.element, k));
  const Element computed = compute_element(descriptor.op, descriptor.element);
  for (int i = 0; i < problem.row->num_scalars; ++i)
    state->default_scalars[i] = scalar_bits(computed, problem.row->scalars[i]);

  const CodeTarget target = state->selection.arch.target;
  if (stream.device().is_cpu()) {
    cpu::prepare_threads();
    state->cpu_kernel = elementwise_cpu_kernel(target.cpu, descriptor.op, descriptor.element, problem.output);
    return ElementwisePlan(std::move(state));
  }
  for (const ElementwiseConfig& config : kernel_configs(descriptor, problem)) {
    const int index = static_cast<int>(config.variant);
    state->configs[index] = config;
    BARACUDA_ASSIGN_OR_RETURN(state->kernels[index],
                              jit::load_kernel(elementwise_kernel(config, target), stream).transform_error(named));
  }
  return ElementwisePlan(std::move(state));
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<ElementwisePlan::State::Inputs> ElementwisePlan::State::inputs_of(const Args& args) const {
  const ElementwiseRow& row = *selection.problem.row;
  Inputs inputs = {&args.x, args.y ? &*args.y : nullptr, args.z ? &*args.z : nullptr};
  for (int k = 1; k < kMaxInputs; ++k)
    if ((inputs[k] != nullptr) != (k < row.num_inputs)) [[unlikely]]
      return invalid(fmt::format("{} is {}, but {} takes {} input{}", kInputNames[k], inputs[k] ? "given" : "missing",
                                 row.name, row.num_inputs, row.num_inputs == 1 ? "" : "s"));
  for (int i = row.num_scalars; i < 2; ++i)
    if (args.scalars[i]) [[unlikely]]
      return invalid(fmt::format("scalars[{}] is given, but {} has {} scalar{}", i, row.name, row.num_scalars,
                                 row.num_scalars == 1 ? "" : "s"));
  const Element computed = compute_element(row.op, descriptor.element);
  if (computed != Element::F32 && computed != Element::F64)
    for (int i = 0; i < row.num_scalars; ++i)
      if (args.scalars[i] && *args.scalars[i] != std::trunc(*args.scalars[i])) [[unlikely]]
        return invalid(fmt::format("scalars[{}] is {:g}, expected a whole number to compute with in {}", i,
                                   *args.scalars[i], name_of(descriptor.element)));
  return inputs;
}

/// The very elements of the output, one for one.
bool ElementwisePlan::State::in_place(const TensorMut& output, const TensorRef& input, int k) const {
  if (input.data != output.data || bytes.inputs[k] != bytes.output || input.shape != output.shape) return false;
  for (int axis = 0; axis < output.rank(); ++axis)
    if (output.shape[axis] > 1 && input.strides[axis] != output.strides[axis]) return false;
  return true;
}

/// Whether an extent of `shape` is that of `to`, or repeats along it.
bool broadcasts(const Dims& shape, const Dims& to) {
  if (shape.rank() > to.rank()) return false;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] != 1 && shape[axis] != to[axis + to.rank() - shape.rank()]) return false;
  return true;
}

Result<void> ElementwisePlan::State::check(const Args& args, const Inputs& inputs) const {
  const ArgChecker checker(kPlan, device);
  BARACUDA_ASSIGN_OR_RETURN(const Reach output,
                            checker.tensor("output", args.output, selection.problem.output, descriptor.shape));
  BARACUDA_RETURN_IF_ERROR(checker.injective("output", args.output));
  for (int k = 0; k < num_inputs(); ++k) {
    const TensorRef& input = *inputs[k];
    if (!broadcasts(input.shape, descriptor.shape)) [[unlikely]]
      return invalid(
          fmt::format("{}.shape is {}, which does not broadcast to {}: each extent, aligned at the last axis, "
                      "has to be the output's or 1",
                      kInputNames[k], input.shape.to_string(), descriptor.shape.to_string()));
    BARACUDA_ASSIGN_OR_RETURN(
        const Reach reach,
        checker.tensor(kInputNames[k], input, input_element(selection.problem, descriptor.element, k), input.shape));
    if (!in_place(args.output, input, k))
      BARACUDA_RETURN_IF_ERROR(checker.disjoint({"output", output}, {kInputNames[k], reach}));
  }
  return {};
}

Result<Space> ElementwisePlan::State::prepare(const Args& args) const {
  BARACUDA_ASSIGN_OR_RETURN(const Inputs inputs, inputs_of(args));
  BARACUDA_RETURN_IF_ERROR(check(args, inputs));
  if (selection.problem.num_elements == 0) return Space{};
  return make_space(args.output, inputs, bytes, num_inputs());
}

ElementwiseParams ElementwisePlan::State::make_params(const Args& args, const Space& space) const {
  ElementwiseParams params{};
  params.output = static_cast<char*>(args.output.data) + space.offsets[0];
  const void* const data[kMaxInputs] = {args.x.data, args.y ? args.y->data : nullptr, args.z ? args.z->data : nullptr};
  for (int k = 0; k < num_inputs(); ++k) params.inputs[k] = static_cast<const char*>(data[k]) + space.offsets[1 + k];
  params.num_axes = space.num_axes;
  for (int axis = 0; axis < space.num_axes; ++axis) {
    const Axis& from = space.axes[axis];
    params.axes[axis] = {from.extent, from.strides[0], {from.strides[1], from.strides[2], from.strides[3]}};
  }
  const Element computed = compute_element(descriptor.op, descriptor.element);
  for (int i = 0; i < 2; ++i)
    params.scalars[i] = args.scalars[i] ? scalar_bits(computed, *args.scalars[i]) : default_scalars[i];
  return params;
}

Result<void> ElementwisePlan::can_implement(const Args& args) const noexcept try {
  return state_->prepare(args).transform([](auto&&) {});
} catch (...) {
  return internal::thrown_error(kPlan);
}

const ElementwiseDescriptor& ElementwisePlan::descriptor() const { return state_->descriptor; }

const KernelSku& ElementwisePlan::sku() const { return state_->selection.choice.sku; }

Result<KernelSku> ElementwisePlan::sku(const Args& args) const noexcept try {
  return state_->prepare(args).transform(
      [&](auto&& space) { return state_->selection.skus[static_cast<int>(space.variant)]; });
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<void> ElementwisePlan::run(const Stream& stream, const Workspace&, const Args& args) const noexcept try {
  const State& state = *state_;
  BARACUDA_RETURN_IF_ERROR(ArgChecker(kPlan, state.device).stream(stream.device()));
  BARACUDA_ASSIGN_OR_RETURN(const Space space, state.prepare(args));
  if (state.selection.problem.num_elements == 0) return {};

  ElementwiseParams params = state.make_params(args, space);
  if (state.device.is_cpu()) {
    const auto& inputs = state.bytes.inputs;
    run_elementwise(state.cpu_kernel, params, state.num_inputs(), state.bytes.output, {inputs[0], inputs[1], inputs[2]},
                    stream.num_threads());
    return {};
  }
  const int index = static_cast<int>(space.variant);
  const std::uint32_t blocks = fill_grid(state.configs[index], &params);
  const cuda::LaunchShape shape{.grid = {blocks},
                                .block = {static_cast<std::uint32_t>(ElementwiseConfig::num_threads())}};
  return cuda::launch(*state.kernels[index], stream, shape, &params).transform_error(named);
} catch (...) {
  return internal::thrown_error(kPlan);
}

}  // namespace baracuda
