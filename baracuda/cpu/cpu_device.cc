#include <hwy/targets.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "baracuda/core/device.h"

namespace baracuda {

namespace {

bool is_available(CpuTarget target) {
  switch (target) {
    case CpuTarget::Scalar: return true;
#if HWY_ARCH_X86
    case CpuTarget::Avx2: return (hwy::SupportedTargets() & HWY_AVX2) != 0;
    case CpuTarget::Avx512: return (hwy::SupportedTargets() & HWY_AVX3) != 0;
    case CpuTarget::Avx512Vnni: return is_available(CpuTarget::Avx512) && __builtin_cpu_supports("avx512vnni");
#endif
    default: return false;
  }
}

/// Of one thread: a vector of products a clock.
int int8_ops_per_clock(CpuTarget target) {
  switch (target) {
    case CpuTarget::Scalar: return 2;
    case CpuTarget::Avx2: return 32;
    case CpuTarget::Avx512: return 64;
    case CpuTarget::Avx512Vnni: return 128;
  }
  return 0;
}

}  // namespace

std::vector<CpuTarget> available_cpu_targets() {
  std::vector<CpuTarget> targets;
  for (CpuTarget target : kCpuTargets)
    if (is_available(target)) targets.push_back(target);
  return targets;
}

DeviceInfo DeviceInfo::cpu() {
  // Without an allocation, as Stream::cpu needs it.
  static const DeviceInfo info = [] {
    constexpr double kNominalBytesPerSecondPerThread = 10e9, kNominalBytesPerSecond = 100e9;
    const int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    DeviceInfo cpu;
    cpu.name = "CPU";
    for (CpuTarget target : kCpuTargets)
      if (is_available(target)) cpu.target = CodeTarget::for_cpu(target);
    cpu.num_multiprocessors = threads;
    cpu.memory_bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
    cpu.copy_bytes_per_second = std::min(kNominalBytesPerSecond, threads * kNominalBytesPerSecondPerThread);
    constexpr double kNominalClock = 3e9;
    cpu.int8_ops_per_second = threads * kNominalClock * int8_ops_per_clock(cpu.target.cpu);
    return cpu;
  }();
  return info;
}

}  // namespace baracuda
