#include "baracuda/ops/kv_cache_append/kv_cache_append.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "baracuda/core/propagate.h"
#include "baracuda/cpu/parallel_for.h"
#include "baracuda/cuda/launch.h"
#include "baracuda/jit/compile_report.h"
#include "baracuda/jit/load.h"
#include "baracuda/ops/kv_cache_append/kv_cache_append_config.h"
#include "baracuda/ops/kv_cache_append/kv_cache_append_kernels.h"
#include "baracuda/plan/arg_check.h"
#include "baracuda/plan/candidate.h"
#include "baracuda/plan/row_partition.h"

namespace baracuda {
namespace {

constexpr std::string_view kPlan = "KvCacheAppendPlan";

/// What the driver and the compiler say, in the plan's name.
Error named(Error error) { return in_plan(kPlan, std::move(error)); }

Error invalid(std::string message) { return Error::invalid_problem(fmt::format("{}: {}", kPlan, message)); }

bool is_paged(const KvCacheAppendDescriptor& descriptor) { return descriptor.layout == KvCacheLayout::Paged; }

/// The logical shapes of the new tokens and of the cache, for keys or values.
Dims source_shape(const KvCacheAppendDescriptor& descriptor, std::int64_t head_dim) {
  if (is_paged(descriptor)) return {descriptor.num_tokens, descriptor.num_kv_heads, head_dim};
  return {descriptor.num_sequences, descriptor.num_tokens, descriptor.num_kv_heads, head_dim};
}
Dims cache_shape(const KvCacheAppendDescriptor& descriptor, std::int64_t head_dim) {
  if (is_paged(descriptor)) return {descriptor.num_pages, descriptor.page_size, descriptor.num_kv_heads, head_dim};
  return {descriptor.num_sequences, descriptor.max_seq_len, descriptor.num_kv_heads, head_dim};
}

std::int64_t num_positions(const KvCacheAppendDescriptor& descriptor) {
  return is_paged(descriptor) ? descriptor.num_tokens : descriptor.num_sequences;
}

Result<void> validate(const KvCacheAppendDescriptor& descriptor) {
  if (!is_byte_wide(descriptor.element))
    return Error::unsupported(
        fmt::format("{}: element is {}, expected a byte-wide kind", kPlan, name_of(descriptor.element)));
  struct Size {
    std::string_view field;
    std::int64_t value;
    bool of_layout;
  };
  const bool paged = is_paged(descriptor);
  for (const auto& [field, value, of_layout] :
       {Size{"num_tokens", descriptor.num_tokens, true}, Size{"num_kv_heads", descriptor.num_kv_heads, true},
        Size{"k_head_dim", descriptor.k_head_dim, true}, Size{"v_head_dim", descriptor.v_head_dim, true},
        Size{"num_sequences", descriptor.num_sequences, !paged}, Size{"max_seq_len", descriptor.max_seq_len, !paged},
        Size{"num_pages", descriptor.num_pages, paged}, Size{"page_size", descriptor.page_size, paged}}) {
    if (value < 0) return invalid(fmt::format("{} is {}, expected at least 0", field, value));
    if (value != 0 && !of_layout)
      return invalid(fmt::format("{} is {}, expected 0: the layout is {}", field, value, name_of(descriptor.layout)));
  }
  if (!paged && descriptor.num_tokens > descriptor.max_seq_len)
    return invalid(fmt::format("num_tokens is {}, expected at most max_seq_len, {}", descriptor.num_tokens,
                               descriptor.max_seq_len));
  for (std::int64_t head_dim : {descriptor.k_head_dim, descriptor.v_head_dim})
    for (const Dims& shape : {source_shape(descriptor, head_dim), cache_shape(descriptor, head_dim)}) {
      std::int64_t elements, bytes;
      if (!checked_elements(shape, &elements) ||
          __builtin_mul_overflow(elements, element_bytes(descriptor.element), &bytes))
        return invalid(fmt::format("a tensor of shape {} has 2^63 bytes or more", shape.to_string()));
    }
  // Without heads the pages have no bytes, but slots are still counted.
  if (std::int64_t num_slots; __builtin_mul_overflow(descriptor.num_pages, descriptor.page_size, &num_slots))
    return invalid(fmt::format("num_pages is {} and page_size {}, expected less than 2^63 slots", descriptor.num_pages,
                               descriptor.page_size));
  return {};
}

/// Whether both sides have nothing to move, wherever the positions point.
bool is_empty(const KvCacheAppendDescriptor& descriptor) {
  const auto bytes = [&](const Dims& shape) { return contiguous_bytes(descriptor.element, shape); };
  for (std::int64_t head_dim : {descriptor.k_head_dim, descriptor.v_head_dim})
    if (bytes(source_shape(descriptor, head_dim)) && bytes(cache_shape(descriptor, head_dim))) return false;
  return true;
}

/// The bytes of k, v and positions read, and of the caches written; held at the largest number past 2^63.
std::int64_t moved_bytes(const KvCacheAppendDescriptor& descriptor) {
  std::uint64_t bytes = 0;
  bool overflow = __builtin_mul_overflow(num_positions(descriptor), element_bytes(Element::I64), &bytes);
  for (std::int64_t head_dim : {descriptor.k_head_dim, descriptor.v_head_dim})
    for (int direction = 0; direction < 2; ++direction)
      overflow |= __builtin_add_overflow(
          bytes, contiguous_bytes(descriptor.element, source_shape(descriptor, head_dim)), &bytes);
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  return overflow || bytes > kMost ? kMost : static_cast<std::int64_t>(bytes);
}

// ---- candidates -----------------------------------------------------------------------------------------------------

using KvCandidate = Candidate<KvCacheAppendDescriptor>;

template <KvCacheLayout kLayout>
Verdict has_layout(const KvCacheAppendDescriptor& descriptor) {
  if (descriptor.layout == kLayout) return Verdict::accept();
  return Verdict::reject(fmt::format("the cache is {}", name_of(descriptor.layout)));
}

constexpr std::array<KvCandidate, 4> kCandidates = {{
    {Arch::Sm80, Backend::Bespoke, "contiguous", "one launch, rows at any alignment",
     has_layout<KvCacheLayout::Contiguous>},
    {Arch::Sm80, Backend::Bespoke, "paged", "one launch, rows at any alignment", has_layout<KvCacheLayout::Paged>},
    {Arch::Cpu, Backend::Bespoke, "contiguous", "a memcpy a row", has_layout<KvCacheLayout::Contiguous>},
    {Arch::Cpu, Backend::Bespoke, "paged", "a memcpy a row", has_layout<KvCacheLayout::Paged>},
}};

CandidateTraits traits_of(const KvCandidate& candidate) { return {candidate.arch, candidate.backend, kBitsMoved, 0}; }

KvCacheAppendConfig make_config(const KvCacheAppendDescriptor& descriptor) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  // All that the kernel divides, and divides by. A row has no more chunks than elements.
  bool wide_index = moved_bytes(descriptor) / (2 * element_bytes(descriptor.element)) > kMost;
  for (std::int64_t size : {descriptor.num_tokens, descriptor.max_seq_len, descriptor.page_size,
                            descriptor.num_pages * descriptor.page_size})
    wide_index |= size > kMost;
  return {.paged = is_paged(descriptor), .element_bytes = element_bytes(descriptor.element), .wide_index = wide_index};
}

// ---- one run --------------------------------------------------------------------------------------------------------

/// Strides of one side in bytes; the heads are merged into the rows where both tensors allow it. A side without
/// elements stays all zeros: nothing is known of its strides, and their products could overflow.
KvCacheAppendSide make_side(const KvCacheAppendDescriptor& descriptor, const TensorRef& source, const TensorMut& cache,
                            std::int64_t head_dim) {
  if (contiguous_bytes(descriptor.element, source.shape) == 0 || contiguous_bytes(descriptor.element, cache.shape) == 0)
    return {};
  const std::int64_t bytes = element_bytes(descriptor.element);
  // Nor is anything of the stride of an axis of extent 1.
  const auto stride = [bytes](const auto& view, int axis) {
    return view.shape[axis] > 1 ? view.strides[axis] * bytes : 0;
  };
  const int token_axis = is_paged(descriptor) ? 0 : 1;
  KvCacheAppendSide side{};
  side.cache = static_cast<char*>(cache.data);
  side.source = static_cast<const char*>(source.data);
  side.cache_page_stride = stride(cache, 0);
  side.cache_token_stride = stride(cache, 1);
  side.cache_head_stride = stride(cache, 2);
  // Paged: the tokens are the positions.
  side.source_sequence_stride = stride(source, 0);
  side.source_token_stride = is_paged(descriptor) ? 0 : stride(source, token_axis);
  side.source_head_stride = stride(source, token_axis + 1);
  side.num_heads = descriptor.num_kv_heads;
  side.row_bytes = head_dim * bytes;
  if (side.num_heads == 1 || (side.cache_head_stride == side.row_bytes && side.source_head_stride == side.row_bytes)) {
    side.row_bytes *= side.num_heads;
    side.num_heads = 1;
  }
  return side;
}

/// Appends the rows of one side.
template <bool kPaged>
void append_on_cpu(const KvCacheAppendParams& params, const KvCacheAppendSide& side, int num_threads) {
  if (side.row_bytes == 0) return;
  const std::int64_t rows_per_position = params.num_tokens * side.num_heads;
  const std::int64_t grain = std::max<std::int64_t>(1, cpu::kBytesPerPiece / side.row_bytes);
  cpu::parallel_for(num_threads, params.num_positions * rows_per_position, grain,
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t row = begin; row < end; ++row) {
                        const std::int64_t index = row / rows_per_position;
                        const std::int64_t token = row % rows_per_position / side.num_heads;
                        const std::int64_t head = row % side.num_heads;
                        const KvCachePlace place = place_of<kPaged, true>(params, index);
                        if (place.skipped) continue;
                        std::memcpy(side.cache + place.page * side.cache_page_stride +
                                        (place.token + token) * side.cache_token_stride + head * side.cache_head_stride,
                                    side.source + index * side.source_sequence_stride +
                                        token * side.source_token_stride + head * side.source_head_stride,
                                    static_cast<std::size_t>(side.row_bytes));
                      }
                    });
}

template <bool kPaged>
void run_on_cpu(const KvCacheAppendParams& params, int num_threads) {
  if (params.status) {
    *params.status = 0;
    for (std::int64_t i = 0; i < params.num_positions; ++i)
      if (place_of<kPaged, true>(params, i).invalid) *params.status = 1;
  }
  // One thread for a slot that two tokens name would not be enough to order them: the contract leaves that open.
  append_on_cpu<kPaged>(params, params.k, num_threads);
  append_on_cpu<kPaged>(params, params.v, num_threads);
}

/// Fills what only the GPU needs of a side and returns its number of blocks.
std::int64_t fill_grid(std::int64_t num_rows, bool wide_index, KvCacheAppendSide* side) {
  const auto alignment_bits =
      reinterpret_cast<std::uintptr_t>(side->cache) |
      static_cast<std::uintptr_t>(side->cache_page_stride | side->cache_token_stride | side->cache_head_stride);
  if (side->row_bytes == 0 || num_rows * side->num_heads == 0) return 0;
  const RowPartition partition = partition_rows(side->row_bytes, alignment_bits, KvCacheAppendConfig::unroll(),
                                                KvCacheAppendConfig::num_threads());
  side->lanes_log2 = partition.lanes_log2;
  side->chunks_per_row = partition.chunks_per_row;
  if (!wide_index) {
    side->chunk_divisor = make_fast_divisor(static_cast<unsigned>(side->chunks_per_row));
    side->head_divisor = make_fast_divisor(static_cast<unsigned>(side->num_heads));
  }
  side->num_items = num_rows * side->num_heads * side->chunks_per_row;
  const std::int64_t items_per_block = KvCacheAppendConfig::num_threads() >> side->lanes_log2;
  return (side->num_items + items_per_block - 1) / items_per_block;
}

}  // namespace

std::string_view name_of(KvCacheLayout layout) {
  switch (layout) {
    case KvCacheLayout::Contiguous: return "contiguous";
    case KvCacheLayout::Paged: return "paged";
  }
  return "invalid";
}

jit::KernelSpec kv_cache_append_kernel(const KvCacheAppendConfig& config, const CodeTarget& target) {
  const auto [paged, element_bytes, wide_index] = config;
  return {
      .name = fmt::format("kv_cache_append.{}.{}_byte{}", paged ? "paged" : "contiguous", element_bytes,
                          wide_index ? ".wide" : ""),
      .text = fmt::format(R"(#include "baracuda/ops/kv_cache_append/kv_cache_append.cuh"
using namespace baracuda;
constexpr KvCacheAppendConfig kConfig{{.paged = {}, .element_bytes = {}, .wide_index = {}}};
extern "C" __global__ __launch_bounds__(kConfig.num_threads(), 1)
void baracuda_kernel(const __grid_constant__ KvCacheAppendParams params) {{ kv_cache_append<kConfig>(params); }}
)",
                          paged, element_bytes, wide_index),
      .target = target,
  };
}

Result<std::vector<jit::KernelSpec>> plan_kernels(const KvCacheAppendDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device) {
  BARACUDA_ASSIGN_OR_RETURN(const PlanChoice choice, KvCacheAppendPlan::choose(descriptor, preference, device));
  std::vector<jit::KernelSpec> kernels;
  if (choice.sku.arch != Arch::Cpu) kernels.push_back(kv_cache_append_kernel(make_config(descriptor), choice.target));
  return kernels;
}

// ---- the plan -------------------------------------------------------------------------------------------------------

struct KvCacheAppendPlan::State {
  Descriptor descriptor;
  Device device;
  KernelSku sku;
  Dims k_shape, v_shape, k_cache_shape, v_cache_shape;
  bool empty = false;
  bool wide_index = false;
  std::shared_ptr<const cuda::Kernel> kernel;  // null on the CPU

  Result<void> check(const Args& args) const;
  Result<void> check_caches_apart(const ArgChecker& checker, const Args& args, const Reach& k, const Reach& v) const;
};

Result<PlanChoice> KvCacheAppendPlan::choose(const Descriptor& descriptor, const PlanPreference& preference,
                                             const DeviceInfo& device) noexcept try {
  BARACUDA_RETURN_IF_ERROR(validate(descriptor));
  BARACUDA_ASSIGN_OR_RETURN(const ArchChoice arch, choose_arch(kPlan, preference, device));
  PlanChoice choice;
  BARACUDA_ASSIGN_OR_RETURN(const std::size_t picked,
                            pick_candidate(kPlan, std::span<const KvCandidate>(kCandidates), descriptor, arch.arch,
                                           preference, traits_of, &choice.candidates));
  choice.sku = make_sku(Category::DataMovement, kName, descriptor.element, kCandidates[picked], arch, kBitsMoved);
  choice.sku.aux_element = Element::I64;
  choice.target = arch.target;
  return choice;
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<Explanation> KvCacheAppendPlan::explain(const Descriptor& descriptor, const PlanPreference& preference,
                                               const DeviceInfo& device) noexcept try {
  return explain_copy<KvCacheAppendPlan>(descriptor, preference, device, moved_bytes);
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<Explanation> KvCacheAppendPlan::explain(const Stream& stream, const Descriptor& descriptor,
                                               const PlanPreference& preference) noexcept try {
  return explain(descriptor, preference, stream.device_info());
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<CompileReport> KvCacheAppendPlan::compile(const Descriptor& descriptor, const PlanPreference& preference,
                                                 const DeviceInfo& device) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(const auto kernels, plan_kernels(descriptor, preference, device));
  return jit::compile_report(kernels).transform_error(named);
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<KvCacheAppendPlan> KvCacheAppendPlan::select(const Stream& stream, const Descriptor& descriptor,
                                                    const PlanPreference& preference) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(PlanChoice choice, choose(descriptor, preference, stream.device_info()));
  auto state = std::make_shared<State>();
  state->descriptor = descriptor;
  state->device = stream.device();
  state->sku = std::move(choice.sku);
  state->k_shape = source_shape(descriptor, descriptor.k_head_dim);
  state->v_shape = source_shape(descriptor, descriptor.v_head_dim);
  state->k_cache_shape = cache_shape(descriptor, descriptor.k_head_dim);
  state->v_cache_shape = cache_shape(descriptor, descriptor.v_head_dim);
  state->empty = is_empty(descriptor);
  if (stream.device().is_cpu()) {
    cpu::prepare_threads();
  } else {
    const KvCacheAppendConfig config = make_config(descriptor);
    state->wide_index = config.wide_index;
    BARACUDA_ASSIGN_OR_RETURN(
        state->kernel, jit::load_kernel(kv_cache_append_kernel(config, choice.target), stream).transform_error(named));
  }
  return KvCacheAppendPlan(std::move(state));
} catch (...) {
  return internal::thrown_error(kPlan);
}

/// Caches whose byte ranges overlap may still interleave: then the two, seen as one tensor with an axis more, name each
/// element once.
Result<void> KvCacheAppendPlan::State::check_caches_apart(const ArgChecker& checker, const Args& args, const Reach& k,
                                                          const Reach& v) const {
  const NamedReach k_cache{"k_cache", k}, v_cache{"v_cache", v};
  bool alike = args.k_cache.shape == args.v_cache.shape;
  for (int axis = 0; axis < args.k_cache.rank(); ++axis)
    alike &= args.k_cache.shape[axis] <= 1 || args.k_cache.strides[axis] == args.v_cache.strides[axis];
  if (!k.overlaps(v) || !alike) return checker.disjoint(k_cache, v_cache);
  const auto apart =
      reinterpret_cast<std::intptr_t>(args.v_cache.data) - reinterpret_cast<std::intptr_t>(args.k_cache.data);
  const std::int64_t bytes = element_bytes(descriptor.element);
  Dims shape = Dims::filled(args.k_cache.rank() + 1, 2), strides = Dims::filled(args.k_cache.rank() + 1, apart / bytes);
  for (int axis = 0; axis < args.k_cache.rank(); ++axis) {
    shape[axis] = args.k_cache.shape[axis];
    strides[axis] = args.k_cache.strides[axis];
  }
  const TensorRef both(args.k_cache.data, descriptor.element, shape, strides, device, args.k_cache.buffer);
  if (apart % bytes == 0 && checker.injective("k_cache", both)) return {};
  return checker.disjoint(k_cache, v_cache);
}

Result<void> KvCacheAppendPlan::State::check(const Args& args) const {
  const ArgChecker checker(kPlan, device);
  const Element element = descriptor.element;
  BARACUDA_ASSIGN_OR_RETURN(const Reach k, checker.tensor("k", args.k, element, k_shape));
  BARACUDA_ASSIGN_OR_RETURN(const Reach v, checker.tensor("v", args.v, element, v_shape));
  BARACUDA_ASSIGN_OR_RETURN(const Reach k_cache, checker.tensor("k_cache", args.k_cache, element, k_cache_shape));
  BARACUDA_ASSIGN_OR_RETURN(const Reach v_cache, checker.tensor("v_cache", args.v_cache, element, v_cache_shape));
  BARACUDA_ASSIGN_OR_RETURN(const Reach positions,
                            checker.vector("positions", args.positions, Element::I64, num_positions(descriptor)));
  Reach status;
  if (args.status) {
    BARACUDA_ASSIGN_OR_RETURN(status, checker.vector("status", *args.status, Element::I32, 1));
  }

  BARACUDA_RETURN_IF_ERROR(checker.contiguous_rows("k", args.k));
  BARACUDA_RETURN_IF_ERROR(checker.contiguous_rows("v", args.v));
  BARACUDA_RETURN_IF_ERROR(checker.contiguous_rows("k_cache", args.k_cache));
  BARACUDA_RETURN_IF_ERROR(checker.contiguous_rows("v_cache", args.v_cache));
  BARACUDA_RETURN_IF_ERROR(checker.injective("k_cache", args.k_cache));
  BARACUDA_RETURN_IF_ERROR(checker.injective("v_cache", args.v_cache));

  const NamedReach inputs[] = {{"k", k}, {"v", v}, {"positions", positions}};
  for (const NamedReach& output :
       {NamedReach{"k_cache", k_cache}, NamedReach{"v_cache", v_cache}, NamedReach{"status", status}})
    for (const NamedReach& input : inputs) BARACUDA_RETURN_IF_ERROR(checker.disjoint(output, input));
  BARACUDA_RETURN_IF_ERROR(checker.disjoint({"status", status}, {"k_cache", k_cache}));
  BARACUDA_RETURN_IF_ERROR(checker.disjoint({"status", status}, {"v_cache", v_cache}));
  return check_caches_apart(checker, args, k_cache, v_cache);
}

Result<void> KvCacheAppendPlan::can_implement(const Args& args) const noexcept try {
  return state_->check(args);
} catch (...) {
  return internal::thrown_error(kPlan);
}

const KvCacheAppendDescriptor& KvCacheAppendPlan::descriptor() const { return state_->descriptor; }

const KernelSku& KvCacheAppendPlan::sku() const { return state_->sku; }

Result<KernelSku> KvCacheAppendPlan::sku(const Args& args) const noexcept try {
  return state_->check(args).transform([&] { return state_->sku; });
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<void> KvCacheAppendPlan::run(const Stream& stream, const Workspace&, const Args& args) const noexcept try {
  const State& state = *state_;
  const Descriptor& descriptor = state.descriptor;
  BARACUDA_RETURN_IF_ERROR(ArgChecker(kPlan, state.device).stream(stream.device()));
  BARACUDA_RETURN_IF_ERROR(state.check(args));
  if (state.empty && !args.status) return {};

  const bool paged = is_paged(descriptor);
  KvCacheAppendParams params{};
  params.k = make_side(descriptor, args.k, args.k_cache, descriptor.k_head_dim);
  params.v = make_side(descriptor, args.v, args.v_cache, descriptor.v_head_dim);
  params.positions = static_cast<const long long*>(args.positions.data);
  params.status = args.status ? static_cast<int*>(args.status->data) : nullptr;
  params.num_positions = num_positions(descriptor);
  params.num_tokens = paged ? 1 : descriptor.num_tokens;
  params.page_tokens = paged ? descriptor.page_size : descriptor.max_seq_len;
  params.num_slots = descriptor.num_pages * descriptor.page_size;
  if (!state.kernel) {
    (paged ? run_on_cpu<true> : run_on_cpu<false>)(params, stream.num_threads());
    return {};
  }
  if (!state.wide_index) {
    // Where one is 0 nothing is divided by it.
    params.token_divisor = make_fast_divisor(static_cast<unsigned>(std::max<std::int64_t>(1, params.num_tokens)));
    params.page_divisor = make_fast_divisor(static_cast<unsigned>(std::max<std::int64_t>(1, params.page_tokens)));
  }
  const std::int64_t num_rows = params.num_positions * params.num_tokens;
  params.k_blocks = fill_grid(num_rows, state.wide_index, &params.k);
  // Without a row to move there is still the status to write.
  const std::int64_t blocks =
      std::max<std::int64_t>(1, params.k_blocks + fill_grid(num_rows, state.wide_index, &params.v));
  if (blocks > std::numeric_limits<std::int32_t>::max()) [[unlikely]]
    return Error::unsupported(fmt::format("{}: {} blocks of rows, expected at most 2^31 - 1", kPlan, blocks));
  const cuda::LaunchShape shape{.grid = {static_cast<std::uint32_t>(blocks)},
                                .block = {static_cast<std::uint32_t>(KvCacheAppendConfig::num_threads())}};
  return cuda::launch(*state.kernel, stream, shape, &params).transform_error(named);
} catch (...) {
  return internal::thrown_error(kPlan);
}

}  // namespace baracuda
