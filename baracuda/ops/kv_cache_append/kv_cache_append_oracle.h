#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "baracuda/ops/kv_cache_append/kv_cache_append.h"
#include "testing/placement.h"

namespace baracuda::testing {

/// Whether the tokens of a position, or the token of a slot, have a place in the cache.
inline bool kv_position_fits(const KvCacheAppendDescriptor& descriptor, std::int64_t position) {
  if (position < 0) return false;
  if (descriptor.layout == KvCacheLayout::Contiguous) return position <= descriptor.max_seq_len - descriptor.num_tokens;
  return descriptor.page_size > 0 && position / descriptor.page_size < descriptor.num_pages;
}

inline std::int32_t kv_cache_append_status_oracle(const KvCacheAppendDescriptor& descriptor,
                                                  std::span<const std::int64_t> positions) {
  for (std::int64_t position : positions)
    if (position != -1 && !kv_position_fits(descriptor, position)) return 1;
  return 0;
}

/// cache[place of the token] = source[token] for keys or for values, one element after the other. Returns the number of
/// elements that were written.
inline std::int64_t kv_cache_append_oracle(const KvCacheAppendDescriptor& descriptor, std::int64_t head_dim,
                                           std::span<const std::int64_t> positions, OracleTensor<std::byte> cache,
                                           OracleTensor<const std::byte> source) {
  if (head_dim == 0) return 0;  // of any number of heads
  const bool paged = descriptor.layout == KvCacheLayout::Paged;
  const std::int64_t element_size = find_element(descriptor.element)->layout.block_bytes;
  const auto address = [&](const auto& tensor, const Dims& index) {
    std::int64_t elements = 0;
    for (int axis = 0; axis < index.rank(); ++axis) elements += index[axis] * tensor.strides[axis];
    return static_cast<std::size_t>(tensor.origin_bytes + elements * element_size);
  };
  std::int64_t num_written = 0;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(positions.size()); ++i) {
    const std::int64_t position = positions[static_cast<std::size_t>(i)];
    if (!kv_position_fits(descriptor, position)) continue;
    for (std::int64_t head = 0; head < descriptor.num_kv_heads; ++head)
      for (std::int64_t token = 0; token < (paged ? 1 : descriptor.num_tokens); ++token)
        for (std::int64_t element = 0; element < head_dim; ++element, ++num_written) {
          const Dims to = paged ? Dims{position / descriptor.page_size, position % descriptor.page_size, head, element}
                                : Dims{i, position + token, head, element};
          const Dims from = paged ? Dims{i, head, element} : Dims{i, token, head, element};
          for (std::int64_t byte = 0; byte < element_size; ++byte)
            cache.bytes[address(cache, to) + static_cast<std::size_t>(byte)] =
                source.bytes[address(source, from) + static_cast<std::size_t>(byte)];
        }
  }
  return num_written;
}

}  // namespace baracuda::testing
