#include "bench/device_bench.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "baracuda/core/propagate.h"
#include "testing/random.h"

namespace baracuda::bench {
namespace {

/// A sample need not go round more buffers than this: by then its own start and end weigh little.
constexpr std::int64_t kMaxBuffers = 64;

const std::vector<std::uint32_t>& random_tile() {
  static const std::vector<std::uint32_t> tile = [] {
    std::vector<std::uint32_t> words(kRandomTileBytes / 4);
    testing::Random(1).fill_bytes(std::as_writable_bytes(std::span(words)));
    return words;
  }();
  return tile;
}

}  // namespace

Result<std::unique_ptr<DeviceBench>> DeviceBench::create(Device device) {
  return device.is_cpu() ? make_cpu_bench() : make_cuda_bench(device.ordinal);
}

std::int64_t max_bytes_of_cases(const DeviceInfo& device) {
  if (device.device.is_cuda()) return device.memory_bytes / 4;
  return std::min<std::int64_t>(device.memory_bytes / 16, std::int64_t{1} << 30);
}

int num_cold_buffers(std::int64_t bytes, std::int64_t cache_bytes) {
  const std::int64_t enough = 4 * cache_bytes / std::max<std::int64_t>(1, bytes) + 1;
  return static_cast<int>(std::clamp<std::int64_t>(enough, 2, kMaxBuffers));
}

Result<void> add_cold_sets(testing::PreparedCase& prepared, std::int64_t cache_bytes) {
  const int wanted = num_cold_buffers(prepared.explanation().bytes, cache_bytes);
  const std::int64_t max_bytes =
      std::min<std::int64_t>(max_bytes_of_cases(prepared.stream().device_info()) / 4, std::int64_t{2} << 30);
  while (prepared.num_sets() < wanted &&
         (prepared.num_sets() < 2 || (prepared.num_sets() + 1) * prepared.bytes_per_set() <= max_bytes))
    BARACUDA_RETURN_IF_ERROR(prepared.add_set());
  return {};
}

std::uint32_t random_word_sum(std::int64_t bytes) {
  const std::vector<std::uint32_t>& tile = random_tile();
  const auto sum_of = [&](std::int64_t words) { return std::accumulate(tile.begin(), tile.begin() + words, 0u); };
  return static_cast<std::uint32_t>(bytes / kRandomTileBytes) * sum_of(kRandomTileBytes / 4) +
         sum_of(bytes % kRandomTileBytes / 4);
}

Result<Buffer> random_buffer(const Stream& stream, std::int64_t bytes) {
  BARACUDA_ASSIGN_OR_RETURN(Buffer buffer, Buffer::allocate(stream, bytes));
  for (std::int64_t at = 0; at < bytes; at += kRandomTileBytes)
    BARACUDA_RETURN_IF_ERROR(
        buffer.copy_from_host(stream, random_tile().data(), std::min(kRandomTileBytes, bytes - at), at));
  BARACUDA_RETURN_IF_ERROR(stream.synchronize());
  return buffer;
}

Timed time_calls(int calls, std::function<Result<void>()> call, std::function<Result<void>()> finish) {
  return {[calls, call = std::move(call), finish = std::move(finish)]() -> Result<Sample> {
    BARACUDA_ASSIGN_OR_RETURN(const double seconds, host_seconds([&]() -> Result<void> {
                                for (int i = 0; i < calls; ++i) BARACUDA_RETURN_IF_ERROR(call());
                                return {};
                              }));
    BARACUDA_RETURN_IF_ERROR(finish());
    return Sample{seconds / calls};
  }};
}

}  // namespace baracuda::bench
