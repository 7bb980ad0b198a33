#include "baracuda/checkpoint/checkpoint.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "baracuda/checkpoint/files_test.h"
#include "testing/property.h"

namespace baracuda {
namespace {

using testing::draw;
using testing::property;
using testing::safetensors;
using testing::TemporaryFolder;

std::string shard(std::string_view tensor) {
  return safetensors(fmt::format(R"({{"{}":{{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}}})", tensor), "ab");
}

constexpr std::string_view kIndex =
    R"({"metadata":{"total_size":4},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})";

/// Two shards and their index.
void write_shards(const TemporaryFolder& folder, std::string_view index = kIndex) {
  folder.write("1.safetensors", shard("a"));
  folder.write("2.safetensors", shard("b"));
  folder.write("model.safetensors.index.json", index);
}

TEST(CheckpointTest, OneFile) {
  const TemporaryFolder folder;
  const std::string file = folder.write("model.safetensors", shard("x"));
  for (const std::string& path : {folder.path(), folder.path() + "/", file}) {
    const auto checkpoint = Checkpoint::open(path);
    ASSERT_TRUE(checkpoint) << checkpoint.error().to_string();
    ASSERT_EQ(checkpoint->files().size(), 1u);
    EXPECT_NE(checkpoint->find("x"), nullptr);
    EXPECT_EQ(checkpoint->find("y"), nullptr);
  }
}

TEST(CheckpointTest, Shards) {
  const TemporaryFolder folder;
  write_shards(folder);
  for (const std::string& path : {folder.path(), folder.path() + "/model.safetensors.index.json"}) {
    const auto checkpoint = Checkpoint::open(path);
    ASSERT_TRUE(checkpoint) << checkpoint.error().to_string();
    ASSERT_EQ(checkpoint->files().size(), 2u);
    EXPECT_EQ(checkpoint->find("a"), &checkpoint->files()[0].tensors()[0]);
    EXPECT_EQ(checkpoint->find("b"), &checkpoint->files()[1].tensors()[0]);
    EXPECT_EQ(checkpoint->find("c"), nullptr);
  }
  folder.write("model.safetensors", shard("x"));  // the Hub's readers look for it first
  EXPECT_NE(Checkpoint::open(folder.path())->find("x"), nullptr);
}

TEST(CheckpointTest, WhatIsAbsent) {
  const TemporaryFolder folder;
  for (const std::string& path : {folder.path(), folder.path() + "/absent", folder.path() + "/absent.json"}) {
    const auto checkpoint = Checkpoint::open(path);
    ASSERT_FALSE(checkpoint);
    EXPECT_EQ(checkpoint.error().kind, ErrorKind::Io);
    EXPECT_EQ(checkpoint.error().code, ENOENT);
    EXPECT_NE(checkpoint.error().message.find(path), std::string::npos);
  }
  write_shards(folder, R"({"weight_map":{"a":"1.safetensors","b":"3.safetensors"}})");
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_FALSE(checkpoint);
  EXPECT_EQ(checkpoint.error().kind, ErrorKind::Io);
  for (const char* part : {"index.json", "3.safetensors"})
    EXPECT_NE(checkpoint.error().message.find(part), std::string::npos) << checkpoint.error().message;
}

TEST(CheckpointTest, WhatCannotBeLookedAtIsNotAbsent) {
  const TemporaryFolder folder;
  write_shards(folder);
  // What open() finds wrong there is said, and the index is not taken instead.
  const std::string loop = folder.path() + "/model.safetensors";
  ASSERT_EQ(symlink("model.safetensors", loop.c_str()), 0);
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_FALSE(checkpoint);
  EXPECT_EQ(checkpoint.error().code, ELOOP) << checkpoint.error().to_string();
  EXPECT_NE(checkpoint.error().message.find(loop), std::string::npos) << checkpoint.error().message;
}

/// As the Hub's cache has them: a snapshot's folder of links to files that are named by their digests.
TEST(CheckpointTest, LinksAreFollowed) {
  const TemporaryFolder blobs, folder;
  const std::pair<const char*, std::string> files[] = {{"1.safetensors", blobs.write("0a1b", shard("a"))},
                                                       {"2.safetensors", blobs.write("0a1c", shard("b"))},
                                                       {"model.safetensors.index.json", blobs.write("0a1d", kIndex)}};
  for (const auto& [name, blob] : files) ASSERT_EQ(symlink(blob.c_str(), (folder.path() + "/" + name).c_str()), 0);
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint) << checkpoint.error().to_string();
  EXPECT_NE(checkpoint->find("b"), nullptr);
}

TEST(CheckpointTest, TensorsStayWhereACheckpointIsMoved) {
  const TemporaryFolder folder;
  write_shards(folder);
  auto opened = Checkpoint::open(folder.path());
  ASSERT_TRUE(opened) << opened.error().to_string();
  const SafetensorsTensor* a = opened->find("a");
  Checkpoint moved = *std::move(opened);
  opened = Error::invalid_problem("what was moved from is gone");
  EXPECT_EQ(moved.find("a"), a);
  EXPECT_EQ(a->bytes[0], std::byte{'a'});
}

TEST(CheckpointTest, MalformedIndices) {
  const struct {
    std::string index;
    std::string_view at, message;
  } cases[] = {
      {"", "", "no JSON"},
      {"[]", "[]", "no weight_map"},
      {R"({"metadata":{}})", "{", "no weight_map"},
      {R"({"weight_map":[]})", "[]", "weight_map is an array"},
      {R"({"weight_map":{"a":1}})", "1", "\"a\": its file is a whole number"},
      {R"({"weight_map":{"a":""}})", R"(""})", "\"a\""},
      {R"({"weight_map":{"a":"../1.safetensors"}})", R"("../)", "\"../1.safetensors\""},
      {R"({"weight_map":{"a":".."}})", R"("..")", "beside the index"},
      {R"({"weight_map":{"a":"."}})", R"(".")", "beside the index"},
      {R"({"weight_map":{"a":"/etc/passwd"}})", R"("/etc)", "\"/etc/passwd\""},
      {R"({"weight_map":{"a":"x/1.safetensors"}})", R"("x/)", "beside the index"},
      {R"({"weight_map":{"a":"1.safetensors\u0000"}})", R"("1.s)", "control characters"},
      {R"({"weight_map":{"a":"\u001b[2J"}})", R"("\u001b)", "\"?[2J\""},
      {R"({"weight_map":{"a":")" + std::string(256, 'x') + R"("}})", R"("xx)", "at most 255 bytes"},
      {R"({"weight_map":{"a":"\u007f"}})", R"("\u007f)", "\"?\""},
      {R"({"weight_map":{"a":"1.safetensors","a":"2.safetensors"}})", R"("a":"2)", "\"a\" stands twice"},
      {R"({"weight_map":{"a":"1.safetensors", "c":"1.safetensors"}})", R"("1.safetensors"}})", "\"c\" is not in"},
  };
  for (const auto& [index, at, message] : cases) {
    const TemporaryFolder folder;
    write_shards(folder, index);
    const auto checkpoint = Checkpoint::open(folder.path());
    ASSERT_FALSE(checkpoint) << index;
    EXPECT_EQ(checkpoint.error().kind, ErrorKind::MalformedFile) << checkpoint.error().to_string();
    EXPECT_EQ(checkpoint.error().code, static_cast<std::int64_t>(index.find(at))) << checkpoint.error().to_string();
    EXPECT_NE(checkpoint.error().message.find(message), std::string::npos) << checkpoint.error().to_string();
    EXPECT_NE(checkpoint.error().message.find("model.safetensors.index.json"), std::string::npos);
  }
}

TEST(CheckpointTest, ATensorThatTheIndexDoesNotList) {
  const TemporaryFolder folder;
  write_shards(folder);
  folder.write("2.safetensors", safetensors(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                            R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                            "ab"));
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_FALSE(checkpoint);
  EXPECT_EQ(checkpoint.error().kind, ErrorKind::MalformedFile);
  EXPECT_EQ(checkpoint.error().code, static_cast<std::int64_t>(kIndex.find(R"({"a":)")));
  for (const char* part : {"\"a\"", "2.safetensors", "index.json"})
    EXPECT_NE(checkpoint.error().message.find(part), std::string::npos) << checkpoint.error().message;
}

TEST(CheckpointTest, AnIndexThatIsTooLong) {
  constexpr std::int64_t kMost = 100'000'000;
  const TemporaryFolder folder;
  write_shards(folder);
  std::filesystem::resize_file(folder.path() + "/model.safetensors.index.json", kMost + 1);  // zeros without blocks
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_FALSE(checkpoint);
  EXPECT_EQ(checkpoint.error().kind, ErrorKind::MalformedFile);
  EXPECT_EQ(checkpoint.error().code, kMost);
  for (const char* part : {"index.json", "100000001 bytes, expected at most 100000000"})
    EXPECT_NE(checkpoint.error().message.find(part), std::string::npos) << checkpoint.error().message;
}

TEST(CheckpointTest, AChangedIndexGivesAResult) {
  const TemporaryFolder folder;
  property("one byte of the index is another", [&] {
    std::string index(kIndex);
    index[static_cast<std::size_t>(draw(0, static_cast<std::int64_t>(index.size()) - 1, "at"))] =
        static_cast<char>(draw(0, 255, "byte"));
    write_shards(folder, index);
    if (const auto checkpoint = Checkpoint::open(folder.path()); !checkpoint) {
      EXPECT_TRUE(checkpoint.error().kind == ErrorKind::MalformedFile || checkpoint.error().kind == ErrorKind::Io)
          << checkpoint.error().to_string();
    }
  });
}

}  // namespace
}  // namespace baracuda
