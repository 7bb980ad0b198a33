#include "baracuda/plan/candidate.h"

#include <fmt/core.h>

namespace baracuda {
namespace {

Result<ArchChoice> choose_cpu_target(std::string_view plan, const PlanPreference& preference,
                                     const DeviceInfo& device) {
  if (preference.force_arch && *preference.force_arch != Arch::Cpu)
    return Error::unsupported(fmt::format("{}: preference.force_arch is {}, but the device is {}", plan,
                                          name_of(*preference.force_arch), device.name));
  if (preference.exclude_archs.contains(Arch::Cpu))
    return Error::unsupported(
        fmt::format("{}: preference.exclude_archs has cpu, but the device is {}", plan, device.name));
  const CpuTarget target = preference.force_cpu_target.value_or(device.target.cpu);
  if (target > device.target.cpu)
    return Error::unsupported(fmt::format("{}: preference.force_cpu_target is {}, but the device has at most {}", plan,
                                          name_of(target), name_of(device.target.cpu)));
  return ArchChoice{Arch::Cpu, CodeTarget::for_cpu(target), target != device.target.cpu};
}

}  // namespace

Result<ArchChoice> choose_arch(std::string_view plan, const PlanPreference& preference, const DeviceInfo& device) {
  if (preference.max_workspace_bytes && *preference.max_workspace_bytes < 0)
    return Error::invalid_problem(fmt::format("{}: preference.max_workspace_bytes is {}, expected at least 0", plan,
                                              *preference.max_workspace_bytes));
  if (device.arch == Arch::Cpu) return choose_cpu_target(plan, preference, device);

  if (preference.force_cpu_target)
    return Error::unsupported(fmt::format("{}: preference.force_cpu_target is {}, but the device is {}", plan,
                                          name_of(*preference.force_cpu_target), device.name));
  std::optional<Arch> arch;
  for (Arch each : kCudaArchs)
    if (each <= device.arch && !preference.exclude_archs.contains(each)) arch = each;
  if (preference.force_arch) {
    const Arch forced = *preference.force_arch;
    if (forced == Arch::Cpu || forced > device.arch)
      return Error::unsupported(fmt::format("{}: preference.force_arch is {}, but {} runs classes up to {}", plan,
                                            name_of(forced), device.name, name_of(device.arch)));
    if (preference.exclude_archs.contains(forced))
      return Error::unsupported(
          fmt::format("{}: preference both forces and excludes the class {}", plan, name_of(forced)));
    arch = forced;
  }
  if (!arch)
    return Error::unsupported(
        fmt::format("{}: preference.exclude_archs leaves no class that {} runs", plan, device.name));
  const CodeTarget target = code_target(device, *arch);
  return ArchChoice{*arch, target, target != native_target(*arch)};
}

Verdict allowed_by(const CandidateTraits& candidate, Arch arch, const PlanPreference& preference) {
  const bool on_cpu = arch == Arch::Cpu;
  if ((candidate.arch == Arch::Cpu) != on_cpu) return Verdict::reject(on_cpu ? "needs CUDA" : "needs the CPU");
  if (candidate.arch > arch)
    return Verdict::reject(fmt::format("needs class {}, have {}", name_of(candidate.arch), name_of(arch)));
  if (preference.force_backend && *preference.force_backend != candidate.backend)
    return Verdict::reject(fmt::format("its backend is {}, but the preference forces {}", name_of(candidate.backend),
                                       name_of(*preference.force_backend)));
  if (preference.exclude_backends.contains(candidate.backend))
    return Verdict::reject(fmt::format("the preference excludes the backend {}", name_of(candidate.backend)));
  if (preference.max_workspace_bytes && *preference.max_workspace_bytes < candidate.workspace_bytes)
    return Verdict::reject(fmt::format("needs {} bytes of workspace, but the preference caps it at {}",
                                       candidate.workspace_bytes, *preference.max_workspace_bytes));
  const PrecisionGuarantee& guarantee = candidate.guarantee;
  const Determinism asked = preference.determinism;
  if (asked >= Determinism::RunToRun && !(guarantee.deterministic && guarantee.bit_stable_on_same_hardware))
    return Verdict::reject("its results are not the same bits on every run");
  if (asked >= Determinism::BatchInvariant && !guarantee.batch_invariant)
    return Verdict::reject("a row's result depends on the number of rows");
  if (asked >= Determinism::MatchesCpu && !guarantee.matches_cpu) return Verdict::reject("its bits are not the CPU's");
  return Verdict::accept();
}

Error no_candidate(std::string_view plan, std::span<const CandidateVerdict> verdicts) {
  std::string message = fmt::format("{}: no candidate serves this request", plan);
  for (const CandidateVerdict& verdict : verdicts) message += fmt::format("; {}: {}", verdict.what, verdict.reason);
  return Error::unsupported(std::move(message));
}

Error cannot_tune(std::string_view plan, std::int64_t num_accepted) {
  return Error::unsupported(
      fmt::format("{}: preference.autotune is set and {} candidates qualify, but none of this plan's can be timed yet; "
                  "clear it, or "
                  "leave one by force_backend or exclude_backends",
                  plan, num_accepted));
}

Explanation explain_copy(PlanChoice choice, std::int64_t bytes, const DeviceInfo& device) {
  Explanation explanation;
  explanation.device = device;
  explanation.choice = std::move(choice);
  explanation.bytes = bytes;
  if (device.copy_bytes_per_second > 0) explanation.seconds = static_cast<double>(bytes) / device.copy_bytes_per_second;
  return explanation;
}

Explanation explain_compute(PlanChoice choice, std::int64_t bytes, std::int64_t ops, double ops_per_second,
                            const DeviceInfo& device) {
  Explanation explanation = explain_copy(std::move(choice), bytes, device);
  explanation.ops = ops;
  if (ops_per_second > 0)
    explanation.seconds = std::max(explanation.seconds, static_cast<double>(ops) / ops_per_second);
  return explanation;
}

Error in_plan(std::string_view plan, Error error) {
  error.message = fmt::format("{}: {}", plan, error.message);
  return error;
}

}  // namespace baracuda
