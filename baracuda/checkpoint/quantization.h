#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "baracuda/core/export.h"
#include "baracuda/core/result.h"

namespace baracuda {

/// How a checkpoint's 4-bit weights lie.
enum class QuantizationFormat : std::uint8_t {
  Gptq,       ///< tensors qweight, qzeros, scales, g_idx; stored zero points are one less than the true ones
  GptqV2,     ///< the same with zero points as they are
  Awq,        ///< AutoAWQ's "gemm": tensors qweight, qzeros, scales
  Marlin,     ///< Marlin's tiles: tensors B, s
  AwqMarlin,  ///< Marlin's tiles as AutoAWQ writes them: tensors qweight, scales
};

/// "gptq", "gptq_v2", "awq", "marlin", "awq_marlin".
BARACUDA_API std::string_view name_of(QuantizationFormat format);

/// What the config beside a 4-bit checkpoint says of its linear layers. Layers may differ: those that were left dense
/// have no packed tensor. The tensors decide where a config is wrong: g_idx tells of act order, zero points of
/// symmetry.
struct QuantizationConfig {
  QuantizationFormat format = QuantizationFormat::Gptq;
  std::int64_t group_size = -1;  ///< input features that share a scale; -1: one scale for each output feature
  bool sym = true;               ///< all zero points are 8: GPTQ's `sym`, AWQ's `zero_point: false`, Marlin always
  bool desc_act = false;         ///< act order: g_idx is not monotonic. GPTQ alone

  friend bool operator==(const QuantizationConfig&, const QuantizationConfig&) = default;
};

/// Reads `quantization_config` in config.json, quantize_config.json (GPTQ) and quant_config.json (AWQ).
///
/// `path` is a folder with some of these in it, a file in such a folder (*.safetensors, *.index.json), or one config of
/// any name (other *.json). Nothing where none of them speaks of quantization. Files that say different things
/// are an error that names both.
///
///   quant_method        gptq, awq or marlin; where it is missing awq if a key of AutoAWQ's is there, else gptq
///   checkpoint_format   gptq, gptq_v2 or marlin; missing: GPTQModel's `format`, else gptq
///   is_marlin_format    true: marlin, as AutoGPTQ 0.7 says it
///   version             AWQ: gemm or marlin, in any case; missing: gemm
///   backend             AWQ: any but llm-awq, whose layout is its own
///   bits, w_bit         4
///   group_size, q_group_size   -1, or from 1 on
///   sym, zero_point     missing: true; zero_point of AWQ's marlin: false
///   desc_act            missing: false
///   dynamic             GPTQModel: only modules left dense ("-:…")
///
/// A key whose value is null is missing; other keys are ignored. Errors: Io; MalformedFile (no JSON, a key of a wrong
/// type or without a sense, files that disagree); Unsupported, with the key and its value (bits other than 4, other
/// methods, formats and versions); Backend (no host memory).
///
/// Source: the configs that https://github.com/AutoGPTQ/AutoGPTQ, https://github.com/ModelCloud/GPTQModel,
/// https://github.com/casper-hansen/AutoAWQ and https://github.com/IST-DASLab/marlin write; tests/data/w4/README.md.
BARACUDA_API Result<std::optional<QuantizationConfig>> read_quantization_config(const std::string& path) noexcept;

}  // namespace baracuda
