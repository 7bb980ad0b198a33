#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "baracuda/core/propagate.h"
#include "baracuda/cpu/parallel_for.h"
#include "bench/cpu_ceilings.h"
#include "bench/device_bench.h"

namespace baracuda::bench {
namespace {

/// The first line of a file that Linux makes up; empty where there is none.
std::string first_line(const std::string& path, std::string_view beginning = "") {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "r"), &std::fclose);
  char line[4096];
  while (file && std::fgets(line, sizeof(line), file.get()))
    if (const std::string_view text(line); text.starts_with(beginning))
      return std::string(text.substr(0, text.find('\n')));
  return {};
}

std::string processor_name() {
  const std::string line = first_line("/proc/cpuinfo", "model name");
  const std::size_t begin = line.find_first_not_of(" \t", line.find(':') + 1);
  return begin == line.npos ? "CPU" : line.substr(begin);
}

/// Of all such caches together. sysconf multiplies by processors that a virtual machine does not have.
std::int64_t last_level_cache_bytes(int num_threads) {
  constexpr std::int64_t kWhereUnknown = std::int64_t{32} << 20;
  for (const int index : {3, 2}) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", index);
    const std::int64_t bytes = std::strtoll(first_line(folder + "size").c_str(), nullptr, 10) << 10;  // "32768K"
    int sharing = 0;
    for (const char digit : first_line(folder + "shared_cpu_map"))  // hexadecimal, a bit for each thread
      if (std::isxdigit(digit))
        sharing += std::popcount(static_cast<unsigned>(std::stoi(std::string(1, digit), nullptr, 16)));
    if (bytes > 0 && sharing > 0) return bytes * ((num_threads + sharing - 1) / sharing);
  }
  return kWhereUnknown;
}

class CpuBench final : public DeviceBench {
 public:
  static Result<std::unique_ptr<DeviceBench>> create() {
    std::unique_ptr<CpuBench> bench(new CpuBench);
    BARACUDA_RETURN_IF_ERROR(bench->make_ceilings());
    return std::unique_ptr<DeviceBench>(std::move(bench));
  }

  const DeviceInfo& info() const override { return stream_.device_info(); }
  std::string description() const override {
    return fmt::format("{}, {} threads, {}, last level cache {:.0f} MiB", processor_name(), stream_.num_threads(),
                       info().target.name(), static_cast<double>(cache_bytes_) / (1 << 20));
  }
  Result<GpuClocks::Reading> read_clocks() const override {
    return Error::unsupported("the clocks of a CPU are not read");
  }
  std::vector<Ceiling>& ceilings() override { return ceilings_; }
  std::int64_t cache_bytes() const override { return cache_bytes_; }

  Result<Timed> time_case(testing::PreparedCase& prepared) override {
    BARACUDA_RETURN_IF_ERROR(add_cold_sets(prepared, cache_bytes_));
    return time_cold(prepared.num_sets(), [&prepared](int set) { return prepared.run(set); });
  }

  Result<Timed> time_copy(std::int64_t bytes) override {
    const std::int64_t half = bytes / 2;
    std::vector<std::pair<std::shared_ptr<Buffer>, std::shared_ptr<Buffer>>> pairs;
    for (int i = 0; i < num_cold_buffers(bytes, cache_bytes_); ++i) {
      BARACUDA_ASSIGN_OR_RETURN(Buffer dest, random_buffer(stream_, half));
      BARACUDA_ASSIGN_OR_RETURN(Buffer source, random_buffer(stream_, half));
      pairs.emplace_back(std::make_shared<Buffer>(std::move(dest)), std::make_shared<Buffer>(std::move(source)));
    }
    const int num_pairs = static_cast<int>(pairs.size());
    return time_cold(num_pairs, [pairs = std::move(pairs), half](int i) -> Result<void> {
      const auto& [dest, source] = pairs[static_cast<std::size_t>(i)];
      std::memcpy(dest->data(), source->data(), static_cast<std::size_t>(half));
      return {};
    });
  }

  Result<HostCosts> time_host(const std::string&, const testing::PreparedCase& prepared, double) override {
    constexpr int kCalls = 200;
    const auto nothing = []() -> Result<void> { return {}; };
    Timed check = time_calls(
        kCalls, [&] { return prepared.can_implement(); }, nothing);
    Timed select = time_calls(
        kCalls, [&] { return prepared.select(); }, nothing);
    Timed* const all[] = {&check, &select};
    BARACUDA_RETURN_IF_ERROR(interleave(all, kHostRounds, [](double) {}));
    HostCosts costs;
    costs.can_implement = check.seconds();
    costs.select = select.seconds();
    costs.no_select_from_disk = "plans on the CPU keep nothing on disk";
    return costs;
  }

 private:
  CpuBench()
      : stream_(Stream::cpu()),
        cache_bytes_(std::min(last_level_cache_bytes(stream_.num_threads()), max_bytes_of_cases(info()) / 8)) {
    cpu::prepare_threads();
  }

  /// Seconds per call of `run`, for 0 … n − 1 in turn, with other bytes in the cache before.
  Timed time_cold(int n, std::function<Result<void>(int)> run) {
    return {[this, n, run = std::move(run)]() -> Result<Sample> {
      sum_in_parallel(flush_, flush_.bytes());
      BARACUDA_ASSIGN_OR_RETURN(const double seconds, host_seconds([&]() -> Result<void> {
                                  for (int i = 0; i < n; ++i) BARACUDA_RETURN_IF_ERROR(run(i));
                                  return {};
                                }));
      return Sample{seconds / n};
    }};
  }

  std::uint32_t sum_in_parallel(const Buffer& buffer, std::int64_t bytes) const {
    constexpr std::int64_t kUnit = 256, kGrain = (1 << 20) / kUnit;
    std::atomic<std::uint32_t> sum = 0;
    cpu::parallel_for(stream_.num_threads(), bytes / kUnit, kGrain, [&](std::int64_t begin, std::int64_t end) {
      sum += cpu_word_sum(info().target.cpu, static_cast<const char*>(buffer.data()) + begin * kUnit,
                          (end - begin) * kUnit);
    });
    return sum;
  }

  void copy_in_parallel(std::int64_t bytes) const {
    // As few pieces as there are threads: a long memcpy streams past the caches, short ones do not.
    const std::int64_t piece = (bytes + stream_.num_threads() - 1) / stream_.num_threads();
    cpu::parallel_for(stream_.num_threads(), stream_.num_threads(), 1, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t from = begin * piece, to = std::min(end * piece, bytes);
      std::memcpy(static_cast<char*>(dest_.data()) + from, static_cast<const char*>(source_.data()) + from,
                  static_cast<std::size_t>(to - from));
    });
  }

  static Error wrong(std::string_view ceiling) {
    return Error::backend(0, fmt::format("the ceiling \"{}\" does not compute what it is to measure", ceiling));
  }

  /// `work` says whether it came to what it must.
  void add_ceiling(Ceiling ceiling, std::function<bool()> work) {
    ceiling.timed.sample = [name = ceiling.name, work = std::move(work)]() -> Result<Sample> {
      BARACUDA_ASSIGN_OR_RETURN(const double seconds, host_seconds([&]() -> Result<void> {
                                  return work() ? Result<void>() : Result<void>(wrong(name));
                                }));
      return Sample{seconds};
    };
    ceilings_.push_back(std::move(ceiling));
  }

  Result<void> make_ceilings() {
    const std::int64_t bytes = std::max<std::int64_t>(4 * cache_bytes_, kRandomTileBytes);
    BARACUDA_ASSIGN_OR_RETURN(flush_, random_buffer(stream_, 2 * cache_bytes_));
    BARACUDA_ASSIGN_OR_RETURN(source_, random_buffer(stream_, bytes));
    BARACUDA_ASSIGN_OR_RETURN(dest_, Buffer::allocate(stream_, bytes));
    BARACUDA_RETURN_IF_ERROR(dest_.fill(stream_, 0));
    const int threads = stream_.num_threads();
    const double mib = static_cast<double>(bytes) / (1 << 20);

    const std::uint32_t sum = random_word_sum(bytes);

    add_ceiling({.name = "read",
                 .how = fmt::format("{:.0f} MiB by {} threads", mib, threads),
                 .bounds = Ceiling::Bounds::Read,
                 .amount = static_cast<double>(bytes)},
                [this, bytes, sum] { return sum_in_parallel(source_, bytes) == sum; });
    add_ceiling({.name = "copy",
                 .how = fmt::format("memcpy of {:.0f} MiB by {} threads, bytes read plus written", mib, threads),
                 .bounds = Ceiling::Bounds::Copy,
                 .amount = 2 * static_cast<double>(bytes)},
                [this, bytes] {
                  copy_in_parallel(bytes);
                  return true;
                });
    copy_in_parallel(bytes);
    if (sum_in_parallel(dest_, bytes) != sum) return wrong("copy");

    constexpr std::int64_t kIterations = 20000;
    const int pieces = 16 * threads, chains = cpu_multiply_add_chains(info().target.cpu);
    add_ceiling({.name = "fma f32",
                 .how = fmt::format("{} by {} threads, two operations each", info().target.name(), threads),
                 .bounds = Ceiling::Bounds::Math,
                 .math = MathPrecision::F32,
                 .amount = 2.0 * kIterations * chains * pieces},
                [this, pieces, chains] {
                  std::atomic<bool> right = true;
                  cpu::parallel_for(stream_.num_threads(), pieces, 1, [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = begin; i < end; ++i)
                      if (cpu_multiply_add(info().target.cpu, kIterations) != 2.0f * static_cast<float>(chains))
                        right = false;
                  });
                  return right.load();
                });
    return {};
  }

  const Stream stream_;
  const std::int64_t cache_bytes_;
  Buffer flush_, source_, dest_;
  std::vector<Ceiling> ceilings_;
};

}  // namespace

Result<std::unique_ptr<DeviceBench>> make_cpu_bench() { return CpuBench::create(); }

}  // namespace baracuda::bench
