#include "baracuda/jit/disk_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <thread>
#include <tuple>

#include "baracuda/core/propagate.h"
#include "baracuda/jit/dump.h"
#include "baracuda/jit/files.h"

namespace baracuda::jit {
namespace {

constexpr std::string_view kSuffix = ".cubin";
constexpr std::string_view kLockFile = ".baracuda-lock";

// Writing takes milliseconds. If a writer is suspended for longer, its rename fails, and the kernel is not kept.
constexpr std::int64_t kLeftoverAgeNs = std::int64_t{600} * 1'000'000'000;

/// NAME.TARGET-HASH.cubin
bool is_entry_name(std::string_view name) {
  if (!name.ends_with(kSuffix)) return false;
  name.remove_suffix(kSuffix.size());
  const std::size_t dash = name.rfind('-');
  const std::string_view hash = dash == name.npos ? std::string_view() : name.substr(dash + 1);
  return hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == hash.npos;
}

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

std::int64_t now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now);
}

/// A number that a new file at the path changes; 0 where there is none.
ino_t inode_of(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

/// Not blocking for the sake of what is no regular file, a pipe for one, which open would wait at.
File open_to_read(const std::string& path) { return File(path, O_RDONLY | O_NONBLOCK); }

class FileLock : public KernelStore::Lock {
 public:
  FileLock(File file, const struct flock& range) : file_(std::move(file)), range_(range) {}
  // By name: where the program has forked, closing would leave the lock to the copy of the descriptor over there.
  ~FileLock() override {
    range_.l_type = F_UNLCK;
    fcntl(file_.fd(), F_OFD_SETLK, &range_);
  }

 private:
  File file_;
  struct flock range_;
};

/// Empty as well where no checksum can be computed: what is not known to be sound is compiled anew.
std::optional<KernelEntry> entry_of(std::string_view bytes) {
  return decode_entry(bytes).value_or(std::optional<KernelEntry>());
}

}  // namespace

DiskStore::DiskStore(Options options) : options_(std::move(options)) {
  // The folder stays the same when the program changes its own.
  if (!options_.dir.starts_with('/')) {
    if (char* here = getcwd(nullptr, 0)) {
      options_.dir = std::string(here) + "/" + options_.dir;
      free(here);
    }
  }
}

std::optional<CompiledKernel> DiskStore::load(const KernelSpec& spec, const KernelKey& key) {
  const File file = open_to_read(path_of(file_stem(spec, key).append(kSuffix)));
  const std::optional<std::string> bytes = read_all(file);
  if (!bytes) return std::nullopt;
  std::optional<KernelEntry> entry = entry_of(*bytes);
  const auto manifest = kernel_manifest(spec, key, options_.nvrtc_version, options_.sources);
  if (!entry || !manifest || entry->manifest != *manifest) return std::nullopt;

  futimens(file.fd(), nullptr);  // used now; whether that can be noted or not
  entry->kernel.key = key;
  if (!options_.dump_dir.empty()) dump_kernel(options_.dump_dir, spec, entry->kernel);
  return std::move(entry->kernel);
}

void DiskStore::store(const KernelSpec& spec, const CompiledKernel& kernel) {
  const auto manifest = kernel_manifest(spec, kernel.key, options_.nvrtc_version, options_.sources);
  if (!manifest) return report(manifest.error());
  const Result<std::string> bytes = encode_entry(*manifest, kernel);
  if (!bytes) return report(bytes.error());
  if (static_cast<std::int64_t>(bytes->size()) > options_.max_bytes || !make_dir()) return;
  const std::string file = file_stem(spec, kernel.key).append(kSuffix);
  make_room(file, static_cast<std::int64_t>(bytes->size()));
  if (const auto written = write_and_rename(options_.dir, file, *bytes); !written) report(written.error());
}

std::unique_ptr<KernelStore::Lock> DiskStore::lock(const KernelSpec& spec, const KernelKey& key) {
  if (!make_dir()) return nullptr;
  File file(path_of(kLockFile), O_RDWR | O_CREAT | O_NONBLOCK, 0666);
  if (!file.is_open()) return nullptr;
  struct flock range = {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_len = 1;
  for (int i = 0; i < 7; ++i) range.l_start = range.l_start << 8 | key.digest[i];

  const std::string path = path_of(file_stem(spec, key).append(kSuffix));
  const ino_t entry_at_first = inode_of(path);
  const auto give_up = std::chrono::steady_clock::now() + options_.lock_timeout;
  // Asked for again and again, since a call that waits cannot be given a time to end.
  for (std::chrono::milliseconds pause{1};; pause = std::min(2 * pause, std::chrono::milliseconds{20})) {
    if (fcntl(file.fd(), F_OFD_SETLK, &range) == 0) return std::make_unique<FileLock>(std::move(file), range);
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) return nullptr;  // no locks here
    if (inode_of(path) != entry_at_first) return nullptr;                      // somebody's is there now
    if (std::chrono::steady_clock::now() >= give_up) return nullptr;
    std::this_thread::sleep_for(pause);
  }
}

double DiskStore::seconds_of_similar(const KernelSpec& spec) {
  const auto files = list_stored(options_.dir);
  if (!files) return 0;
  const StoredFile* last = nullptr;
  for (const StoredFile& file : *files)
    if (file.is_entry && op_of(file.name) == op_of(spec.name) && (!last || file.last_used_ns > last->last_used_ns))
      last = &file;
  const auto entry = last ? read_entry(path_of(last->name)) : std::nullopt;
  return entry ? entry->kernel.seconds : 0;
}

bool DiskStore::make_dir() {
  const Result<void> made = make_folders(options_.dir);
  if (!made) report(made.error());
  return made.has_value();
}

void DiskStore::make_room(std::string_view new_file, std::int64_t bytes) {
  auto files = list_stored(options_.dir);
  if (!files) return;
  std::int64_t room = options_.max_bytes - bytes;
  const std::int64_t oldest_unfinished = now_ns() - kLeftoverAgeNs;
  for (const StoredFile& file : *files) {
    if (file.is_entry && file.name != new_file) room -= file.bytes;  // that one is replaced
    if (!file.is_entry && file.last_used_ns < oldest_unfinished) unlink(path_of(file.name).c_str());
  }
  std::sort(files->begin(), files->end(), [](const StoredFile& a, const StoredFile& b) {
    return std::tie(a.last_used_ns, a.name) < std::tie(b.last_used_ns, b.name);
  });
  for (const StoredFile& file : *files) {
    if (room >= 0) break;
    if (!file.is_entry || file.name == new_file) continue;
    unlink(path_of(file.name).c_str());  // or another process just did
    room += file.bytes;
  }
}

void DiskStore::report(const Error& error) {
  if (!options_.verbose || reported_.exchange(true)) return;
  say("compiled kernels are kept in memory only: " + error.message);
}

Result<std::vector<StoredFile>> list_stored(const std::string& dir) {
  struct Close {
    void operator()(DIR* folder) const { closedir(folder); }
  };
  const std::unique_ptr<DIR, Close> folder(opendir(dir.c_str()));
  if (!folder && errno == ENOENT) return std::vector<StoredFile>();
  if (!folder) return io_error(dir);
  std::vector<StoredFile> files;
  while (const dirent* each = readdir(folder.get())) {
    StoredFile file{.name = each->d_name, .is_entry = is_entry_name(each->d_name)};
    if (!file.is_entry && !file.name.starts_with(kTemporaryPrefix)) continue;
    struct stat status;
    if (fstatat(dirfd(folder.get()), each->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISREG(status.st_mode)) continue;
    file.bytes = status.st_size;
    file.last_used_ns = nanoseconds(status.st_mtim);
    files.push_back(std::move(file));
  }
  return files;
}

std::optional<KernelEntry> read_entry(const std::string& path) {
  const std::optional<std::string> bytes = read_all(open_to_read(path));
  return bytes ? entry_of(*bytes) : std::nullopt;
}

}  // namespace baracuda::jit
