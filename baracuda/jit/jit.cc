#include "baracuda/jit/jit.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "baracuda/core/env.h"
#include "baracuda/core/propagate.h"
#include "baracuda/jit/disk_store.h"
#include "baracuda/jit/files.h"
#include "baracuda/jit/kernel_pack.h"

namespace baracuda {
namespace {

CachedKernel describe(const std::string& dir, const jit::StoredFile& file) {
  CachedKernel kernel;
  kernel.file = file.name;
  kernel.bytes = file.bytes;
  kernel.last_used = file.last_used_ns / 1'000'000'000;
  const auto entry = jit::read_entry(dir + "/" + file.name);
  if (!entry) return kernel;
  kernel.sound = true;
  kernel.name = entry->manifest_field("name");
  kernel.target = entry->manifest_field("target");
  kernel.registers = entry->kernel.resources.registers;
  kernel.spill_bytes = entry->kernel.resources.spill_bytes();
  kernel.compile_seconds = entry->kernel.seconds;
  return kernel;
}

}  // namespace

Result<DiskCacheInfo> disk_cache_info() noexcept try {
  const Environment& environment = Environment::process();
  DiskCacheInfo info;
  info.dir = environment.cache_dir;
  info.max_bytes = environment.cache_max_bytes;
  if (info.dir.empty()) return info;
  BARACUDA_ASSIGN_OR_RETURN(auto files, jit::list_stored(info.dir));
  std::sort(files.begin(), files.end(), [](const jit::StoredFile& a, const jit::StoredFile& b) {
    return std::tie(b.last_used_ns, a.name) < std::tie(a.last_used_ns, b.name);
  });
  for (const jit::StoredFile& file : files) {
    if (!file.is_entry) continue;
    info.kernels.push_back(describe(info.dir, file));
    info.bytes += file.bytes;
  }
  return info;
} catch (...) {
  return internal::thrown_error("disk_cache_info");
}

Result<DiskCacheCleared> clear_disk_cache() noexcept try {
  const std::string& dir = Environment::process().cache_dir;
  DiskCacheCleared cleared;
  if (dir.empty()) return cleared;
  BARACUDA_ASSIGN_OR_RETURN(const auto files, jit::list_stored(dir));
  for (const jit::StoredFile& file : files) {
    const std::string path = dir + "/" + file.name;
    if (unlink(path.c_str()) == 0) {
      ++cleared.files;
      cleared.bytes += file.bytes;
    } else if (errno != ENOENT) {  // which another process removed
      return jit::io_error(path);
    }
  }
  return cleared;
} catch (...) {
  return internal::thrown_error("clear_disk_cache");
}

Result<KernelPackInfo> load_kernel_pack(const std::string& path) noexcept try {
  BARACUDA_ASSIGN_OR_RETURN(jit::KernelPacks * packs, jit::KernelPacks::process());
  return packs->load(path);
} catch (...) {
  return internal::thrown_error("load_kernel_pack");
}

Result<std::vector<KernelPackInfo>> loaded_kernel_packs() noexcept try {
  return jit::KernelPacks::process().transform([](const jit::KernelPacks* packs) { return packs->infos(); });
} catch (...) {
  return internal::thrown_error("loaded_kernel_packs");
}

}  // namespace baracuda
