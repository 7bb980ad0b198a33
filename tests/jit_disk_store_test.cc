// The cache's folder, with kernels made here: neither NVRTC nor a GPU is needed, but for the last suite.

#include "baracuda/jit/disk_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>

#include "baracuda/jit/jit.h"
#include "testing/child_process.h"
#include "testing/options.h"
#include "testing/random.h"

namespace {

// Faults of the file system that no test can have otherwise. The functions below stand in front of libc's.
struct Faults {
  std::atomic<int> write_errno = 0, fsync_errno = 0, rename_errno = 0, lock_errno = 0;
  std::atomic<bool> die_in_fsync = false;
} faults;

int fail_with(int error_number) {
  errno = error_number;
  return -1;
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t count) {
  // Half of it goes, as on a disk that fills up. stdout and stderr are spared.
  if (faults.write_errno != 0 && fd > 2 && count < 100) return fail_with(faults.write_errno);
  if (faults.write_errno != 0 && fd > 2) count /= 2;
  return syscall(SYS_write, fd, bytes, count);
}
int fsync(int fd) {
  if (faults.die_in_fsync) raise(SIGKILL);
  if (faults.fsync_errno != 0) return fail_with(faults.fsync_errno);
  return static_cast<int>(syscall(SYS_fsync, fd));
}
int rename(const char* from, const char* to) noexcept {
  if (faults.rename_errno != 0) return fail_with(faults.rename_errno);
  return static_cast<int>(syscall(SYS_rename, from, to));
}
int fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (command == F_OFD_SETLK && faults.lock_errno != 0) return fail_with(faults.lock_errno);
  return static_cast<int>(syscall(SYS_fcntl, fd, command, argument));
}

}  // extern "C"

namespace baracuda::jit {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Child;
using testing::ChildArguments;
using testing::RegisterChild;

// Of a wait that is to end by something else: longer than a run of the tests may take.
constexpr milliseconds kLong = seconds(3600);
constexpr NvrtcVersion kVersion = {13, 0};

const std::vector<EmbeddedSource>& sources() {
  static const std::vector<EmbeddedSource> sources = {{"a/x.h", "int x;\n"}, {"a/y.h", "int y;\n"}};
  return sources;
}

KernelSpec spec_of(int number) {
  return {"op.k" + std::to_string(number), "#include \"a/x.h\"\n// " + std::to_string(number),
          CodeTarget::for_cuda(90, true)};
}
KernelKey key_of(const KernelSpec& spec) { return *kernel_key(spec, kVersion, sources()); }

/// The same every time for a spec, and another for every other.
CompiledKernel compiled(const KernelSpec& spec, std::size_t cubin_bytes = 5000) {
  CompiledKernel kernel;
  kernel.key = key_of(spec);
  kernel.cubin.resize(cubin_bytes);
  testing::Random(kernel.key.digest[0] * 256u + kernel.key.digest[1]).fill_bytes(kernel.cubin);
  kernel.resources.registers = kernel.key.digest[2];
  kernel.log = "log of " + spec.name;
  kernel.seconds = 0.125;
  return kernel;
}

void expect_same(const CompiledKernel& got, const CompiledKernel& expected) {
  EXPECT_EQ(got.key, expected.key);
  EXPECT_TRUE(got.cubin == expected.cubin);
  EXPECT_EQ(got.resources, expected.resources);
  EXPECT_EQ(got.log, expected.log);
  EXPECT_EQ(got.seconds, expected.seconds);
}

DiskStore::Options options_for(const std::string& dir) {
  return {.dir = dir, .nvrtc_version = kVersion, .sources = sources(), .lock_timeout = kLong};
}

/// A cache over the folder, as one process has it.
struct Process {
  explicit Process(DiskStore::Options options)
      : cache(
            [this](const KernelSpec& spec) -> Result<CompiledKernel> {
              ++compiles;
              return compiled(spec);
            },
            std::make_unique<DiskStore>(std::move(options))) {}
  explicit Process(const std::string& dir) : Process(options_for(dir)) {}

  void get(const KernelSpec& spec) {
    const auto kernel = cache.get(spec, key_of(spec));
    ASSERT_TRUE(kernel);
    expect_same(**kernel, compiled(spec));
  }

  std::atomic<int> compiles = 0;
  KernelCache cache;
};

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
void set_last_used(const std::string& path, std::int64_t seconds_since_1970) {
  const timespec times[2] = {{seconds_since_1970, 0}, {seconds_since_1970, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0) << path;
}

class DiskStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "baracuda-disk-store-XXXXXX";
    ASSERT_TRUE(mkdtemp(pattern.data()));
    root = pattern;
    dir = root + "/not/made/yet";
  }
  void TearDown() override {
    faults.write_errno = faults.fsync_errno = faults.rename_errno = faults.lock_errno = 0;
    std::error_code ignored;
    fs::remove_all(root, ignored);
  }

  std::string path_of(const KernelSpec& spec) const { return dir + "/" + file_stem(spec, key_of(spec)) + ".cubin"; }
  std::vector<StoredFile> files(bool entries) const {
    auto all = list_stored(dir);
    EXPECT_TRUE(all);
    std::vector<StoredFile> kept;
    for (const StoredFile& file : all.value_or(std::vector<StoredFile>()))
      if (file.is_entry == entries) kept.push_back(file);
    return kept;
  }
  std::set<std::string> entries() const {
    std::set<std::string> names;
    for (const StoredFile& file : files(true)) names.insert(dir + "/" + file.name);
    return names;
  }
  std::vector<StoredFile> unfinished() const { return files(false); }
  std::int64_t total_bytes() const {
    std::int64_t bytes = 0;
    for (const StoredFile& file : files(true)) bytes += file.bytes;
    return bytes;
  }
  /// A process that starts now compiles so many of the spec.
  int compiles_anew(const KernelSpec& spec) const {
    Process process(dir);
    process.get(spec);
    return process.compiles;
  }

  std::string root, dir;
};

// --- entries ---

TEST_F(DiskStoreTest, KeepsAKernelForTheNextProcess) {
  const KernelSpec spec = spec_of(1);
  EXPECT_EQ(compiles_anew(spec), 1);
  EXPECT_EQ(entries(), std::set<std::string>{path_of(spec)});
  EXPECT_TRUE(unfinished().empty());
  EXPECT_EQ(compiles_anew(spec), 0);
  EXPECT_EQ(compiles_anew(spec_of(2)), 1);
  EXPECT_EQ(compiles_anew(spec_of(2)), 0);
}

TEST_F(DiskStoreTest, NamesFilesAfterKernelTargetAndKey) {
  const KernelSpec spec = spec_of(1);
  EXPECT_EQ(file_stem(spec, key_of(spec)), "op.k1.sm90a-" + key_of(spec).hex());
  for (const std::string& name :
       {std::string("../../up"), std::string("a\nb c/ä"), std::string(5000, 'x'), std::string()}) {
    KernelSpec odd = spec;
    odd.name = name;
    const std::string stem = file_stem(odd, key_of(odd));
    EXPECT_EQ(stem.find_first_of("/\n "), stem.npos) << stem;
    EXPECT_LT(stem.size(), 250u);
    EXPECT_EQ(compiles_anew(odd), 1);
    EXPECT_EQ(compiles_anew(odd), 0);
  }
}

TEST_F(DiskStoreTest, DamageAnywhereMeansCompileAgainAndReplace) {
  const KernelSpec spec = spec_of(1);
  ASSERT_EQ(compiles_anew(spec), 1);
  const std::string sound = read_file(path_of(spec));
  for (std::size_t i = 0; i < sound.size(); i += i < 1000 ? 41 : 997) {
    std::string damaged = sound;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    write_file(path_of(spec), damaged);
    EXPECT_EQ(compiles_anew(spec), 1) << "byte " << i;
    EXPECT_EQ(read_file(path_of(spec)), sound);
  }
  EXPECT_EQ(compiles_anew(spec), 0);
}

TEST_F(DiskStoreTest, SoDoesAFileThatIsCutShort) {
  const KernelSpec spec = spec_of(1);
  ASSERT_EQ(compiles_anew(spec), 1);
  const std::string sound = read_file(path_of(spec));
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{17}, std::size_t{18}, std::size_t{100},
                                  std::size_t{4096}, sound.size() / 2, sound.size() - 1}) {
    write_file(path_of(spec), sound.substr(0, bytes));
    EXPECT_EQ(compiles_anew(spec), 1) << bytes;
    EXPECT_EQ(read_file(path_of(spec)), sound);
  }
}

TEST_F(DiskStoreTest, ForeignEntriesAreAbsent) {
  const KernelSpec spec = spec_of(1);
  ASSERT_EQ(compiles_anew(spec), 1);
  ASSERT_EQ(compiles_anew(spec_of(2)), 1);
  const std::string sound = read_file(path_of(spec));

  std::string another_version = sound;
  another_version.replace(0, std::string("baracuda kernel 1").size(), "baracuda kernel 2");
  std::string raw_cubin(reinterpret_cast<const char*>(compiled(spec).cubin.data()), 5000);
  for (const std::string& foreign :
       {another_version, read_file(path_of(spec_of(2))), raw_cubin, std::string("<html>")}) {
    write_file(path_of(spec), foreign);
    EXPECT_EQ(compiles_anew(spec), 1);
    EXPECT_EQ(read_file(path_of(spec)), sound);
  }
}

TEST_F(DiskStoreTest, AHashAloneIsNotBelieved) {
  // The key of one, and the fields of another.
  const KernelSpec spec = spec_of(1);
  const KernelKey key = key_of(spec);
  DiskStore(options_for(dir)).store(spec, compiled(spec));
  EXPECT_TRUE(DiskStore(options_for(dir)).load(spec, key));

  KernelSpec another_text = spec;
  another_text.text += " ";
  EXPECT_FALSE(DiskStore(options_for(dir)).load(another_text, key));
  KernelSpec with_debug = spec;
  with_debug.debug = true;
  EXPECT_FALSE(DiskStore(options_for(dir)).load(with_debug, key));
  DiskStore::Options another_compiler = options_for(dir);
  another_compiler.nvrtc_version = {13, 1};
  EXPECT_FALSE(DiskStore(another_compiler).load(spec, key));
  DiskStore::Options another_header = options_for(dir);
  const std::vector<EmbeddedSource> changed = {{"a/x.h", "int changed;\n"}};
  another_header.sources = changed;
  EXPECT_FALSE(DiskStore(another_header).load(spec, key));
}

TEST_F(DiskStoreTest, WhatIsNoFileIsAbsent) {
  const KernelSpec spec = spec_of(1);
  fs::create_directories(dir);
  ASSERT_EQ(mkfifo(path_of(spec).c_str(), 0600), 0);  // opening it would wait for a writer
  EXPECT_EQ(compiles_anew(spec), 1);
  EXPECT_EQ(compiles_anew(spec), 0);  // replaced
  fs::remove(path_of(spec));
  fs::create_directory(path_of(spec));
  EXPECT_EQ(compiles_anew(spec), 1);
  EXPECT_EQ(compiles_anew(spec), 1);  // a folder stays
  EXPECT_TRUE(unfinished().empty());
}

TEST_F(DiskStoreTest, TheFolderStaysWhereItWas) {
  const fs::path here = fs::current_path();
  fs::current_path(root);
  Process process("relative");
  fs::current_path(here);
  process.get(spec_of(1));
  dir = root + "/relative";
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(DiskStoreTest, AFolderThatVanishesIsMadeAgain) {
  Process process(dir);
  process.get(spec_of(1));
  fs::remove_all(root);
  process.get(spec_of(2));
  EXPECT_EQ(entries(), std::set<std::string>{path_of(spec_of(2))});
}

// --- a folder that cannot be written ---

TEST_F(DiskStoreTest, AFolderThatCannotBeMadeMeansMemoryOnly) {
  write_file(root + "/file", "");
  for (const std::string& impossible :
       {root + "/file", root + "/file/below", std::string("/dev/null/x"), std::string("/proc/baracuda"),
        root + "/" + std::string(300, 'x'), std::string("/")}) {
    if (impossible == "/" && geteuid() == 0) continue;  // that would work
    DiskStore::Options options = options_for(impossible);
    options.verbose = true;
    Process process(options);
    ::testing::internal::CaptureStderr();
    for (int i = 1; i <= 3; ++i) process.get(spec_of(i));
    process.get(spec_of(1));
    const std::string said = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(process.compiles, 3);
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
    EXPECT_NE(said.find("memory only: " + impossible + ": "), said.npos) << said;

    options.verbose = false;
    Process quiet(options);
    ::testing::internal::CaptureStderr();
    quiet.get(spec_of(1));
    EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  }
  EXPECT_EQ(read_file(root + "/file"), "");
}

/// In a folder that may be read and not written: what is there is used, the rest is compiled.
int use_read_only_folder(const ChildArguments& arguments) {
  const std::string& dir = arguments[0];
  if (geteuid() == 0 && setuid(65534) != 0) return 3;  // root may write everywhere
  if (access(dir.c_str(), W_OK) == 0) return 4;
  DiskStore::Options options = options_for(dir);
  options.verbose = true;
  Process process(options);
  ::testing::internal::CaptureStderr();
  process.get(spec_of(1));
  if (process.compiles != 0) return 5;
  process.get(spec_of(2));
  process.get(spec_of(3));
  const std::string said = ::testing::internal::GetCapturedStderr();
  if (process.compiles != 2) return 6;
  if (std::count(said.begin(), said.end(), '\n') != 1 || said.find("Permission denied") == said.npos) return 7;
  return ::testing::Test::HasFailure() ? 8 : 0;
}
const RegisterChild kUseReadOnlyFolder("use_read_only_folder", use_read_only_folder);

TEST_F(DiskStoreTest, AFolderThatCannotBeWrittenIsReadAllTheSame) {
  ASSERT_EQ(compiles_anew(spec_of(1)), 1);
  for (const char* each : {"", "/not", "/not/made"}) ASSERT_EQ(chmod((root + each).c_str(), 0755), 0);
  ASSERT_EQ(chmod(dir.c_str(), 0555), 0);
  EXPECT_EQ(Child("use_read_only_folder", {dir}).wait(), 0);
  EXPECT_EQ(entries().size(), 1u);
  ASSERT_EQ(chmod(dir.c_str(), 0755), 0);
}

// --- writes that fail ---

TEST_F(DiskStoreTest, AFailedWriteLeavesNothing) {
  for (std::atomic<int>* fault : {&faults.write_errno, &faults.fsync_errno, &faults.rename_errno}) {
    for (const int error_number : {ENOSPC, EIO, EDQUOT}) {
      *fault = error_number;
      DiskStore::Options options = options_for(dir);
      options.verbose = true;
      Process process(options);
      ::testing::internal::CaptureStderr();
      for (int i = 1; i <= 2; ++i) process.get(spec_of(i));
      const std::string said = ::testing::internal::GetCapturedStderr();
      EXPECT_EQ(process.compiles, 2);
      EXPECT_TRUE(entries().empty() && unfinished().empty());
      EXPECT_NE(said.find(std::generic_category().message(error_number)), said.npos) << said;
      EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
      *fault = 0;
    }
  }
  EXPECT_EQ(compiles_anew(spec_of(1)), 1);
  EXPECT_EQ(compiles_anew(spec_of(1)), 0);
}

TEST_F(DiskStoreTest, AFailedWriteKeepsTheOldEntryAndOthers) {
  ASSERT_EQ(compiles_anew(spec_of(1)), 1);
  const std::string sound = read_file(path_of(spec_of(1)));
  faults.write_errno = ENOSPC;
  DiskStore(options_for(dir)).store(spec_of(1), compiled(spec_of(1)));
  faults.write_errno = 0;
  EXPECT_EQ(read_file(path_of(spec_of(1))), sound);
}

/// Files of this process may not grow beyond so many bytes: the kernel itself refuses, at each length.
int fill_disk(const ChildArguments& arguments) {
  const rlim_t limit = std::stoul(arguments[1]);
  const rlimit limits = {limit, limit};
  signal(SIGXFSZ, SIG_IGN);
  if (setrlimit(RLIMIT_FSIZE, &limits) != 0) return 3;
  Process process(arguments[0]);
  process.get(spec_of(1));
  return process.compiles == 1 && !::testing::Test::HasFailure() ? 0 : 4;
}
const RegisterChild kFillDisk("fill_disk", fill_disk);

TEST_F(DiskStoreTest, AFullDiskMeansMemoryOnly) {
  for (const int bytes : {0, 1, 18, 1000, 4096, 5500}) {
    EXPECT_EQ(Child("fill_disk", {dir, std::to_string(bytes)}).wait(), 0) << bytes;
    EXPECT_TRUE(entries().empty() && unfinished().empty()) << bytes;
  }
  EXPECT_EQ(compiles_anew(spec_of(1)), 1);
}

// --- writers that are killed ---

/// Between the bytes and the name; or while the bytes are written, by SIGXFSZ at the limit.
int die_while_writing(const ChildArguments& arguments) {
  if (arguments[1] == "fsync") {
    faults.die_in_fsync = true;
  } else {
    const rlim_t limit = std::stoul(arguments[1]);
    const rlimit limits = {limit, limit};
    setrlimit(RLIMIT_FSIZE, &limits);
    const rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
  }
  Process(arguments[0]).get(spec_of(1));
  return 0;
}
const RegisterChild kDieWhileWriting("die_while_writing", die_while_writing);

TEST_F(DiskStoreTest, AKillDuringAWriteLeavesNoEntry) {
  for (const char* when : {"fsync", "1000", "5000"}) {
    EXPECT_LT(Child("die_while_writing", {dir, when}).wait(), 0) << when;
    EXPECT_TRUE(entries().empty()) << when;
    ASSERT_EQ(unfinished().size(), 1u) << when;
    // Its lock is gone with it, and what it left is in nobody's way.
    EXPECT_EQ(compiles_anew(spec_of(1)), 1) << when;
    EXPECT_EQ(compiles_anew(spec_of(1)), 0) << when;
    EXPECT_EQ(unfinished().size(), 1u) << "a writer may still be at work on it";
    // Old leftovers go with the next store.
    for (const StoredFile& file : unfinished()) set_last_used(dir + "/" + file.name, 1'000'000'000);
    EXPECT_EQ(compiles_anew(spec_of(2)), 1);
    EXPECT_TRUE(unfinished().empty());
    fs::remove_all(dir);
  }
}

int store_until_killed(const ChildArguments& arguments) {
  DiskStore store(options_for(arguments[0]));
  for (int i = 0;; i = (i + 1) % 5) store.store(spec_of(i), compiled(spec_of(i), 200'000));
}
const RegisterChild kStoreUntilKilled("store_until_killed", store_until_killed);

TEST_F(DiskStoreTest, AKillAtAnyMomentLeavesSoundEntries) {
  testing::Random random(testing::options().seed);
  int found = 0;
  for (int round = 0; round < 15; ++round) {
    {
      Child child("store_until_killed", {dir});
      while (entries().empty()) std::this_thread::sleep_for(milliseconds(1));
      std::this_thread::sleep_for(std::chrono::microseconds(random.draw(0, 20'000)));
    }  // killed
    for (const std::string& path : entries()) EXPECT_TRUE(read_entry(path)) << path;
    for (int i = 0; i < 5; ++i) {
      const auto kernel = DiskStore(options_for(dir)).load(spec_of(i), key_of(spec_of(i)));
      if (!kernel) continue;
      ++found;
      expect_same(*kernel, compiled(spec_of(i), 200'000));
    }
  }
  EXPECT_GT(found, 0);
}

// --- one compile, whoever asks ---

/// 16 threads ask for one key; with "each", each through a cache of its own, as 16 processes would. Every compile adds
/// a byte to a file.
int ask_with_threads(const ChildArguments& arguments) {
  const std::string &dir = arguments[0], &root = arguments[1];
  const KernelSpec spec = spec_of(1);
  const auto compile = [&](const KernelSpec& asked) -> Result<CompiledKernel> {
    const int fd = open((root + "/compiles").c_str(), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (::write(fd, "x", 1) != 1) return Error::invalid_problem("cannot count");
    close(fd);
    std::this_thread::sleep_for(milliseconds(100));  // so that all others come too late
    return compiled(asked, 300'000);
  };
  const auto new_cache = [&] {
    return std::make_unique<KernelCache>(compile, std::make_unique<DiskStore>(options_for(dir)));
  };
  const auto shared = new_cache();
  write_file(root + "/ready." + std::to_string(getpid()), "");
  while (!fs::exists(root + "/go")) std::this_thread::sleep_for(milliseconds(1));

  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      const auto own = arguments[2] == "each" ? new_cache() : nullptr;
      const auto kernel = (own ? *own : *shared).get(spec, key_of(spec));
      if (!kernel || (*kernel)->cubin != compiled(spec, 300'000).cubin) ++wrong;
    });
  }
  for (auto& thread : threads) thread.join();
  return wrong;
}
const RegisterChild kAskWithThreads("ask_with_threads", ask_with_threads);

class SingleFlight : public DiskStoreTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(SingleFlight, EightProcessesOfSixteenThreadsCompileOnce) {
  constexpr int kProcesses = 8;
  std::vector<Child> children;
  for (int i = 0; i < kProcesses; ++i) children.emplace_back("ask_with_threads", ChildArguments{dir, root, GetParam()});
  for (const Child& child : children)
    while (!fs::exists(root + "/ready." + std::to_string(child.pid()))) std::this_thread::sleep_for(milliseconds(1));
  write_file(root + "/go", "");
  for (Child& child : children) EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(read_file(root + "/compiles").size(), 1u);
  EXPECT_EQ(entries().size(), 1u);
  EXPECT_TRUE(unfinished().empty());
}

INSTANTIATE_TEST_SUITE_P(Caches, SingleFlight, ::testing::Values("shared", "each"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(DiskStoreTest, AHeldLockIsGivenUpInTime) {
  const KernelSpec spec = spec_of(1);
  DiskStore holder(options_for(dir));
  const auto held = holder.lock(spec, key_of(spec));
  ASSERT_TRUE(held);
  DiskStore::Options options = options_for(dir);
  options.lock_timeout = milliseconds(30);
  EXPECT_FALSE(DiskStore(options).lock(spec, key_of(spec)));
  Process process(options);
  process.get(spec);
  EXPECT_EQ(process.compiles, 1);
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(DiskStoreTest, ALockIsOfOneKey) {
  DiskStore::Options options = options_for(dir);
  options.lock_timeout = milliseconds(0);
  DiskStore store(options);
  std::vector<std::unique_ptr<KernelStore::Lock>> locks;
  for (int i = 0; i < 20; ++i) {
    locks.push_back(store.lock(spec_of(i), key_of(spec_of(i))));
    EXPECT_TRUE(locks.back()) << i;
    EXPECT_FALSE(store.lock(spec_of(i), key_of(spec_of(i)))) << i;
  }
  locks.clear();
  EXPECT_TRUE(store.lock(spec_of(3), key_of(spec_of(3))));
}

int hold_lock(const ChildArguments& arguments) {
  DiskStore store(options_for(arguments[0]));
  const auto lock = store.lock(spec_of(1), key_of(spec_of(1)));
  write_file(arguments[1], "");
  for (;;) pause();
}
const RegisterChild kHoldLock("hold_lock", hold_lock);

TEST_F(DiskStoreTest, ALockEndsWithItsProcess) {
  Child child("hold_lock", {dir, root + "/held"});
  while (!fs::exists(root + "/held")) std::this_thread::sleep_for(milliseconds(1));
  DiskStore::Options options = options_for(dir);
  options.lock_timeout = milliseconds(0);
  const KernelSpec spec = spec_of(1);
  EXPECT_FALSE(DiskStore(options).lock(spec, key_of(spec)));
  std::thread killer([&] {
    std::this_thread::sleep_for(milliseconds(50));
    child.kill();
  });
  EXPECT_TRUE(DiskStore(options_for(dir)).lock(spec, key_of(spec)));
  killer.join();
}

TEST_F(DiskStoreTest, AForkedCopyDoesNotKeepALock) {
  DiskStore::Options options = options_for(dir);
  options.lock_timeout = milliseconds(0);
  DiskStore store(options);
  const KernelSpec spec = spec_of(1);
  auto lock = store.lock(spec, key_of(spec));
  ASSERT_TRUE(lock);
  const pid_t copy = fork();
  if (copy == 0)
    for (;;) pause();
  lock.reset();
  EXPECT_TRUE(store.lock(spec, key_of(spec)));
  kill(copy, SIGKILL);
  waitpid(copy, nullptr, 0);
}

TEST_F(DiskStoreTest, WhoWaitsTakesWhatTheOtherCompiled) {
  const KernelSpec spec = spec_of(1);
  DiskStore other(options_for(dir));
  auto lock = other.lock(spec, key_of(spec));
  ASSERT_TRUE(lock);
  Process process(dir);
  std::thread waiting([&] { process.get(spec); });
  std::this_thread::sleep_for(milliseconds(20));
  other.store(spec, compiled(spec));
  waiting.join();  // though the lock is still held: the entry is enough
  EXPECT_EQ(process.compiles, 0);
}

TEST_F(DiskStoreTest, WithoutLocksEachCompilesForItself) {
  for (const int error_number : {ENOLCK, EOPNOTSUPP, EINVAL, ENOSYS}) {
    faults.lock_errno = error_number;
    const KernelSpec spec = spec_of(error_number);
    Process one(dir), two(dir);
    std::thread other([&] { one.get(spec); });
    two.get(spec);
    other.join();
    EXPECT_GE(one.compiles + two.compiles, 1);
    EXPECT_EQ(compiles_anew(spec), 0);
  }
}

TEST_F(DiskStoreTest, WhoLosesTheRaceToRenameHasWhatItCompiled) {
  // Another process's entry, sound and of other bytes, comes while this one compiles.
  const KernelSpec spec = spec_of(1);
  KernelCache cache(
      [&](const KernelSpec& asked) -> Result<CompiledKernel> {
        DiskStore(options_for(dir)).store(asked, compiled(asked, 7));
        return compiled(asked);
      },
      std::make_unique<DiskStore>(options_for(dir)));
  for (const int error_number : {0, ESTALE}) {
    faults.rename_errno = error_number;
    const auto kernel = cache.get(spec, key_of(spec));
    ASSERT_TRUE(kernel);
    expect_same(**kernel, compiled(spec));
  }
}

// --- size ---

TEST_F(DiskStoreTest, TheLeastRecentlyUsedGoFirst) {
  DiskStore::Options options = options_for(dir);
  DiskStore(options).store(spec_of(0), compiled(spec_of(0)));
  options.max_bytes = 4 * total_bytes() + total_bytes() / 2;
  DiskStore store(options);
  for (int i = 1; i < 4; ++i) store.store(spec_of(i), compiled(spec_of(i)));
  ASSERT_EQ(entries().size(), 4u);
  for (int i = 0; i < 4; ++i) set_last_used(path_of(spec_of(i)), 1'000'000'000 + i);
  EXPECT_TRUE(store.load(spec_of(0), key_of(spec_of(0))));  // the oldest is in use again
  EXPECT_TRUE(store.load(spec_of(2), key_of(spec_of(2))));

  const auto expect = [&](std::set<int> numbers) {
    std::set<std::string> paths;
    for (const int number : numbers) paths.insert(path_of(spec_of(number)));
    EXPECT_EQ(entries(), paths);
    EXPECT_LE(total_bytes(), options.max_bytes);
  };
  store.store(spec_of(4), compiled(spec_of(4)));
  expect({0, 2, 3, 4});
  store.store(spec_of(4), compiled(spec_of(4)));  // replaces itself, no other
  expect({0, 2, 3, 4});
  store.store(spec_of(5), compiled(spec_of(5)));
  expect({0, 2, 4, 5});
  for (const int i : {0, 2, 4, 5}) set_last_used(path_of(spec_of(i)), 1'000'000'000 + i);
  store.store(spec_of(6), compiled(spec_of(6), 16'000));  // needs the room of several
  expect({5, 6});
}

TEST_F(DiskStoreTest, TheBoundHoldsAtAllTimes) {
  DiskStore::Options options = options_for(dir);
  options.max_bytes = 60'000;
  DiskStore store(options);
  testing::Random random(testing::options().seed);
  for (int i = 0; i < 60; ++i) {
    store.store(spec_of(i), compiled(spec_of(i), static_cast<std::size_t>(random.draw(0, 59'000))));
    EXPECT_LE(total_bytes(), options.max_bytes);
    EXPECT_TRUE(entries().contains(path_of(spec_of(i))));
  }
}

TEST_F(DiskStoreTest, WhatIsLargerThanTheBoundThrowsNothingOut) {
  DiskStore::Options options = options_for(dir);
  options.max_bytes = 10'000;
  DiskStore store(options);
  store.store(spec_of(1), compiled(spec_of(1)));
  store.store(spec_of(2), compiled(spec_of(2), 20'000));
  EXPECT_EQ(entries(), std::set<std::string>{path_of(spec_of(1))});
}

TEST_F(DiskStoreTest, FilesOfOthersAreLeftAlone) {
  fs::create_directories(dir);
  const std::string hash(64, 'a');
  const std::vector<std::string> others = {"notes.txt",
                                           "my.cubin",
                                           "x-" + hash + ".cubin.txt",
                                           "x-" + hash.substr(1) + ".cubin",
                                           "x-" + hash.substr(1) + "A.cubin",
                                           hash + ".cubin"};
  for (const std::string& name : others) {
    write_file(dir + "/" + name, std::string(100'000, 'x'));
    set_last_used(dir + "/" + name, 1'000'000'000);
  }
  fs::create_directory(dir + "/folder-" + hash + ".cubin");
  write_file(root + "/elsewhere", "x");
  fs::create_symlink(root + "/elsewhere", dir + "/link-" + hash + ".cubin");
  DiskStore::Options options = options_for(dir);
  options.max_bytes = 12'000;
  DiskStore store(options);
  for (int i = 0; i < 5; ++i) store.store(spec_of(i), compiled(spec_of(i)));
  EXPECT_EQ(entries().size(), 2u);
  for (const std::string& name : others) EXPECT_TRUE(fs::exists(dir + "/" + name)) << name;
  EXPECT_TRUE(fs::exists(dir + "/folder-" + hash + ".cubin"));
  EXPECT_TRUE(fs::exists(dir + "/link-" + hash + ".cubin"));
}

/// Threads that load and store more kernels than the folder holds.
int load_and_evict(const ChildArguments& arguments) {
  DiskStore::Options options = options_for(arguments[0]);
  options.max_bytes = 20'000;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      DiskStore store(options);
      testing::Random random(std::stoul(arguments[1]) + thread);
      for (int i = 0; i < 150; ++i) {
        const KernelSpec spec = spec_of(static_cast<int>(random.draw(0, 7)));
        const CompiledKernel expected = compiled(spec);
        if (const auto kernel = store.load(spec, expected.key)) {
          if (kernel->cubin != expected.cubin || kernel->log != expected.log) ++wrong;
        } else {
          store.store(spec, expected);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return wrong;
}
const RegisterChild kLoadAndEvict("load_and_evict", load_and_evict);

TEST_F(DiskStoreTest, LoadsAndEvictionsAtOnce) {
  std::vector<Child> children;
  for (int i = 0; i < 3; ++i) children.emplace_back("load_and_evict", ChildArguments{dir, std::to_string(100 * i)});
  for (Child& child : children) EXPECT_EQ(child.wait(), 0);
  for (const std::string& path : entries()) EXPECT_TRUE(read_entry(path)) << path;
  EXPECT_TRUE(unfinished().empty());
  // Those who store at one moment may each find room; whoever comes next sets it right.
  DiskStore::Options options = options_for(dir);
  options.max_bytes = 20'000;
  DiskStore(options).store(spec_of(9), compiled(spec_of(9)));
  EXPECT_LE(total_bytes(), options.max_bytes);
}

TEST_F(DiskStoreTest, RemembersWhatAnOpsKernelsTook) {
  DiskStore store(options_for(dir));
  EXPECT_EQ(store.seconds_of_similar(spec_of(2)), 0);
  store.store(spec_of(1), compiled(spec_of(1)));
  EXPECT_EQ(store.seconds_of_similar(spec_of(2)), 0.125);
  KernelSpec another = spec_of(2);
  another.name = "another.k1";
  EXPECT_EQ(store.seconds_of_similar(another), 0);
  write_file(path_of(spec_of(1)), "damaged");
  EXPECT_EQ(store.seconds_of_similar(spec_of(2)), 0);
}

// --- the process's cache, as the environment sets it ---

/// Asks the process's cache for kernels that NVRTC compiles, with 16 threads.
int ask_process(const ChildArguments& arguments) {
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      const auto kernel = process_kernel({"op.rows", arguments[0], native_target(Arch::Sm90a)});
      if (kernel && !(*kernel)->cubin.empty() && (*kernel)->resources.registers > 0) return;
      if (++failed == 1) std::fprintf(stderr, "%s\n", kernel ? "an empty kernel" : kernel.error().message.c_str());
    });
  }
  for (auto& thread : threads) thread.join();
  return failed;
}
const RegisterChild kAskProcess("ask_process", ask_process);

/// An error is dumped too, and is not kept.
int ask_for_nonsense(const ChildArguments&) {
  return process_kernel({"op.nonsense", "nonsense", native_target(Arch::Sm80)}) ? 1 : 0;
}
const RegisterChild kAskForNonsense("ask_for_nonsense", ask_for_nonsense);

int clear_cache(const ChildArguments& arguments) {
  const auto info = disk_cache_info();
  if (!info || info->kernels.size() != std::stoul(arguments[0])) return 3;
  const auto cleared = clear_disk_cache();
  return cleared && cleared->files == std::stol(arguments[1]) ? 0 : 4;
}
const RegisterChild kClearCache("clear_cache", clear_cache);

class ProcessCache : public DiskStoreTest {
 protected:
  void SetUp() override {
    DiskStoreTest::SetUp();
    if (nvrtc()) return;
    if (testing::options().require_nvrtc) FAIL() << nvrtc().error().message;
    GTEST_SKIP() << nvrtc().error().message;
  }
  std::vector<std::string> environment(std::vector<std::string> more = {}) const {
    more.push_back("BARACUDA_CACHE_DIR=" + dir);
    return more;
  }
  std::set<std::string> dumped() const {
    std::set<std::string> endings;
    for (const auto& file : fs::directory_iterator(root + "/dump")) endings.insert(file.path().extension());
    return endings;
  }
  static constexpr const char* kText = "extern \"C\" __global__ void baracuda_kernel(int* x) { *x = 1; }\n";
};

TEST_F(ProcessCache, EightProcessesOfSixteenThreadsRunNvrtcOnce) {
  std::vector<Child> children;
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 8; ++i)
    children.emplace_back("ask_process", ChildArguments{kText}, environment({"BARACUDA_VERBOSE=1"}));
  for (Child& child : children) EXPECT_EQ(child.wait(), 0);
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_NE(said.find("compiled op.rows for sm90a"), said.npos) << said;
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(ProcessCache, DebugIsAnotherKernel) {
  EXPECT_EQ(Child("ask_process", {kText}, environment()).wait(), 0);
  EXPECT_EQ(Child("ask_process", {kText}, environment({"BARACUDA_JIT_DEBUG=1"})).wait(), 0);
  EXPECT_EQ(entries().size(), 2u);
}

TEST_F(ProcessCache, ABoundOfZeroKeepsNothing) {
  EXPECT_EQ(Child("ask_process", {kText}, environment({"BARACUDA_CACHE_MAX_BYTES=0"})).wait(), 0);
  EXPECT_FALSE(fs::exists(dir));
}

TEST_F(ProcessCache, DumpsWhatItCompilesAndWhatItFinds) {
  const auto with_dump = environment({"BARACUDA_JIT_DUMP=" + root + "/dump"});
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Child("ask_process", {kText}, with_dump).wait(), 0);
    EXPECT_EQ(dumped(), (std::set<std::string>{".cu", ".cubin", ".log"}));
    fs::remove_all(root + "/dump");
  }
  EXPECT_EQ(Child("ask_for_nonsense", {}, with_dump).wait(), 0);
  EXPECT_EQ(dumped(), (std::set<std::string>{".cu", ".log"}));
  EXPECT_EQ(entries().size(), 1u);
  // Both in one folder do not meet.
  EXPECT_EQ(Child("ask_process", {kText}, environment({"BARACUDA_JIT_DUMP=" + dir})).wait(), 0);
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(ProcessCache, ClearRemovesKernelsAndLeftoversAlone) {
  EXPECT_EQ(Child("ask_process", {kText}, environment()).wait(), 0);
  EXPECT_LT(Child("die_while_writing", {dir, "fsync"}).wait(), 0);
  write_file(dir + "/notes.txt", "");
  EXPECT_EQ(Child("clear_cache", {"1", "2"}, environment()).wait(), 0);
  EXPECT_TRUE(entries().empty() && unfinished().empty());
  EXPECT_TRUE(fs::exists(dir + "/notes.txt"));
  EXPECT_EQ(Child("clear_cache", {"0", "0"}, environment()).wait(), 0);
  EXPECT_EQ(Child("clear_cache", {"0", "0"}, {"BARACUDA_CACHE_DIR=" + root + "/none"}).wait(), 0);
}

}  // namespace
}  // namespace baracuda::jit
