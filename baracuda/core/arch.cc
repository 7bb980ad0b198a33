#include "baracuda/core/arch.h"

namespace baracuda {

std::string_view name_of(Arch arch) {
  switch (arch) {
    case Arch::Cpu: return "cpu";
    case Arch::Sm80: return "sm80";
    case Arch::Sm89: return "sm89";
    case Arch::Sm90a: return "sm90a";
  }
  return "invalid";
}

std::optional<Arch> parse_arch(std::string_view name) {
  for (Arch arch : {Arch::Cpu, Arch::Sm80, Arch::Sm89, Arch::Sm90a})
    if (name == name_of(arch)) return arch;
  return std::nullopt;
}

std::string_view name_of(CpuTarget target) {
  switch (target) {
    case CpuTarget::Scalar: return "scalar";
    case CpuTarget::Avx2: return "avx2";
    case CpuTarget::Avx512: return "avx512";
    case CpuTarget::Avx512Vnni: return "avx512_vnni";
  }
  return "invalid";
}

std::optional<CpuTarget> parse_cpu_target(std::string_view name) {
  for (CpuTarget target : kCpuTargets)
    if (name == name_of(target)) return target;
  return std::nullopt;
}

std::string CodeTarget::name() const {
  if (sm == 0) return std::string(name_of(cpu));
  return "sm" + std::to_string(sm) + (arch_specific ? "a" : "");
}

CodeTarget native_target(Arch arch) {
  switch (arch) {
    case Arch::Cpu: break;
    case Arch::Sm80: return CodeTarget::for_cuda(80, false);
    case Arch::Sm89: return CodeTarget::for_cuda(89, false);
    case Arch::Sm90a: return CodeTarget::for_cuda(90, true);
  }
  return {};
}

}  // namespace baracuda
