#include "testing/kernels.h"

#include <fmt/core.h>

#include <atomic>
#include <charconv>
#include <thread>

#include "baracuda/core/propagate.h"
#include "testing/machine.h"

namespace baracuda::testing {
namespace {

Result<jit::NvrtcVersion> parse_version(std::string_view text) {
  jit::NvrtcVersion version;
  const char* const end = text.data() + text.size();
  auto [dot, major_error] = std::from_chars(text.data(), end, version.major);
  if (major_error == std::errc() && dot != end && *dot == '.') {
    auto [rest, minor_error] = std::from_chars(dot + 1, end, version.minor);
    if (minor_error == std::errc() && rest == end) return version;
  }
  return Error::invalid_problem(fmt::format("NVRTC's version is \"{}\", expected MAJOR.MINOR as in 13.0", text));
}

CompiledOpKernel compile_one(const jit::KernelSpec& spec) {
  Result<jit::CompiledKernel> kernel = jit::compile(spec);
  if (!kernel) return {.problem = kernel.error().message};
  CompiledOpKernel compiled{.resources = std::move(kernel->resources), .seconds = kernel->seconds};
  const jit::KernelResources& resources = compiled.resources;
  if (const int spilled = resources.spill_store_bytes + resources.spill_load_bytes; spilled > 0)
    compiled.problem = fmt::format("{} bytes of registers are spilled", spilled);
  for (const std::string& warning : resources.warnings)
    compiled.problem.append(compiled.problem.empty() ? "" : "; ").append(warning);
  return compiled;
}

}  // namespace

std::vector<OpKernel> kernels_of(std::span<const Op* const> ops, std::span<const Arch> archs) {
  std::vector<OpKernel> kernels;
  for (const Op* op : ops)
    for (Arch arch : archs)
      for (jit::KernelSpec& spec : op->kernels(typical_device(arch))) kernels.push_back({op, arch, std::move(spec)});
  return kernels;
}

Result<std::string> key_of(const OpKernel& kernel, std::string_view nvrtc_version) {
  BARACUDA_ASSIGN_OR_RETURN(const jit::NvrtcVersion version, parse_version(nvrtc_version));
  BARACUDA_ASSIGN_OR_RETURN(const jit::KernelKey key, jit::kernel_key(kernel.spec, version));
  return key.hex();
}

Result<std::vector<CompiledOpKernel>> compile_kernels(std::span<const OpKernel> kernels) {
  BARACUDA_RETURN_IF_ERROR(jit::nvrtc());
  std::vector<CompiledOpKernel> compiled(kernels.size());
  std::atomic<std::size_t> next = 0;
  auto work = [&] {
    for (std::size_t i = next++; i < kernels.size(); i = next++) compiled[i] = compile_one(kernels[i].spec);
  };
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) workers.emplace_back(work);
    work();
  }
  return compiled;
}

}  // namespace baracuda::testing
