#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/ops/kv_cache_append/kv_cache_append.h"
#include "testing/case_text.h"
#include "testing/devices.h"
#include "testing/guarded_buffer.h"
#include "testing/op.h"
#include "testing/placement.h"
#include "testing/random.h"

namespace baracuda::testing {

/// What positions, or slots, a case draws. Slots are distinct; tokens that find no slot left are skipped.
enum class KvPositions : std::uint8_t {
  Valid = 0,
  SomeSkipped = 1,  ///< the first one drawn is valid, others may be −1
  SomeInvalid = 2,  ///< the first one drawn is valid, others may lie outside the cache, or be −1
  AllInvalid = 3,
};

/// "valid", "some_skipped", …
std::string_view name_of(KvPositions positions);

/// One run of KvCacheAppendPlan: the descriptor, and how its tensors lie in memory.
struct KvCacheAppendCase {
  KvCacheAppendDescriptor descriptor;
  Dims k_strides = {};  ///< rank 0: contiguous; so are the other three
  Dims v_strides = {};
  Dims k_cache_strides = {};
  Dims v_cache_strides = {};
  int k_misalignment = 0;  ///< bytes past a 256-byte boundary; a multiple of the element size
  int v_misalignment = 0;
  int k_cache_misalignment = 0;
  int v_cache_misalignment = 0;
  /// Elements from k_cache to v_cache, which then lies in the same allocation and has k_cache's strides; 0: two
  /// allocations.
  std::int64_t interleaved_by = 0;
  Dims positions = {};  ///< positions or slots; rank 0: as many as it takes, drawn as position_mode says
  KvPositions position_mode = KvPositions::Valid;
  bool status = false;
  int num_threads = 1;  ///< CPU
  std::uint64_t seed = 1;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, KvCacheAppendCase>
void visit_fields(Self& self, Visit&& visit) {
  visit_fields(self.descriptor, visit);
  visit("k_strides", self.k_strides);
  visit("v_strides", self.v_strides);
  visit("k_cache_strides", self.k_cache_strides);
  visit("v_cache_strides", self.v_cache_strides);
  visit("k_misalignment", self.k_misalignment);
  visit("v_misalignment", self.v_misalignment);
  visit("k_cache_misalignment", self.k_cache_misalignment);
  visit("v_cache_misalignment", self.v_cache_misalignment);
  visit("interleaved_by", self.interleaved_by);
  visit("positions", self.positions);
  visit("position_mode", self.position_mode);
  visit("status", self.status);
  visit("num_threads", self.num_threads);
  visit("seed", self.seed);
}

template <>
struct EnumValues<KvCacheLayout> {
  static constexpr KvCacheLayout values[] = {KvCacheLayout::Contiguous, KvCacheLayout::Paged};
};
template <>
struct EnumValues<KvPositions> {
  static constexpr KvPositions values[] = {KvPositions::Valid, KvPositions::SomeSkipped, KvPositions::SomeInvalid,
                                           KvPositions::AllInvalid};
};

std::string to_string(const KvCacheAppendCase& value);

/// The buffers that a case runs on, guarded and full of random bytes, on the device.
struct KvCacheAppendBuffers {
  KvCacheAppendCase value;
  Placement k_place, v_place, k_cache_place, v_cache_place;
  // An interleaved v_cache lies in k_cache's buffer, and its own is empty.
  GuardedBuffer k, v, k_cache, v_cache, positions, status;

  static Result<KvCacheAppendBuffers> create(const KvCacheAppendCase& value, const Stream& stream);

  KvCacheAppendArgs args() const;
  std::vector<GuardedBuffer*> operands() { return {&k, &v, &k_cache, &v_cache, &positions, &status}; }
  std::span<const std::int64_t> position_values() const;
  Result<void> set_positions(std::span<const std::int64_t> values);

  /// After a run: every byte of every buffer is as the oracle has it. Can be called again after the next run.
  Result<void> check();
  /// After an error.
  Result<void> expect_untouched() const;
};

/// A case with odd sizes, padding, permuted, negative and broadcast strides, interleaved caches, at random.
KvCacheAppendCase random_kv_cache_append_case(Random& random);

/// Cases made for a purpose: every element, rows around the sizes and alignments that the kernels tell apart, the
/// memory layouts of other engines, extremes.
std::vector<KvCacheAppendCase> designed_kv_cache_append_cases();

/// Runs the case in guarded buffers and compares every byte of them with the oracle's.
Result<void> check_kv_cache_append(const KvCacheAppendCase& value, const TestTarget& target);

const Op& kv_cache_append_op();

}  // namespace baracuda::testing
