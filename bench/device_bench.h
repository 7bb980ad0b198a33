#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/buffer.h"
#include "baracuda/core/device.h"
#include "baracuda/core/sku.h"
#include "bench/clocks.h"
#include "bench/timing.h"
#include "testing/op.h"

namespace baracuda::bench {

/// What a device can do at best, of one thing.
struct Ceiling {
  /// What it bounds: any plan's bytes, any plan's operations in this arithmetic, or nothing by itself.
  enum class Bounds { Read, Copy, Math, Nothing };

  std::string name;  ///< "read"
  std::string how;   ///< "plain loads of 2048 MiB"
  Bounds bounds = Bounds::Nothing;
  MathPrecision math = MathPrecision::None;
  double amount = 0;  ///< bytes, or operations where `math` is one, in a run
  Timed timed = {};
  std::string absent = {};  ///< why it is not measured; empty where it is

  /// Per second. It must have been measured.
  double rate() const { return amount / timed.seconds().median; }
};

/// The host's time in calls of a plan, warm.
struct HostCosts {
  std::optional<Spread> launch;  ///< CUDA: what the driver takes for one launch, or one copy, alone
  std::optional<Spread> run;     ///< CUDA: until it returns, the work being enqueued; on the CPU it is the work
  std::optional<Spread> can_implement;
  std::optional<Spread> select;            ///< of a plan whose kernels are loaded
  std::optional<Spread> select_from_disk;  ///< in a new process, which compiles nothing and has loaded none of them
  std::string no_select_from_disk;         ///< why there is none
};

/// A device on which things are timed. Memory is cold: a cache is filled with other bytes before each sample, and a
/// sample goes round buffers of its own for each run.
class DeviceBench {
 public:
  /// With its ceilings ready to be timed. Errors: Backend where a ceiling's kernel does not do what it is to measure.
  static Result<std::unique_ptr<DeviceBench>> create(Device device);
  virtual ~DeviceBench() = default;

  virtual const DeviceInfo& info() const = 0;
  /// "NVIDIA H200, 132 multiprocessors, L2 60 MiB, driver 580.159.04"; the processor for the CPU.
  virtual std::string description() const = 0;
  /// Errors: Unsupported, saying why.
  virtual Result<GpuClocks::Reading> read_clocks() const = 0;
  virtual std::vector<Ceiling>& ceilings() = 0;
  /// What has to be other bytes before memory counts as cold.
  virtual std::int64_t cache_bytes() const = 0;

  /// A case, which must outlive the answer, as must this; adds sets of operands.
  virtual Result<Timed> time_case(testing::PreparedCase& prepared) = 0;
  /// A plain copy of so many bytes: memcpy on one thread, or the driver's copy.
  virtual Result<Timed> time_copy(std::int64_t bytes) = 0;
  /// `run_seconds`: what a run of the case takes on the device.
  virtual Result<HostCosts> time_host(const std::string& case_text, const testing::PreparedCase& prepared,
                                      double run_seconds) = 0;
};

Result<std::unique_ptr<DeviceBench>> make_cpu_bench();
Result<std::unique_ptr<DeviceBench>> make_cuda_bench(int ordinal);

// ---- what both use --------------------------------------------------------------------------------------------------

/// What the buffers of cases that are timed together may take, copies included; one case alone may take more. Others
/// use the host too, and its memory last of all.
std::int64_t max_bytes_of_cases(const DeviceInfo& device);
/// How many buffers of so many bytes a sample goes round, given the cache's size.
int num_cold_buffers(std::int64_t bytes, std::int64_t cache_bytes);
/// Adds sets until a sample can go round them, or until there are two and they take a fair part of the memory.
Result<void> add_cold_sets(testing::PreparedCase& prepared, std::int64_t cache_bytes);

/// Buffers are filled with so many random bytes again and again.
inline constexpr std::int64_t kRandomTileBytes = std::int64_t{64} << 20;
/// Errors: as Buffer::allocate.
Result<Buffer> random_buffer(const Stream& stream, std::int64_t bytes);
/// What the 32-bit words of its first `bytes`, a multiple of 4, add up to, modulo 2^32.
std::uint32_t random_word_sum(std::int64_t bytes);

/// How long the host's time is taken.
inline constexpr RoundLimits kHostRounds{.min_rounds = 5, .max_rounds = 101, .seconds = 0.3};
/// Calls by the host's clock, so many in a sample; `finish` follows them, untimed.
Timed time_calls(int calls, std::function<Result<void>()> call, std::function<Result<void>()> finish);

}  // namespace baracuda::bench
