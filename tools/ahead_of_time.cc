// warm and pack: the kernels of a list of cases, compiled before they are needed.

#include <fmt/core.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "testing/machine.h"
#include "tools/commands.h"

namespace baracuda::tools {
namespace {

using json = nlohmann::ordered_json;
using testing::CompileTarget;
using testing::OpKernel;

/// All of the list, or the first line that is bad.
Result<std::vector<OpKernel>> kernels_of_list(const std::string& path, const std::vector<CompileTarget>& targets) {
  const Result<std::vector<testing::ListedCase>> list = read_cases(path);
  if (!list) return list.error();
  std::vector<std::string> cases;
  for (const testing::ListedCase& each : *list) cases.push_back(each.text);
  std::size_t bad = 0;
  Result<std::vector<OpKernel>> kernels = testing::kernels_of(cases, targets, &bad);
  if (kernels) return kernels;
  return Error::invalid_problem((*list)[bad].place + ": " + kernels.error().message);
}

Result<std::vector<CompileTarget>> targets_to_warm(const WarmOptions& options) {
  if (!options.archs.empty()) return find_compile_targets(options.archs);
  std::vector<DeviceInfo> devices = testing::cuda_devices();
  if (!options.device.empty()) {
    const Result<DeviceInfo> device = find_device(options.device);
    if (!device) return device.error();
    if (device->device.is_cpu())
      return Error::invalid_problem(
          "--device is cpu, for which nothing is compiled at run time; expected cuda or cuda:N");
    devices = {*device};
  }
  if (devices.empty())
    return Error::invalid_problem("there is no GPU to compile for; --arch says for which to do it, as in --arch sm90a");
  std::vector<CompileTarget> targets;
  for (const DeviceInfo& device : devices) targets.push_back(testing::compile_target(device));
  return targets;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int warm(const WarmOptions& options) {
  const auto targets = targets_to_warm(options);
  if (!targets) return fail(targets.error());
  const auto kernels = kernels_of_list(options.list, *targets);
  if (!kernels) return fail(kernels.error());
  const auto start = std::chrono::steady_clock::now();
  const Result<testing::WarmReport> report = testing::warm_kernels(*kernels);
  if (!report) return fail(report.error());

  const double seconds = seconds_since(start);
  if (options.json) {
    const json data = {{"compiled", report->compiled},
                       {"present", report->present},
                       {"seconds", seconds},
                       {"problems", report->problems}};
    fmt::print("{}\n", data.dump(2));
  } else {
    for (const std::string& problem : report->problems) fmt::print("FAILED {}\n", problem);
    fmt::print("{} kernels compiled, {} were there, {} failed, {:.1f} s\n", report->compiled, report->present,
               report->problems.size(), seconds);
  }
  return report->problems.empty() ? kSuccess : kFailure;
}

int pack(const PackOptions& options) {
  const auto targets = find_compile_targets(options.archs);
  if (!targets) return fail(targets.error());
  const auto kernels = kernels_of_list(options.list, *targets);
  if (!kernels) return fail(kernels.error());
  const auto start = std::chrono::steady_clock::now();
  const Result<KernelPackInfo> info = testing::write_kernel_pack(options.pack, *kernels);
  if (!info) return fail(info.error());

  const double seconds = seconds_since(start);
  if (options.json) {
    json data = to_json(*info);
    data["seconds"] = seconds;
    fmt::print("{}\n", data.dump(2));
  } else {
    fmt::print("{}: {}, {:.1f} s\n", info->path, describe(*info), seconds);
  }
  return kSuccess;
}

}  // namespace baracuda::tools
