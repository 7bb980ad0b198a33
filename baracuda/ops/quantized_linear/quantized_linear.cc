#include "baracuda/ops/quantized_linear/quantized_linear.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <tuple>

#include "baracuda/core/propagate.h"
#include "baracuda/cpu/parallel_for.h"
#include "baracuda/cuda/launch.h"
#include "baracuda/cuda/tensor_map.h"
#include "baracuda/jit/compile_report.h"
#include "baracuda/jit/load.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_kernels.h"
#include "baracuda/ops/quantized_linear/quantized_linear_config.h"
#include "baracuda/ops/quantized_linear/quantized_linear_cpu.h"
#include "baracuda/ops/quantized_linear/quantized_linear_kernels.h"
#include "baracuda/plan/arg_check.h"
#include "baracuda/plan/candidate.h"

namespace baracuda {
namespace {

using Variant = QuantizedLinearVariant;

constexpr std::string_view kPlan = "QuantizedLinearPlan";
constexpr int kNumVariants = kNumQuantizedLinearVariants;

constexpr std::string_view kStems[kNumVariants] = {"wgmma128x256_cluster2",
                                                   "wgmma128x256",
                                                   "wgmma_swapped128x32",
                                                   "wgmma_swapped256x32",
                                                   "wgmma_swapped128x64",
                                                   "wgmma_swapped256x64",
                                                   "wgmma_swapped128x128",
                                                   "wgmma_swapped256x128",
                                                   "tile128x256",
                                                   "tile64x64",
                                                   "tile16x32",
                                                   "unaligned"};
constexpr std::string_view stem_of(Variant variant) { return kStems[static_cast<int>(variant)]; }

/// By wgmma, with q as the first operand.
constexpr bool is_wgmma(Variant variant) { return variant == Variant::WgmmaCluster2 || variant == Variant::Wgmma; }
/// By wgmma, with weights as the first operand.
constexpr bool is_swapped(Variant variant) {
  return variant >= Variant::Swapped128x32 && variant <= Variant::Swapped256x128;
}
/// What sm_90a alone has. The copy engine moves their operands.
constexpr bool is_sm90a(Variant variant) { return is_wgmma(variant) || is_swapped(variant); }

constexpr QuantizedLinearWgmmaConfig wgmma_config(Variant variant, Element weight_element, Element output_element,
                                                  Activation activation) {
  return {.weight_element = weight_element,
          .output_element = output_element,
          .cluster = variant == Variant::WgmmaCluster2 ? 2 : 1,
          .long_activation = is_long(activation)};
}

constexpr QuantizedLinearSwappedConfig swapped_config(Variant variant, Element weight_element, Element output_element) {
  const int number = static_cast<int>(variant) - static_cast<int>(Variant::Swapped128x32);
  return {.weight_element = weight_element,
          .output_element = output_element,
          .channels = number % 2 == 0 ? 128 : 256,
          .rows = 32 << (number / 2)};
}

/// Of the variants by mma.sync.
constexpr QuantizedLinearConfig mma_config(Variant variant, Element weight_element, Element output_element) {
  const auto with = [&](int tile_m, int tile_n, int tile_k, int stages, int warps_m,
                        int warps_n) -> QuantizedLinearConfig {
    const bool aligned = variant != Variant::Unaligned;
    return {weight_element, output_element, aligned, tile_m, tile_n, tile_k, stages, warps_m, warps_n};
  };
  switch (variant) {
    // A warp's 64 × 64 sums are half of its registers, and each loaded fragment serves 4 or 8 products. The ring is
    // what sm_89 has: 96 KB.
    case Variant::Tile128x256: return with(128, 256, 64, 4, 2, 4);
    // Few rows: weights are all there is to move, so many small blocks with much on its way to each.
    case Variant::Tile16x32: return with(16, 32, 256, 5, 1, 2);
    default: return with(64, 64, 128, 5, 2, 2);
  }
}

/// What the driver and the compiler say, in the plan's name.
Error named(Error error) { return in_plan(kPlan, std::move(error)); }

Error invalid(std::string message) { return Error::invalid_problem(fmt::format("{}: {}", kPlan, message)); }
Error unsupported(std::string message) { return Error::unsupported(fmt::format("{}: {}", kPlan, message)); }

// ---- validate -------------------------------------------------------------------------------------------------------

Element output_of(const QuantizedLinearDescriptor& descriptor) {
  return descriptor.output_element.value_or(descriptor.element);
}

/// Of scale_a and of all that is computed with it.
Element compute_element(const QuantizedLinearDescriptor& descriptor) {
  return descriptor.element == Element::F64 ? Element::F64 : Element::F32;
}

Result<void> validate_elements(const QuantizedLinearDescriptor& descriptor) {
  const auto is_float = [](Element element) {
    return element == Element::F32 || element == Element::F64 || element == Element::F16 || element == Element::Bf16;
  };
  const Element element = descriptor.element, output = output_of(descriptor);
  if (!is_float(element))
    return unsupported(fmt::format("element is {}, expected f32, f64, f16 or bf16", name_of(element)));
  if (!is_float(output) || (element == Element::F64) != (output == Element::F64))
    return unsupported(fmt::format("output_element is {} with x in {}, expected {}", name_of(output), name_of(element),
                                   element == Element::F64 ? "f64" : "f32, f16 or bf16"));
  if (descriptor.weight_element != Element::I8 && descriptor.weight_element != Element::U8)
    return unsupported(fmt::format("weight_element is {}, expected i8 or u8", name_of(descriptor.weight_element)));
  const auto is_scale_element = [&](Element given) { return given == Element::F32 || given == element; };
  if (!is_scale_element(descriptor.weight_scale_element))
    return unsupported(fmt::format("weight_scale_element is {}, expected f32 or x's {}",
                                   name_of(descriptor.weight_scale_element), name_of(element)));
  if (descriptor.bias_element && !is_scale_element(*descriptor.bias_element))
    return unsupported(
        fmt::format("bias_element is {}, expected f32 or x's {}", name_of(*descriptor.bias_element), name_of(element)));
  if (std::find(std::begin(kActivations), std::end(kActivations), descriptor.activation) == std::end(kActivations))
    return unsupported(fmt::format("activation is {}, expected identity, relu, gelu or silu",
                                   static_cast<int>(descriptor.activation)));
  return {};
}

/// Whether every sum of k products fits s32.
Result<void> validate_sums(const QuantizedLinearDescriptor& descriptor) {
  const bool is_signed = descriptor.weight_element == Element::I8;
  const std::int64_t weights[] = {is_signed ? -128 : -255, is_signed ? 127 : 255};  // less the zero point
  std::int64_t least = 0, greatest = 0;
  for (std::int64_t q : {descriptor.q_min, descriptor.q_max})
    for (std::int64_t weight : weights) {
      least = std::min(least, q * weight);
      greatest = std::max(greatest, q * weight);
    }
  constexpr std::int64_t kLeast = std::numeric_limits<std::int32_t>::min();
  constexpr std::int64_t kGreatest = std::numeric_limits<std::int32_t>::max();
  const std::int64_t most_k = std::min(kGreatest / greatest, least < 0 ? kLeast / least : kGreatest);
  if (descriptor.k <= most_k) return {};
  return unsupported(
      fmt::format("k is {}, expected at most {}: a sum of more products of q in {} … {} and {} weights "
                  "may not fit s32",
                  descriptor.k, most_k, descriptor.q_min, descriptor.q_max, is_signed ? "s8" : "u8"));
}

Result<void> validate(const QuantizedLinearDescriptor& descriptor) {
  BARACUDA_RETURN_IF_ERROR(validate_elements(descriptor));
  struct Size {
    std::string_view field;
    std::int64_t value;
  };
  for (const auto& [field, value] : {Size{"m", descriptor.m}, Size{"c_out", descriptor.c_out}, Size{"k", descriptor.k}})
    if (value < 0) return invalid(fmt::format("{} is {}, expected at least 0", field, value));
  for (const Dims& shape : {Dims{descriptor.m, descriptor.k}, Dims{descriptor.m, descriptor.c_out},
                            Dims{descriptor.c_out, descriptor.k}, Dims{descriptor.m}, Dims{descriptor.c_out}}) {
    std::int64_t elements, bytes;
    if (!checked_elements(shape, &elements) || __builtin_mul_overflow(elements, element_bytes(Element::F64), &bytes))
      return invalid(fmt::format("an operand of shape {} has 2^63 bytes or more", shape.to_string()));
  }
  const auto [q_min, q_max] = std::pair(descriptor.q_min, descriptor.q_max);
  if (q_max <= 0 || q_min > q_max || q_max > 127 || q_min < -128)
    return invalid(
        fmt::format("q_min is {} and q_max {}, expected −128 ≤ q_min ≤ q_max ≤ 127 and q_max > 0", q_min, q_max));
  return validate_sums(descriptor);
}

/// Every operand once.
std::int64_t moved_bytes(const QuantizedLinearDescriptor& descriptor) {
  const auto [m, c_out, k] = std::tuple(descriptor.m, descriptor.c_out, descriptor.k);
  MovedBytes bytes;
  bytes.add(descriptor.element, {m, k});
  bytes.add(Element::I8, {m, k});
  bytes.add(compute_element(descriptor), {m});
  bytes.add(Element::I8, {c_out, k});
  bytes.add(descriptor.weight_scale_element, {c_out});
  if (descriptor.weight_element == Element::U8) bytes.add(Element::U8, {c_out});
  if (descriptor.bias_element) bytes.add(*descriptor.bias_element, {c_out});
  bytes.add(output_of(descriptor), {m, c_out});
  return bytes.sum();
}

/// Held at the largest number past 2^63.
std::int64_t num_ops(const QuantizedLinearDescriptor& descriptor) {
  std::int64_t ops;
  const bool overflow = __builtin_mul_overflow(descriptor.m * descriptor.c_out, descriptor.k, &ops) ||
                        __builtin_mul_overflow(ops, 2, &ops);
  return overflow ? std::numeric_limits<std::int64_t>::max() : ops;
}

// ---- candidates -----------------------------------------------------------------------------------------------------

/// What a candidate decides by.
struct Problem {
  const QuantizedLinearDescriptor& descriptor;
  const DeviceInfo& device;
  Arch arch;
  CodeTarget target;
};
using LinearCandidate = Candidate<Problem>;

constexpr std::int64_t kVectorBytes = 16;

double tiles_of(std::int64_t size, int tile) { return std::ceil(static_cast<double>(size) / tile); }

/// Estimates, in products a multiprocessor makes at its best by mma.sync, how long one of its variants takes: waves of
/// blocks times the tile. A block of 64 × 64 loads twice as much for each product and waits longer at its barriers,
/// which we put at 0.55 of the rate of 128 × 256, and two of them share a multiprocessor.
double estimated_products(const Problem& problem, Variant variant) {
  const QuantizedLinearConfig config = mma_config(variant, Element::I8, Element::F32);
  const bool large = variant == Variant::Tile128x256;
  const double blocks_at_once = std::max(1, problem.device.num_multiprocessors) * (large ? 1.0 : 2.0);
  const double tiles =
      tiles_of(problem.descriptor.m, config.tile_m) * tiles_of(problem.descriptor.c_out, config.tile_n);
  const double products_at_once = (large ? 1.0 : 2.0 / 0.55) * config.tile_m * config.tile_n;
  return std::ceil(tiles / blocks_at_once) * products_at_once;
}

// Of a multiprocessor of an H200, measured, per clock: bytes from memory where all of them read, and from the L2 cache;
// 8-bit products by wgmma. And the clocks of a wave's ramp and drain.
constexpr double kMemoryBytes = 17.4, kL2Bytes = 40, kProducts = 4096, kWaveClocks = 3000;

/// How many waves of 128 × 256 there are.
double wgmma_waves(const Problem& problem) {
  using Config = QuantizedLinearWgmmaConfig;
  return tiles_of(problem.descriptor.m, Config::tile_m()) * tiles_of(problem.descriptor.c_out, Config::tile_n()) /
         std::max(1, problem.device.num_multiprocessors);
}

double wgmma_clocks(const Problem& problem, Variant variant) {
  using Config = QuantizedLinearWgmmaConfig;
  const auto k = static_cast<double>(problem.descriptor.k);
  const double waves = wgmma_waves(problem);
  // Blocks that share their weights draw less power and so run at a higher clock, but wait for each other: 3 to 5%
  // faster at the power limit in 4 waves and more, 1 to 2% slower in 2.
  const double sharing = variant == Variant::Wgmma ? 1 : waves >= 3 ? 0.97 : 1.02;
  const double products = k * Config::tile_m() * Config::tile_n() / (0.87 * kProducts);
  const double from_memory = k * Config::tile_n() / tiles_of(problem.descriptor.m, Config::tile_m()) / kMemoryBytes;
  return std::ceil(waves) * (std::max(products, from_memory) * sharing + kWaveClocks);
}

/// How a swapped variant divides the channels and k among blocks.
struct SwappedTiling {
  std::int64_t channels = 0;  ///< of a block
  int split = 1;
  double clocks = std::numeric_limits<double>::infinity();  ///< estimated
};

/// As many channels a block as give each multiprocessor the same number of blocks. Two halves of k are taken where that
/// leaves fewer idle, or lets blocks have more channels as fast: more weights are on their way then, for the same q.
SwappedTiling swapped_tiling(const Problem& problem, const QuantizedLinearSwappedConfig& config) {
  constexpr std::int64_t kFewestChannels = 32;
  const auto [m, c_out, k] = std::tuple(problem.descriptor.m, problem.descriptor.c_out, problem.descriptor.k);
  const std::int64_t row_tiles = (m + config.rows - 1) / config.rows;
  const auto num_multiprocessors = static_cast<double>(std::max(1, problem.device.num_multiprocessors));
  SwappedTiling best;
  for (int split : {1, 2}) {
    const double at_once = std::max(1.0, std::floor(num_multiprocessors / static_cast<double>(row_tiles * split)));
    const double least_waves = std::ceil(static_cast<double>(c_out) / (at_once * config.channels));
    const auto share = static_cast<std::int64_t>(std::ceil(static_cast<double>(c_out) / (at_once * least_waves)));
    SwappedTiling tiling{.channels = std::max(kFewestChannels, (share + 7) / 8 * 8), .split = split};
    const std::int64_t tiles = (c_out + tiling.channels - 1) / tiling.channels;
    const double waves = std::ceil(static_cast<double>(tiles * row_tiles * split) / num_multiprocessors);
    const double k_part = static_cast<double>(k) / split, channels = static_cast<double>(tiling.channels);
    const double from_memory = channels * k_part / static_cast<double>(row_tiles) / kMemoryBytes;
    const double from_l2 = (channels + config.rows) * k_part / kL2Bytes;
    const double products = k_part * config.channels * config.rows / (0.8 * kProducts);
    tiling.clocks = waves * (std::max({from_memory, from_l2, products}) + kWaveClocks);
    constexpr std::int64_t kMostBlocks = 65535;  // along y and z
    if (tiling.clocks <= best.clocks && std::max(tiles, row_tiles) <= kMostBlocks) best = tiling;
  }
  return best;
}

Verdict fits_shared_memory(const Problem& problem, int bytes) {
  if (bytes <= problem.device.max_shared_bytes_per_block) return Verdict::accept();
  return Verdict::reject(
      fmt::format("needs {} bytes of shared memory, have {}", bytes, problem.device.max_shared_bytes_per_block));
}

/// Whether rows of `bytes` that follow each other can all be aligned.
Verdict aligns(std::string_view what, std::int64_t bytes) {
  if (bytes % kVectorBytes == 0) return Verdict::accept();
  return Verdict::reject(
      fmt::format("rows of {} of {} bytes do not all begin at multiples of {}", what, bytes, kVectorBytes));
}

/// Whether rows can be aligned, and there is room for the ring.
Verdict fits(const Problem& problem, Variant variant) {
  const QuantizedLinearConfig config =
      mma_config(variant, problem.descriptor.weight_element, output_of(problem.descriptor));
  if (config.aligned)
    if (Verdict verdict = aligns("weight", problem.descriptor.k); !verdict.accepted()) return verdict;
  return fits_shared_memory(problem, config.shared_bytes());
}

/// Rows of a tile of the swapped variants.
int swapped_rows(std::int64_t m) { return m <= 32 ? 32 : m <= 64 ? 64 : 128; }

/// Of those of sm_90a.
double estimated_clocks(const Problem& problem, Variant variant) {
  if (is_wgmma(variant)) return wgmma_clocks(problem, variant);
  const auto config = swapped_config(variant, Element::I8, Element::F32);
  if (config.rows != swapped_rows(problem.descriptor.m)) return std::numeric_limits<double>::infinity();
  return swapped_tiling(problem, config).clocks;
}

/// Whether the variants of sm_90a can run it.
Verdict fits_sm90a(const Problem& problem) {
  const QuantizedLinearDescriptor& descriptor = problem.descriptor;
  const auto [m, c_out, k] = std::tuple(descriptor.m, descriptor.c_out, descriptor.k);
  const Element output = output_of(descriptor);
  if (problem.arch != Arch::Sm90a) return Verdict::reject("wgmma is sm_90a's alone");
  if (output == Element::F64) return Verdict::reject("scales, bias and activation are f64");
  if (m == 0 || c_out == 0 || k == 0) return Verdict::reject("there is nothing to multiply");
  if (Verdict verdict = aligns("weight", k); !verdict.accepted()) return verdict;
  if (Verdict verdict = aligns("y", c_out * element_bytes(output)); !verdict.accepted()) return verdict;
  constexpr std::int64_t kMaxSize = std::numeric_limits<std::int32_t>::max() - 512;  // the last tile ends in s32
  if (std::max(m, c_out) > kMaxSize || wgmma_waves(problem) > 1e6)
    return Verdict::reject("tiles are counted in 32 bits");
  return fits_shared_memory(problem, QuantizedLinearWgmmaConfig::shared_bytes());
}

template <Variant kVariant>
Verdict accepts_sm90a(const Problem& problem) {
  Verdict verdict = fits_sm90a(problem);
  if (!verdict.accepted()) return verdict;
  if constexpr (is_swapped(kVariant)) {
    constexpr auto kConfig = swapped_config(kVariant, Element::I8, Element::F32);
    static_assert(kConfig.shared_bytes() <= QuantizedLinearWgmmaConfig::shared_bytes(), "fits_sm90a looks at the most");
    if (const int rows = swapped_rows(problem.descriptor.m); rows != kConfig.rows)
      return Verdict::reject(fmt::format("m = {} rows are taken {} at a time", problem.descriptor.m, rows));
  }
  Variant best = Variant::Wgmma;
  for (int i = 0; i < kNumVariants; ++i)
    if (const auto each = static_cast<Variant>(i);
        is_sm90a(each) && estimated_clocks(problem, each) < estimated_clocks(problem, best))
      best = each;
  if (best == kVariant) return verdict;
  return Verdict::reject(fmt::format("estimated at {:.2f} times what {} takes",
                                     estimated_clocks(problem, kVariant) / estimated_clocks(problem, best),
                                     stem_of(best)));
}

constexpr int kFewestRows = 16;  // of the smallest tile by mma.sync

Verdict accepts_large(const Problem& problem) {
  if (fits_sm90a(problem).accepted()) return Verdict::reject("wgmma is faster");
  Verdict verdict = fits(problem, Variant::Tile128x256);
  if (!verdict.accepted()) return verdict;
  if (estimated_products(problem, Variant::Tile64x64) < estimated_products(problem, Variant::Tile128x256))
    return Verdict::reject("smaller tiles fill the multiprocessors better");
  return verdict;
}

Verdict accepts_medium(const Problem& problem) {
  if (fits_sm90a(problem).accepted()) return Verdict::reject("wgmma is faster");
  if (problem.descriptor.m <= kFewestRows)
    return Verdict::reject(fmt::format("m = {} rows fit the smallest tile", problem.descriptor.m));
  if (accepts_large(problem).accepted()) return Verdict::reject("larger tiles load less for each product");
  return fits(problem, Variant::Tile64x64);
}

Verdict accepts_small(const Problem& problem) {
  if (fits_sm90a(problem).accepted()) return Verdict::reject("wgmma is faster");
  if (problem.descriptor.m > kFewestRows && fits(problem, Variant::Tile64x64).accepted())
    return Verdict::reject(fmt::format("m = {} rows fill larger tiles", problem.descriptor.m));
  return fits(problem, Variant::Tile16x32);
}

Verdict accepts_unaligned(const Problem& problem) {
  if (fits(problem, Variant::Tile16x32).accepted())
    return Verdict::reject(
        fmt::format("rows of {} bytes begin at multiples of {}", problem.descriptor.k, kVectorBytes));
  return fits(problem, Variant::Unaligned);
}

Verdict has_vnni(const Problem& problem) {
  if (problem.target.cpu >= CpuTarget::Avx512Vnni) return Verdict::accept();
  return Verdict::reject(fmt::format("needs avx512_vnni, have {}", name_of(problem.target.cpu)));
}

Verdict lacks_vnni(const Problem& problem) {
  return has_vnni(problem).accepted() ? Verdict::reject("avx512_vnni is faster") : Verdict::accept();
}

template <Variant kVariant>
constexpr LinearCandidate sm90a_candidate(std::string_view what) {
  return {Arch::Sm90a, Backend::Bespoke, stem_of(kVariant), what, accepts_sm90a<kVariant>};
}

/// By variant.
constexpr std::array<LinearCandidate, kNumVariants> kCudaCandidates = {{
    sm90a_candidate<Variant::WgmmaCluster2>("wgmma, 128 × 256 outputs a block, pairs of blocks share weights"),
    sm90a_candidate<Variant::Wgmma>("wgmma, 128 × 256 outputs a block"),
    sm90a_candidate<Variant::Swapped128x32>("wgmma, up to 128 channels × 32 rows a block"),
    sm90a_candidate<Variant::Swapped256x32>("wgmma, up to 256 channels × 32 rows a block"),
    sm90a_candidate<Variant::Swapped128x64>("wgmma, up to 128 channels × 64 rows a block"),
    sm90a_candidate<Variant::Swapped256x64>("wgmma, up to 256 channels × 64 rows a block"),
    sm90a_candidate<Variant::Swapped128x128>("wgmma, up to 128 channels × 128 rows a block"),
    sm90a_candidate<Variant::Swapped256x128>("wgmma, up to 256 channels × 128 rows a block"),
    {Arch::Sm80, Backend::Bespoke, stem_of(Variant::Tile128x256), "mma.sync s8, 128 × 256 outputs a block",
     accepts_large},
    {Arch::Sm80, Backend::Bespoke, stem_of(Variant::Tile64x64), "mma.sync s8, 64 × 64 outputs a block", accepts_medium},
    {Arch::Sm80, Backend::Bespoke, stem_of(Variant::Tile16x32), "mma.sync s8, 16 × 32 outputs a block", accepts_small},
    {Arch::Sm80, Backend::Bespoke, stem_of(Variant::Unaligned), "mma.sync s8, rows at any address", accepts_unaligned},
}};

/// The variant by mma.sync for rows of weight and q that are aligned, where rows of y are not.
Variant mma_variant(Problem problem) {
  problem.arch = Arch::Sm80;
  if (accepts_large(problem).accepted()) return Variant::Tile128x256;
  return accepts_medium(problem).accepted() ? Variant::Tile64x64 : Variant::Tile16x32;
}

constexpr std::array<LinearCandidate, 2> kCpuCandidates = {{
    {Arch::Cpu, Backend::Bespoke, "avx512_vnni", "products of unsigned and signed bytes", has_vnni},
    {Arch::Cpu, Backend::Bespoke, "simd", "16-bit products", lacks_vnni},
}};

PrecisionGuarantee make_guarantee() {
  return {.math = MathPrecision::Int8,
          .accumulator = Element::I32,
          .bit_stable_on_same_hardware = true,
          .deterministic = true,
          .batch_invariant = true,
          .matches_cpu = true};
}

std::string_view epilogue_name(const QuantizedLinearDescriptor& descriptor) {
  constexpr std::string_view kNames[2][std::size(kActivations)] = {{"", "relu", "gelu", "silu"},
                                                                   {"bias", "bias_relu", "bias_gelu", "bias_silu"}};
  return kNames[descriptor.bias_element.has_value()][static_cast<int>(descriptor.activation)];
}

/// The outcome of `choose`, and what `run` may need besides. On CUDA rows of a run may be less aligned than `picked`
/// asks for.
struct Selection {
  PlanChoice choice;
  ArchChoice arch;
  std::size_t picked = 0;
  SwappedTiling tiling;                      ///< where a swapped variant is picked
  Variant unaligned_y = Variant::Unaligned;  ///< where rows of y are not aligned, but those of weight and q are
  std::array<KernelSku, kNumVariants> skus;  ///< CUDA
};

Result<Selection> select_variants(const QuantizedLinearDescriptor& descriptor, const PlanPreference& preference,
                                  const DeviceInfo& device) {
  BARACUDA_RETURN_IF_ERROR(validate(descriptor));
  Selection selection;
  BARACUDA_ASSIGN_OR_RETURN(selection.arch, choose_arch(kPlan, preference, device));
  const bool on_cpu = device.arch == Arch::Cpu;
  const std::span<const LinearCandidate> candidates =
      on_cpu ? std::span<const LinearCandidate>(kCpuCandidates) : kCudaCandidates;
  const auto traits_of = [&](const LinearCandidate& each) {
    return CandidateTraits{each.arch, each.backend, make_guarantee(), 0};
  };
  const Problem problem{descriptor, device, selection.arch.arch, selection.arch.target};
  BARACUDA_ASSIGN_OR_RETURN(selection.picked, pick_candidate(kPlan, candidates, problem, selection.arch.arch,
                                                             preference, traits_of, &selection.choice.candidates));
  const auto sku_of = [&](std::size_t index) {
    KernelSku sku = make_sku(Category::Gemm, QuantizedLinearPlan::kName, descriptor.element, candidates[index],
                             selection.arch, make_guarantee());
    sku.aux_element = descriptor.weight_element;
    if (output_of(descriptor) != descriptor.element) sku.output_element = output_of(descriptor);
    sku.layout = "rcr";
    sku.epilogue = epilogue_name(descriptor);
    sku.bias_element = descriptor.bias_element;
    return sku;
  };
  selection.choice.sku = sku_of(selection.picked);
  selection.choice.target = selection.arch.target;
  if (on_cpu) return selection;
  for (std::size_t i = 0; i < selection.skus.size(); ++i) selection.skus[i] = sku_of(i);
  const auto picked = static_cast<Variant>(selection.picked);
  selection.unaligned_y = is_sm90a(picked) ? mma_variant(problem) : picked;
  if (is_swapped(picked))
    selection.tiling = swapped_tiling(problem, swapped_config(picked, Element::I8, output_of(descriptor)));
  return selection;
}

DynamicRangeQuantizeDescriptor quantizer_of(const QuantizedLinearDescriptor& descriptor) {
  return {.element = descriptor.element,
          .shape = {descriptor.m, descriptor.k},
          .output_element = Element::I8,
          .symmetric = true,
          .q_min = descriptor.q_min,
          .q_max = descriptor.q_max};
}

/// The kernels that some strides run on: the picked one, that for rows of y at any address, and that for all others.
std::vector<Variant> kernel_variants(const QuantizedLinearDescriptor& descriptor, const Selection& selection) {
  std::vector<Variant> variants;
  if (descriptor.m == 0 || descriptor.c_out == 0) return variants;
  for (Variant variant : {static_cast<Variant>(selection.picked), selection.unaligned_y, Variant::Unaligned})
    if (std::find(variants.begin(), variants.end(), variant) == variants.end()) variants.push_back(variant);
  return variants;
}

bool is_aligned(const void* data, std::int64_t num_rows, std::int64_t stride_bytes) {
  const auto bits = reinterpret_cast<std::uintptr_t>(data) |
                    (num_rows > 1 ? static_cast<std::uintptr_t>(stride_bytes) : std::uintptr_t{0});
  return bits % static_cast<std::uintptr_t>(kVectorBytes) == 0;
}

/// Boxes of `box_rows` rows of q, and of weight.
cuda::TensorMapMatrix q_matrix(const QuantizedLinearParams& params, int box_rows) {
  return {.data = params.q,
          .element_bytes = 1,
          .rows = params.m,
          .columns = params.k,
          .row_stride_bytes = params.k,
          .box_rows = box_rows};
}
cuda::TensorMapMatrix weight_matrix(const QuantizedLinearParams& params, int box_rows) {
  return {.data = params.weight,
          .element_bytes = 1,
          .rows = params.c_out,
          .columns = params.k,
          .row_stride_bytes = params.weight_stride,
          .box_rows = box_rows};
}

jit::KernelSpec mma_kernel(const QuantizedLinearConfig& config, const CodeTarget& target) {
  const auto [weight_element, output_element, aligned, tile_m, tile_n, tile_k, stages, warps_m, warps_n] = config;
  return {
      .name = fmt::format("quantized_linear.{}.{}.tile{}x{}{}", name_of(weight_element), name_of(output_element),
                          tile_m, tile_n, aligned ? "" : ".unaligned"),
      .text = fmt::format(R"(#include "baracuda/ops/quantized_linear/quantized_linear.cuh"
using namespace baracuda;
constexpr QuantizedLinearConfig kConfig{{.weight_element = Element{{{}}}, .output_element = Element{{{}}}, .aligned = {},
                                        .tile_m = {}, .tile_n = {}, .tile_k = {}, .stages = {}, .warps_m = {}, .warps_n = {}}};
extern "C" __global__ __launch_bounds__(kConfig.num_threads(), 1)
void baracuda_kernel(const __grid_constant__ QuantizedLinearParams params) {{ quantized_linear<kConfig>(params); }}
)",
                          static_cast<int>(weight_element), static_cast<int>(output_element), aligned, tile_m, tile_n,
                          tile_k, stages, warps_m, warps_n),
      .target = target,
  };
}

jit::KernelSpec wgmma_kernel(const QuantizedLinearWgmmaConfig& config, const CodeTarget& target) {
  const auto [weight_element, output_element, cluster, long_activation] = config;
  return {
      .name = fmt::format("quantized_linear.{}.{}.wgmma{}x{}{}{}", name_of(weight_element), name_of(output_element),
                          config.tile_m(), config.tile_n(), cluster > 1 ? fmt::format("_cluster{}", cluster) : "",
                          long_activation ? ".long_activation" : ""),
      .text = fmt::format(R"(#include "baracuda/ops/quantized_linear/quantized_linear_sm90.cuh"
using namespace baracuda;
constexpr QuantizedLinearWgmmaConfig kConfig{{.weight_element = Element{{{}}}, .output_element = Element{{{}}},
                                             .cluster = {}, .long_activation = {}}};
extern "C" __global__ __launch_bounds__(kConfig.num_threads(), 1)
void baracuda_kernel(const __grid_constant__ QuantizedLinearWgmmaParams params) {{ quantized_linear_wgmma<kConfig>(params); }}
)",
                          static_cast<int>(weight_element), static_cast<int>(output_element), cluster, long_activation),
      .target = target,
  };
}

jit::KernelSpec swapped_kernel(const QuantizedLinearSwappedConfig& config, const CodeTarget& target) {
  const auto [weight_element, output_element, channels, rows] = config;
  return {
      .name = fmt::format("quantized_linear.{}.{}.wgmma_swapped{}x{}", name_of(weight_element), name_of(output_element),
                          channels, rows),
      .text = fmt::format(R"(#include "baracuda/ops/quantized_linear/quantized_linear_swapped_sm90.cuh"
using namespace baracuda;
constexpr QuantizedLinearSwappedConfig kConfig{{.weight_element = Element{{{}}}, .output_element = Element{{{}}},
                                               .channels = {}, .rows = {}}};
extern "C" __global__ __launch_bounds__(kConfig.num_threads(), 1)
void baracuda_kernel(const __grid_constant__ QuantizedLinearSwappedParams params) {{ quantized_linear_swapped<kConfig>(params); }}
)",
                          static_cast<int>(weight_element), static_cast<int>(output_element), channels, rows),
      .target = target,
  };
}

}  // namespace

std::optional<jit::KernelSpec> quantized_linear_kernel(Variant variant, Element weight_element, Element output_element,
                                                       Activation activation, Arch arch, const CodeTarget& target) {
  if (!is_sm90a(variant)) return mma_kernel(mma_config(variant, weight_element, output_element), target);
  if (arch != Arch::Sm90a || output_element == Element::F64) return std::nullopt;
  if (is_swapped(variant)) return swapped_kernel(swapped_config(variant, weight_element, output_element), target);
  return wgmma_kernel(wgmma_config(variant, weight_element, output_element, activation), target);
}

Result<std::vector<jit::KernelSpec>> plan_kernels(const QuantizedLinearDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device) {
  BARACUDA_ASSIGN_OR_RETURN(const Selection selection, select_variants(descriptor, preference, device));
  BARACUDA_ASSIGN_OR_RETURN(std::vector<jit::KernelSpec> kernels,
                            plan_kernels(quantizer_of(descriptor), preference, device).transform_error(named));
  if (selection.arch.arch == Arch::Cpu) return kernels;
  for (Variant variant : kernel_variants(descriptor, selection))
    kernels.push_back(*quantized_linear_kernel(variant, descriptor.weight_element, output_of(descriptor),
                                               descriptor.activation, selection.arch.arch, selection.arch.target));
  return kernels;
}

// ---- the plan -------------------------------------------------------------------------------------------------------

struct QuantizedLinearPlan::State {
  Descriptor descriptor;
  Device device;
  Selection selection;
  std::optional<DynamicRangeQuantizePlan> quantizer;  // always there after select
  std::array<std::shared_ptr<const cuda::Kernel>, kNumVariants> kernels;
  int num_clusters = 0;  ///< of a variant by wgmma, as many as run at the same time
  QuantizedLinearCpuKernel cpu_kernel = nullptr;
  QuantizedDot cpu_dot{};

  Variant picked() const { return static_cast<Variant>(selection.picked); }
  Result<void> ask_for_clusters(int num_multiprocessors);
  Result<void> check(const Args& args) const;
  /// The variant that these args, which have passed `check`, run on. On CUDA.
  Variant variant_of(const Args& args) const;
  QuantizedLinearParams make_params(const Args& args) const;
  Result<void> launch_mma(const Stream& stream, Variant variant, const QuantizedLinearParams& params) const;
  cuda::LaunchShape wgmma_shape(const QuantizedLinearWgmmaConfig& config, int num_clusters) const;
  Result<void> launch_wgmma(const Stream& stream, const QuantizedLinearParams& params) const;
  Result<void> launch_swapped(const Stream& stream, const QuantizedLinearParams& params) const;
  DynamicRangeQuantizeArgs quantizer_args(const Args& args) const;
};

Result<PlanChoice> QuantizedLinearPlan::choose(const Descriptor& descriptor, const PlanPreference& preference,
                                               const DeviceInfo& device) noexcept try {
  return select_variants(descriptor, preference, device).transform([](Selection&& selection) {
    return std::move(selection.choice);
  });
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<Explanation> QuantizedLinearPlan::explain(const Descriptor& descriptor, const PlanPreference& preference,
                                                 const DeviceInfo& device) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(PlanChoice choice, choose(descriptor, preference, device));
  return explain_compute(std::move(choice), moved_bytes(descriptor), num_ops(descriptor), device.int8_ops_per_second,
                         device);
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<Explanation> QuantizedLinearPlan::explain(const Stream& stream, const Descriptor& descriptor,
                                                 const PlanPreference& preference) noexcept try {
  return explain(descriptor, preference, stream.device_info());
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<CompileReport> QuantizedLinearPlan::compile(const Descriptor& descriptor, const PlanPreference& preference,
                                                   const DeviceInfo& device) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(const auto kernels, plan_kernels(descriptor, preference, device));
  return jit::compile_report(kernels).transform_error(named);
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<QuantizedLinearPlan> QuantizedLinearPlan::select(const Stream& stream, const Descriptor& descriptor,
                                                        const PlanPreference& preference) noexcept try {
  auto state = std::make_shared<State>();
  BARACUDA_ASSIGN_OR_RETURN(state->selection, select_variants(descriptor, preference, stream.device_info()));
  state->descriptor = descriptor;
  state->device = stream.device();
  BARACUDA_ASSIGN_OR_RETURN(
      state->quantizer,
      DynamicRangeQuantizePlan::select(stream, quantizer_of(descriptor), preference).transform_error(named));
  const CodeTarget target = state->selection.arch.target;
  if (stream.device().is_cpu()) {
    cpu::prepare_threads();
    state->cpu_kernel = quantized_linear_cpu_kernel(target.cpu);
    state->cpu_dot = state->selection.picked == 0 ? quantized_dot_vnni() : quantized_dot(target.cpu);
    return QuantizedLinearPlan(std::move(state));
  }
  for (Variant variant : kernel_variants(descriptor, state->selection)) {
    const auto spec = *quantized_linear_kernel(variant, descriptor.weight_element, output_of(descriptor),
                                               descriptor.activation, state->selection.arch.arch, target);
    BARACUDA_ASSIGN_OR_RETURN(state->kernels[static_cast<int>(variant)],
                              jit::load_kernel(spec, stream).transform_error(named));
  }
  BARACUDA_RETURN_IF_ERROR(state->ask_for_clusters(stream.device_info().num_multiprocessors).transform_error(named));
  return QuantizedLinearPlan(std::move(state));
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<void> QuantizedLinearPlan::State::check(const Args& args) const {
  const ArgChecker checker(kPlan, device);
  const auto [m, c_out, k] = std::tuple(descriptor.m, descriptor.c_out, descriptor.k);
  BARACUDA_ASSIGN_OR_RETURN(const Reach x, checker.tensor("x", args.x, descriptor.element, {m, k}));
  BARACUDA_ASSIGN_OR_RETURN(const Reach weight,
                            checker.tensor("weight", args.weight, descriptor.weight_element, {c_out, k}));
  BARACUDA_ASSIGN_OR_RETURN(const Reach weight_scale,
                            checker.vector("weight_scale", args.weight_scale, descriptor.weight_scale_element, c_out));
  const bool has_zero_point = descriptor.weight_element == Element::U8;
  if (args.weight_zero_point.has_value() != has_zero_point)
    return invalid(has_zero_point ? "weight_zero_point is missing, but the weights are u8"
                                  : "weight_zero_point is given, but the weights are s8");
  Reach zero_point, bias;
  if (has_zero_point) {
    BARACUDA_ASSIGN_OR_RETURN(zero_point,
                              checker.vector("weight_zero_point", *args.weight_zero_point, Element::U8, c_out));
  }
  if (args.bias.has_value() != descriptor.bias_element.has_value())
    return invalid(descriptor.bias_element ? "bias is missing, the descriptor has a bias_element"
                                           : "bias is given, but the descriptor has no bias_element");
  if (args.bias) {
    BARACUDA_ASSIGN_OR_RETURN(bias, checker.vector("bias", *args.bias, *descriptor.bias_element, c_out));
  }
  BARACUDA_ASSIGN_OR_RETURN(const Reach y, checker.tensor("y", args.y, output_of(descriptor), {m, c_out}));
  BARACUDA_ASSIGN_OR_RETURN(const Reach act_q,
                            checker.tensor("act_q_scratch", args.act_q_scratch, Element::I8, {m, k}));
  BARACUDA_ASSIGN_OR_RETURN(const Reach act_scale, checker.vector("act_scale_scratch", args.act_scale_scratch,
                                                                  compute_element(descriptor), m, /*scratch=*/true));

  BARACUDA_RETURN_IF_ERROR(checker.injective("y", args.y));
  BARACUDA_RETURN_IF_ERROR(checker.separate_rows("x", args.x));
  BARACUDA_RETURN_IF_ERROR(checker.separate_rows("weight", args.weight));
  BARACUDA_RETURN_IF_ERROR(checker.separate_rows("y", args.y));
  BARACUDA_RETURN_IF_ERROR(checker.contiguous("act_q_scratch", args.act_q_scratch));

  const NamedReach outputs[] = {{"y", y}, {"act_q_scratch", act_q}, {"act_scale_scratch", act_scale}};
  const NamedReach inputs[] = {
      {"x", x}, {"weight", weight}, {"weight_scale", weight_scale}, {"weight_zero_point", zero_point}, {"bias", bias}};
  for (const NamedReach& output : outputs)
    for (const NamedReach& input : inputs) BARACUDA_RETURN_IF_ERROR(checker.disjoint(output, input));
  BARACUDA_RETURN_IF_ERROR(checker.disjoint(outputs[0], outputs[1]));
  BARACUDA_RETURN_IF_ERROR(checker.disjoint(outputs[0], outputs[2]));
  return checker.disjoint(outputs[1], outputs[2]);
}

Variant QuantizedLinearPlan::State::variant_of(const Args& args) const {
  const auto [m, c_out, k] = std::tuple(descriptor.m, descriptor.c_out, descriptor.k);
  if (!is_aligned(args.act_q_scratch.data, m, k) || !is_aligned(args.weight.data, c_out, args.weight.strides[0]))
    return Variant::Unaligned;
  if (!is_sm90a(picked())) return picked();
  const std::int64_t y_stride = m > 1 ? args.y.strides[0] * element_bytes(output_of(descriptor)) : 0;
  const bool has_maps = cuda::has_tensor_map(args.weight.data, c_out, k, args.weight.strides[0]) &&
                        cuda::has_tensor_map(args.y.data, m, c_out, y_stride);
  return has_maps ? picked() : selection.unaligned_y;
}

QuantizedLinearParams QuantizedLinearPlan::State::make_params(const Args& args) const {
  QuantizedLinearParams params{};
  params.q = static_cast<const signed char*>(args.act_q_scratch.data);
  params.row_scale = args.act_scale_scratch.data;
  params.weight = static_cast<const unsigned char*>(args.weight.data);
  params.weight_scale = args.weight_scale.data;
  if (args.weight_zero_point)
    params.weight_zero_point = static_cast<const unsigned char*>(args.weight_zero_point->data);
  if (args.bias) params.bias = args.bias->data;
  params.y = args.y.data;
  params.m = descriptor.m;
  params.c_out = descriptor.c_out;
  params.k = descriptor.k;
  // Nothing is known of the stride of a single row, or of weights without elements.
  if (descriptor.c_out > 1 && descriptor.k > 0) params.weight_stride = args.weight.strides[0];
  if (descriptor.m > 1) params.y_stride = args.y.strides[0];
  params.weight_scale_element = descriptor.weight_scale_element;
  if (descriptor.bias_element) params.bias_element = *descriptor.bias_element;
  params.activation = descriptor.activation;
  const auto pair_bytes = static_cast<std::uintptr_t>(2 * element_bytes(output_of(descriptor)));
  params.y_in_pairs = reinterpret_cast<std::uintptr_t>(params.y) % pair_bytes == 0 && params.y_stride % 2 == 0;
  return params;
}

Result<void> QuantizedLinearPlan::State::launch_mma(const Stream& stream, Variant variant,
                                                    const QuantizedLinearParams& params) const {
  const auto config = mma_config(variant, descriptor.weight_element, output_of(descriptor));
  const std::int64_t tiles_m = (params.m + config.tile_m - 1) / config.tile_m;
  const std::int64_t tiles_n = (params.c_out + config.tile_n - 1) / config.tile_n;
  constexpr std::int64_t kMaxBlocks = std::numeric_limits<std::int32_t>::max();
  const cuda::LaunchShape shape{
      .grid = {static_cast<std::uint32_t>(std::min<std::int64_t>(kMaxBlocks, tiles_m * tiles_n))},
      .block = {static_cast<std::uint32_t>(config.num_threads())},
      .dynamic_shared_bytes = static_cast<std::uint32_t>(config.shared_bytes())};
  return cuda::launch(*kernels[static_cast<int>(variant)], stream, shape, &params);
}

cuda::LaunchShape QuantizedLinearPlan::State::wgmma_shape(const QuantizedLinearWgmmaConfig& config,
                                                          int num_clusters) const {
  const auto cluster = static_cast<std::uint32_t>(config.cluster);
  return {.grid = {cluster, static_cast<std::uint32_t>(num_clusters)},
          .block = {static_cast<std::uint32_t>(config.num_threads())},
          .dynamic_shared_bytes = static_cast<std::uint32_t>(config.shared_bytes()),
          .programmatic_serialization = true,
          .cluster = cluster};
}

Result<void> QuantizedLinearPlan::State::ask_for_clusters(int num_multiprocessors) {
  const auto& kernel = kernels[selection.picked];
  if (!is_wgmma(picked()) || !kernel) return {};
  const auto config = wgmma_config(picked(), descriptor.weight_element, output_of(descriptor), descriptor.activation);
  num_clusters = num_multiprocessors;  // a block fills one
  if (config.cluster == 1) return {};
  BARACUDA_ASSIGN_OR_RETURN(num_clusters, cuda::max_active_clusters(*kernel, wgmma_shape(config, 1)));
  if (num_clusters > 0) return {};
  return Error::unsupported(
      fmt::format("the device, or the part of it that this process has, runs no cluster of {} blocks with {} bytes of "
                  "shared memory",
                  config.cluster, config.shared_bytes()));
}

Result<void> QuantizedLinearPlan::State::launch_wgmma(const Stream& stream, const QuantizedLinearParams& linear) const {
  const auto config = wgmma_config(picked(), descriptor.weight_element, output_of(descriptor), descriptor.activation);
  QuantizedLinearWgmmaParams params{};
  params.linear = linear;
  params.set_tiles(config);
  const auto output_bytes = static_cast<int>(element_bytes(config.output_element));
  const cuda::TensorMapMatrix y{.data = linear.y,
                                .element_bytes = output_bytes,
                                .rows = linear.m,
                                .columns = linear.c_out,
                                .row_stride_bytes = linear.y_stride * output_bytes,
                                .box_rows = config.box_rows()};
  BARACUDA_RETURN_IF_ERROR(cuda::encode_tensor_map(stream, q_matrix(linear, config.tile_m()), &params.q));
  BARACUDA_RETURN_IF_ERROR(
      cuda::encode_tensor_map(stream, weight_matrix(linear, config.tile_n() / config.cluster), &params.weight));
  BARACUDA_RETURN_IF_ERROR(cuda::encode_tensor_map(stream, y, &params.y));
  return cuda::launch(*kernels[selection.picked], stream, wgmma_shape(config, std::min(num_clusters, params.num_tiles)),
                      &params);
}

Result<void> QuantizedLinearPlan::State::launch_swapped(const Stream& stream,
                                                        const QuantizedLinearParams& linear) const {
  const auto config = swapped_config(picked(), descriptor.weight_element, output_of(descriptor));
  const SwappedTiling& tiling = selection.tiling;
  QuantizedLinearSwappedParams params{};
  params.linear = linear;
  params.channels = static_cast<int>(tiling.channels);
  params.split = tiling.split;
  BARACUDA_RETURN_IF_ERROR(cuda::encode_tensor_map(stream, q_matrix(linear, config.rows), &params.q));
  BARACUDA_RETURN_IF_ERROR(cuda::encode_tensor_map(stream, weight_matrix(linear, params.channels), &params.weight));
  const auto split = static_cast<std::uint32_t>(tiling.split);
  const cuda::LaunchShape shape{
      .grid = {split, static_cast<std::uint32_t>((linear.c_out + tiling.channels - 1) / tiling.channels),
               static_cast<std::uint32_t>((linear.m + config.rows - 1) / config.rows)},
      .block = {static_cast<std::uint32_t>(config.num_threads())},
      .dynamic_shared_bytes = static_cast<std::uint32_t>(config.shared_bytes()),
      .programmatic_serialization = true,
      .cluster = split};
  return cuda::launch(*kernels[selection.picked], stream, shape, &params);
}

DynamicRangeQuantizeArgs QuantizedLinearPlan::State::quantizer_args(const Args& args) const {
  VectorMut scale = args.act_scale_scratch;
  scale.length = descriptor.m;
  return {.x = args.x, .q = args.act_q_scratch, .scale = scale};
}

Result<void> QuantizedLinearPlan::can_implement(const Args& args) const noexcept try {
  return state_->check(args);
} catch (...) {
  return internal::thrown_error(kPlan);
}

const QuantizedLinearDescriptor& QuantizedLinearPlan::descriptor() const { return state_->descriptor; }

const KernelSku& QuantizedLinearPlan::sku() const { return state_->selection.choice.sku; }

Result<KernelSku> QuantizedLinearPlan::sku(const Args& args) const noexcept try {
  const State& state = *state_;
  return state.check(args).transform([&] {
    return state.cpu_kernel ? state.selection.choice.sku
                            : state.selection.skus[static_cast<std::size_t>(state.variant_of(args))];
  });
} catch (...) {
  return internal::thrown_error(kPlan);
}

Result<void> QuantizedLinearPlan::run(const Stream& stream, const Workspace&, const Args& args) const noexcept try {
  const State& state = *state_;
  const Descriptor& descriptor = state.descriptor;
  BARACUDA_RETURN_IF_ERROR(ArgChecker(kPlan, state.device).stream(stream.device()));
  BARACUDA_RETURN_IF_ERROR(state.check(args));
  BARACUDA_RETURN_IF_ERROR(
      state.quantizer->run(stream, Workspace::none(), state.quantizer_args(args)).transform_error(named));
  if (descriptor.m == 0 || descriptor.c_out == 0) return {};

  const QuantizedLinearParams params = state.make_params(args);
  if (state.cpu_kernel) {
    state.cpu_kernel(params, descriptor.weight_element, output_of(descriptor), state.cpu_dot, stream.num_threads());
    return {};
  }
  const Variant variant = state.variant_of(args);
  const Result<void> launched = is_wgmma(variant)     ? state.launch_wgmma(stream, params)
                                : is_swapped(variant) ? state.launch_swapped(stream, params)
                                                      : state.launch_mma(stream, variant, params);
  return launched.transform_error(named);
} catch (...) {
  return internal::thrown_error(kPlan);
}

}  // namespace baracuda
