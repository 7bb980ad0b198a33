#include "baracuda/checkpoint/quantization.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "baracuda/checkpoint/checkpoint.h"
#include "baracuda/checkpoint/files_test.h"
#include "testing/property.h"

namespace baracuda {
namespace {

using enum QuantizationFormat;
using testing::draw;
using testing::property;
using testing::TemporaryFolder;

/// What tests/data/w4/README.md says of its files.
struct Golden {
  const char* name;
  QuantizationConfig config;
  std::int64_t k, n;
};
constexpr Golden kGolden[] = {
    {"gptq-sym-g128", {Gptq, 128, true, false}, 256, 512},
    {"gptq-asym-g128", {Gptq, 128, false, false}, 256, 128},
    {"gptq-actorder-g128", {Gptq, 128, true, true}, 384, 256},
    {"gptq-actorder-asym-g128", {Gptq, 128, false, true}, 384, 64},
    {"gptq-perchannel", {Gptq, -1, true, false}, 256, 512},
    {"gptq-v2-asym-g128", {GptqV2, 128, false, false}, 256, 128},
    {"awq-g128", {Awq, 128, false, false}, 256, 128},
    {"awq-g64", {Awq, 64, false, false}, 256, 128},
    {"marlin-g128", {Marlin, 128, true, false}, 256, 512},
    {"marlin-perchannel", {Marlin, -1, true, false}, 256, 512},
    {"marlin-k128-g128", {Marlin, 128, true, false}, 128, 256},
};

TEST(GoldenCheckpointTest, Configs) {
  for (const Golden& golden : kGolden) {
    const std::string older = golden.config.format == Awq ? "quant_config.json" : "quantize_config.json";
    // Each alone, then both.
    for (const std::vector<std::string>& names :
         {std::vector<std::string>{"config.json"}, {older}, {"config.json", older}}) {
      const TemporaryFolder folder;
      for (const std::string& name : names) {
        const auto one = read_quantization_config(folder.copy(name, fmt::format("{}.{}", golden.name, name)));
        ASSERT_TRUE(one) << one.error().to_string();
        EXPECT_EQ(*one, golden.config) << golden.name << " " << name;
      }
      folder.write("any.safetensors", "");
      folder.write("model.safetensors.index.json", "");
      for (const char* beside : {"", "/", "/any.safetensors", "/model.safetensors.index.json"}) {
        const auto config = read_quantization_config(folder.path() + beside);
        ASSERT_TRUE(config) << config.error().to_string();
        EXPECT_EQ(*config, golden.config) << golden.name;
      }
    }
  }
}

TEST(GoldenCheckpointTest, Tensors) {
  const auto expect_tensor = [](const Checkpoint& checkpoint, const std::string& name, Element element, Dims shape) {
    const SafetensorsTensor* tensor = checkpoint.find(name);
    ASSERT_NE(tensor, nullptr) << name;
    const Result<TensorRef> view = tensor->view();
    ASSERT_TRUE(view) << view.error().to_string();
    EXPECT_EQ(view->element, element) << name;
    EXPECT_EQ(view->shape, shape) << name;
    EXPECT_EQ(view->buffer.bytes(), tensor->bytes.size());
  };
  const std::string prefix = "model.layers.0.mlp.up_proj.";
  for (const auto& [name, config, k, n] : kGolden) {
    SCOPED_TRACE(name);
    const TemporaryFolder folder;
    folder.copy("model.safetensors", fmt::format("{}.safetensors", name));
    const auto file = Checkpoint::open(folder.path());
    ASSERT_TRUE(file) << file.error().to_string();
    const std::int64_t groups = config.group_size == -1 ? 1 : k / config.group_size;
    if (config.format == Marlin) {
      expect_tensor(*file, prefix + "B", Element::I32, {k / 16, 2 * n});
      expect_tensor(*file, prefix + "s", Element::F16, {groups, n});
      EXPECT_EQ(file->files()[0].tensors().size(), 2u);
    } else {
      const bool is_awq = config.format == Awq;
      expect_tensor(*file, prefix + "qweight", Element::I32, is_awq ? Dims{k, n / 8} : Dims{k / 8, n});
      expect_tensor(*file, prefix + "qzeros", Element::I32, {groups, n / 8});
      expect_tensor(*file, prefix + "scales", Element::F16, {groups, n});
      if (!is_awq) expect_tensor(*file, prefix + "g_idx", Element::I32, {k});
      EXPECT_EQ(file->files()[0].tensors().size(), is_awq ? 3u : 4u);
    }
    const auto metadata = file->files()[0].metadata();
    EXPECT_TRUE(
        std::ranges::any_of(metadata, [](const auto& each) { return each.first == "format" && each.second == "pt"; }));

    const auto expected = Checkpoint::open(folder.copy("e.safetensors", fmt::format("{}.expected.safetensors", name)));
    ASSERT_TRUE(expected) << expected.error().to_string();
    expect_tensor(*expected, "expected.weight", Element::F32, {n, k});
    expect_tensor(*expected, "x", Element::F16, {4, k});
    expect_tensor(*expected, "expected.y", Element::F32, {4, n});
    // Symmetric zero points, as section 3 of the README says them: bytes are those of the file.
    if (config.format == Gptq && config.sym) {
      for (const std::byte each : file->find(prefix + "qzeros")->bytes) ASSERT_EQ(each, std::byte{0x77});
    }
  }
}

Result<std::optional<QuantizationConfig>> read(std::string_view json) {
  const TemporaryFolder folder;
  return read_quantization_config(folder.write("any.json", json));
}

TEST(QuantizationConfigTest, ReadsTheKeys) {
  const std::pair<const char*, QuantizationConfig> cases[] = {
      {R"({"bits":4,"group_size":128})", {Gptq, 128, true, false}},
      {R"({"bits":4,"group_size":32,"sym":false,"desc_act":true,"other":[{}]})", {Gptq, 32, false, true}},
      {R"({"bits":4,"group_size":32,"sym":null,"checkpoint_format":null})", {Gptq, 32, true, false}},
      {R"({"bits":4,"group_size":-1,"format":"gptq_v2"})", {GptqV2, -1, true, false}},
      {R"({"bits":4,"group_size":-1,"checkpoint_format":"marlin"})", {Marlin, -1, true, false}},
      {R"({"bits":4,"group_size":-1,"quant_method":"gptq","is_marlin_format":true})", {Marlin, -1, true, false}},
      {R"({"bits":4,"group_size":128,"quant_method":"marlin"})", {Marlin, 128, true, false}},
      {R"({"bits":4,"group_size":128,"quant_method":"marlin","checkpoint_format":"marlin"})",
       {Marlin, 128, true, false}},
      {R"({"w_bit":4,"q_group_size":64})", {Awq, 64, false, false}},
      {R"({"quant_method":"awq","bits":4,"group_size":64,"version":"GEMM"})", {Awq, 64, false, false}},
      {R"({"quant_method":"awq","bits":4,"group_size":64,"zero_point":false})", {Awq, 64, true, false}},
      {R"({"quant_method":"awq","bits":4,"group_size":128,"version":"Marlin","zero_point":false})",
       {AwqMarlin, 128, true, false}},
      {R"({"quant_method":"awq","bits":4,"group_size":128,"version":"marlin"})", {AwqMarlin, 128, true, false}},
      {R"({"bits":4,"group_size":128,"dynamic":{"-:lm_head":{}}})", {Gptq, 128, true, false}},
      {R"({"bits":16,"quantization_config":{"bits":4,"group_size":128}})", {Gptq, 128, true, false}},
  };
  for (const auto& [json, expected] : cases) {
    const auto config = read(json);
    ASSERT_TRUE(config) << json << config.error().to_string();
    ASSERT_TRUE(*config) << json;
    EXPECT_EQ(**config, expected) << json;
  }
}

TEST(QuantizationConfigTest, AModelThatIsNotQuantized) {
  for (const char* json : {R"({"model_type":"llama"})", R"({"quantization_config":null})", "{}"})
    EXPECT_EQ(read(json), Result<std::optional<QuantizationConfig>>(std::nullopt)) << json;
  const TemporaryFolder folder;
  EXPECT_EQ(read_quantization_config(folder.path()), Result<std::optional<QuantizationConfig>>(std::nullopt));
}

TEST(QuantizationConfigTest, WhatIsNotServedIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"bits":8,"group_size":128})", "bits is 8"},
      {R"({"w_bit":3,"q_group_size":128})", "w_bit is 3"},
      {R"({"quant_method":"bitsandbytes","bits":4,"group_size":128})", "quant_method is \"bitsandbytes\""},
      {R"({"bits":4,"group_size":128,"checkpoint_format":"bitblas"})", "checkpoint_format is \"bitblas\""},
      {R"({"bits":4,"group_size":128,"format":"exl2"})", "format is \"exl2\""},
      {R"({"quant_method":"awq","bits":4,"group_size":128,"version":"gemv"})", "version is \"gemv\""},
      {R"({"quant_method":"awq","bits":4,"group_size":128,"version":"gemv_fast"})", "version is \"gemv_fast\""},
      {R"({"quant_method":"awq","bits":4,"group_size":128,"backend":"llm-awq"})", "backend is \"llm-awq\""},
      {R"({"bits":4,"group_size":128,"is_marlin_format":true,"sym":false})", "sym is false"},
      {R"({"bits":4,"group_size":128,"is_marlin_format":true,"desc_act":true})", "desc_act is true"},
      {R"({"quant_method":"awq","bits":4,"group_size":128,"version":"marlin","zero_point":true})",
       "zero_point is true"},
      {R"({"bits":4,"group_size":128,"dynamic":{"-:a":{},"+:b":{"bits":8}}})", "\"+:b\""},
  };
  for (const auto& [json, message] : cases) {
    const auto config = read(json);
    ASSERT_FALSE(config) << json;
    EXPECT_EQ(config.error().kind, ErrorKind::Unsupported) << config.error().to_string();
    EXPECT_NE(config.error().message.find(message), std::string::npos) << config.error().to_string();
    EXPECT_NE(config.error().message.find("any.json"), std::string::npos) << config.error().to_string();
  }
}

TEST(QuantizationConfigTest, MalformedConfigs) {
  const struct {
    std::string json;
    std::string_view at, message;
  } cases[] = {
      {"[1]", "[1]", "an array, expected an object"},
      {R"({"bits":4,)", ",", "no JSON"},
      {R"({"quantization_config": 4})", "4", "quantization_config is 4"},
      {R"({"quantization_config": {}})", "{}", "no bits"},
      {R"({"bits":"4"})", R"("4")", "bits is \"4\""},
      {R"({"bits":4.5})", "4.5", "bits is 4.5"},
      {R"({"bits":4})", "{", "no group_size"},
      {R"({"bits":4,"group_size":0})", "0", "group_size is 0"},
      {R"({"bits":4,"group_size":-2})", "-2", "group_size is -2"},
      {R"({"w_bit":4,"q_group_size":0})", "0", "q_group_size is 0"},
      {R"({"bits":4,"group_size":18446744073709551615})", "184", "group_size is 18446744073709551615"},
      {R"({"bits":4,"group_size":128,"sym":"yes"})", R"("yes")", "sym is \"yes\""},
      {R"({"bits":4,"group_size":128,"desc_act":1})", "1}", "desc_act is 1"},
      {R"({"bits":4,"group_size":128,"checkpoint_format":1})", "1}", "checkpoint_format is 1"},
      {R"({"bits":4,"group_size":128,"dynamic":[]})", "[]", "dynamic is an array"},
      {R"({"bits":4,"bits":8,"group_size":128})", R"("bits":8)", "\"bits\" stands twice"},
  };
  for (const auto& [json, at, message] : cases) {
    const auto config = read(json);
    ASSERT_FALSE(config) << json;
    EXPECT_EQ(config.error().kind, ErrorKind::MalformedFile) << config.error().to_string();
    const std::size_t offset = message == "no JSON" ? json.size() - 1 : json.find(at);
    EXPECT_EQ(config.error().code, static_cast<std::int64_t>(offset)) << config.error().to_string();
    EXPECT_NE(config.error().message.find(message), std::string::npos) << config.error().to_string();
  }
}

TEST(QuantizationConfigTest, AConfigThatIsTooLong) {
  constexpr std::int64_t kMost = 16 << 20;
  const TemporaryFolder folder;
  const std::string path = folder.write("config.json", R"({"quantization_config":{"bits":4,"group_size":128}})");
  std::filesystem::resize_file(path, kMost + 1);  // zeros without blocks
  const auto config = read_quantization_config(folder.path());
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().kind, ErrorKind::MalformedFile);
  EXPECT_EQ(config.error().code, kMost);
  for (const std::string& part : {path, std::string("16777217 bytes, expected at most 16777216")})
    EXPECT_NE(config.error().message.find(part), std::string::npos) << config.error().message;
}

TEST(QuantizationConfigTest, FilesThatDisagreeAreBothNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"bits":4,"group_size":64,"desc_act":true})", "group_size 128 and 64"},
      {R"({"bits":4,"group_size":128,"desc_act":false})", "desc_act true and false"},
      {R"({"bits":4,"group_size":128,"desc_act":true,"sym":false})", "sym true and false"},
      {R"({"bits":4,"group_size":128,"desc_act":true,"checkpoint_format":"gptq_v2"})", "format gptq and gptq_v2"},
  };
  for (const auto& [other, message] : cases) {
    const TemporaryFolder folder;
    const std::string config =
        folder.write("config.json", R"({"quantization_config":{"bits":4,"group_size":128,"desc_act":true}})");
    const std::string quantize_config = folder.write("quantize_config.json", other);
    const auto read = read_quantization_config(folder.path());
    ASSERT_FALSE(read) << other;
    EXPECT_EQ(read.error().kind, ErrorKind::MalformedFile);
    EXPECT_EQ(read.error().message.find("at byte"), std::string::npos) << "of which of the two?";
    for (const std::string& part : {config, quantize_config, std::string(message)})
      EXPECT_NE(read.error().message.find(part), std::string::npos) << read.error().message;
    EXPECT_TRUE(read_quantization_config(config)) << "one of them can be named";
  }
}

TEST(QuantizationConfigTest, AbsentFiles) {
  const TemporaryFolder folder;
  folder.write("config.json", R"({"quantization_config":{"bits":4,"group_size":128}})");
  // Not the config that stands beside a file or folder that is not there.
  for (const char* name : {"/other.json", "/absent", "/absent/", "/absent.safetensors", "/absent.index.json"}) {
    const auto config = read_quantization_config(folder.path() + name);
    ASSERT_FALSE(config) << name;
    EXPECT_EQ(config.error().kind, ErrorKind::Io);
    EXPECT_EQ(config.error().code, ENOENT);
    EXPECT_NE(config.error().message.find(folder.path() + name), std::string::npos) << config.error().message;
  }
}

TEST(QuantizationConfigTest, AConfigThatCannotBeReadIsNotAbsent) {
  const TemporaryFolder folder;
  ASSERT_EQ(symlink("config.json", (folder.path() + "/config.json").c_str()), 0);
  const auto config = read_quantization_config(folder.path());
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().kind, ErrorKind::Io);
  EXPECT_EQ(config.error().code, ELOOP);
}

TEST(QuantizationConfigTest, AChangedConfigGivesAResult) {
  const Result<std::string> golden = testing::read_data("w4/gptq-v2-asym-g128.config.json");
  ASSERT_TRUE(golden) << golden.error().to_string();
  property(
      "a byte of a config is another",
      [&] {
        std::string json = *golden;
        json[static_cast<std::size_t>(draw(0, static_cast<std::int64_t>(json.size()) - 1, "at"))] =
            static_cast<char>(draw(0, 255, "byte"));
        if (const auto config = read(json); !config) {
          EXPECT_TRUE(config.error().kind == ErrorKind::MalformedFile || config.error().kind == ErrorKind::Unsupported)
              << config.error().to_string();
        }
      },
      300);
}

}  // namespace
}  // namespace baracuda
