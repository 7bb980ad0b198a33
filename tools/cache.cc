#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "baracuda/jit/jit.h"
#include "tools/commands.h"

namespace baracuda::tools {
namespace {

using json = nlohmann::ordered_json;

json to_json(const DiskCacheInfo& info) {
  json kernels = json::array();
  for (const CachedKernel& kernel : info.kernels)
    kernels.push_back({{"file", kernel.file},
                       {"name", kernel.name},
                       {"target", kernel.target},
                       {"bytes", kernel.bytes},
                       {"last_used", kernel.last_used},
                       {"registers", kernel.registers},
                       {"spill_bytes", kernel.spill_bytes},
                       {"compile_seconds", kernel.compile_seconds},
                       {"sound", kernel.sound}});
  return {{"dir", info.dir}, {"max_bytes", info.max_bytes}, {"bytes", info.bytes}, {"kernels", kernels}};
}

std::string mib(std::int64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

void print(const DiskCacheInfo& info) {
  if (info.dir.empty()) {
    fmt::print("kernels are not kept on disk: there is no BARACUDA_CACHE_DIR and no home folder\n");
    return;
  }
  fmt::print("{}: {} kernels, {} of {}{}\n", info.dir, info.kernels.size(), mib(info.bytes), mib(info.max_bytes),
             info.max_bytes == 0 ? ": nothing is kept on disk" : "");
  if (info.kernels.empty()) return;
  fmt::print("\n");
  std::vector<std::vector<std::string>> rows = {{"kernel", "target", "bytes", "registers", "spills", "ms"}};
  for (const CachedKernel& kernel : info.kernels) {
    if (kernel.sound) {
      rows.push_back({kernel.name, kernel.target, std::to_string(kernel.bytes), std::to_string(kernel.registers),
                      std::to_string(kernel.spill_bytes), fmt::format("{:.0f}", 1e3 * kernel.compile_seconds)});
    } else {
      rows.push_back({kernel.file, "not usable", std::to_string(kernel.bytes)});
    }
  }
  print_table(rows);
}

}  // namespace

int cache_info(const CacheOptions& options) {
  const Result<DiskCacheInfo> info = disk_cache_info();
  if (!info) return fail(info.error());
  if (options.json) {
    fmt::print("{}\n", to_json(*info).dump(2));
  } else {
    print(*info);
  }
  return kSuccess;
}

int cache_clear() {
  const Result<DiskCacheCleared> cleared = clear_disk_cache();
  if (!cleared) return fail(cleared.error());
  fmt::print("{} files removed, {}\n", cleared->files, mib(cleared->bytes));
  return kSuccess;
}

}  // namespace baracuda::tools
