#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/jit/kernel_cache.h"
#include "baracuda/jit/kernel_entry.h"

namespace baracuda::jit {

/// Compiled kernels in a folder that processes share, one file each (kernel_entry.h), named by file_stem.
///
/// Nothing here fails: what cannot be read is absent, what cannot be written stays in memory.
///
/// - An entry is written under a temporary name, flushed, and renamed: a reader sees a whole one or none, and so does a
///   machine that lost power. What a killed writer left is no entry, and is removed once it is old.
/// - A load verifies checksum and manifest, and says by the file's time that the kernel is in use. The oldest go first
///   when a new one would exceed the bound. A file that is removed while it is read stays readable.
/// - A compile holds a lock: one byte of one file, at an offset that the key decides, owned by an open file (OFD). It
///   ends with its process, so none is stale; no second file is needed per kernel, so none has to be removed, which is
///   where such schemes race. Who cannot have it in time, or is on a file system without locks, compiles for himself.
class DiskStore : public KernelStore {
 public:
  struct Options {
    std::string dir;  ///< made when something is to be written
    std::int64_t max_bytes = std::int64_t{1} << 30;
    NvrtcVersion nvrtc_version;
    std::span<const EmbeddedSource> sources = embedded_sources();
    std::chrono::milliseconds lock_timeout{10'000};
    std::string dump_dir = {};  ///< for what is loaded (jit/dump.h); empty: nothing
    bool verbose = false;       ///< say once why nothing is kept
  };

  explicit DiskStore(Options options);

  std::optional<CompiledKernel> load(const KernelSpec& spec, const KernelKey& key) override;
  void store(const KernelSpec& spec, const CompiledKernel& kernel) override;
  std::unique_ptr<Lock> lock(const KernelSpec& spec, const KernelKey& key) override;
  /// Of the kernel of the same op that was used last; 0 where there is none.
  double seconds_of_similar(const KernelSpec& spec) override;

 private:
  bool make_dir();
  std::string path_of(std::string_view file) const { return options_.dir + "/" + std::string(file); }
  /// Removes old leftovers, and entries until there is room for one more.
  void make_room(std::string_view file, std::int64_t bytes);
  Result<void> write_entry(const std::string& file, std::string_view bytes);
  void report(const Error& error);

  Options options_;
  std::atomic<bool> reported_ = false;
};

/// A file of ours in a cache's folder. All others there, whatever they are, are left alone.
struct StoredFile {
  std::string name;
  std::int64_t bytes = 0;
  std::int64_t last_used_ns = 0;  ///< since 1970
  bool is_entry = false;          ///< else what a writer has not finished
};
/// Errors: Io. A folder that is not there is empty.
Result<std::vector<StoredFile>> list_stored(const std::string& dir);

/// What a file holds. Empty where that cannot be read or is damaged.
std::optional<KernelEntry> read_entry(const std::string& path);

}  // namespace baracuda::jit
