#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "baracuda/core/propagate.h"
#include "baracuda/cpu/parallel_for.h"
#include "baracuda/cuda/launch.h"
#include "baracuda/jit/compile_report.h"
#include "baracuda/jit/load.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_config.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_cpu.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_kernels.h"
#include "baracuda/plan/arg_check.h"
#include "baracuda/plan/candidate.h"

namespace baracuda {
namespace {

using Variant = DynamicRangeQuantizeVariant;

constexpr std::string_view kPlan = "DynamicRangeQuantizePlan";
constexpr int kNumVariants = 2;

/// By enumerator: as the kernel's text spells it, and as skus and file names do.
struct VariantName {
  std::string_view enumerator, stem;
};
constexpr VariantName kVariantNames[kNumVariants] = {{"Vectors", "vectors"}, {"Elements", "elements"}};
constexpr const VariantName& name_of(Variant variant) { return kVariantNames[static_cast<int>(variant)]; }

/// What the driver and the compiler say, in the plan's name.
Error named(Error error) { return in_plan(kPlan, std::move(error)); }

Error invalid(std::string message) { return Error::invalid_problem(fmt::format("{}: {}", kPlan, message)); }

// ---- validate -------------------------------------------------------------------------------------------------------

struct QuantizedRange {
  int q_min, q_max;
};

/// What the element holds.
constexpr QuantizedRange range_of(Element output_element) {
  return output_element == Element::U8 ? QuantizedRange{0, 255} : QuantizedRange{-128, 127};
}

/// The descriptor's range, with the defaults where it names none.
QuantizedRange range_of(const DynamicRangeQuantizeDescriptor& descriptor) {
  QuantizedRange range = range_of(descriptor.output_element);
  if (descriptor.symmetric && descriptor.output_element == Element::I8) range.q_min = -127;
  return {descriptor.q_min.value_or(range.q_min), descriptor.q_max.value_or(range.q_max)};
}

Element scale_element(Element element) { return element == Element::F64 ? Element::F64 : Element::F32; }

std::int64_t num_rows(const Dims& shape) {
  Dims outer = shape;
  outer[shape.rank() - 1] = 1;
  std::int64_t rows = 0;
  checked_elements(outer, &rows);
  return rows;
}
std::int64_t row_elems(const Dims& shape) { return shape[shape.rank() - 1]; }

Result<void> validate(const DynamicRangeQuantizeDescriptor& descriptor) {
  const Element element = descriptor.element;
  if (element != Element::F32 && element != Element::F64 && element != Element::F16 && element != Element::Bf16)
    return Error::unsupported(
        fmt::format("{}: element is {}, expected f32, f64, f16 or bf16", kPlan, name_of(element)));
  if (descriptor.output_element != Element::I8 && descriptor.output_element != Element::U8)
    return Error::unsupported(
        fmt::format("{}: output_element is {}, expected i8 or u8", kPlan, name_of(descriptor.output_element)));
  const Dims& shape = descriptor.shape;
  if (shape.rank() == 0) return invalid("shape has rank 0, expected 1 to 8");
  if (shape.rank() > kMaxRank)
    return Error::unsupported(fmt::format("{}: shape has rank {}, expected at most {}", kPlan, shape.rank(), kMaxRank));
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] < 0) return invalid(fmt::format("shape[{}] is {}, expected at least 0", axis, shape[axis]));
  // Rows without elements have a scale each all the same.
  Dims outer = shape;
  outer[shape.rank() - 1] = 1;
  for (const Dims& each : {shape, outer}) {
    std::int64_t elements, bytes;
    if (!checked_elements(each, &elements) || __builtin_mul_overflow(elements, element_bytes(Element::F64), &bytes))
      return invalid(fmt::format("shape {} has 2^63 bytes or more", shape.to_string()));
  }

  const QuantizedRange held = range_of(descriptor.output_element), range = range_of(descriptor);
  if (range.q_min < held.q_min || range.q_max > held.q_max)
    return invalid(fmt::format("q_min is {} and q_max {}, expected {} to {}, what {} holds", range.q_min, range.q_max,
                               held.q_min, held.q_max, name_of(descriptor.output_element)));
  if (descriptor.symmetric && (range.q_max <= 0 || range.q_min > range.q_max))
    return invalid(
        fmt::format("q_min is {} and q_max {}, expected q_max > 0 and q_min ≤ q_max", range.q_min, range.q_max));
  if (!descriptor.symmetric && range.q_min >= range.q_max)
    return invalid(
        fmt::format("q_min is {} and q_max {}, expected q_min < q_max where asymmetric", range.q_min, range.q_max));
  return {};
}

/// Bytes of x read, and of q, scale and zero_point written.
std::int64_t moved_bytes(const DynamicRangeQuantizeDescriptor& descriptor) {
  const Dims& shape = descriptor.shape;
  MovedBytes bytes;
  bytes.add(descriptor.element, shape);
  bytes.add(Element::I8, shape);
  bytes.add(scale_element(descriptor.element), {num_rows(shape)});
  if (!descriptor.symmetric) bytes.add(Element::I32, {num_rows(shape)});
  return bytes.sum();
}

// ---- candidates -----------------------------------------------------------------------------------------------------

using RowCandidate = Candidate<DynamicRangeQuantizeDescriptor>;

DynamicRangeQuantizeConfig make_config(const DynamicRangeQuantizeDescriptor& descriptor, Variant variant) {
  const bool vectors = variant == Variant::Vectors;
  DynamicRangeQuantizeConfig config{.variant = variant,
                                    .element = descriptor.element,
                                    .symmetric = descriptor.symmetric,
                                    .row_threads = vectors ? 8 : 32};
  const std::int64_t pieces = (row_elems(descriptor.shape) + config.piece_elems() - 1) / config.piece_elems();
  const int step = vectors ? 2 : 8;
  // Few rows leave most multiprocessors idle: what counts is how soon one has done a row.
  constexpr std::int64_t kFewRows = 128;
  const int wanted_pieces = num_rows(descriptor.shape) <= kFewRows ? 2 : config.pieces_per_thread();
  while (config.row_threads < 256 && pieces > config.row_threads * wanted_pieces) config.row_threads *= step;
  return config;
}

/// What a variant says to contiguous, aligned tensors; strides are looked at again in `run`.
Verdict accepts_any(const DynamicRangeQuantizeDescriptor&) { return Verdict::accept(); }
Verdict accepts_none(const DynamicRangeQuantizeDescriptor&) { return Verdict::reject("contiguous rows are vectors"); }

bool has_whole_vectors(const DynamicRangeQuantizeDescriptor& descriptor) {
  return row_elems(descriptor.shape) % make_config(descriptor, Variant::Vectors).piece_elems() == 0;
}
template <Variant kVariant>
Verdict accepts(const DynamicRangeQuantizeDescriptor& descriptor) {
  if (has_whole_vectors(descriptor) == (kVariant == Variant::Vectors)) return Verdict::accept();
  return Verdict::reject(fmt::format("rows of {} elements are {}made of whole vectors of {}",
                                     row_elems(descriptor.shape), kVariant == Variant::Vectors ? "not " : "",
                                     make_config(descriptor, Variant::Vectors).piece_elems()));
}

/// By variant.
constexpr std::array<RowCandidate, kNumVariants> kCudaCandidates = {{
    {Arch::Sm80, Backend::Bespoke, name_of(Variant::Vectors).stem, "16-byte loads, rows kept in registers",
     accepts<Variant::Vectors>},
    {Arch::Sm80, Backend::Bespoke, name_of(Variant::Elements).stem, "elements one by one, any strides",
     accepts<Variant::Elements>},
}};
constexpr std::array<RowCandidate, kNumVariants> kCpuCandidates = {{
    {Arch::Cpu, Backend::Bespoke, name_of(Variant::Vectors).stem, "SIMD over contiguous rows", accepts_any},
    {Arch::Cpu, Backend::Bespoke, name_of(Variant::Elements).stem, "elements one by one, any strides", accepts_none},
}};

PrecisionGuarantee guarantee_of(Element element) {
  return {.math = element == Element::F64 ? MathPrecision::F64 : MathPrecision::F32,
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

Result<Selection> select_variants(const DynamicRangeQuantizeDescriptor& descriptor, const PlanPreference& preference,
                                  const DeviceInfo& device) {
  BARACUDA_RETURN_IF_ERROR(validate(descriptor));
  Selection selection;
  BARACUDA_ASSIGN_OR_RETURN(selection.arch, choose_arch(kPlan, preference, device));
  const std::span<const RowCandidate> candidates = device.arch == Arch::Cpu ? kCpuCandidates : kCudaCandidates;
  const PrecisionGuarantee guarantee = guarantee_of(descriptor.element);
  const auto traits_of = [&](const RowCandidate& each) {
    return CandidateTraits{each.arch, each.backend, guarantee, 0};
  };
  BARACUDA_ASSIGN_OR_RETURN(const std::size_t picked,
                            pick_candidate(kPlan, candidates, descriptor, selection.arch.arch, preference, traits_of,
                                           &selection.choice.candidates));
  for (int i = 0; i < kNumVariants; ++i) {
    selection.skus[i] = make_sku(Category::Quantization, DynamicRangeQuantizePlan::kName, descriptor.element,
                                 candidates[i], selection.arch, guarantee);
    selection.skus[i].output_element = descriptor.output_element;
    selection.skus[i].epilogue = descriptor.symmetric ? "symmetric" : "asymmetric";
  }
  selection.choice.sku = selection.skus[picked];
  selection.choice.target = selection.arch.target;
  return selection;
}

/// The kernels that some strides of the rows run on.
std::vector<Variant> kernel_variants(const DynamicRangeQuantizeDescriptor& descriptor) {
  if (has_whole_vectors(descriptor)) return {Variant::Vectors, Variant::Elements};
  return {Variant::Elements};
}

/// Whether rows of whole vectors lie so that they can be taken as such. `params` have everything but the GPU's.
bool takes_vectors(bool on_cpu, const DynamicRangeQuantizeConfig& config, const DynamicRangeQuantizeParams& params) {
  if (params.row_elems > 1 &&
      (params.x_inner_stride != element_bytes(config.element) || params.q_inner_stride != element_bytes(Element::I8)))
    return false;
  if (on_cpu) return true;
  auto x_bits = reinterpret_cast<std::uintptr_t>(params.x), q_bits = reinterpret_cast<std::uintptr_t>(params.q);
  for (int k = 0; k < params.num_axes; ++k) {
    x_bits |= static_cast<std::uintptr_t>(params.axes[k].x_stride);
    q_bits |= static_cast<std::uintptr_t>(params.axes[k].q_stride);
  }
  constexpr std::uintptr_t kVectorBytes = 16;
  return x_bits % kVectorBytes == 0 && q_bits % static_cast<std::uintptr_t>(config.piece_elems()) == 0;
}

/// Fills what only the GPU needs and returns the number of blocks.
std::uint32_t fill_grid(const DynamicRangeQuantizeConfig& config, DynamicRangeQuantizeParams* params) {
  constexpr std::int64_t kMaxBlocks = std::numeric_limits<std::int32_t>::max();
  if (params->num_rows <= kMaxBlocks)
    for (int k = 0; k < params->num_axes; ++k)
      params->divisors[k] = make_fast_divisor(static_cast<unsigned>(params->axes[k].extent));
  const std::int64_t rows_per_block = config.num_threads() / config.row_threads;
  return static_cast<std::uint32_t>(
      std::min<std::int64_t>(kMaxBlocks, (params->num_rows + rows_per_block - 1) / rows_per_block));
}

}  // namespace

jit::KernelSpec dynamic_range_quantize_kernel(const DynamicRangeQuantizeConfig& config, const CodeTarget& target) {
  const auto [variant, element, symmetric, row_threads] = config;
  return {
      .name = fmt::format("dynamic_range_quantize.{}.{}.{}.{}", name_of(variant).stem, name_of(element),
                          symmetric ? "symmetric" : "asymmetric", row_threads),
      .text = fmt::format(R"(#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize.cuh"
using namespace baracuda;
constexpr DynamicRangeQuantizeConfig kConfig{{.variant = DynamicRangeQuantizeVariant::{}, .element = Element{{{}}}, .symmetric = {}, .row_threads = {}}};
extern "C" __global__ __launch_bounds__(kConfig.num_threads(), 1)
void baracuda_kernel(const __grid_constant__ DynamicRangeQuantizeParams params) {{ dynamic_range_quantize<kConfig>(params); }}
)",
                          name_of(variant).enumerator, static_cast<int>(element), symmetric, row_threads),
      .target = target,
  };
}

Result<std::vector<jit::KernelSpec>> plan_kernels(const DynamicRangeQuantizeDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device) {
  BARACUDA_ASSIGN_OR_RETURN(const Selection selection, select_variants(descriptor, preference, device));
  std::vector<jit::KernelSpec> kernels;
  if (selection.arch.arch == Arch::Cpu) return kernels;
  for (Variant variant : kernel_variants(descriptor))
    kernels.push_back(dynamic_range_quantize_kernel(make_config(descriptor, variant), selection.arch.target));
  return kernels;
}

// ---- the plan -------------------------------------------------------------------------------------------------------

struct DynamicRangeQuantizePlan::State {
  Descriptor descriptor;
  Device device;
  std::int64_t num_rows = 0;
  Selection selection;
  std::array<std::shared_ptr<const cuda::Kernel>, kNumVariants> kernels;
  DynamicRangeQuantizeCpuKernel cpu_kernel = nullptr;

  /// What `run` needs of args that have passed every check.
  struct Prepared {
    Variant variant = Variant::Vectors;
    DynamicRangeQuantizeParams params;
  };
  Result<Prepared> prepare(const Args& args) const;
  Result<void> check(const Args& args) const;
  DynamicRangeQuantizeParams make_params(const Args& args) const;
};

Result<PlanChoice> DynamicRangeQuantizePlan::choose(const Descriptor& descriptor, const PlanPreference& preference,
                                                    const DeviceInfo& device) noexcept try {
  return select_variants(descriptor, preference, device).transform([](Selection&& selection) {
    return std::move(selection.choice);
  });
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<Explanation> DynamicRangeQuantizePlan::explain(const Descriptor& descriptor, const PlanPreference& preference,
                                                      const DeviceInfo& device) noexcept try {
  return explain_copy<DynamicRangeQuantizePlan>(descriptor, preference, device, moved_bytes);
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<Explanation> DynamicRangeQuantizePlan::explain(const Stream& stream, const Descriptor& descriptor,
                                                      const PlanPreference& preference) noexcept try {
  return explain(descriptor, preference, stream.device_info());
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<CompileReport> DynamicRangeQuantizePlan::compile(const Descriptor& descriptor, const PlanPreference& preference,
                                                        const DeviceInfo& device) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(const auto kernels, plan_kernels(descriptor, preference, device));
  return jit::compile_report(kernels).transform_error(named);
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<DynamicRangeQuantizePlan> DynamicRangeQuantizePlan::select(const Stream& stream, const Descriptor& descriptor,
                                                                  const PlanPreference& preference) noexcept try {
  auto state = std::make_shared<State>();
  BARACUDA_ASSIGN_OR_RETURN(state->selection, select_variants(descriptor, preference, stream.device_info()));
  state->descriptor = descriptor;
  state->device = stream.device();
  state->num_rows = num_rows(descriptor.shape);
  const CodeTarget target = state->selection.arch.target;
  if (stream.device().is_cpu()) {
    cpu::prepare_threads();
    state->cpu_kernel = dynamic_range_quantize_cpu_kernel(target.cpu);
    return DynamicRangeQuantizePlan(std::move(state));
  }
  for (Variant variant : kernel_variants(descriptor)) {
    const DynamicRangeQuantizeConfig config = make_config(descriptor, variant);
    BARACUDA_ASSIGN_OR_RETURN(
        state->kernels[static_cast<int>(variant)],
        jit::load_kernel(dynamic_range_quantize_kernel(config, target), stream).transform_error(named));
  }
  return DynamicRangeQuantizePlan(std::move(state));
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<void> DynamicRangeQuantizePlan::State::check(const Args& args) const {
  const ArgChecker checker(kPlan, device);
  BARACUDA_ASSIGN_OR_RETURN(const Reach x, checker.tensor("x", args.x, descriptor.element, descriptor.shape));
  BARACUDA_ASSIGN_OR_RETURN(const Reach q, checker.tensor("q", args.q, descriptor.output_element, descriptor.shape));
  BARACUDA_ASSIGN_OR_RETURN(const Reach scale,
                            checker.vector("scale", args.scale, scale_element(descriptor.element), num_rows));
  Reach zero_point;
  if (args.zero_point) {
    BARACUDA_ASSIGN_OR_RETURN(zero_point, checker.vector("zero_point", *args.zero_point, Element::I32, num_rows));
  } else if (!descriptor.symmetric) {
    return invalid("zero_point is missing, but the descriptor is asymmetric");
  }
  BARACUDA_RETURN_IF_ERROR(checker.injective("q", args.q));
  for (const NamedReach& output :
       {NamedReach{"q", q}, NamedReach{"scale", scale}, NamedReach{"zero_point", zero_point}})
    BARACUDA_RETURN_IF_ERROR(checker.disjoint(output, {"x", x}));
  BARACUDA_RETURN_IF_ERROR(checker.disjoint({"scale", scale}, {"q", q}));
  BARACUDA_RETURN_IF_ERROR(checker.disjoint({"zero_point", zero_point}, {"q", q}));
  return checker.disjoint({"zero_point", zero_point}, {"scale", scale});
}

DynamicRangeQuantizeParams DynamicRangeQuantizePlan::State::make_params(const Args& args) const {
  const Dims& shape = descriptor.shape;
  const int inner = shape.rank() - 1;
  const std::int64_t x_bytes = element_bytes(descriptor.element);
  const QuantizedRange range = range_of(descriptor);
  DynamicRangeQuantizeParams params{};
  params.x = static_cast<const char*>(args.x.data);
  params.q = static_cast<char*>(args.q.data);
  params.scale = args.scale.data;
  params.zero_point = args.zero_point ? static_cast<int*>(args.zero_point->data) : nullptr;
  params.num_rows = num_rows;
  params.row_elems = shape[inner];
  params.q_min = range.q_min;
  params.q_max = range.q_max;
  // Of an empty tensor nothing is known of strides, and their products could overflow.
  if (num_rows == 0 || shape[inner] == 0) return params;
  if (shape[inner] > 1) {
    params.x_inner_stride = args.x.strides[inner] * x_bytes;
    params.q_inner_stride = args.q.strides[inner];
  }
  // Rows keep their order, which is that of their scales; neighbouring axes merge where both tensors step alike.
  for (int axis = inner - 1; axis >= 0; --axis) {
    if (shape[axis] == 1) continue;
    const DynamicRangeQuantizeAxis next{shape[axis], args.x.strides[axis] * x_bytes, args.q.strides[axis]};
    DynamicRangeQuantizeAxis* last = params.num_axes > 0 ? &params.axes[params.num_axes - 1] : nullptr;
    if (last && next.x_stride == last->extent * last->x_stride && next.q_stride == last->extent * last->q_stride)
      last->extent *= next.extent;
    else
      params.axes[params.num_axes++] = next;
  }
  return params;
}

Result<DynamicRangeQuantizePlan::State::Prepared> DynamicRangeQuantizePlan::State::prepare(const Args& args) const {
  BARACUDA_RETURN_IF_ERROR(check(args));
  Prepared prepared{.params = make_params(args)};
  const bool vectors = (device.is_cpu() || has_whole_vectors(descriptor)) &&
                       takes_vectors(device.is_cpu(), make_config(descriptor, Variant::Vectors), prepared.params);
  prepared.variant = vectors ? Variant::Vectors : Variant::Elements;
  return prepared;
}

Result<void> DynamicRangeQuantizePlan::can_implement(const Args& args) const noexcept try {
  return state_->prepare(args).transform([](auto&&) {});
} catch (...) {
  return internal::thrown_error(kPlan);
}

const DynamicRangeQuantizeDescriptor& DynamicRangeQuantizePlan::descriptor() const { return state_->descriptor; }

const KernelSku& DynamicRangeQuantizePlan::sku() const { return state_->selection.choice.sku; }

Result<KernelSku> DynamicRangeQuantizePlan::sku(const Args& args) const noexcept try {
  return state_->prepare(args).transform(
      [&](auto&& prepared) { return state_->selection.skus[static_cast<int>(prepared.variant)]; });
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<void> DynamicRangeQuantizePlan::run(const Stream& stream, const Workspace&, const Args& args) const noexcept
    try {
  const State& state = *state_;
  BARACUDA_RETURN_IF_ERROR(ArgChecker(kPlan, state.device).stream(stream.device()));
  BARACUDA_ASSIGN_OR_RETURN(State::Prepared prepared, state.prepare(args));
  if (state.num_rows == 0) return {};
  if (state.cpu_kernel) {
    state.cpu_kernel(prepared.params, state.descriptor.element, state.descriptor.symmetric, stream.num_threads());
    return {};
  }
  const DynamicRangeQuantizeConfig config = make_config(state.descriptor, prepared.variant);
  const std::uint32_t blocks = fill_grid(config, &prepared.params);
  const cuda::LaunchShape shape{.grid = {blocks},
                                .block = {static_cast<std::uint32_t>(config.num_threads())},
                                .programmatic_serialization = stream.device_info().target.sm >= 90};
  return cuda::launch(*state.kernels[static_cast<int>(prepared.variant)], stream, shape, &prepared.params)
      .transform_error(named);
} catch (...) {
  return internal::thrown_error(kPlan);
}

}  // namespace baracuda
