#include "baracuda/core/sku.h"

#include <array>
#include <vector>

namespace baracuda {
namespace {

/// `text` cut at each `separator`.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

/// Moves what follows `separator` out of `text`; empty where there is none.
std::string cut_suffix(std::string& text, std::string_view separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string::npos) return {};
  std::string suffix = text.substr(at + separator.size());
  text.resize(at);
  return suffix;
}

std::string_view or_dash(std::string_view text) { return text.empty() ? "-" : text; }
std::string_view or_empty(std::string_view text) { return text == "-" ? "" : text; }
std::string name_or_empty(std::optional<Element> element) { return element ? baracuda::name_of(*element) : ""; }

bool is_element(std::string_view name) {
  for (const ElementInfo& info : kElements)
    if (name == info.name) return true;
  return false;
}

bool is_backend(std::string_view name) {
  for (Backend backend : kBackends)
    if (name == name_of(backend)) return true;
  return false;
}

/// As CodeTarget::name writes it.
bool is_code_target(std::string_view name) {
  if (parse_cpu_target(name)) return true;
  if (!name.starts_with("sm")) return false;
  name.remove_prefix(2);
  if (name.ends_with('a')) name.remove_suffix(1);
  return !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string_view name_of(Backend backend) {
  switch (backend) {
    case Backend::Bespoke: return "bespoke";
    case Backend::Cublas: return "cublas";
    case Backend::Cudnn: return "cudnn";
    case Backend::Onednn: return "onednn";
    case Backend::Driver: return "driver";
  }
  return "invalid";
}

std::string_view name_of(Category category) {
  switch (category) {
    case Category::DataMovement: return "data_movement";
    case Category::Gemm: return "gemm";
    case Category::Elementwise: return "elementwise";
    case Category::Quantization: return "quantization";
    case Category::Moe: return "moe";
  }
  return "invalid";
}

std::string_view name_of(MathPrecision precision) {
  switch (precision) {
    case MathPrecision::None: return "none";
    case MathPrecision::Int4: return "int4";
    case MathPrecision::Int8: return "int8";
    case MathPrecision::F16: return "f16";
    case MathPrecision::Bf16: return "bf16";
    case MathPrecision::Tf32: return "tf32";
    case MathPrecision::F32: return "f32";
    case MathPrecision::F64: return "f64";
    case MathPrecision::F8: return "f8";
    case MathPrecision::Integer: return "integer";
  }
  return "invalid";
}

std::string PrecisionGuarantee::to_string() const {
  std::string text =
      math == MathPrecision::None ? "bits moved, nothing computed" : "math " + std::string(name_of(math));
  if (accumulator) text += std::string(", accumulated in ") + name_of(*accumulator);
  if (bit_stable_on_same_hardware) text += ", bit-stable";
  if (deterministic) text += ", deterministic";
  if (batch_invariant) text += ", batch-invariant";
  if (matches_cpu) text += ", matches the CPU";
  return text;
}

std::string KernelSku::to_string() const {
  return SkuText{.op = std::string(op),
                 .element = name_of(element),
                 .aux_element = name_or_empty(aux_element),
                 .output_element = name_or_empty(output_element),
                 .layout = std::string(layout),
                 .epilogue = std::string(epilogue),
                 .bias_element = name_or_empty(bias_element),
                 .variant = std::string(variant),
                 .arch = std::string(name_of(arch)),
                 .target = target ? target->name() : "",
                 .backend = std::string(name_of(backend))}
      .to_string();
}

std::string SkuText::to_string() const {
  std::string text = op;
  text.append("/").append(element);
  if (!aux_element.empty()) text.append(":").append(aux_element);
  if (!output_element.empty()) text.append("->").append(output_element);
  text.append("/").append(or_dash(layout)).append("/").append(or_dash(epilogue));
  if (!bias_element.empty()) text.append(":").append(bias_element);
  text.append("/").append(or_dash(variant)).append("/").append(arch);
  if (!target.empty()) text.append("@").append(target);
  text.append("/").append(backend);
  return text;
}

Result<SkuText> parse_sku(std::string_view text) noexcept try {
  const std::vector<std::string_view> parts = split(text, '/');
  const auto malformed = [&](std::string_view what) {
    return Error::invalid_problem("sku '" + std::string(text) + "': " + std::string(what) +
                                  ", expected op/element[:aux][->output]/layout/epilogue[:bias]/variant/arch/backend");
  };
  if (parts.size() != 7) return malformed("it has " + std::to_string(parts.size()) + " parts");

  SkuText sku;
  sku.op = parts[0];
  sku.element = parts[1];
  sku.output_element = cut_suffix(sku.element, "->");
  sku.aux_element = cut_suffix(sku.element, ":");
  sku.layout = or_empty(parts[2]);
  sku.epilogue = parts[3];
  sku.bias_element = cut_suffix(sku.epilogue, ":");
  sku.epilogue = std::string(or_empty(sku.epilogue));
  sku.variant = or_empty(parts[4]);
  sku.arch = parts[5];
  sku.target = cut_suffix(sku.arch, "@");
  sku.backend = parts[6];

  // What a part or a separator without anything behind it has lost.
  if (sku.op.empty() || sku.to_string() != text) return malformed("a part is empty");
  if (!is_element(sku.element)) return malformed("'" + sku.element + "' is no element");
  for (const std::string* name : {&sku.aux_element, &sku.output_element, &sku.bias_element})
    if (!name->empty() && !is_element(*name)) return malformed("'" + *name + "' is no element");
  if (!parse_arch(sku.arch)) return malformed("'" + sku.arch + "' is no arch");
  if (!sku.target.empty() && !is_code_target(sku.target)) return malformed("'" + sku.target + "' is no code target");
  if (!is_backend(sku.backend)) return malformed("'" + sku.backend + "' is no backend");
  return sku;
} catch (...) {
  return internal::thrown_error("parse_sku");
}

}  // namespace baracuda
