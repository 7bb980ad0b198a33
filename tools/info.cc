#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "baracuda/core/version.h"
#include "testing/machine.h"
#include "tools/commands.h"

namespace baracuda::tools {
namespace {

using json = nlohmann::ordered_json;

json cpu_to_json() {
  const DeviceInfo cpu = DeviceInfo::cpu();
  std::vector<std::string> targets;
  for (CpuTarget target : available_cpu_targets()) targets.emplace_back(name_of(target));
  return {{"name", cpu.name},
          {"threads", cpu.num_multiprocessors},
          {"targets", targets},
          {"target", cpu.target.name()},
          {"memory_bytes", cpu.memory_bytes}};
}

json gpu_to_json(const DeviceInfo& gpu) {
  return {{"device", gpu.device.name()},
          {"name", gpu.name},
          {"arch", name_of(gpu.arch)},
          {"compute_capability", fmt::format("{}.{}", gpu.target.sm / 10, gpu.target.sm % 10)},
          {"multiprocessors", gpu.num_multiprocessors},
          {"memory_bytes", gpu.memory_bytes},
          {"l2_bytes", gpu.l2_bytes}};
}

json info_to_json() {
  json gpus = json::array(), libraries = json::array(), packs = json::array(), environment = json::array();
  for (const DeviceInfo& gpu : testing::cuda_devices()) gpus.push_back(gpu_to_json(gpu));
  for (const testing::FoundLibrary& library : testing::find_libraries())
    libraries.push_back({{"name", library.name},
                         {"found", library.problem.empty()},
                         {"version", library.version},
                         {"path", library.path},
                         {"problem", library.problem}});
  const auto loaded = loaded_kernel_packs();
  if (loaded)
    for (const KernelPackInfo& pack : *loaded) packs.push_back(to_json(pack));
  for (const EnvironmentVariable& variable : environment_variables())
    environment.push_back({{"name", variable.name},
                           {"type", variable.type},
                           {"default", variable.default_value},
                           {"value", value_of(variable)},
                           {"description", variable.description}});
  return {{"version", version()},
          {"cpu", cpu_to_json()},
          {"gpus", gpus},
          {"libraries", libraries},
          {"kernel_packs", packs},
          {"kernel_packs_problem", loaded ? "" : loaded.error().message},
          {"environment", environment},
          {"default_device", testing::default_device().name()}};
}

std::string gib(const json& bytes) { return fmt::format("{:.1f} GiB", bytes.get<double>() / (1 << 30)); }

void print_info(const json& data) {
  const json& cpu = data["cpu"];
  std::vector<std::vector<std::string>> rows;
  auto text = [](const json& value) { return value.get<std::string>(); };
  rows.push_back({"baracuda", text(data["version"])});
  rows.push_back({"cpu", fmt::format("{}, {} threads, {}, instruction sets {}", text(cpu["name"]),
                                     cpu["threads"].get<int>(), gib(cpu["memory_bytes"]), join(cpu["targets"], " "))});
  for (const json& gpu : data["gpus"])
    rows.push_back(
        {text(gpu["device"]), fmt::format("{}, compute capability {}, class {}, {} multiprocessors, {}",
                                          text(gpu["name"]), text(gpu["compute_capability"]), text(gpu["arch"]),
                                          gpu["multiprocessors"].get<int>(), gib(gpu["memory_bytes"]))});
  for (const json& library : data["libraries"])
    rows.push_back({text(library["name"]), library["found"] ? text(library["version"]) + ", " + text(library["path"])
                                                            : "not used: " + text(library["problem"])});
  if (const auto packs = loaded_kernel_packs(); !packs) {
    rows.push_back({"kernel pack", "not used: " + packs.error().message});
  } else {
    for (const KernelPackInfo& pack : *packs) rows.push_back({"kernel pack", pack.path + ": " + describe(pack)});
  }
  rows.push_back({"default device", text(data["default_device"])});
  print_table(rows);

  fmt::print("\nenvironment variables, as they are set, or with their defaults\n");
  rows.clear();
  for (const json& variable : data["environment"])
    rows.push_back({"  " + text(variable["name"]), text(variable["type"]),
                    variable["value"] != ""     ? "set to " + text(variable["value"])
                    : variable["default"] != "" ? text(variable["default"])
                                                : "unset",
                    text(variable["description"])});
  print_table(rows);
}

}  // namespace

std::string describe(const KernelPackInfo& pack) {
  return fmt::format("{} kernels for {}, {:.1f} MiB, by NVRTC {}", pack.num_kernels, join(pack.targets, " "),
                     static_cast<double>(pack.bytes) / (1 << 20), pack.nvrtc_version);
}

json to_json(const KernelPackInfo& pack) {
  return {{"path", pack.path},
          {"bytes", pack.bytes},
          {"nvrtc", pack.nvrtc_version},
          {"kernels", pack.num_kernels},
          {"targets", pack.targets}};
}

int info(const InfoOptions& options) {
  const json data = info_to_json();
  if (options.json) {
    fmt::print("{}\n", data.dump(2));
  } else {
    print_info(data);
  }
  return kSuccess;
}

}  // namespace baracuda::tools
