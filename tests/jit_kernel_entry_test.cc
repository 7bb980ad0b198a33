// The bytes of a stored kernel: what is written is read back, and nothing else is read at all.

#include "baracuda/jit/kernel_entry.h"

#include <gtest/gtest.h>

#include "baracuda/jit/sha256.h"
#include "testing/random.h"

namespace baracuda::jit {
namespace {

constexpr std::string_view kManifest = "key 0123\nname op.rows\ntarget sm90a\nnvrtc 13.0\ninclude a/name.h 00\n";

CompiledKernel kernel() {
  CompiledKernel kernel;
  kernel.cubin.resize(257);
  testing::Random(1).fill_bytes(kernel.cubin);
  kernel.resources = {.registers = 1,
                      .static_shared_bytes = 2,
                      .stack_bytes = 3,
                      .spill_store_bytes = 4,
                      .spill_load_bytes = 5,
                      .warnings = {"first (C7508)", "second (C7510)"}};
  kernel.log = "a log\nof two lines\n";
  kernel.seconds = 0.25;
  return kernel;
}

std::string entry() {
  const auto bytes = encode_entry(kManifest, kernel());
  EXPECT_TRUE(bytes);
  return bytes.value_or("");
}

/// Empty where it is foreign or damaged.
std::optional<KernelEntry> decoded(std::string_view bytes) {
  auto entry = decode_entry(bytes);
  EXPECT_TRUE(entry) << entry.error().message;
  return entry ? *std::move(entry) : std::nullopt;
}

TEST(KernelEntry, KeepsEverything) {
  const auto read = decoded(entry());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->manifest, kManifest);
  EXPECT_EQ(read->kernel.cubin, kernel().cubin);
  EXPECT_EQ(read->kernel.resources, kernel().resources);
  EXPECT_EQ(read->kernel.log, kernel().log);
  EXPECT_EQ(read->kernel.seconds, 0.25);
}

TEST(KernelEntry, KeepsNothingAtAll) {
  const auto read = decoded(*encode_entry("", CompiledKernel()));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kernel.resources, KernelResources());
  EXPECT_TRUE(read->kernel.cubin.empty() && read->kernel.log.empty());
}

TEST(KernelEntry, ItsHeadIsTextForPeople) {
  const std::string bytes = entry();
  EXPECT_TRUE(bytes.starts_with("baracuda kernel 1\nchecksum ")) << bytes;
  for (const char* line :
       {"\nname op.rows\n", "\nregisters 1\n", "\nstatic_shared_bytes 2\n", "\nspill_load_bytes 5\n"})
    EXPECT_NE(bytes.find(line), bytes.npos) << line;
}

TEST(KernelEntry, FieldsOfTheManifest) {
  const auto read = decoded(entry());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->manifest_field("key"), "0123");
  EXPECT_EQ(read->manifest_field("name"), "op.rows");
  EXPECT_EQ(read->manifest_field("nvrtc"), "13.0");
  EXPECT_EQ(read->manifest_field("nam"), "");
  EXPECT_EQ(read->manifest_field("option"), "");
}

TEST(KernelEntry, EveryByteCounts) {
  const std::string sound = entry();
  for (std::size_t i = 0; i < sound.size(); ++i) {
    for (const char bits : {'\x01', '\x80'}) {
      std::string damaged = sound;
      damaged[i] = static_cast<char>(damaged[i] ^ bits);
      EXPECT_FALSE(decoded(damaged)) << "byte " << i;
    }
  }
}

TEST(KernelEntry, EveryLengthCounts) {
  const std::string sound = entry();
  for (std::size_t i = 0; i < sound.size(); ++i) EXPECT_FALSE(decoded(sound.substr(0, i))) << i;
  EXPECT_FALSE(decoded(sound + '\0'));
  EXPECT_FALSE(decoded(sound + sound));
}

TEST(KernelEntry, AnotherVersionIsForeign) {
  std::string bytes = entry();
  const std::size_t version = bytes.find('1');
  bytes[version] = '2';
  EXPECT_FALSE(decoded(bytes));
}

TEST(KernelEntry, AChecksumThatHoldsDoesNotMakeNonsenseSound) {
  const std::string sound = entry();
  const std::size_t body_begin = sound.find('\n', sound.find("checksum")) + 1;
  const auto with_checksum = [](const std::string& body) {
    return "baracuda kernel 1\nchecksum " + hex(*sha256(body)) + "\n" + body;
  };
  ASSERT_EQ(with_checksum(sound.substr(body_begin)), sound);
  const std::string body = sound.substr(body_begin);
  for (std::size_t i = 0; i < body.size(); i += 3) EXPECT_FALSE(decoded(with_checksum(body.substr(0, i)))) << i;
  for (const char* other : {"", "\n", "manifest 0\n\n", "manifest 18446744073709551615\n\n", "manifest -1\n\n"})
    EXPECT_FALSE(decoded(with_checksum(other))) << other;
  EXPECT_FALSE(decoded(with_checksum(body + "more")));
}

}  // namespace
}  // namespace baracuda::jit
