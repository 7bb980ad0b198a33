#include "baracuda/checkpoint/safetensors.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "baracuda/checkpoint/files_test.h"
#include "baracuda/checkpoint/json.h"
#include "testing/property.h"

namespace baracuda {
namespace {

using testing::draw;
using testing::property;
using testing::safetensors;
using testing::TemporaryFolder;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(MappedFileTest, BytesOfAFile) {
  const TemporaryFolder folder;
  Result<MappedFile> file = MappedFile::open(folder.write("a", "some bytes"));
  ASSERT_TRUE(file);
  const std::byte* data = file->bytes().data();
  MappedFile moved = *std::move(file);
  EXPECT_EQ(moved.bytes().data(), data);
  EXPECT_EQ(text_of(moved.bytes()), "some bytes");
  EXPECT_EQ(moved.path(), folder.path() + "/a");
  moved = MappedFile();
  EXPECT_TRUE(moved.bytes().empty());
}

TEST(MappedFileTest, AnEmptyFileHasNoBytes) {
  const TemporaryFolder folder;
  const Result<MappedFile> file = MappedFile::open(folder.write("a", ""));
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFileTest, WhatIsNoFile) {
  const TemporaryFolder folder;
  const std::string pipe = folder.path() + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::pair<std::string, int> cases[] = {{folder.path() + "/absent", ENOENT},
                                               {folder.path(), EISDIR},
                                               {pipe, EINVAL},
                                               {"", ENOENT},
                                               {folder.path() + std::string("\0a", 2), EINVAL}};
  for (const auto& [path, number] : cases) {
    const Result<MappedFile> file = MappedFile::open(path);
    ASSERT_FALSE(file) << path;
    EXPECT_EQ(file.error().kind, ErrorKind::Io) << path;
    EXPECT_EQ(file.error().code, number) << path;
  }
  EXPECT_NE(MappedFile::open(pipe).error().message.find(pipe), std::string::npos);
}

TEST(SafetensorsTest, ReadsTensorsInTheOrderOfTheirBytes) {
  const TemporaryFolder folder;
  const Result<SafetensorsFile> file = SafetensorsFile::open(folder.write(
      "a.safetensors",
      safetensors(R"({"b":{"dtype":"U8","shape":[3],"data_offsets":[4,7]},"__metadata__":{"k":"v","a":"ü"},)"
                  R"("e":{"dtype":"F32","shape":[2,0],"data_offsets":[4,4]},)"
                  R"("a":{"shape":[],"data_offsets":[0,4],"dtype":"I32","extra":[{}]}}   )",
                  "abcdxyz")));
  ASSERT_TRUE(file) << file.error().to_string();
  ASSERT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(file->tensors()[0].name, "a");
  EXPECT_EQ(file->tensors()[1].name, "e");
  EXPECT_EQ(file->tensors()[2].name, "b");
  EXPECT_EQ(text_of(file->find("a")->bytes), "abcd");
  EXPECT_EQ(text_of(file->find("b")->bytes), "xyz");
  EXPECT_TRUE(file->find("e")->bytes.empty());
  EXPECT_EQ(file->find("c"), nullptr);
  EXPECT_EQ(file->find("__metadata__"), nullptr);
  const std::pair<std::string, std::string> metadata[] = {{"k", "v"}, {"a", "ü"}};
  EXPECT_TRUE(std::ranges::equal(file->metadata(), metadata));

  const SafetensorsTensor& b = *file->find("b");
  const Result<MappedFile> raw = MappedFile::open(file->path());
  EXPECT_EQ(text_of(raw->bytes().subspan(static_cast<std::size_t>(b.offset), 3)), "xyz");
  const Result<TensorRef> view = b.view();
  ASSERT_TRUE(view) << view.error().to_string();
  EXPECT_EQ(view->data, b.bytes.data());
  EXPECT_EQ(view->element, Element::U8);
  EXPECT_EQ(view->shape, Dims{3});
  EXPECT_EQ(view->buffer.bytes(), 3u);
  EXPECT_EQ(file->find("a")->view()->rank(), 0);
  EXPECT_EQ(file->find("e")->view()->shape, (Dims{2, 0}));
}

TEST(SafetensorsTest, EveryDtype) {
  const std::pair<const char*, Element> dtypes[] = {
      {"BOOL", Element::Bool}, {"U8", Element::U8},          {"I8", Element::I8},          {"I16", Element::I16},
      {"U16", Element::U16},   {"I32", Element::I32},        {"U32", Element::U32},        {"I64", Element::I64},
      {"U64", Element::U64},   {"F16", Element::F16},        {"BF16", Element::Bf16},      {"F32", Element::F32},
      {"F64", Element::F64},   {"F8_E4M3", Element::F8E4M3}, {"F8_E5M2", Element::F8E5M2}, {"C64", Element::Complex64},
  };
  const TemporaryFolder folder;
  for (const auto& [name, element] : dtypes) {
    const int bytes = 3 * element_bytes(element);
    const std::string header =
        fmt::format(R"({{"x":{{"dtype":"{}","shape":[3,1],"data_offsets":[0,{}]}}}})", name, bytes);
    const auto file = SafetensorsFile::open(folder.write("a", safetensors(header, std::string(bytes, 'x'))));
    ASSERT_TRUE(file) << file.error().to_string();
    ASSERT_TRUE(file->tensors()[0].view()) << name;
    EXPECT_EQ(file->tensors()[0].view()->element, element);
    EXPECT_EQ(file->tensors()[0].dtype, name);
  }
}

TEST(SafetensorsTest, WhatHasNoViewIsListed) {
  const TemporaryFolder folder;
  const auto file = SafetensorsFile::open(
      folder.write("a", safetensors(R"({"new":{"dtype":"F5","shape":[7],"data_offsets":[0,4]},)"
                                    R"("deep":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[4,6]},)"
                                    R"("packed":{"dtype":"F6_E3M2","shape":[2,4],"data_offsets":[6,12]}})",
                                    "abcdefghijkl")));
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(text_of(file->find("new")->bytes), "abcd");
  EXPECT_EQ(text_of(file->find("deep")->bytes), "ef");
  EXPECT_EQ(text_of(file->find("packed")->bytes), "ghijkl");
  for (const auto& [name, why] :
       {std::pair("new", "\"F5\""), std::pair("deep", "9 axes"), std::pair("packed", "\"F6_E3M2\"")}) {
    const Result<TensorRef> view = file->find(name)->view();
    ASSERT_FALSE(view);
    EXPECT_EQ(view.error().kind, ErrorKind::Unsupported);
    EXPECT_NE(view.error().message.find(name), std::string::npos);
    EXPECT_NE(view.error().message.find(why), std::string::npos) << view.error().message;
  }
}

TEST(SafetensorsTest, NoTensors) {
  const TemporaryFolder folder;
  const auto file = SafetensorsFile::open(folder.write("a", safetensors("{}", "")));
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_TRUE(file->tensors().empty());
  EXPECT_EQ(file->find(""), nullptr);
}

void expect_malformed(const std::string& bytes, std::size_t offset, std::string_view message) {
  const TemporaryFolder folder;
  const auto file = SafetensorsFile::open(folder.write("bad.safetensors", bytes));
  ASSERT_FALSE(file) << message;
  EXPECT_EQ(file.error().kind, ErrorKind::MalformedFile) << file.error().to_string();
  EXPECT_EQ(file.error().code, static_cast<std::int64_t>(offset)) << file.error().to_string();
  EXPECT_NE(file.error().message.find(message), std::string::npos) << file.error().to_string();
  EXPECT_NE(file.error().message.find(folder.path() + "/bad.safetensors"), std::string::npos);
  EXPECT_NE(file.error().message.find(fmt::format("at byte {}", offset)), std::string::npos);
}

TEST(SafetensorsTest, RulesOfTheFile) {
  expect_malformed("", 0, "0 bytes");
  expect_malformed("1234567", 7, "7 bytes");
  expect_malformed(safetensors("{}", "").substr(0, 9), 0, "length is 2, but 1 bytes follow");
  expect_malformed(std::string("\1\xe1\xf5\5\0\0\0\0{}", 10), 0, "100000001, expected at most 100000000");
  expect_malformed(std::string(8, '\xff') + "{}", 0, "18446744073709551615");
  expect_malformed(safetensors("", ""), 8, "begin with '{'");
  expect_malformed(safetensors(" {}", ""), 8, "begin with '{'");
  expect_malformed(safetensors("\xef\xbb\xbf{}", ""), 8, "begin with '{'");
  expect_malformed(safetensors("{}", "abc"), 10, "3 bytes after the last tensor");
}

/// The header's offset where `at` stands, and the message; the header is over 8 bytes of data.
void expect_bad_header(const std::string& header, std::string_view at, std::string_view message) {
  ASSERT_NE(header.find(at), std::string::npos) << header;
  expect_malformed(safetensors(header, "12345678"), 8 + header.find(at), message);
}

TEST(SafetensorsTest, RulesOfTheHeaderText) {
  expect_bad_header(R"({"a":})", "}", "no JSON");
  expect_malformed(safetensors(R"({"a")", ""), 8 + 3, "no JSON");
  expect_bad_header(R"({} x)", "x", "no JSON");
  expect_bad_header(std::string("{}\0\0", 4), std::string_view("\0", 1), "no JSON");
  expect_bad_header("{\"\xff\":1}", "\xff", "UTF-8");
  expect_bad_header(R"({"a":1e999})", "}", "no JSON: number overflow parsing '1e999'");
  expect_bad_header(R"({"__metadata__":{"k":"v", "k":"w"}})", R"("k":"w")", "\"k\" stands twice");
  const std::string deep = "{\"a\":" + std::string(1'000'000, '[');
  expect_malformed(safetensors(deep, ""), 8 + 5 + 63, "deeper than 64");
}

std::string entry(std::string_view members) { return fmt::format(R"({{"x.weight":{{{}}}}})", members); }

TEST(SafetensorsTest, RulesOfATensor) {
  const struct {
    std::string header;
    std::string_view at, message;
  } cases[] = {
      {R"({"x.weight": 7})", "7", "a whole number, expected an object"},
      {entry(R"("shape":[8],"data_offsets":[0,8])"), R"({"shape)", "no dtype"},
      {entry(R"("dtype":"U8","data_offsets":[0,8])"), R"({"dtype)", "no shape"},
      {entry(R"("dtype":"U8","shape":[8])"), R"({"dtype)", "no data_offsets"},
      {entry(R"("dtype":8,"shape":[8],"data_offsets":[0,8])"), "8,", "dtype is a whole number"},
      {entry(R"("dtype":"U8","shape":{},"data_offsets":[0,8])"), "{},", "shape is an object"},
      {entry(R"("dtype":"U8","shape":[-8],"data_offsets":[0,8])"), "-8", "shape holds a negative number"},
      {entry(R"("dtype":"U8","shape":[8.0],"data_offsets":[0,8])"), "8.0", "shape holds a number"},
      {entry(R"("dtype":"U8","shape":[true],"data_offsets":[0,8])"), "true", "shape holds a bool"},
      {entry(R"("dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,8])"), "9223", "less than 2^63"},
      {entry(R"("dtype":"U8","shape":[ 8 , "8"],"data_offsets":[0,8])"), R"("8"])", "shape holds a string"},
      {entry(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,8])"), "[429", "more elements"},
      {entry(R"("dtype":"F64","shape":[2305843009213693953],"data_offsets":[0,8])"), "[230", "more elements"},
      {entry(R"("dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,8])"), "[0,42", "more elements"},
      {entry(R"("dtype":"F5","shape":[4294967296,4294967296],"data_offsets":[0,8])"), "[429", "more elements"},
      {entry(R"("dtype":"U8","shape":[8],"data_offsets":[0])"), "[0]", "has 1 numbers"},
      {entry(R"("dtype":"U8","shape":[8],"data_offsets":[0,8,8])"), "[0,8,8]", "has 3 numbers"},
      {entry(R"("dtype":"U8","shape":[8],"data_offsets":[0,8e0])"), "8e0", "data_offsets holds a number"},
      {entry(R"("dtype":"U8","shape":[8],"data_offsets":[8,0])"), "[8,0]", "begin <= end <= 8"},
      {entry(R"("dtype":"U8","shape":[9],"data_offsets":[0,9])"), "[0,9]", "begin <= end <= 8"},
      {entry(R"("dtype":"U8","shape":[7],"data_offsets":[0,8])"), "[0,8]", "hold 8 bytes, but shape takes 7 in U8"},
      {entry(R"("dtype":"F16","shape":[8],"data_offsets":[0,8])"), "[0,8]", "takes 16 in F16"},
      {entry(R"("dtype":"F4","shape":[8],"data_offsets":[0,8])"), "[0,8]", "takes 4 in F4"},
      {entry(R"("dtype":"F6_E2M3","shape":[8],"data_offsets":[0,8])"), "[0,8]", "takes 6 in F6_E2M3"},
      {entry(R"("dtype":"F6_E3M2","shape":[8],"data_offsets":[0,8])"), "[0,8]", "takes 6 in F6_E3M2"},
      {entry(R"("dtype":"F8_E8M0","shape":[7],"data_offsets":[0,8])"), "[0,8]", "takes 7 in F8_E8M0"},
      {entry(R"("dtype":"F8_E4M3FNUZ","shape":[7],"data_offsets":[0,8])"), "[0,8]", "takes 7 in F8_E4M3FNUZ"},
      {entry(R"("dtype":"F8_E5M2FNUZ","shape":[7],"data_offsets":[0,8])"), "[0,8]", "takes 7 in F8_E5M2FNUZ"},
      {entry(R"("dtype":"F4","shape":[5,3],"data_offsets":[0,8])"), "[5,3]", "takes 60 bits in F4"},
      {entry(R"("dtype":"U8","shape":[7],"data_offsets":[1,8])"), "[1,8]", "a hole"},
      {R"({"y":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},)"
       R"("x.weight":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
       "[4,8]", "an overlap"},
      {R"({"x.weight":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}, )"
       R"("x.weight":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}})",
       R"("x.weight":{"dtype":"U8","shape":[0])", "stands twice"},
      {entry(R"("dtype":"U8","dtype":"I8","shape":[8],"data_offsets":[0,8])"), R"("dtype":"I8")", "stands twice"},
  };
  for (const auto& [header, at, message] : cases) {
    expect_bad_header(header, at, message);
    if (message != "stands twice") expect_bad_header(header, at, "\"x.weight\"");
  }
  expect_bad_header(R"({"__metadata__":[]})", "[]", "__metadata__ is an array");
  expect_bad_header(R"({"__metadata__":{"k": 1}})", "1", "__metadata__: \"k\" is a whole number");
}

TEST(SafetensorsTest, NamesInMessagesAreShortAndPrintable) {
  EXPECT_EQ(json::in_quotes("a\n\x7f\"b"), "\"a??\"b\"");
  EXPECT_EQ(json::in_quotes(std::string(200, 'a')), "\"" + std::string(200, 'a') + "\"");
  EXPECT_EQ(json::in_quotes(std::string(201, 'a')), "\"" + std::string(200, 'a') + "…\"");
  EXPECT_EQ(json::in_quotes(std::string(199, 'a') + "éa"), "\"" + std::string(199, 'a') + "…\"");
  EXPECT_EQ(json::in_quotes(std::string(198, 'a') + "éa"), "\"" + std::string(198, 'a') + "é…\"");
}

std::string with_commas(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

/// A file with drawn tensors, in a drawn order of the header.
struct Drawn {
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    std::string bytes;
  };
  std::vector<Tensor> tensors;  // in the order of their bytes
  std::string file;
};

Drawn draw_file() {
  constexpr std::pair<const char*, int> kKinds[] = {{"U8", 1}, {"BF16", 2}, {"I32", 4}, {"F64", 8}};
  Drawn drawn;
  std::vector<std::string> entries;
  std::string data;
  for (std::int64_t i = 0, count = draw(0, 5, "tensors"); i < count; ++i) {
    const auto& [dtype, element_bytes] = kKinds[draw(0, 3, "dtype")];
    Drawn::Tensor tensor{fmt::format("layers.{}.\\u00e9", i), {}, ""};
    std::int64_t elems = 1;
    for (std::int64_t axis = 0, rank = draw(0, 3, "rank"); axis < rank; ++axis)
      elems *= tensor.shape.emplace_back(draw(0, 4, "extent"));
    std::vector<std::string> extents;
    for (const std::int64_t extent : tensor.shape) extents.push_back(std::to_string(extent));
    for (std::int64_t j = 0; j < elems * element_bytes; ++j) tensor.bytes += static_cast<char>(i * 37 + j);
    entries.push_back(fmt::format(R"("{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", tensor.name, dtype,
                                  with_commas(extents), data.size(), data.size() + tensor.bytes.size()));
    data += tensor.bytes;
    tensor.name = fmt::format("layers.{}.é", i);
    drawn.tensors.push_back(std::move(tensor));
  }
  for (std::size_t i = 1; i < entries.size(); ++i)
    std::swap(entries[i], entries[static_cast<std::size_t>(draw(0, static_cast<std::int64_t>(i), "place"))]);
  drawn.file =
      safetensors(fmt::format("{{{}}}{}", with_commas(entries), std::string(draw(0, 7, "padding"), ' ')), data);
  return drawn;
}

TEST(SafetensorsTest, ReadsWhatAWriterWrote) {
  const TemporaryFolder folder;
  property("names, shapes and bytes come back", [&] {
    const Drawn drawn = draw_file();
    const auto file = SafetensorsFile::open(folder.write("a", drawn.file));
    ASSERT_TRUE(file) << file.error().to_string();
    ASSERT_EQ(file->tensors().size(), drawn.tensors.size());
    for (const Drawn::Tensor& expected : drawn.tensors) {
      const SafetensorsTensor* tensor = file->find(expected.name);
      ASSERT_NE(tensor, nullptr) << expected.name;
      EXPECT_EQ(tensor->shape, expected.shape);
      EXPECT_EQ(text_of(tensor->bytes), expected.bytes);
    }
    std::int64_t last = 0;
    for (const SafetensorsTensor& tensor : file->tensors()) {
      EXPECT_LE(last, tensor.offset);
      last = tensor.offset;
    }
  });
}

/// Every byte that a reader gives out, so that a sanitizer sees one that is not the file's; a mapping that is passed
/// ends the process.
std::size_t touch_all(const SafetensorsFile& file) {
  std::size_t sum = 0;
  for (const SafetensorsTensor& tensor : file.tensors()) {
    for (const std::byte each : tensor.bytes) sum += std::to_integer<std::size_t>(each);
    if (const auto view = tensor.view()) sum += view->buffer.bytes();
  }
  return sum;
}

TEST(SafetensorsTest, AChangedFileGivesAResult) {
  const TemporaryFolder folder;
  std::size_t sum = 0;
  int num_malformed = 0;
  property(
      "bytes changed, inserted, removed, cut off",
      [&] {
        std::string bytes = draw_file().file;
        for (std::int64_t i = 0, changes = draw(1, 3, "changes"); i < changes && !bytes.empty(); ++i) {
          const auto at = static_cast<std::size_t>(draw(0, static_cast<std::int64_t>(bytes.size()) - 1, "at"));
          switch (draw(0, 4, "change")) {
            case 0: bytes[at] = static_cast<char>(bytes[at] ^ 1 << draw(0, 7, "bit")); break;
            case 1: bytes[at] = "0123456789-.e\"\\{}[],:\xff"[draw(0, 21, "character")]; break;
            case 2: bytes.erase(at, static_cast<std::size_t>(draw(1, 9, "length"))); break;
            case 3: bytes.insert(at, bytes.substr(at / 2, static_cast<std::size_t>(draw(1, 40, "length")))); break;
            case 4: bytes.resize(at); break;
          }
        }
        const auto file = SafetensorsFile::open(folder.write("a", bytes));
        if (file) {
          sum += touch_all(*file);
        } else {
          ++num_malformed;
          EXPECT_EQ(file.error().kind, ErrorKind::MalformedFile) << file.error().to_string();
          EXPECT_GE(file.error().code, 0);
          EXPECT_LE(file.error().code, static_cast<std::int64_t>(bytes.size())) << file.error().to_string();
        }
      },
      500);
  EXPECT_GT(sum, 0u) << "no changed file was read, so their reading was not tried";
  EXPECT_GT(num_malformed, 100);
}

TEST(SafetensorsTest, EveryTruncationIsMalformed) {
  const TemporaryFolder folder;
  const std::string whole = safetensors(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} )", "12345678");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto file = SafetensorsFile::open(folder.write("a", whole.substr(0, size)));
    ASSERT_FALSE(file) << size;
    EXPECT_EQ(file.error().kind, ErrorKind::MalformedFile) << size;
  }
}

}  // namespace
}  // namespace baracuda
