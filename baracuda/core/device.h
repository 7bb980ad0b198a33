#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "baracuda/core/arch.h"
#include "baracuda/core/export.h"
#include "baracuda/core/result.h"

namespace baracuda {

enum class DeviceKind : std::uint8_t { Cpu = 0, Cuda = 1 };

/// Where memory lives and code runs: the CPU, or one CUDA device by its driver ordinal.
struct Device {
  DeviceKind kind = DeviceKind::Cpu;
  int ordinal = 0;

  static constexpr Device cpu() { return {}; }
  static constexpr Device cuda(int ordinal = 0) { return {DeviceKind::Cuda, ordinal}; }

  bool is_cpu() const { return kind == DeviceKind::Cpu; }
  bool is_cuda() const { return kind == DeviceKind::Cuda; }
  /// "cpu", "cuda:0".
  BARACUDA_API std::string name() const;
  /// "cpu", "cuda" (ordinal 0) or "cuda:1".
  BARACUDA_API static Result<Device> parse(std::string_view text) noexcept;
  friend bool operator==(const Device&, const Device&) = default;
};

/// What `choose` needs to know of a device, as plain data: the choice for an H200 can be made, and tested, on a
/// laptop.
struct DeviceInfo {
  std::string name;
  Device device;
  Arch arch = Arch::Cpu;        ///< the newest class that the device runs
  CodeTarget target;            ///< CPU: the best instruction set; CUDA: the device's own compute capability
  int num_multiprocessors = 0;  ///< CUDA: SMs; CPU: hardware threads
  std::int64_t memory_bytes = 0;
  std::int64_t l2_bytes = 0;
  int max_shared_bytes_per_block = 0;  ///< with opt-in; 0 on the CPU
  /// Bytes read plus bytes written per second that a large copy reaches. For the GPUs named below from the vendor's
  /// figures and our measurements, for others 0.87 of what memory clock and bus width allow; on the CPU a nominal
  /// 10 GB/s a thread, at most 100. `explain` turns bytes into time with it; nothing is chosen by it.
  double copy_bytes_per_second = 0;
  /// Multiplications and additions of 8-bit integers per second, for `explain` too: of the GPUs named below as above,
  /// of others by their number of multiprocessors; on the CPU a vector of products a clock, at a nominal 3 GHz.
  double int8_ops_per_second = 0;

  /// This machine's CPU.
  BARACUDA_API static DeviceInfo cpu();
  BARACUDA_API static DeviceInfo sm80();   ///< A100 SXM 80 GB
  BARACUDA_API static DeviceInfo sm89();   ///< L40S
  BARACUDA_API static DeviceInfo sm90a();  ///< H200 SXM
  /// The device as the driver describes it. Asked once per process.
  /// Errors: Unsupported (no driver, driver older than 12.4, compute capability under 8.0), InvalidProblem (no such
  /// ordinal), Backend (driver failure).
  BARACUDA_API static Result<DeviceInfo> of(Device device) noexcept;

  friend bool operator==(const DeviceInfo&, const DeviceInfo&) = default;
};

/// What a kernel of class `arch` is compiled for so that the CUDA `device` loads it: the class's own target where the
/// device does (a cubin runs on its own major version, from its minor on; sm_90a on 9.0 alone), else the device's
/// capability: sm_90, without the "a", for an Sm80 kernel that is forced on Hopper. `device` must run the class.
BARACUDA_API CodeTarget code_target(const DeviceInfo& device, Arch arch);

/// The number of CUDA devices; 0 where no usable driver is found.
BARACUDA_API int num_cuda_devices() noexcept;

/// The instruction sets that this machine's CPU can run, scalar first.
BARACUDA_API std::vector<CpuTarget> available_cpu_targets();

}  // namespace baracuda
