#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "testing/kernels.h"
#include "tools/commands.h"

namespace baracuda::tools {
namespace {

using json = nlohmann::ordered_json;
using testing::OpKernel;

Result<std::vector<OpKernel>> select_kernels(const KernelsOptions& options) {
  const auto targets = find_compile_targets(options.archs);
  if (!targets) return targets.error();
  return testing::kernels_of(options.cases.empty() ? testing::all_ops() : options.cases, *targets);
}

}  // namespace

Result<std::vector<testing::CompileTarget>> find_compile_targets(const std::vector<std::string>& archs) {
  if (archs.empty()) return testing::native_compile_targets();
  std::vector<testing::CompileTarget> targets;
  for (const std::string& name : archs) {
    Result<testing::CompileTarget> target = testing::parse_compile_target(name);
    if (!target) return Error::invalid_problem("--arch: " + target.error().message);
    targets.push_back(*std::move(target));
  }
  return targets;
}

int keys(const KernelsOptions& options) {
  const Result<std::vector<OpKernel>> kernels = select_kernels(options);
  if (!kernels) return fail(kernels.error());
  json ops = json::object();
  std::vector<std::vector<std::string>> rows;
  for (const OpKernel& kernel : *kernels) {
    const Result<std::string> key = testing::key_of(kernel, options.nvrtc_version);
    if (!key) return fail(key.error());
    const std::string op(kernel.op->name());
    ops[op][kernel.target].push_back(
        {{"kernel", kernel.spec.name}, {"target", kernel.spec.target.name()}, {"key", *key}});
    rows.push_back({kernel.target, kernel.spec.name, kernel.spec.target.name(), *key});
  }
  if (options.json) {
    fmt::print("{}\n", json{{"nvrtc", options.nvrtc_version}, {"ops", ops}}.dump(2));
  } else {
    print_table(rows);
  }
  return kSuccess;
}

int compile(const KernelsOptions& options) {
  const Result<std::vector<OpKernel>> kernels = select_kernels(options);
  if (!kernels) return fail(kernels.error());
  const auto compiled = testing::compile_kernels(*kernels);
  if (!compiled) return fail(compiled.error());

  json list = json::array();
  std::vector<std::vector<std::string>> rows = {{"kernel", "target", "registers", "shared", "stack", "spills", "ms"}};
  std::string problems;
  std::size_t num_failed = 0;
  for (std::size_t i = 0; i < kernels->size(); ++i) {
    const OpKernel& kernel = (*kernels)[i];
    const testing::CompiledOpKernel& result = (*compiled)[i];
    const jit::KernelResources& resources = result.resources;
    list.push_back({{"op", kernel.op->name()},
                    {"kernel", kernel.spec.name},
                    {"target", kernel.spec.target.name()},
                    {"registers", resources.registers},
                    {"static_shared_bytes", resources.static_shared_bytes},
                    {"stack_bytes", resources.stack_bytes},
                    {"spill_bytes", resources.spill_bytes()},
                    {"seconds", result.seconds},
                    {"problem", result.problem}});
    rows.push_back({kernel.spec.name, kernel.spec.target.name(), std::to_string(resources.registers),
                    std::to_string(resources.static_shared_bytes), std::to_string(resources.stack_bytes),
                    std::to_string(resources.spill_bytes()), fmt::format("{:.0f}", result.seconds * 1e3)});
    if (result.problem.empty()) continue;
    ++num_failed;
    problems += fmt::format("FAILED {} for {}: {}\n", kernel.spec.name, kernel.spec.target.name(), result.problem);
  }
  if (options.json) {
    fmt::print("{}\n", list.dump(2));
  } else {
    print_table(rows);
    fmt::print("{}{} kernels compiled, {} failed\n", problems, kernels->size() - num_failed, num_failed);
  }
  return num_failed == 0 ? kSuccess : kFailure;
}

}  // namespace baracuda::tools
