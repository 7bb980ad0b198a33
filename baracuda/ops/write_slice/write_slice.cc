#include "baracuda/ops/write_slice/write_slice.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>

#include "baracuda/core/propagate.h"
#include "baracuda/cpu/parallel_for.h"
#include "baracuda/cuda/launch.h"
#include "baracuda/jit/compile_report.h"
#include "baracuda/jit/load.h"
#include "baracuda/ops/write_slice/write_slice_config.h"
#include "baracuda/ops/write_slice/write_slice_cpu.h"
#include "baracuda/ops/write_slice/write_slice_kernels.h"
#include "baracuda/plan/arg_check.h"
#include "baracuda/plan/candidate.h"
#include "baracuda/plan/row_partition.h"

namespace baracuda {
namespace {

using Variant = WriteSliceVariant;

constexpr std::string_view kPlan = "WriteSlicePlan";
constexpr int kNumVariants = 5;

/// By enumerator: as the kernel's text spells it, and as skus and file names do.
struct VariantName {
  std::string_view enumerator, stem;
};
constexpr VariantName kVariantNames[kNumVariants] = {{"WholeDest", "whole_dest"},
                                                     {"ContiguousChunk", "contiguous_chunk"},
                                                     {"Rows", "rows"},
                                                     {"Nibbles", "nibbles"},
                                                     {"Generic", "generic"}};
constexpr const VariantName& name_of(Variant variant) { return kVariantNames[static_cast<int>(variant)]; }

/// Byte-wide runs shorter than this are moved element by element: a row kernel would spend its time on partial vectors.
constexpr std::int64_t kMinRowBytes = 32;

// ---- the window -----------------------------------------------------------------------------------------------------

/// The window in as few axes as describe it, and the variants that can move it.
struct Window {
  std::array<WriteSliceAxis, kMaxRank> axes;
  int num_axes = 0;
  std::int64_t dest_offset = 0;    // of the base corner from the view's pointer: bytes, or nibbles
  std::int64_t source_offset = 0;  // likewise
  std::int64_t run_bytes = 0;      // the innermost contiguous run, where it is taken out of the axes
  bool in_nibbles = false;
};

/// True where the packed window is made of whole bytes in both tensors, wherever the positions lie.
bool has_whole_bytes(const Window& window, const WriteSliceDescriptor& descriptor, const Dims& dest_strides) {
  if (window.num_axes == 0) return false;
  const WriteSliceAxis& inner = window.axes[0];
  if (inner.dest_stride != 1 || inner.source_stride != 1 || inner.extent % 2 != 0) return false;
  std::int64_t odd = window.dest_offset | window.source_offset;
  for (int k = 1; k < window.num_axes; ++k) odd |= window.axes[k].dest_stride | window.axes[k].source_stride;
  // An axis that the window fills can only start at 0.
  if (descriptor.device_starts)
    for (int axis = 0; axis < descriptor.dest_shape.rank(); ++axis)
      if (descriptor.end[axis] - descriptor.start[axis] != descriptor.dest_shape[axis]) odd |= dest_strides[axis];
  return odd % 2 == 0;
}

/// Drops axes of extent 1, flips those that run backwards in dest, sorts by dest stride, merges what is contiguous in
/// both tensors, and takes out a long innermost run. The window must not be empty and every reach proven.
Window collapse(const WriteSliceDescriptor& descriptor, const Dims& dest_strides, const Dims& source_strides) {
  Window window;
  window.in_nibbles = is_packed_4bit(descriptor.element);
  const std::int64_t unit = window.in_nibbles ? 1 : element_bytes(descriptor.element);
  for (int axis = 0; axis < descriptor.dest_shape.rank(); ++axis) {
    if (descriptor.dest_shape[axis] == 1) continue;
    WriteSliceAxis next{descriptor.end[axis] - descriptor.start[axis], dest_strides[axis] * unit, 0};
    if (!descriptor.device_starts) window.dest_offset += descriptor.start[axis] * next.dest_stride;
    if (next.extent == 1) continue;
    next.source_stride = source_strides[axis] * unit;
    if (next.dest_stride < 0) {
      window.dest_offset += (next.extent - 1) * next.dest_stride;
      window.source_offset += (next.extent - 1) * next.source_stride;
      next.dest_stride = -next.dest_stride;
      next.source_stride = -next.source_stride;
    }
    int place = window.num_axes++;
    for (; place > 0 && window.axes[place - 1].dest_stride > next.dest_stride; --place)
      window.axes[place] = window.axes[place - 1];
    window.axes[place] = next;
  }

  int kept = 0;
  for (int k = 1; k < window.num_axes; ++k) {
    WriteSliceAxis& inner = window.axes[kept];
    const WriteSliceAxis& outer = window.axes[k];
    if (outer.dest_stride == inner.extent * inner.dest_stride &&
        outer.source_stride == inner.extent * inner.source_stride)
      inner.extent *= outer.extent;
    else
      window.axes[++kept] = outer;
  }
  if (window.num_axes > 0) window.num_axes = kept + 1;

  std::int64_t run_unit = unit;
  std::int64_t min_run_bytes = kMinRowBytes;
  if (window.in_nibbles) {
    if (!has_whole_bytes(window, descriptor, dest_strides)) return window;
    window.in_nibbles = false;
    window.dest_offset /= 2;
    window.source_offset /= 2;
    window.axes[0].extent /= 2;
    for (int k = 1; k < window.num_axes; ++k) {
      window.axes[k].dest_stride /= 2;
      window.axes[k].source_stride /= 2;
    }
    run_unit = min_run_bytes = 1;
  }
  if (window.num_axes == 0) {
    window.run_bytes = run_unit;
  } else if (const WriteSliceAxis inner = window.axes[0];
             inner.dest_stride == run_unit && inner.source_stride == run_unit &&
             (window.num_axes == 1 || inner.extent * run_unit >= min_run_bytes)) {
    window.run_bytes = inner.extent * run_unit;
    std::copy(window.axes.begin() + 1, window.axes.begin() + window.num_axes, window.axes.begin());
    --window.num_axes;
  }
  return window;
}

/// Whether a variant can move the window.
bool serves(Variant variant, const Window& window, const WriteSliceDescriptor& descriptor) {
  switch (variant) {
    case Variant::WholeDest:
      return serves(Variant::ContiguousChunk, window, descriptor) &&
             descriptor.start == Dims::filled(descriptor.start.rank(), 0) && descriptor.end == descriptor.dest_shape;
    case Variant::ContiguousChunk: return !descriptor.device_starts && window.run_bytes > 0 && window.num_axes == 0;
    case Variant::Rows: return window.run_bytes > 0;
    case Variant::Nibbles: return window.in_nibbles;
    case Variant::Generic: return !window.in_nibbles && window.run_bytes == 0;
  }
  return false;
}

// ---- validate -------------------------------------------------------------------------------------------------------

/// What the driver and the compiler say, in the plan's name.
Error named(Error error) { return in_plan(kPlan, std::move(error)); }

Error invalid(std::string message) { return Error::invalid_problem(fmt::format("{}: {}", kPlan, message)); }

Result<void> validate(const WriteSliceDescriptor& descriptor) {
  const Dims &shape = descriptor.dest_shape, &start = descriptor.start, &end = descriptor.end;
  if (!is_byte_wide(descriptor.element) && !is_packed_4bit(descriptor.element))
    return Error::unsupported(
        fmt::format("{}: element is {}, expected a byte-wide kind, s4 or u4", kPlan, name_of(descriptor.element)));
  if (shape.rank() == 0) return invalid("dest_shape has rank 0, expected 1 to 8");
  if (shape.rank() > kMaxRank)
    return Error::unsupported(
        fmt::format("{}: dest_shape has rank {}, expected at most {}", kPlan, shape.rank(), kMaxRank));
  if (start.rank() != shape.rank() || end.rank() != shape.rank())
    return invalid(fmt::format("start has {} and end {} entries, expected {}, the rank of dest_shape", start.rank(),
                               end.rank(), shape.rank()));
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] < 0) return invalid(fmt::format("dest_shape[{}] is {}, expected at least 0", axis, shape[axis]));
    if (start[axis] < 0 || start[axis] > end[axis] || end[axis] > shape[axis])
      return invalid(fmt::format("start[{0}] is {1} and end[{0}] is {2}, expected 0 ≤ start ≤ end ≤ {3}", axis,
                                 start[axis], end[axis], shape[axis]));
  }
  std::int64_t elements, bytes;
  const int bytes_each = std::max(1, element_bytes(descriptor.element));
  if (!checked_elements(shape, &elements) || __builtin_mul_overflow(elements, bytes_each, &bytes))
    return invalid(fmt::format("dest_shape {} has 2^63 bytes or more", shape.to_string()));
  return {};
}

Dims extents_of(const WriteSliceDescriptor& descriptor) {
  Dims extents = descriptor.end;
  for (int axis = 0; axis < extents.size(); ++axis) extents[axis] -= descriptor.start[axis];
  return extents;
}

/// Of a window whose destination has been validated.
std::int64_t num_elements(const Dims& extents) {
  std::int64_t elements = 0;
  checked_elements(extents, &elements);
  return elements;
}

/// Bytes read and written; held at the largest number past 2^63.
std::int64_t moved_bytes(const WriteSliceDescriptor& descriptor) {
  const std::uint64_t bytes = 2 * contiguous_bytes(descriptor.element, extents_of(descriptor));
  return static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, std::numeric_limits<std::int64_t>::max()));
}

// ---- candidates -----------------------------------------------------------------------------------------------------

/// What the variant says to contiguous tensors; strides are looked at again in `run`.
template <Variant kVariant>
Verdict accepts(const WriteSliceDescriptor& descriptor) {
  const Dims extents = extents_of(descriptor);
  const bool is_copy = kVariant == Variant::WholeDest || kVariant == Variant::ContiguousChunk;
  if (is_copy && descriptor.device_starts) return Verdict::reject("the position is known on the device alone");
  if (num_elements(extents) == 0) return Verdict::accept();
  const Window window = collapse(descriptor, contiguous_strides(descriptor.dest_shape), contiguous_strides(extents));
  if (serves(kVariant, window, descriptor)) return Verdict::accept();
  switch (kVariant) {
    case Variant::WholeDest: return Verdict::reject("the window is not the whole destination, in whole bytes");
    case Variant::ContiguousChunk: return Verdict::reject("the window is not one run of whole bytes");
    case Variant::Rows:
      return Verdict::reject(fmt::format("contiguous tensors give no rows of {} whole bytes or more", kMinRowBytes));
    case Variant::Nibbles: return Verdict::reject("contiguous tensors give whole bytes");
    case Variant::Generic: return Verdict::reject("contiguous tensors give long rows, or nibbles");
  }
  return Verdict::accept();
}

using WriteSliceCandidate = Candidate<WriteSliceDescriptor>;

template <Variant kVariant>
constexpr WriteSliceCandidate candidate(Arch arch, Backend backend, std::string_view what) {
  return {arch, backend, name_of(kVariant).stem, what, accepts<kVariant>};
}

// The first that accepts wins, in `select` for contiguous tensors and in `run` for the strides given. In the order of
// the enumerators, which index it.
template <Arch kArch, Backend kCopy>
constexpr std::array<WriteSliceCandidate, kNumVariants> kVariants = {
    candidate<Variant::WholeDest>(kArch, kCopy, "one copy of the whole destination"),
    candidate<Variant::ContiguousChunk>(kArch, kCopy, "one copy"),
    candidate<Variant::Rows>(kArch, Backend::Bespoke, "contiguous rows at any alignment"),
    candidate<Variant::Nibbles>(kArch, Backend::Bespoke, "4-bit elements one by one, each byte written by one owner"),
    candidate<Variant::Generic>(kArch, Backend::Bespoke, "elements one by one, any strides"),
};
constexpr auto& kCpuCandidates = kVariants<Arch::Cpu, Backend::Bespoke>;
constexpr auto& kCudaCandidates = kVariants<Arch::Sm80, Backend::Driver>;

std::span<const WriteSliceCandidate> candidates_for(const DeviceInfo& device) {
  if (device.arch == Arch::Cpu) return kCpuCandidates;
  return kCudaCandidates;
}

/// The outcome of `choose`, and what `run` may need besides: strides can ask for any variant that the preference
/// allows.
struct Selection {
  PlanChoice choice;
  ArchChoice arch;
  std::size_t picked = 0;
  std::array<bool, kNumVariants> allowed{};
  std::array<KernelSku, kNumVariants> skus;
};

Result<Selection> select_variants(const WriteSliceDescriptor& descriptor, const PlanPreference& preference,
                                  const DeviceInfo& device) {
  BARACUDA_RETURN_IF_ERROR(validate(descriptor));
  Selection selection;
  BARACUDA_ASSIGN_OR_RETURN(selection.arch, choose_arch(kPlan, preference, device));
  const auto candidates = candidates_for(device);
  const auto traits_of = [](const WriteSliceCandidate& each) {
    return CandidateTraits{each.arch, each.backend, kBitsMoved, 0};
  };
  BARACUDA_ASSIGN_OR_RETURN(selection.picked, pick_candidate(kPlan, candidates, descriptor, selection.arch.arch,
                                                             preference, traits_of, &selection.choice.candidates));
  for (int i = 0; i < kNumVariants; ++i) {
    selection.allowed[i] = allowed_by(traits_of(candidates[i]), selection.arch.arch, preference).accepted();
    selection.skus[i] = make_sku(Category::DataMovement, WriteSlicePlan::kName, descriptor.element, candidates[i],
                                 selection.arch, kBitsMoved);
    if (descriptor.device_starts) selection.skus[i].aux_element = Element::I64;
  }
  selection.choice.sku = selection.skus[selection.picked];
  selection.choice.target = selection.arch.target;
  return selection;
}

// ---- kernels --------------------------------------------------------------------------------------------------------

WriteSliceConfig make_config(const WriteSliceDescriptor& descriptor, Variant variant) {
  return {.variant = variant,
          .element_bytes = std::max(1, element_bytes(descriptor.element)),
          .wide_index = num_elements(extents_of(descriptor)) > std::numeric_limits<std::int32_t>::max(),
          .device_starts = descriptor.device_starts};
}

/// The kernels that some strides of the descriptor's element run on; none on the CPU.
std::vector<Variant> kernel_variants(const WriteSliceDescriptor& descriptor, const Selection& selection) {
  std::vector<Variant> variants;
  if (selection.arch.arch == Arch::Cpu) return variants;
  const bool packed = is_packed_4bit(descriptor.element);
  for (Variant variant : {Variant::Rows, packed ? Variant::Nibbles : Variant::Generic})
    if (selection.allowed[static_cast<int>(variant)]) variants.push_back(variant);
  return variants;
}

/// Fills what only the GPU needs and returns the number of blocks.
std::uint32_t fill_grid(Variant variant, bool wide_index, WriteSliceParams* params) {
  std::int64_t items = 1;
  for (int k = 0; k < params->num_axes; ++k) {
    items *= params->axes[k].extent;
    if (!wide_index) params->divisors[k] = make_fast_divisor(static_cast<unsigned>(params->axes[k].extent));
  }
  std::int64_t items_per_block = WriteSliceConfig::num_threads();
  if (variant == Variant::Generic) items_per_block *= WriteSliceConfig::unroll();
  if (variant == Variant::Rows) {
    auto misaligned = reinterpret_cast<std::uintptr_t>(params->dest);
    for (int k = 0; k < params->num_axes; ++k) misaligned |= static_cast<std::uintptr_t>(params->axes[k].dest_stride);
    for (int axis = 0; axis < params->rank; ++axis)
      misaligned |= static_cast<std::uintptr_t>(params->start_strides[axis]);
    const RowPartition partition =
        partition_rows(params->row_bytes, misaligned, WriteSliceConfig::unroll(), WriteSliceConfig::num_threads());
    params->lanes_log2 = partition.lanes_log2;
    params->chunks_per_row = partition.chunks_per_row;
    if (!wide_index) params->chunk_divisor = make_fast_divisor(static_cast<unsigned>(params->chunks_per_row));
    items *= params->chunks_per_row;
    items_per_block >>= params->lanes_log2;
  }
  params->num_items = items;
  constexpr std::int64_t kMaxBlocks = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::uint32_t>(std::min(kMaxBlocks, (items + items_per_block - 1) / items_per_block));
}

}  // namespace

jit::KernelSpec write_slice_kernel(const WriteSliceConfig& config, const CodeTarget& target) {
  const auto [variant, element_bytes, wide_index, device_starts] = config;
  return {
      .name = fmt::format("write_slice.{}.{}_byte{}{}", name_of(variant).stem, element_bytes, wide_index ? ".wide" : "",
                          device_starts ? ".device_starts" : ""),
      .text = fmt::format(R"(#include "baracuda/ops/write_slice/write_slice.cuh"
using namespace baracuda;
constexpr WriteSliceConfig kConfig{{.variant = WriteSliceVariant::{}, .element_bytes = {}, .wide_index = {}, .device_starts = {}}};
extern "C" __global__ __launch_bounds__(kConfig.num_threads(), 1)
void baracuda_kernel(const __grid_constant__ WriteSliceParams params) {{ write_slice<kConfig>(params); }}
)",
                          name_of(variant).enumerator, element_bytes, wide_index, device_starts),
      .target = target,
  };
}

Result<std::vector<jit::KernelSpec>> plan_kernels(const WriteSliceDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device) {
  BARACUDA_ASSIGN_OR_RETURN(const Selection selection, select_variants(descriptor, preference, device));
  std::vector<jit::KernelSpec> kernels;
  for (Variant variant : kernel_variants(descriptor, selection))
    kernels.push_back(write_slice_kernel(make_config(descriptor, variant), selection.arch.target));
  return kernels;
}

// ---- the plan -------------------------------------------------------------------------------------------------------

struct WriteSlicePlan::State {
  Descriptor descriptor;
  Device device;
  Dims extents;
  bool empty = false;
  bool wide_index = false;
  Selection selection;
  std::array<std::shared_ptr<const cuda::Kernel>, kNumVariants> kernels;
  WriteSliceCpuKernel cpu_kernel = nullptr;

  /// What `run` needs of args that have passed every check.
  struct Prepared {
    Variant variant = Variant::WholeDest;
    Window window;
  };
  Result<Prepared> prepare(const Args& args) const;
  Result<void> check(const Args& args) const;
  WriteSliceParams make_params(const Args& args, const Prepared& prepared) const;
};

Result<PlanChoice> WriteSlicePlan::choose(const Descriptor& descriptor, const PlanPreference& preference,
                                          const DeviceInfo& device) noexcept try {
  return select_variants(descriptor, preference, device).transform([](Selection&& selection) {
    return std::move(selection.choice);
  });
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<Explanation> WriteSlicePlan::explain(const Descriptor& descriptor, const PlanPreference& preference,
                                            const DeviceInfo& device) noexcept try {
  return explain_copy<WriteSlicePlan>(descriptor, preference, device, moved_bytes);
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<Explanation> WriteSlicePlan::explain(const Stream& stream, const Descriptor& descriptor,
                                            const PlanPreference& preference) noexcept try {
  return explain(descriptor, preference, stream.device_info());
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<CompileReport> WriteSlicePlan::compile(const Descriptor& descriptor, const PlanPreference& preference,
                                              const DeviceInfo& device) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(const auto kernels, plan_kernels(descriptor, preference, device));
  return jit::compile_report(kernels).transform_error(named);
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<WriteSlicePlan> WriteSlicePlan::select(const Stream& stream, const Descriptor& descriptor,
                                              const PlanPreference& preference) noexcept try {
  auto state = std::make_shared<State>();
  BARACUDA_ASSIGN_OR_RETURN(state->selection, select_variants(descriptor, preference, stream.device_info()));
  state->descriptor = descriptor;
  state->device = stream.device();
  state->extents = extents_of(descriptor);
  state->empty = num_elements(state->extents) == 0;
  const CodeTarget target = state->selection.arch.target;
  if (stream.device().is_cpu()) {
    cpu::prepare_threads();
    state->cpu_kernel = write_slice_cpu_kernel(target.cpu);
    return WriteSlicePlan(std::move(state));
  }
  for (Variant variant : kernel_variants(descriptor, state->selection)) {
    const WriteSliceConfig config = make_config(descriptor, variant);
    state->wide_index = config.wide_index;  // of the window, so the same for all variants
    BARACUDA_ASSIGN_OR_RETURN(state->kernels[static_cast<int>(variant)],
                              jit::load_kernel(write_slice_kernel(config, target), stream).transform_error(named));
  }
  return WriteSlicePlan(std::move(state));
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<void> WriteSlicePlan::State::check(const Args& args) const {
  const ArgChecker checker(kPlan, device);
  BARACUDA_ASSIGN_OR_RETURN(const Reach dest,
                            checker.tensor("dest", args.dest, descriptor.element, descriptor.dest_shape));
  BARACUDA_ASSIGN_OR_RETURN(const Reach source, checker.tensor("source", args.source, descriptor.element, extents));
  BARACUDA_RETURN_IF_ERROR(checker.injective("dest", args.dest));
  BARACUDA_RETURN_IF_ERROR(checker.disjoint({"dest", dest}, {"source", source}));

  if (args.device_starts.has_value() != descriptor.device_starts)
    return invalid(descriptor.device_starts ? "device_starts is missing, the descriptor asks for it"
                                            : "device_starts is given, but the descriptor has the positions");
  Reach starts;
  if (args.device_starts) {
    BARACUDA_ASSIGN_OR_RETURN(
        starts, checker.vector("device_starts", *args.device_starts, Element::I64, descriptor.dest_shape.rank()));
    BARACUDA_RETURN_IF_ERROR(checker.disjoint({"dest", dest}, {"device_starts", starts}));
  }
  if (args.status) {
    if (!descriptor.device_starts) return invalid("status is given, but only device_starts can fail on the device");
    BARACUDA_ASSIGN_OR_RETURN(const Reach status, checker.vector("status", *args.status, Element::I32, 1));
    BARACUDA_RETURN_IF_ERROR(checker.disjoint({"status", status}, {"dest", dest}));
    BARACUDA_RETURN_IF_ERROR(checker.disjoint({"status", status}, {"source", source}));
    BARACUDA_RETURN_IF_ERROR(checker.disjoint({"status", status}, {"device_starts", starts}));
  }
  return {};
}

Result<WriteSlicePlan::State::Prepared> WriteSlicePlan::State::prepare(const Args& args) const {
  BARACUDA_RETURN_IF_ERROR(check(args));
  Prepared prepared;
  prepared.variant = static_cast<Variant>(selection.picked);
  if (empty) return prepared;
  prepared.window = collapse(descriptor, args.dest.strides, args.source.strides);
  for (int i = 0; i < kNumVariants; ++i) {
    prepared.variant = static_cast<Variant>(i);
    if (selection.allowed[i] && serves(prepared.variant, prepared.window, descriptor)) return prepared;
  }
  return Error::unsupported(
      fmt::format("{}: strides {} of dest with {} of source need a variant that the preference excludes", kPlan,
                  args.dest.strides.to_string(), args.source.strides.to_string()));
}

WriteSliceParams WriteSlicePlan::State::make_params(const Args& args, const Prepared& prepared) const {
  const Window& window = prepared.window;
  WriteSliceParams params{};
  params.dest = static_cast<char*>(args.dest.data);
  params.source = static_cast<const char*>(args.source.data);
  if (window.in_nibbles) {
    params.dest_nibble = window.dest_offset;
    params.source_nibble = window.source_offset;
  } else {
    params.dest += window.dest_offset;
    params.source += window.source_offset;
  }
  params.num_axes = window.num_axes;
  std::copy_n(window.axes.begin(), window.num_axes, params.axes);
  params.row_bytes = window.run_bytes;
  if (!descriptor.device_starts) return params;

  params.starts = static_cast<const long long*>(args.device_starts->data);
  if (args.status) params.status = static_cast<int*>(args.status->data);
  params.rank = descriptor.dest_shape.rank();
  const bool packed = is_packed_4bit(descriptor.element);
  const std::int64_t bytes_each = element_bytes(descriptor.element);
  for (int axis = 0; axis < params.rank; ++axis) {
    params.dest_shape[axis] = descriptor.dest_shape[axis];
    params.extents[axis] = extents[axis];
    // Only position 0 fits an axis that the window fills, whatever its stride. Of an empty window nothing moves, and
    // its strides were never looked at.
    if (empty || extents[axis] == descriptor.dest_shape[axis]) continue;
    const std::int64_t stride = args.dest.strides[axis];
    params.start_strides[axis] = !packed ? stride * bytes_each : window.in_nibbles ? stride : stride / 2;
  }
  return params;
}

Result<void> WriteSlicePlan::can_implement(const Args& args) const noexcept try {
  return state_->prepare(args).transform([](auto&&) {});
} catch (...) {
  return internal::thrown_error(kPlan);
}

const WriteSliceDescriptor& WriteSlicePlan::descriptor() const { return state_->descriptor; }

const KernelSku& WriteSlicePlan::sku() const { return state_->selection.choice.sku; }

Result<KernelSku> WriteSlicePlan::sku(const Args& args) const noexcept try {
  return state_->prepare(args).transform(
      [&](auto&& prepared) { return state_->selection.skus[static_cast<int>(prepared.variant)]; });
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<void> WriteSlicePlan::run(const Stream& stream, const Workspace&, const Args& args) const noexcept try {
  const State& state = *state_;
  BARACUDA_RETURN_IF_ERROR(ArgChecker(kPlan, state.device).stream(stream.device()));
  BARACUDA_ASSIGN_OR_RETURN(const State::Prepared prepared, state.prepare(args));
  if (state.empty && !args.status) return {};

  WriteSliceParams params = state.make_params(args, prepared);
  if (state.cpu_kernel) {
    if (state.descriptor.device_starts) {
      long long moved;
      const bool fits = resolve_starts(params, &moved);
      if (params.status) *params.status = fits ? 0 : 1;
      if (!fits || state.empty) return {};
      if (prepared.window.in_nibbles)
        params.dest_nibble += moved;
      else
        params.dest += moved;
    }
    state.cpu_kernel(params, prepared.variant, std::max(1, element_bytes(state.descriptor.element)),
                     stream.num_threads());
    return {};
  }
  if (prepared.variant == Variant::WholeDest || prepared.variant == Variant::ContiguousChunk)
    return cuda::copy_device_to_device(stream, params.dest, params.source, static_cast<std::size_t>(params.row_bytes))
        .transform_error(named);
  // An empty window still has its position checked, for the status.
  const std::uint32_t blocks = state.empty ? 1 : fill_grid(prepared.variant, state.wide_index, &params);
  const cuda::LaunchShape shape{.grid = {blocks},
                                .block = {static_cast<std::uint32_t>(WriteSliceConfig::num_threads())}};
  return cuda::launch(*state.kernels[static_cast<int>(prepared.variant)], stream, shape, &params)
      .transform_error(named);
} catch (...) {
  return internal::thrown_error(kPlan);
}

}  // namespace baracuda
