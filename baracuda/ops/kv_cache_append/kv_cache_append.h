#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "baracuda/core/element.h"
#include "baracuda/core/export.h"
#include "baracuda/core/hash.h"
#include "baracuda/core/view.h"
#include "baracuda/plan/plan.h"

namespace baracuda {

/// How a key-value cache holds its tokens.
enum class KvCacheLayout : std::uint8_t {
  Contiguous = 0,  ///< every sequence has its own run of max_seq_len places
  Paged = 1,       ///< a pool of pages that sequences share; slot = page · page_size + place in the page
};

/// "contiguous", "paged".
BARACUDA_API std::string_view name_of(KvCacheLayout layout);

/// Appends the keys and values of new tokens, all heads, to their caches in one launch. Bits are moved, nothing is
/// computed.
///
/// Contiguous, for each sequence b, token t < num_tokens, head h:
///   k_cache[b, positions[b] + t, h, :] = k[b, t, h, :]            v likewise
///   k, v               [num_sequences, num_tokens, num_kv_heads, head_dim]
///   k_cache, v_cache   [num_sequences, max_seq_len, num_kv_heads, head_dim]
///   positions          [num_sequences]  i64
///
/// Paged, for each token t and head h:
///   k_cache[slot / page_size, slot % page_size, h, :] = k[t, h, :]  with slot = slot_mapping[t]; v likewise
///   k, v               [num_tokens, num_kv_heads, head_dim]
///   k_cache, v_cache   [num_pages, page_size, num_kv_heads, head_dim]
///   slot_mapping       [num_tokens]     i64
///
/// These are logical shapes: strides are free but for the innermost, which is 1, so heads may lie outside tokens or
/// pages. head_dim is k_head_dim for k and v_head_dim for v. Elements: every byte-wide kind, the same for all four.
/// The two caches may interleave in one allocation where they have the same shape and strides.
///
/// Positions and slots are read on the device when the work runs, so a captured CUDA graph appends where they then say.
/// −1 skips the sequence or token. Another position that does not fit (position + num_tokens > max_seq_len), or another
/// slot outside the cache, is skipped too, and the optional status is set to 1; it is 0 otherwise. Two tokens with the
/// same slot leave a mix of both there. Workspace 0. For
/// distinct slots, what the guarantee claims holds: deterministic, bit-stable, the same bytes on CPU and GPU.
///
/// Errors of select: InvalidProblem (a negative size, num_tokens > max_seq_len, sizes of the other layout that are not
/// 0, 2^63 bytes or slots), Unsupported (packed and GGUF elements, a preference that cannot be met), Backend.
/// Errors of run, nothing written: InvalidProblem (a view's device or shape, a null pointer, a reach before the buffer
/// or outside the address space), Unsupported (a view's element), MisalignedOperand, BufferTooSmall; Unsupported (an
/// innermost stride other than 1); InvalidProblem (overlap).
/// Source: Kwon et al., PagedAttention, arXiv:2309.06180 (slot mapping).
struct KvCacheAppendDescriptor {
  Element element = Element::F16;
  KvCacheLayout layout = KvCacheLayout::Contiguous;
  std::int64_t num_tokens = 0;  ///< Contiguous: new tokens of each sequence; Paged: of all sequences together
  std::int64_t num_kv_heads = 0;
  std::int64_t k_head_dim = 0;
  std::int64_t v_head_dim = 0;
  std::int64_t num_sequences = 0;  ///< Contiguous
  std::int64_t max_seq_len = 0;    ///< Contiguous
  std::int64_t num_pages = 0;      ///< Paged
  std::int64_t page_size = 0;      ///< Paged: tokens a page

  friend bool operator==(const KvCacheAppendDescriptor&, const KvCacheAppendDescriptor&) = default;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, KvCacheAppendDescriptor>
void visit_fields(Self& descriptor, Visit&& visit) {
  visit("element", descriptor.element);
  visit("layout", descriptor.layout);
  visit("num_tokens", descriptor.num_tokens);
  visit("num_kv_heads", descriptor.num_kv_heads);
  visit("k_head_dim", descriptor.k_head_dim);
  visit("v_head_dim", descriptor.v_head_dim);
  visit("num_sequences", descriptor.num_sequences);
  visit("max_seq_len", descriptor.max_seq_len);
  visit("num_pages", descriptor.num_pages);
  visit("page_size", descriptor.page_size);
}

/// The views of one run.
struct KvCacheAppendArgs {
  TensorRef k;
  TensorRef v;
  TensorMut k_cache;
  TensorMut v_cache;
  VectorRef positions;                   ///< i64: `positions` or `slot_mapping`
  std::optional<VectorMut> status = {};  ///< i32 [1]
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, KvCacheAppendArgs>
void visit_fields(Self& args, Visit&& visit) {
  visit("k", args.k);
  visit("v", args.v);
  visit("k_cache", args.k_cache);
  visit("v_cache", args.v_cache);
  visit("positions", args.positions);
  visit("status", args.status);
}

/// Appends new keys and values to a key-value cache. See KvCacheAppendDescriptor.
class BARACUDA_API KvCacheAppendPlan {
 public:
  using Descriptor = KvCacheAppendDescriptor;
  using Args = KvCacheAppendArgs;
  static constexpr std::string_view kName = "kv_cache_append";

  static Result<KvCacheAppendPlan> select(const Stream& stream, const Descriptor& descriptor,
                                          const PlanPreference& preference = {}) noexcept;
  static Result<PlanChoice> choose(const Descriptor& descriptor, const PlanPreference& preference,
                                   const DeviceInfo& device) noexcept;
  static Result<Explanation> explain(const Descriptor& descriptor, const PlanPreference& preference,
                                     const DeviceInfo& device) noexcept;
  static Result<Explanation> explain(const Stream& stream, const Descriptor& descriptor,
                                     const PlanPreference& preference = {}) noexcept;
  /// Compiles the kernel for `device`, which need not be present.
  static Result<CompileReport> compile(const Descriptor& descriptor, const PlanPreference& preference,
                                       const DeviceInfo& device) noexcept;

  const Descriptor& descriptor() const;
  Result<void> can_implement(const Args& args) const noexcept;
  std::int64_t workspace_size() const { return 0; }
  bool workspace_must_be_zero() const { return false; }
  const KernelSku& sku() const;
  /// One kernel serves all strides.
  Result<KernelSku> sku(const Args& args) const noexcept;
  const PrecisionGuarantee& precision_guarantee() const { return sku().guarantee; }

  Result<void> run(const Stream& stream, const Workspace& workspace, const Args& args) const noexcept;

 private:
  struct BARACUDA_HIDDEN State;
  explicit KvCacheAppendPlan(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace baracuda

template <>
struct std::hash<baracuda::KvCacheAppendDescriptor> {
  std::size_t operator()(const baracuda::KvCacheAppendDescriptor& descriptor) const {
    return baracuda::hash_of(descriptor);
  }
};

static_assert(baracuda::Plan<baracuda::KvCacheAppendPlan>);
