#include "baracuda/jit/compiler.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "baracuda/core/propagate.h"
#include "baracuda/jit/dump.h"
#include "baracuda/jit/files.h"

namespace baracuda::jit {
namespace {

/// The number that stands right before `unit` in the line; 0 where there is none.
int number_before(std::string_view line, std::string_view unit) {
  const std::size_t end = line.find(unit);
  if (end == line.npos) return 0;
  const std::size_t last_other = line.substr(0, end).find_last_not_of("0123456789");
  const std::size_t begin = last_other == line.npos ? 0 : last_other + 1;
  int value = 0;
  std::from_chars(line.data() + begin, line.data() + end, value);
  return value;
}

class Program {
 public:
  explicit Program(const NvrtcApi& api) : api_(api) {}
  ~Program() {
    if (handle) api_.nvrtcDestroyProgram(&handle);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  std::string log() const {
    std::size_t size = 0;
    if (api_.nvrtcGetProgramLogSize(handle, &size) != kNvrtcSuccess || size == 0) return {};
    std::string text(size, '\0');
    if (api_.nvrtcGetProgramLog(handle, text.data()) != kNvrtcSuccess) return {};
    return text.c_str();  // without the terminating null, which NVRTC counts and at times doubles
  }

  NvrtcProgram handle = nullptr;

 private:
  const NvrtcApi& api_;
};

}  // namespace

std::string KernelResources::problem() const {
  std::string problem;
  if (spill_bytes() > 0) problem = fmt::format("{} bytes of registers are spilled", spill_bytes());
  for (const std::string& warning : warnings) problem.append(problem.empty() ? "" : "; ").append(warning);
  return problem;
}

KernelResources parse_log(std::string_view log) {
  KernelResources resources;
  while (!log.empty()) {
    const std::string_view line = log.substr(0, log.find('\n'));
    log.remove_prefix(std::min(line.size() + 1, log.size()));
    if (line.find(" bytes stack frame, ") != line.npos) {
      // One such line for the kernel and one for each function that was not inlined.
      resources.stack_bytes = std::max(resources.stack_bytes, number_before(line, " bytes stack frame"));
      resources.spill_store_bytes += number_before(line, " bytes spill stores");
      resources.spill_load_bytes += number_before(line, " bytes spill loads");
    } else if (line.find(": Used ") != line.npos) {
      resources.registers = number_before(line, " registers");
      resources.static_shared_bytes = number_before(line, " bytes smem");
    } else if (line.find("(C75") != line.npos) {
      resources.warnings.emplace_back(line);
    }
  }
  return resources;
}

Result<CompiledKernel> compile(const KernelSpec& spec, const NvrtcApi& nvrtc, std::span<const EmbeddedSource> sources) {
  const auto in_kernel = [&](Error error) {
    error.message = fmt::format("kernel {} for {}: {}", spec.name, spec.target.name(), error.message);
    return error;
  };
  const auto check = [&](int status, const char* what) -> Result<void> {
    if (status == kNvrtcSuccess) return {};
    return in_kernel(nvrtc_error(nvrtc, status, what));
  };

  CompiledKernel kernel;
  BARACUDA_ASSIGN_OR_RETURN(kernel.key, kernel_key(spec, nvrtc.version, sources).transform_error(in_kernel));
  BARACUDA_ASSIGN_OR_RETURN(const auto included, included_sources(spec.text, sources));

  // NVRTC wants null-terminated strings, which views into the embedded table need not be.
  std::vector<std::string> strings = compile_options(spec.target, spec.debug);
  // Where there is a driver NVRTC keeps a cache of its own, and a hit in it comes without the log that tells registers
  // and spills. No part of the key: it does not change the code.
  constexpr NvrtcVersion kFirstWithCache = {12, 9};
  if (nvrtc.version >= kFirstWithCache) strings.push_back("--no-cache");
  const std::size_t num_options = strings.size();
  for (const EmbeddedSource* source : included) strings.emplace_back(source->text);
  for (const EmbeddedSource* source : included) strings.emplace_back(source->name);
  std::vector<const char*> pointers;
  for (const std::string& each : strings) pointers.push_back(each.c_str());
  const char* const* options = pointers.data();
  const char* const* header_texts = options + num_options;
  const char* const* header_names = header_texts + included.size();

  // One file name for all kernels: it may not change the code, for it is not in the key.
  constexpr const char* kFileName = "baracuda_kernel.cu";
  Program program(nvrtc);
  BARACUDA_RETURN_IF_ERROR(
      check(nvrtc.nvrtcCreateProgram(&program.handle, spec.text.c_str(), kFileName, static_cast<int>(included.size()),
                                     header_texts, header_names),
            "nvrtcCreateProgram"));
  const auto start = std::chrono::steady_clock::now();
  const int status = nvrtc.nvrtcCompileProgram(program.handle, static_cast<int>(num_options), options);
  kernel.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  kernel.log = program.log();
  if (status != kNvrtcSuccess) {
    Error error = in_kernel(nvrtc_error(nvrtc, status, "nvrtcCompileProgram"));
    error.message += "\n" + kernel.log;
    return error;
  }

  std::size_t cubin_bytes = 0;
  BARACUDA_RETURN_IF_ERROR(check(nvrtc.nvrtcGetCUBINSize(program.handle, &cubin_bytes), "nvrtcGetCUBINSize"));
  kernel.cubin.resize(cubin_bytes);
  BARACUDA_RETURN_IF_ERROR(
      check(nvrtc.nvrtcGetCUBIN(program.handle, reinterpret_cast<char*>(kernel.cubin.data())), "nvrtcGetCUBIN"));
  kernel.resources = parse_log(kernel.log);
  return kernel;
}

Result<CompiledKernel> compile(const KernelSpec& spec) {
  BARACUDA_ASSIGN_OR_RETURN(const NvrtcApi* compiler, nvrtc());
  auto kernel = compile(spec, *compiler, embedded_sources());
  const Environment& environment = Environment::process();
  if (!environment.jit_dump.empty()) {
    if (kernel) {
      dump_kernel(environment.jit_dump, spec, *kernel);
    } else if (const auto key = kernel_key(spec, compiler->version)) {
      dump_failed_kernel(environment.jit_dump, spec, *key, kernel.error().message);
    }
  }
  if (kernel && environment.verbose) {
    say(fmt::format("compiled {} for {} in {:.0f} ms: {} registers, {} bytes of spills", spec.name, spec.target.name(),
                    1e3 * kernel->seconds, kernel->resources.registers, kernel->resources.spill_bytes()));
  }
  return kernel;
}

}  // namespace baracuda::jit
