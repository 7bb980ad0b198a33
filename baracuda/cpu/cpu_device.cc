#include <hwy/targets.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "baracuda/core/device.h"

namespace baracuda {

std::vector<CpuTarget> available_cpu_targets() {
  std::vector<CpuTarget> targets = {CpuTarget::Scalar};
#if HWY_ARCH_X86
  const auto supported = hwy::SupportedTargets();
  if (supported & HWY_AVX2) targets.push_back(CpuTarget::Avx2);
  if (supported & HWY_AVX3) targets.push_back(CpuTarget::Avx512);
#endif
  return targets;
}

DeviceInfo DeviceInfo::cpu() {
  static const DeviceInfo info = [] {
    constexpr double kNominalBytesPerSecondPerThread = 10e9, kNominalBytesPerSecond = 100e9;
    const int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    DeviceInfo cpu;
    cpu.name = "CPU";
    cpu.target = CodeTarget::for_cpu(available_cpu_targets().back());
    cpu.num_multiprocessors = threads;
    cpu.memory_bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
    cpu.copy_bytes_per_second = std::min(kNominalBytesPerSecond, threads * kNominalBytesPerSecondPerThread);
    return cpu;
  }();
  return info;
}

}  // namespace baracuda
