#include "baracuda/checkpoint/quantization.h"

#include <fmt/core.h>

#include <algorithm>

#include "baracuda/checkpoint/json.h"
#include "baracuda/checkpoint/mapped_file.h"
#include "baracuda/checkpoint/paths.h"
#include "baracuda/core/propagate.h"

namespace baracuda {
namespace {

using json::in_quotes;
using json::malformed;
using json::Value;

// In the order in which the tools look: what several of them say must agree anyway.
constexpr std::string_view kNames[] = {"config.json", "quantize_config.json", "quant_config.json"};
constexpr std::size_t kMaxConfigBytes = 16 << 20;

std::string text_of(const Value& value) {
  if (const auto* text = value.as<std::string>()) return in_quotes(*text);
  if (const auto* flag = value.as<bool>()) return *flag ? "true" : "false";
  if (const auto* number = value.as<std::uint64_t>()) return fmt::format("{}", *number);
  if (const auto* number = value.as<std::int64_t>()) return fmt::format("{}", *number);
  if (const auto* number = value.as<double>()) return fmt::format("{}", *number);
  return std::string(value.kind());
}

Error unsupported(std::string_view key, const Value& value, std::string_view expected) {
  return Error::unsupported(fmt::format("{} is {}, expected {}", key, text_of(value), expected));
}

/// A config's keys; null counts as missing.
class Keys {
 public:
  struct Number {
    std::string_view key;
    const Value* value;
    std::int64_t number;
  };

  explicit Keys(const Value& config) : config_(config) {}

  const Value* find(std::string_view key) const {
    const Value* value = config_.find(key);
    return value && !value->as<std::nullptr_t>() ? value : nullptr;
  }
  Result<bool> flag(std::string_view key, bool missing) const {
    const Value* value = find(key);
    if (!value) return missing;
    if (const auto* flag = value->as<bool>()) return *flag;
    return malformed(value->offset, fmt::format("{} is {}, expected true or false", key, text_of(*value)));
  }
  Result<std::string> text(std::string_view key, std::string_view missing) const {
    const Value* value = find(key);
    if (!value) return std::string(missing);
    if (const auto* text = value->as<std::string>()) return *text;
    return malformed(value->offset, fmt::format("{} is {}, expected a string", key, text_of(*value)));
  }
  /// Under either of two names, the second the older.
  Result<Number> number(std::string_view key, std::string_view older_key) const {
    const std::string_view name = find(key) || !find(older_key) ? key : older_key;
    const Value* value = find(name);
    if (!value) return malformed(config_.offset, fmt::format("no {}, expected a whole number", key));
    if (const auto* number = value->as<std::int64_t>()) return Number{name, value, *number};
    if (const auto* number = value->as<std::uint64_t>(); number && std::in_range<std::int64_t>(*number))
      return Number{name, value, static_cast<std::int64_t>(*number)};
    return malformed(value->offset, fmt::format("{} is {}, expected a whole number", name, text_of(*value)));
  }

 private:
  const Value& config_;
};

Result<QuantizationFormat> gptq_format(const Keys& keys, const std::string& method) {
  BARACUDA_ASSIGN_OR_RETURN(const bool is_marlin, keys.flag("is_marlin_format", false));
  const std::string_view key = keys.find("checkpoint_format") ? "checkpoint_format" : "format";
  BARACUDA_ASSIGN_OR_RETURN(const std::string format, keys.text(key, method));
  if (is_marlin || method == "marlin" || format == "marlin") return QuantizationFormat::Marlin;
  if (format == "gptq") return QuantizationFormat::Gptq;
  if (format == "gptq_v2") return QuantizationFormat::GptqV2;
  return unsupported(key, *keys.find(key), "gptq, gptq_v2 or marlin");
}

Result<QuantizationFormat> awq_format(const Keys& keys) {
  BARACUDA_ASSIGN_OR_RETURN(const std::string backend, keys.text("backend", "autoawq"));
  if (backend == "llm-awq") return unsupported("backend", *keys.find("backend"), "another, for its layout is its own");
  BARACUDA_ASSIGN_OR_RETURN(std::string version, keys.text("version", "gemm"));
  std::ranges::transform(version, version.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; });
  if (version == "gemm") return QuantizationFormat::Awq;
  if (version == "marlin") return QuantizationFormat::AwqMarlin;
  return unsupported("version", *keys.find("version"), "gemm or marlin");
}

/// `value` is what the file says of quantization.
Result<QuantizationConfig> parse_config(const Value& value) {
  const Keys keys(value);
  const bool is_awq = keys.find("w_bit") || keys.find("q_group_size") || keys.find("zero_point");
  BARACUDA_ASSIGN_OR_RETURN(const std::string method, keys.text("quant_method", is_awq ? "awq" : "gptq"));
  if (method != "gptq" && method != "awq" && method != "marlin")
    return unsupported("quant_method", *keys.find("quant_method"), "gptq, awq or marlin");

  QuantizationConfig config;
  BARACUDA_ASSIGN_OR_RETURN(config.format, method == "awq" ? awq_format(keys) : gptq_format(keys, method));
  BARACUDA_ASSIGN_OR_RETURN(const Keys::Number bits, keys.number("bits", "w_bit"));
  if (bits.number != 4) return unsupported(bits.key, *bits.value, "4");
  BARACUDA_ASSIGN_OR_RETURN(const Keys::Number group_size, keys.number("group_size", "q_group_size"));
  if (group_size.number < 1 && group_size.number != -1)
    return malformed(group_size.value->offset, fmt::format("{} is {}, expected -1 (per channel) or at least 1",
                                                           group_size.key, group_size.number));
  config.group_size = group_size.number;

  if (method == "awq") {
    BARACUDA_ASSIGN_OR_RETURN(const bool has_zero_points,
                              keys.flag("zero_point", config.format == QuantizationFormat::Awq));
    config.sym = !has_zero_points;
  } else {
    BARACUDA_ASSIGN_OR_RETURN(config.sym, keys.flag("sym", true));
    BARACUDA_ASSIGN_OR_RETURN(config.desc_act, keys.flag("desc_act", false));
  }
  const bool is_marlin = config.format == QuantizationFormat::Marlin || config.format == QuantizationFormat::AwqMarlin;
  if (is_marlin && !config.sym)
    return Error::unsupported(fmt::format("{}, but Marlin's layout has no zero points",
                                          method == "awq" ? "zero_point is true" : "sym is false"));
  if (is_marlin && config.desc_act) return Error::unsupported("desc_act is true, but Marlin's layout has no act order");

  if (const Value* dynamic = keys.find("dynamic")) {
    const auto* rules = dynamic->as<Value::Object>();
    if (!rules) return malformed(dynamic->offset, fmt::format("dynamic is {}, expected an object", text_of(*dynamic)));
    for (const json::Member& rule : *rules)
      if (!rule.name.starts_with("-:"))
        return Error::unsupported(
            fmt::format("dynamic has {}: modules that are quantized in ways of their own are not "
                        "read, only \"-:…\", those left dense",
                        in_quotes(rule.name)));
  }
  return config;
}

/// Nothing for a config.json of a model that is not quantized.
Result<std::optional<QuantizationConfig>> read_file(const std::string& path) {
  const auto in_config = [&](Error error) { return json::in_file("config", path, std::move(error)); };
  BARACUDA_ASSIGN_OR_RETURN(const Value root, json::read("config", path, kMaxConfigBytes));
  if (!root.as<Value::Object>())
    return in_config(malformed(root.offset, fmt::format("it is {}, expected an object", root.kind())));
  const Keys keys(root);
  const Value* inner = keys.find("quantization_config");
  if (inner && !inner->as<Value::Object>())
    return in_config(
        malformed(inner->offset, fmt::format("quantization_config is {}, expected an object", text_of(*inner))));
  // A model's own config has none of these.
  if (!inner && !keys.find("quant_method") && !keys.find("bits") && !keys.find("w_bit")) return {std::nullopt};
  Result<QuantizationConfig> config = parse_config(inner ? *inner : root);
  if (!config) return in_config(std::move(config).error());
  return std::optional(*config);
}

std::string difference(const QuantizationConfig& a, const QuantizationConfig& b) {
  if (a.format != b.format) return fmt::format("format {} and {}", name_of(a.format), name_of(b.format));
  if (a.group_size != b.group_size) return fmt::format("group_size {} and {}", a.group_size, b.group_size);
  if (a.sym != b.sym) return fmt::format("sym {} and {}", a.sym, b.sym);
  return fmt::format("desc_act {} and {}", a.desc_act, b.desc_act);
}

}  // namespace

std::string_view name_of(QuantizationFormat format) {
  switch (format) {
    case QuantizationFormat::Gptq: return "gptq";
    case QuantizationFormat::GptqV2: return "gptq_v2";
    case QuantizationFormat::Awq: return "awq";
    case QuantizationFormat::Marlin: return "marlin";
    case QuantizationFormat::AwqMarlin: return "awq_marlin";
  }
  return "invalid";
}

Result<std::optional<QuantizationConfig>> read_quantization_config(const std::string& path) noexcept try {
  std::string folder = path + "/";
  if (!is_folder(path)) {
    if (path.ends_with(".json") && !path.ends_with(".index.json")) return read_file(path);
    // The configs beside a file that is not there are those of another model.
    if (const Result<MappedFile> file = MappedFile::open(path); !file) return file.error();
    folder = folder_of(path);
  }
  std::optional<QuantizationConfig> found;
  std::string found_in;
  for (const std::string_view name : kNames) {
    const std::string file = folder + std::string(name);
    if (is_absent(file)) continue;
    BARACUDA_ASSIGN_OR_RETURN(const auto config, read_file(file));
    if (found && config && *found != *config)
      return Error::malformed_file(0, fmt::format("configs {} and {} disagree: {}; name the one to use", found_in, file,
                                                  difference(*found, *config)));
    if (config && !found) {
      found = config;
      found_in = file;
    }
  }
  return found;
} catch (...) {
  return internal::thrown_error("read_quantization_config");
}

}  // namespace baracuda
