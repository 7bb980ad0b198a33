// Packs of kernels that are made here, and of the library's own: the last suite alone needs NVRTC, and none a GPU.

#include "baracuda/jit/kernel_pack.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "baracuda/jit/jit.h"
#include "baracuda/jit/kernel_cache.h"
#include "baracuda/ops/write_slice/write_slice.h"
#include "testing/child_process.h"
#include "testing/files.h"
#include "testing/kernels.h"
#include "testing/options.h"
#include "testing/random.h"
#include "tests/doubles/fake_machine.h"

namespace baracuda::jit {
namespace {

namespace fs = std::filesystem;
using testing::Child;
using testing::ChildArguments;
using testing::RegisterChild;

constexpr NvrtcVersion kOlder = {12, 4}, kNewer = {13, 0};

KernelSpec spec_of(int number) {
  return {"op.k" + std::to_string(number), "// " + std::to_string(number), native_target(Arch::Sm90a)};
}

/// The same every time for a spec and a compiler, another for every other.
CompiledKernel compiled(const KernelSpec& spec, NvrtcVersion compiler) {
  CompiledKernel kernel;
  kernel.key = *kernel_key(spec, compiler);
  kernel.cubin.resize(300);
  testing::Random(kernel.key.digest[0] * 256u + kernel.key.digest[1]).fill_bytes(kernel.cubin);
  kernel.resources.registers = 32;
  kernel.resources.warnings = {"a warning (C7508)"};
  kernel.log = "Compile time = 134.120 ms";
  kernel.seconds = 0.25;
  return kernel;
}

KernelPack pack_of(NvrtcVersion compiler, std::initializer_list<int> numbers) {
  KernelPack pack{.nvrtc_version = compiler, .kernels = {}};
  for (int number : numbers) {
    const CompiledKernel kernel = compiled(spec_of(number), compiler);
    const std::string manifest = *kernel_manifest(spec_of(number), kernel.key, compiler);
    pack.kernels[kernel.key] = std::make_shared<const KernelEntry>(KernelEntry{manifest, kernel});
  }
  return pack;
}

std::string bytes_of(const KernelPack& pack) {
  const auto bytes = encode_pack(pack);
  EXPECT_TRUE(bytes);
  return bytes.value_or("");
}

bool mentions(const Error& error, std::string_view text) { return error.message.find(text) != std::string::npos; }

void expect_malformed(std::string_view bytes, std::int64_t first, std::int64_t last) {
  const auto pack = decode_pack(bytes);
  ASSERT_FALSE(pack);
  EXPECT_EQ(pack.error().kind, ErrorKind::MalformedFile);
  EXPECT_GE(pack.error().code, first) << pack.error().message;
  EXPECT_LE(pack.error().code, last) << pack.error().message;
  EXPECT_TRUE(mentions(pack.error(), "at byte " + std::to_string(pack.error().code))) << pack.error().message;
}

TEST(KernelPack, KeepsAllButTimes) {
  const auto pack = decode_pack(bytes_of(pack_of(kNewer, {1, 2, 3})));
  ASSERT_TRUE(pack) << pack.error().message;
  EXPECT_EQ(pack->nvrtc_version, kNewer);
  EXPECT_EQ(pack->kernels.size(), 3u);
  for (int number : {1, 2, 3}) {
    const CompiledKernel expected = compiled(spec_of(number), kNewer);
    ASSERT_TRUE(pack->kernels.contains(expected.key));
    const KernelEntry& entry = *pack->kernels.at(expected.key);
    EXPECT_EQ(entry.manifest_field("name"), spec_of(number).name);
    EXPECT_EQ(entry.kernel.key, expected.key);
    EXPECT_EQ(entry.kernel.cubin, expected.cubin);
    EXPECT_EQ(entry.kernel.resources, expected.resources);
    EXPECT_EQ(entry.kernel.seconds, 0);
  }
}

TEST(KernelPack, TheSameKernelsMakeTheSameBytes) {
  KernelPack slower = pack_of(kNewer, {3, 2, 1});
  for (auto& [key, entry] : slower.kernels) {
    KernelEntry other = *entry;
    other.kernel.seconds *= 2;
    other.kernel.log = "Compile time = 7 ms";
    entry = std::make_shared<const KernelEntry>(other);
  }
  EXPECT_EQ(bytes_of(slower), bytes_of(pack_of(kNewer, {1, 2, 3})));
  EXPECT_EQ(bytes_of(*decode_pack(bytes_of(slower))), bytes_of(slower));
  EXPECT_NE(bytes_of(slower), bytes_of(pack_of(kOlder, {1, 2, 3})));
}

TEST(KernelPack, SaysWhatItIsCutIn) {
  const std::string sound = bytes_of(pack_of(kNewer, {1, 2}));
  const auto in_kernel = decode_pack(sound.substr(0, sound.size() - 10));
  ASSERT_FALSE(in_kernel);
  EXPECT_TRUE(mentions(in_kernel.error(), "ends within kernel 2 of 2")) << in_kernel.error().message;
  const std::size_t second = sound.rfind("\nkernel ") + 1;
  const auto between = decode_pack(sound.substr(0, second));
  ASSERT_FALSE(between);
  EXPECT_TRUE(mentions(between.error(), "ends before kernel 2 of 2")) << between.error().message;
}

TEST(KernelPack, ItsHeadIsTextForPeople) {
  EXPECT_TRUE(bytes_of(pack_of(kNewer, {1, 2})).starts_with("baracuda kernel pack 1\nnvrtc 13.0\nkernels 2\nkernel "));
  EXPECT_TRUE(decode_pack(bytes_of(pack_of(kNewer, {}))));
}

TEST(KernelPack, EveryByteCounts) {
  const std::string sound = bytes_of(pack_of(kNewer, {1, 2}));
  for (std::size_t i = 0; i < sound.size(); ++i) {
    for (const char bits : {'\x01', '\x04', '\x80'}) {
      std::string damaged = sound;
      damaged[i] = static_cast<char>(damaged[i] ^ bits);
      // A count or a length that has changed shows where it is taken at its word.
      expect_malformed(damaged, 0, static_cast<std::int64_t>(sound.size()));
    }
  }
}

TEST(KernelPack, SaysWhereItIsDamaged) {
  const std::string sound = bytes_of(pack_of(kNewer, {1, 2}));
  const auto second = static_cast<std::int64_t>(sound.rfind("baracuda kernel 1\n"));
  std::string damaged = sound;
  damaged[damaged.size() - 10] ^= 1;
  expect_malformed(damaged, second, second);
  expect_malformed("GGUF and the rest", 0, 0);
  expect_malformed("", 0, 0);
}

TEST(KernelPack, EveryLengthCounts) {
  const std::string sound = bytes_of(pack_of(kNewer, {1, 2}));
  for (std::size_t i = 0; i < sound.size(); ++i) expect_malformed(sound.substr(0, i), 0, static_cast<std::int64_t>(i));
  const auto size = static_cast<std::int64_t>(sound.size());
  expect_malformed(sound + '\0', size, size);
  expect_malformed(sound + sound, size, size);
}

TEST(KernelPack, RandomDamageIsAnErrorAndNoCrash) {
  testing::Random random(testing::options().seed);
  const std::string sound = bytes_of(pack_of(kNewer, {1, 2, 3}));
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = sound;
    for (std::int64_t left = random.draw(1, 8); left > 0; --left) {
      const auto at = static_cast<std::size_t>(random.draw(0, static_cast<std::int64_t>(damaged.size()) - 1));
      if (random.one_in(3)) {
        damaged.erase(at, static_cast<std::size_t>(random.draw(1, 40)));
      } else if (random.one_in(2)) {
        damaged.insert(at, damaged.substr(static_cast<std::size_t>(random.draw(0, 100)), 20));
      } else {
        damaged[at] = static_cast<char>(random.draw(0, 255));
      }
    }
    if (damaged != sound) expect_malformed(damaged, 0, static_cast<std::int64_t>(damaged.size()));
  }
}

TEST(KernelPack, ChecksumsThatHoldDoNotMakeNonsenseSound) {
  const auto with_kernel = [](const KernelEntry& entry) {
    const std::string encoded = *encode_entry(entry.manifest, entry.kernel);
    return "baracuda kernel pack 1\nnvrtc 13.0\nkernels 1\nkernel " + std::to_string(encoded.size()) + "\n" + encoded +
           "\n";
  };
  const KernelEntry sound = *pack_of(kNewer, {1}).kernels.begin()->second;
  EXPECT_TRUE(decode_pack(with_kernel(sound)));
  const std::string hex = sound.kernel.key.hex();
  for (const std::string& manifest : {std::string(), "key " + hex + "\n", "key " + hex.substr(1) + "\nnvrtc 13.0\n",
                                      "key " + hex + "\nnvrtc 12.4\n", "key x" + hex.substr(1) + "\nnvrtc 13.0\n"})
    EXPECT_FALSE(decode_pack(with_kernel({manifest, sound.kernel}))) << manifest;

  // Two kernels in the other order, and one that is there twice.
  const std::string pack = bytes_of(pack_of(kNewer, {1, 2}));
  const std::size_t first = pack.find("kernel ", pack.find("kernels ")), second = pack.rfind("\nkernel ") + 1;
  const std::string head = pack.substr(0, first), a = pack.substr(first, second - first), b = pack.substr(second);
  EXPECT_TRUE(decode_pack(head + a + b));
  EXPECT_FALSE(decode_pack(head + b + a));
  EXPECT_FALSE(decode_pack(head + a + a));
  for (const char* rest :
       {"nvrtc 13\n", "nvrtc 13.0\nkernels -1\n", "nvrtc 13.0\nkernels 1\nkernel 18446744073709551615\n",
        "nvrtc 13.0\nkernels 18446744073709551615\n", "nvrtc 13.0\nkernels 0\nmore"})
    EXPECT_FALSE(decode_pack("baracuda kernel pack 1\n" + std::string(rest))) << rest;
}

// --- files, and the packs that are loaded ---

class KernelPacksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "baracuda-kernel-pack-XXXXXX";
    ASSERT_TRUE(mkdtemp(pattern.data()));
    root = pattern;
  }
  void TearDown() override { fs::remove_all(root); }

  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(root + "/" + name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return root + "/" + name;
  }
  std::string write(const std::string& name, const KernelPack& pack) const { return write(name, bytes_of(pack)); }

  std::string root;
};

TEST_F(KernelPacksTest, AKernelIsFoundByTheCompilerThatMadeIt) {
  KernelPacks packs;
  EXPECT_EQ(*packs.find(spec_of(1)), nullptr);
  const auto info = packs.load(write("a.pack", pack_of(kOlder, {1, 2})));
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->path, root + "/a.pack");
  EXPECT_EQ(info->bytes, static_cast<std::int64_t>(fs::file_size(root + "/a.pack")));
  EXPECT_EQ(info->nvrtc_version, "12.4");
  EXPECT_EQ(info->num_kernels, 2);
  EXPECT_EQ(info->targets, std::vector<std::string>{"sm90a"});

  const auto found = packs.find(spec_of(1));
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->cubin, compiled(spec_of(1), kOlder).cubin);
  EXPECT_EQ(*packs.find(spec_of(3)), nullptr);
  KernelSpec other = spec_of(1);
  other.target = native_target(Arch::Sm80);
  EXPECT_EQ(*packs.find(other), nullptr);
  other = spec_of(1);
  other.debug = true;
  EXPECT_EQ(*packs.find(other), nullptr);
  other = spec_of(1);
  other.name = "another.name";
  EXPECT_NE(*packs.find(other), nullptr);  // names do not change the code
}

TEST_F(KernelPacksTest, TheFirstThatHasItIsTaken) {
  KernelPacks packs;
  ASSERT_TRUE(packs.load(write("a.pack", pack_of(kOlder, {1}))));
  ASSERT_TRUE(packs.load(write("b.pack", pack_of(kNewer, {1, 2}))));
  EXPECT_EQ((*packs.find(spec_of(1)))->cubin, compiled(spec_of(1), kOlder).cubin);
  EXPECT_EQ((*packs.find(spec_of(2)))->cubin, compiled(spec_of(2), kNewer).cubin);
  EXPECT_EQ(packs.infos().size(), 2u);
  // The same bytes again add nothing, wherever they lie.
  EXPECT_TRUE(packs.load(write("copy_of_a.pack", pack_of(kOlder, {1}))));
  EXPECT_EQ(packs.infos().size(), 2u);
}

TEST_F(KernelPacksTest, LoadsAllOrNothing) {
  KernelPacks packs;
  std::string damaged = bytes_of(pack_of(kNewer, {1, 2}));
  damaged[damaged.size() - 10] ^= 1;
  const std::string path = write("damaged.pack", damaged);
  const auto info = packs.load(path);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().kind, ErrorKind::MalformedFile);
  EXPECT_TRUE(mentions(info.error(), path) && mentions(info.error(), "damaged")) << info.error().message;
  EXPECT_TRUE(packs.infos().empty());
  EXPECT_EQ(*packs.find(spec_of(1)), nullptr);
  EXPECT_EQ(*packs.find(spec_of(2)), nullptr);
}

TEST_F(KernelPacksTest, FilesThatAreNoPacks) {
  KernelPacks packs;
  const auto expect_error = [&](const std::string& path, ErrorKind kind, std::int64_t code) {
    const auto info = packs.load(path);
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().kind, kind) << info.error().message;
    EXPECT_EQ(info.error().code, code) << info.error().message;
    EXPECT_TRUE(mentions(info.error(), path)) << info.error().message;
  };
  expect_error(root + "/absent", ErrorKind::Io, ENOENT);
  expect_error(root, ErrorKind::Io, EISDIR);
  expect_error("/dev/null", ErrorKind::MalformedFile, 0);
  expect_error(write("empty", ""), ErrorKind::MalformedFile, 0);
  expect_error(write("foreign", std::string(5000, 'x')), ErrorKind::MalformedFile, 0);
  // Too large to be read, and seen to be none without that.
  const std::string large = write("large", "x");
  ASSERT_EQ(truncate(large.c_str(), std::int64_t{1} << 42), 0);
  expect_error(large, ErrorKind::MalformedFile, 0);
}

TEST_F(KernelPacksTest, APackComesBeforeTheCompilerAndDoesWithoutIt) {
  KernelPacks packs;
  ASSERT_TRUE(packs.load(write("a.pack", pack_of(kOlder, {1}))));
  int compiles = 0;
  KernelCache cache([&](const KernelSpec& spec) -> Result<CompiledKernel> {
    ++compiles;
    return compiled(spec, kNewer);
  });
  const Result<NvrtcVersion> none = Error::unsupported("no libnvrtc here");
  for (const Result<NvrtcVersion>& compiler : {Result<NvrtcVersion>(kNewer), none}) {
    const auto kernel = find_or_compile(spec_of(1), packs, compiler, cache);
    ASSERT_TRUE(kernel) << kernel.error().message;
    EXPECT_EQ((*kernel)->cubin, compiled(spec_of(1), kOlder).cubin);
  }
  EXPECT_EQ(compiles, 0);
  const auto other = find_or_compile(spec_of(2), packs, kNewer, cache);
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ((*other)->cubin, compiled(spec_of(2), kNewer).cubin);
  EXPECT_EQ(compiles, 1);
  // Not even one that is in memory: its key is of a compiler that is unknown.
  EXPECT_FALSE(find_or_compile(spec_of(2), packs, none, cache));
}

TEST_F(KernelPacksTest, AMissingKernelSaysWhatToDo) {
  KernelCache cache([](const KernelSpec&) -> Result<CompiledKernel> { return Error::backend(0, "not asked"); });
  const Error none = Error::unsupported("no libnvrtc here");
  const auto expect_words = [&](const KernelPacks& packs, const KernelSpec& spec,
                                std::initializer_list<std::string_view> words) {
    const auto kernel = find_or_compile(spec, packs, none, cache);
    ASSERT_FALSE(kernel);
    EXPECT_EQ(kernel.error().kind, ErrorKind::Unsupported);
    for (std::string_view word : words)
      EXPECT_TRUE(mentions(kernel.error(), word)) << word << "\n" << kernel.error().message;
  };
  KernelPacks packs;
  expect_words(packs, spec_of(1),
               {"op.k1", "sm90a", "none is loaded", "no libnvrtc here", "baracuda pack", "--arch sm90a"});
  ASSERT_TRUE(packs.load(write("a.pack", pack_of(kNewer, {1, 2}))));
  expect_words(packs, spec_of(3), {"op.k3", root + "/a.pack does not have it", "\"op\" for every kernel"});
  KernelSpec changed = spec_of(1);
  changed.text += " changed";
  expect_words(packs, changed, {"op.k1", "a.pack has one of that name", "another version"});
  KernelSpec forced = spec_of(1);
  forced.target = CodeTarget::for_cuda(90, false);
  expect_words(packs, forced, {"for sm90 ", "does not have it", "--arch CLASS@sm90"});
}

// --- the process's, as the environment sets it ---

FAKE_CUDA_TEST(KernelPacksOfTheProcess, AFileThatCouldNotBeReadIsReadLater) {
  const std::string path = ::testing::TempDir() + "baracuda-late-" + std::to_string(getpid()) + ".pack";
  setenv("BARACUDA_KERNEL_PACK", path.c_str(), 1);
  const auto absent = loaded_kernel_packs();
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().kind, ErrorKind::Io);
  ASSERT_TRUE(testing::write_file(path, bytes_of(pack_of(kNewer, {1}))));
  const auto packs = loaded_kernel_packs();
  ASSERT_TRUE(packs) << packs.error().message;
  EXPECT_EQ(packs->size(), 1u);
  unlink(path.c_str());
}

/// What a plan says that has a kernel to compile: the compiler's report, in a process without NVRTC.
int compile_plan(const ChildArguments& arguments) {
  for (std::size_t i = 1; i < arguments.size(); ++i)
    if (const auto info = load_kernel_pack(arguments[i]); !info) return 3;
  const auto report = WriteSlicePlan::compile({Element::Bf16, {4, 1024}, {1, 0}, {3, 1024}}, {}, DeviceInfo::sm90a());
  const auto packs = loaded_kernel_packs();
  const bool has_kernels = process_has_kernels().has_value();
  if (arguments[0] == "served")
    return report && report->kernels.size() == 2 && report->kernels[0].registers > 0 &&
                   report->kernels[0].seconds == 0 && packs && packs->size() == 1 && has_kernels
               ? 0
               : 4;
  if (arguments[0] == "unserved")
    return !report && report.error().kind == ErrorKind::Unsupported && packs && packs->empty() && !has_kernels ? 0 : 5;
  return !report && report.error().kind == ErrorKind::MalformedFile && !packs && !has_kernels &&
                 mentions(report.error(), "BARACUDA_KERNEL_PACK: ")
             ? 0
             : 6;
}
const RegisterChild kCompilePlan("compile_plan", compile_plan);

constexpr const char* kNoNvrtc = "BARACUDA_NVRTC_LIBRARY=/nonexistent";
constexpr const char* kNoPack = "BARACUDA_KERNEL_PACK=";

TEST_F(KernelPacksTest, APackOfTheEnvironmentThatIsDamagedIsAnErrorOfWhatNeedsKernels) {
  EXPECT_EQ(Child("compile_plan", {"unserved"}, {kNoNvrtc, kNoPack}).wait(), 0);
  const std::string damaged = write("damaged.pack", "baracuda kernel pack 1\nnvrtc 13.0\nkernels 1\n");
  EXPECT_EQ(Child("compile_plan", {"malformed"}, {kNoNvrtc, "BARACUDA_KERNEL_PACK=" + damaged}).wait(), 0);
  EXPECT_EQ(Child("compile_plan", {"malformed"}, {"BARACUDA_KERNEL_PACK=" + damaged}).wait(), 0);
}

class WrittenPack : public KernelPacksTest {
 protected:
  void SetUp() override {
    KernelPacksTest::SetUp();
    if (nvrtc()) return;
    if (testing::options().require_nvrtc) FAIL() << nvrtc().error().message;
    GTEST_SKIP() << nvrtc().error().message;
  }
  /// Of the case that compile_plan asks for.
  Result<KernelPackInfo> write_pack(const std::string& path) const {
    const std::vector<std::string> lines = {"write_slice element=bf16 dest=4x1024 start=1x0 end=3x1024"};
    const auto target = testing::parse_compile_target("sm90a");
    return testing::write_kernel_pack(path, *testing::kernels_of(lines, {&*target, 1}));
  }
};

TEST_F(WrittenPack, ServesAProcessWithoutNvrtc) {
  const std::string path = root + "/written.pack";
  const auto info = write_pack(path);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->num_kernels, 2);
  EXPECT_EQ(Child("compile_plan", {"served"}, {kNoNvrtc, "BARACUDA_KERNEL_PACK=" + path}).wait(), 0);
  EXPECT_EQ(Child("compile_plan", {"served", path}, {kNoNvrtc, kNoPack}).wait(), 0);
  EXPECT_EQ(Child("compile_plan", {"served", path}, {kNoNvrtc, "BARACUDA_KERNEL_PACK=" + path}).wait(), 0);
  // With NVRTC the pack comes first all the same.
  EXPECT_EQ(Child("compile_plan", {"served", path}, {kNoPack}).wait(), 0);
  fs::create_directory(root + "/dump");
  EXPECT_EQ(Child("compile_plan", {"served", path}, {kNoNvrtc, kNoPack, "BARACUDA_JIT_DUMP=" + root + "/dump"}).wait(),
            0);
  EXPECT_EQ(std::distance(fs::directory_iterator(root + "/dump"), fs::directory_iterator()), 2 * 3);
}

TEST_F(WrittenPack, IsWrittenWholeOrNotAtAll) {
  const auto expect_io = [&](const std::string& path, int error_number) {
    const auto info = write_pack(path);
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().kind, ErrorKind::Io);
    EXPECT_EQ(info.error().code, error_number) << info.error().message;
    EXPECT_TRUE(mentions(info.error(), path)) << info.error().message;
  };
  expect_io(root, EISDIR);
  expect_io(root + "/absent/a.pack", ENOENT);
  expect_io("/dev/null", EEXIST);
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_TRUE(fs::is_empty(root));
  ASSERT_TRUE(write_pack(write("a.pack", "what was there")));
  EXPECT_TRUE(KernelPacks().load(root + "/a.pack"));
  EXPECT_EQ(std::distance(fs::directory_iterator(root), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace baracuda::jit
