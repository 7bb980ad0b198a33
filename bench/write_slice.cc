// Measures what the data movement plans promise: the host's cost of `run` over the bare driver call, and bandwidth
// beside memcpy. Alternatives are interleaved in one process; medians. Prints JSON.
//
//   bench [cpu|cuda]

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "baracuda/baracuda.h"
#include "baracuda/cuda/driver.h"
#include "baracuda/cuda/stream_access.h"
#include "baracuda/jit/load.h"
#include "baracuda/ops/write_slice/write_slice_kernels.h"
#include "testing/cuda_graph.h"
#include "testing/random.h"

namespace baracuda {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

/// Ends the program with the error's text.
[[noreturn]] void fail(const Error& error) {
  fmt::print(stderr, "bench: {}\n", error.to_string());
  std::exit(1);
}
template <class T>
T must(Result<T> result) {
  if (!result) fail(result.error());
  return *std::move(result);
}
void must(const Result<void>& result) {
  if (!result) fail(result.error());
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

double seconds_of(const std::function<void()>& body) {
  const auto begin = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Medians of alternatives that take turns.
std::vector<double> interleaved(int rounds, const std::vector<std::function<double()>>& alternatives) {
  std::vector<std::vector<double>> times(alternatives.size());
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < alternatives.size(); ++i) times[i].push_back(alternatives[i]());
  std::vector<double> medians;
  for (const auto& each : times) medians.push_back(median(each));
  return medians;
}

Buffer random_buffer(const Stream& stream, std::int64_t bytes) {
  Buffer buffer = must(Buffer::allocate(stream, bytes));
  std::vector<std::byte> host(static_cast<std::size_t>(std::min<std::int64_t>(bytes, 64 << 20)));
  testing::Random(1).fill_bytes(host);
  for (std::int64_t at = 0; at < bytes; at += static_cast<std::int64_t>(host.size()))
    must(buffer.copy_from_host(stream, host.data(),
                               std::min<std::int64_t>(static_cast<std::int64_t>(host.size()), bytes - at), at));
  must(stream.synchronize());
  return buffer;
}

struct Problem {
  std::string name;
  WriteSliceDescriptor descriptor;

  Dims extents() const {
    Dims extents = descriptor.end;
    for (int axis = 0; axis < extents.rank(); ++axis) extents[axis] -= descriptor.start[axis];
    return extents;
  }
  std::int64_t window_bytes() const {
    return static_cast<std::int64_t>(contiguous_bytes(descriptor.element, extents()));
  }
  std::int64_t dest_bytes() const {
    return static_cast<std::int64_t>(contiguous_bytes(descriptor.element, descriptor.dest_shape));
  }
};

WriteSliceArgs make_args(const Problem& problem, const Buffer& dest, const Buffer& source) {
  return {.dest = dest.tensor(problem.descriptor.element, problem.descriptor.dest_shape),
          .source = source.tensor(problem.descriptor.element, problem.extents())};
}

// ---- CPU ------------------------------------------------------------------------------------------------------------

Json measure_cpu() {
  Json rows = Json::array();
  for (std::int64_t bytes :
       {std::int64_t{4} << 10, std::int64_t{256} << 10, std::int64_t{4} << 20, std::int64_t{256} << 20}) {
    const Problem problem{"contiguous", {Element::U8, {bytes + 4096}, {64}, {64 + bytes}, false}};
    const Stream one = Stream::cpu(1), all = Stream::cpu();
    const Buffer dest = random_buffer(one, problem.dest_bytes()), source = random_buffer(one, bytes);
    const auto plan = must(WriteSlicePlan::select(one, problem.descriptor));
    const WriteSliceArgs args = make_args(problem, dest, source);
    const int repeats = static_cast<int>(std::max<std::int64_t>(1, (16 << 20) / bytes));
    const auto repeat = [&](const auto& body) {
      return [&, body] {
        return seconds_of([&] {
                 for (int i = 0; i < repeats; ++i) body();
               }) /
               repeats;
      };
    };
    const auto times = interleaved(21, {
                                           repeat([&] {
                                             std::memcpy(static_cast<char*>(dest.data()) + 64, source.data(),
                                                         static_cast<std::size_t>(bytes));
                                           }),
                                           repeat([&] { must(plan.run(one, Workspace::none(), args)); }),
                                           repeat([&] { must(plan.run(all, Workspace::none(), args)); }),
                                       });
    rows.push_back({{"bytes", bytes},
                    {"memcpy_us", times[0] * 1e6},
                    {"one_thread_us", times[1] * 1e6},
                    {"all_threads_us", times[2] * 1e6},
                    {"one_thread_over_memcpy", times[0] / times[1]},
                    {"all_threads_over_memcpy", times[0] / times[2]}});
  }
  return {{"threads", DeviceInfo::cpu().num_multiprocessors}, {"contiguous", rows}};
}

// ---- CUDA -----------------------------------------------------------------------------------------------------------

/// Host seconds a call, over a batch that the queue holds.
double enqueue_seconds(const Stream& stream, const std::function<void()>& body) {
  constexpr int kBatch = 200;
  const double seconds = seconds_of([&] {
    for (int i = 0; i < kBatch; ++i) body();
  });
  must(stream.synchronize());
  return seconds / kBatch;
}

Json measure_host_cost(const Stream& stream) {
  const cuda::DriverApi& api = *must(cuda::driver());
  const auto handle = StreamAccess::handle(stream);
  Json rows = Json::array();

  const Problem chunk{"contiguous_chunk", {Element::F32, {64, 64}, {8, 0}, {9, 64}, false}};
  const Problem window{"rows", {Element::F32, {8, 8, 8, 64}, {1, 0, 1, 4}, {3, 8, 2, 60}, false}};
  const Problem narrow{"generic", {Element::F32, {8, 8, 8, 64}, {1, 0, 1, 4}, {3, 8, 2, 8}, false}};
  const Buffer dest = random_buffer(stream, 1 << 20), source = random_buffer(stream, 1 << 20);
  for (const Problem& problem : {chunk, window, narrow}) {
    const auto plan = must(WriteSlicePlan::select(stream, problem.descriptor));
    const WriteSliceArgs args = make_args(problem, dest, source);
    std::function<void()> bare;
    if (problem.name == chunk.name) {
      bare = [&] {
        const auto to = reinterpret_cast<cuda::CUdeviceptr>(dest.data()),
                   from = reinterpret_cast<cuda::CUdeviceptr>(source.data());
        if (api.cuMemcpyDtoDAsync_v2(to, from, 256, handle) != 0) std::exit(1);
      };
    } else {
      // The plan's own kernel with nothing to do: the host's share of a launch does not depend on the work.
      const WriteSliceConfig config{
          .variant = problem.name == "rows" ? WriteSliceVariant::Rows : WriteSliceVariant::Generic,
          .element_bytes = 4,
          .wide_index = false,
          .device_starts = false};
      const auto kernel = must(jit::load_kernel(write_slice_kernel(config, native_target(plan.sku().arch)), stream));
      bare = [&api, handle, kernel, params = WriteSliceParams{}]() mutable {
        void* arguments[] = {&params};
        if (api.cuLaunchKernel(kernel->function(), 8, 1, 1, 256, 1, 1, 0, handle, arguments, nullptr) != 0)
          std::exit(1);
      };
    }
    const auto run = [&] { must(plan.run(stream, Workspace::none(), args)); };
    const auto check = [&] { must(plan.can_implement(args)); };
    // Warm: every kernel of the plan is loaded already.
    const auto select = [&] { must(WriteSlicePlan::select(stream, problem.descriptor)); };
    const auto times = interleaved(
        101, {[&] { return enqueue_seconds(stream, bare); }, [&] { return enqueue_seconds(stream, run); },
              [&] { return enqueue_seconds(stream, check); }, [&] { return enqueue_seconds(stream, select); }});
    rows.push_back({{"variant", std::string(must(plan.sku(args)).variant)},
                    {"bare_us", times[0] * 1e6},
                    {"run_us", times[1] * 1e6},
                    {"run_minus_bare_us", (times[1] - times[0]) * 1e6},
                    {"can_implement_us", times[2] * 1e6},
                    {"warm_select_us", times[3] * 1e6}});
  }
  return rows;
}

/// Device seconds a launch, in a graph of `launches` that moves over distinct buffers.
double replay_seconds(const Stream& stream, const testing::CudaGraph& graph, int launches) {
  Event begin = must(Event::create(stream, true)), end = must(Event::create(stream, true));
  must(begin.record(stream));
  must(graph.replay(stream));
  must(end.record(stream));
  must(end.synchronize());
  return must(end.elapsed_ms_since(begin)) * 1e-3 / launches;
}

Json measure_bandwidth(const Stream& stream) {
  const std::vector<Problem> problems = {
      {"contiguous 384 MB", {Element::F32, {8192, 16384}, {1000, 0}, {7000, 16384}, false}},
      {"kv prefill bf16", {Element::Bf16, {32, 8, 8192, 128}, {0, 0, 777, 0}, {32, 8, 2825, 128}, false}},
      {"kv append bf16, one token", {Element::Bf16, {32, 8, 8192, 128}, {0, 0, 777, 0}, {32, 8, 778, 128}, false}},
      {"f32 window, odd offsets", {Element::F32, {8192, 16384}, {1001, 1003}, {7001, 15003}, false}},
      {"u8 window, odd offsets", {Element::U8, {8192, 16384}, {1001, 1003}, {7001, 15003}, false}},
      {"s4 window, odd bounds", {Element::S4, {8192, 16384}, {1001, 1003}, {7001, 15003}, false}},
      {"f32 narrow, 4 columns", {Element::F32, {1 << 20, 64}, {0, 3}, {1 << 20, 7}, false}},
  };
  const cuda::DriverApi& api = *must(cuda::driver());
  Json rows = Json::array();
  for (const Problem& problem : problems) {
    const auto plan = must(WriteSlicePlan::select(stream, problem.descriptor));
    // Enough pairs of buffers that none of a replay is left in the L2 cache from the one before.
    const std::int64_t cold_bytes = 4 * stream.device_info().l2_bytes;
    const int pairs = static_cast<int>(std::clamp<std::int64_t>(cold_bytes / (2 * problem.window_bytes()) + 1, 2, 64));
    std::vector<Buffer> dest, source;
    for (int i = 0; i < pairs; ++i) {
      dest.push_back(random_buffer(stream, problem.dest_bytes()));
      source.push_back(random_buffer(stream, problem.window_bytes()));
    }
    const auto ours = must(testing::CudaGraph::capture(stream, [&]() -> Result<void> {
      for (int i = 0; i < pairs; ++i) must(plan.run(stream, Workspace::none(), make_args(problem, dest[i], source[i])));
      return {};
    }));
    const auto copies = must(testing::CudaGraph::capture(stream, [&]() -> Result<void> {
      for (int i = 0; i < pairs; ++i)
        if (api.cuMemcpyDtoDAsync_v2(reinterpret_cast<cuda::CUdeviceptr>(dest[i].data()),
                                     reinterpret_cast<cuda::CUdeviceptr>(source[i].data()),
                                     static_cast<std::size_t>(problem.window_bytes()),
                                     StreamAccess::handle(stream)) != 0)
          return Error::backend(0, "cuMemcpyDtoDAsync failed");
      return {};
    }));
    const auto times = interleaved(15, {[&] { return replay_seconds(stream, copies, pairs); },
                                        [&] { return replay_seconds(stream, ours, pairs); }});
    const double bytes = 2.0 * static_cast<double>(problem.window_bytes());
    rows.push_back({{"problem", problem.name},
                    {"sku", plan.sku().to_string()},
                    {"us", times[1] * 1e6},
                    {"gb_per_s", bytes / times[1] / 1e9},
                    {"memcpy_us", times[0] * 1e6},
                    {"over_memcpy", times[0] / times[1]}});
  }
  return rows;
}

Json measure_cuda() {
  const Stream stream = must(Stream::cuda());
  return {{"device", stream.device_info().name},
          {"host_cost", measure_host_cost(stream)},
          {"bandwidth", measure_bandwidth(stream)}};
}

}  // namespace
}  // namespace baracuda

int main(int argc, char** argv) {
  const std::string device = argc > 1 ? argv[1] : baracuda::num_cuda_devices() > 0 ? "cuda" : "cpu";
  if (argc > 2 || (device != "cpu" && device != "cuda")) {
    fmt::print(stderr, "usage: bench [cpu|cuda]\n");
    return 2;
  }
  const auto result = device == "cpu" ? baracuda::measure_cpu() : baracuda::measure_cuda();
  fmt::print("{}\n", result.dump(2));
}
