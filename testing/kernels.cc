#include "testing/kernels.h"

#include <fmt/core.h>

#include <charconv>
#include <memory>
#include <set>
#include <utility>

#include "baracuda/core/env.h"
#include "baracuda/core/propagate.h"
#include "baracuda/cuda/context.h"
#include "baracuda/jit/kernel_cache.h"
#include "baracuda/jit/kernel_pack.h"
#include "testing/case_text.h"
#include "testing/files.h"
#include "testing/machine.h"
#include "testing/parallel.h"

namespace baracuda::testing {
namespace {

Result<CompiledOpKernel> compile_one(const jit::KernelSpec& spec) {
  BARACUDA_ASSIGN_OR_RETURN(jit::CompiledKernel kernel, jit::compile(spec));
  CompiledOpKernel compiled{.resources = std::move(kernel.resources), .seconds = kernel.seconds};
  compiled.problem = compiled.resources.problem();
  return compiled;
}

/// The process's compiler makes it, whatever packs hold: all kernels of a pack are of one compiler.
Result<std::shared_ptr<const jit::KernelEntry>> compile_to_pack(const jit::KernelSpec& kernel,
                                                                jit::NvrtcVersion compiler) {
  const jit::KernelSpec spec = jit::process_spec(kernel);
  BARACUDA_ASSIGN_OR_RETURN(const jit::KernelKey key, jit::kernel_key(spec, compiler));
  BARACUDA_ASSIGN_OR_RETURN(const auto compiled, jit::KernelCache::process().get(spec, key));
  BARACUDA_ASSIGN_OR_RETURN(std::string manifest, jit::kernel_manifest(spec, key, compiler));
  return std::make_shared<const jit::KernelEntry>(jit::KernelEntry{std::move(manifest), *compiled});
}

}  // namespace

CompileTarget compile_target(const DeviceInfo& device) {
  const CodeTarget target = code_target(device, device.arch);
  std::string name(name_of(device.arch));
  if (target != native_target(device.arch)) name += "@" + target.name();
  return {std::move(name), device};
}

Result<CompileTarget> parse_compile_target(std::string_view name) {
  const auto bad = [&](std::string_view why) {
    return Error::invalid_problem(
        fmt::format("\"{}\" is nothing to compile for: {}; expected sm80, sm89 or sm90a, or as in sm80@sm90 a class "
                    "for the compute capability of a newer device",
                    name, why));
  };
  const std::size_t at = name.find('@');
  const std::optional<Arch> arch = parse_arch(name.substr(0, at));
  if (!arch || *arch == Arch::Cpu) return bad("there is no such class");
  if (at == name.npos) return CompileTarget{std::string(name), typical_device(*arch)};

  int sm = 0;
  const std::string_view capability = name.substr(at + 1),
                         digits = capability.substr(std::min<std::size_t>(2, capability.size()));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), sm);
  if (!capability.starts_with("sm") || error != std::errc() || end != digits.data() + digits.size())
    return bad("what follows the @ is no compute capability");
  const Result<Arch> newest = cuda::arch_of_capability(sm);
  if (!newest || *arch > *newest) return bad("the device does not run the class");
  CompileTarget target{std::string(name), typical_device(*newest), {.force_arch = *arch}};
  target.device.name = capability;
  target.device.target = CodeTarget::for_cuda(sm, false);
  if (code_target(target.device, *arch) == native_target(*arch)) return bad("the device runs the class's own code");
  return target;
}

std::vector<CompileTarget> native_compile_targets() {
  std::vector<CompileTarget> targets;
  for (Arch arch : kCudaArchs) targets.push_back(compile_target(typical_device(arch)));
  return targets;
}

std::vector<std::string> all_ops() {
  std::vector<std::string> names;
  for (const Op* op : ops()) names.emplace_back(op->name());
  return names;
}

std::vector<OpKernel> all_kernels_of(std::span<const CompileTarget> targets) {
  std::vector<OpKernel> kernels;
  for (const Op* op : ops())
    for (const CompileTarget& target : targets)
      for (jit::KernelSpec& spec : op->all_kernels(target.preference, target.device))
        kernels.push_back({op, target.name, std::move(spec)});
  return kernels;
}

Result<std::vector<OpKernel>> kernels_of(std::span<const std::string> lines, std::span<const CompileTarget> targets,
                                         std::size_t* line_idx) {
  std::vector<OpKernel> kernels;
  std::set<std::pair<std::string, std::string>> seen;  // text and target: the same code
  for (const std::string& line : lines) {
    if (line_idx) *line_idx = static_cast<std::size_t>(&line - lines.data());
    const std::string_view word = case_op(line);
    if (word.find('=') != word.npos)
      return Error::invalid_problem(
          fmt::format("\"{}\" is a field without its op; a case is one line, and one argument, in quotes", word));
    BARACUDA_ASSIGN_OR_RETURN(const Op* op, find_op(word));
    for (const CompileTarget& target : targets) {
      BARACUDA_ASSIGN_OR_RETURN(auto specs, line == op->name() ? op->kernels(target.preference, target.device)
                                                               : op->kernels(line, target.preference, target.device));
      for (jit::KernelSpec& spec : specs)
        if (seen.emplace(spec.text, spec.target.name()).second) kernels.push_back({op, target.name, std::move(spec)});
    }
  }
  return kernels;
}

Result<std::string> key_of(const OpKernel& kernel, std::string_view nvrtc_version) {
  const auto version = jit::parse_nvrtc_version(nvrtc_version);
  if (!version)
    return Error::invalid_problem(
        fmt::format("NVRTC's version is \"{}\", expected MAJOR.MINOR as in 13.0", nvrtc_version));
  BARACUDA_ASSIGN_OR_RETURN(const jit::KernelKey key, jit::kernel_key(kernel.spec, *version));
  return key.hex();
}

Result<std::vector<CompiledOpKernel>> compile_kernels(std::span<const OpKernel> kernels) {
  BARACUDA_RETURN_IF_ERROR(jit::nvrtc());
  std::vector<CompiledOpKernel> compiled;
  for (auto& answer : for_each_in_parallel("compiling a kernel", kernels,
                                           [](const OpKernel& kernel) { return compile_one(kernel.spec); }))
    compiled.push_back(answer ? *std::move(answer) : CompiledOpKernel{.problem = answer.error().message});
  return compiled;
}

Result<WarmReport> warm_kernels(std::span<const OpKernel> kernels) {
  const Environment& environment = Environment::process();
  if (environment.cache_dir.empty() || environment.cache_max_bytes == 0)
    return Error::unsupported(
        "there is no folder to compile into: neither BARACUDA_CACHE_DIR nor HOME is set, or BARACUDA_CACHE_MAX_BYTES "
        "is 0");
  BARACUDA_ASSIGN_OR_RETURN(const jit::KernelPacks* packs, jit::KernelPacks::process());
  const Result<jit::NvrtcVersion> compiler = jit::process_compiler();
  jit::KernelCache& cache = jit::KernelCache::process();

  std::vector<jit::KernelSpec> to_compile;
  WarmReport report;
  for (const OpKernel& kernel : kernels) {
    jit::KernelSpec spec = jit::process_spec(kernel.spec);
    BARACUDA_ASSIGN_OR_RETURN(const auto packed, packs->find(spec));
    bool present = packed != nullptr;
    if (!present) {
      if (!compiler) return packs->missing(spec, compiler.error());
      BARACUDA_ASSIGN_OR_RETURN(const jit::KernelKey key, jit::kernel_key(spec, *compiler));
      present = cache.has_stored(spec, key);
    }
    if (present) {
      ++report.present;
    } else {
      to_compile.push_back(std::move(spec));
    }
  }

  const auto answers = for_each_in_parallel("compiling a kernel", std::span<const jit::KernelSpec>(to_compile),
                                            [](const jit::KernelSpec& spec) { return jit::process_kernel(spec); });
  // Only now: the last ones may have taken the room of the first.
  for (std::size_t i = 0; i < to_compile.size(); ++i) {
    const jit::KernelSpec& spec = to_compile[i];
    if (!answers[i]) {
      report.problems.push_back(answers[i].error().message);
    } else if (!cache.has_stored(spec, *jit::kernel_key(spec, *compiler))) {
      report.problems.push_back(fmt::format(
          "kernel {} for {}: compiled, but {} does not keep it; BARACUDA_VERBOSE=1 says why it cannot be written, and "
          "BARACUDA_CACHE_MAX_BYTES bounds it",
          spec.name, spec.target.name(), environment.cache_dir));
    } else {
      ++report.compiled;
    }
  }
  return report;
}

Result<KernelPackInfo> write_kernel_pack(const std::string& path, std::span<const OpKernel> kernels) {
  BARACUDA_RETURN_IF_ERROR(check_can_write(path));
  jit::KernelPack pack;
  BARACUDA_ASSIGN_OR_RETURN(pack.nvrtc_version, jit::process_compiler());

  for (const auto& entry : for_each_in_parallel("compiling a kernel", kernels, [&](const OpKernel& kernel) {
         return compile_to_pack(kernel.spec, pack.nvrtc_version);
       })) {
    BARACUDA_RETURN_IF_ERROR(entry);
    pack.kernels.emplace((*entry)->kernel.key, *entry);
  }

  BARACUDA_ASSIGN_OR_RETURN(const std::string bytes, jit::encode_pack(pack));
  BARACUDA_RETURN_IF_ERROR(write_file(path, bytes));
  return jit::describe_pack(path, bytes.size(), pack);
}

}  // namespace baracuda::testing
