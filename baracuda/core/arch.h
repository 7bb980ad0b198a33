#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "baracuda/core/export.h"

namespace baracuda {

/// The arch class that a kernel is written for. A device runs the newest class that is not newer than itself:
/// sm_86 and sm_87 run Sm80, Hopper runs Sm90a, newer devices run Sm89 (Sm90a code loads on 9.0 alone).
enum class Arch : std::uint8_t { Cpu = 0, Sm80 = 1, Sm89 = 2, Sm90a = 3 };

inline constexpr Arch kCudaArchs[] = {Arch::Sm80, Arch::Sm89, Arch::Sm90a};

/// "cpu", "sm80", "sm89", "sm90a".
BARACUDA_API std::string_view name_of(Arch arch);
BARACUDA_API std::optional<Arch> parse_arch(std::string_view name);

/// The instruction set that CPU kernels are dispatched to; each has all of those before it. Avx512Vnni adds the 8-bit
/// dot products; ops without a kernel for it run their Avx512 code there.
enum class CpuTarget : std::uint8_t { Scalar = 0, Avx2 = 1, Avx512 = 2, Avx512Vnni = 3 };

inline constexpr CpuTarget kCpuTargets[] = {CpuTarget::Scalar, CpuTarget::Avx2, CpuTarget::Avx512,
                                            CpuTarget::Avx512Vnni};

/// "scalar", "avx2", "avx512", "avx512_vnni".
BARACUDA_API std::string_view name_of(CpuTarget target);
BARACUDA_API std::optional<CpuTarget> parse_cpu_target(std::string_view name);

/// What machine code is made for: an instruction set on the CPU, a compute capability on CUDA.
struct CodeTarget {
  CpuTarget cpu = CpuTarget::Scalar;  ///< on the CPU
  int sm = 0;                         ///< CUDA: 10·major + minor, 0 on the CPU
  bool arch_specific = false;         ///< CUDA: the "a" in sm_90a

  static constexpr CodeTarget for_cpu(CpuTarget target) { return {target, 0, false}; }
  static constexpr CodeTarget for_cuda(int sm, bool arch_specific) { return {CpuTarget::Scalar, sm, arch_specific}; }

  /// As skus spell it: "avx2", "sm80", "sm90a".
  BARACUDA_API std::string name() const;
  friend bool operator==(const CodeTarget&, const CodeTarget&) = default;
};

template <class Visit>
void visit_fields(const CodeTarget& target, Visit&& visit) {
  visit("cpu", target.cpu);
  visit("sm", target.sm);
  visit("arch_specific", target.arch_specific);
}

/// The code target that a class is compiled for where nothing forces another: sm_80, sm_89, sm_90a.
BARACUDA_API CodeTarget native_target(Arch arch);

}  // namespace baracuda
