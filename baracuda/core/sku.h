#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "baracuda/core/arch.h"
#include "baracuda/core/element.h"
#include "baracuda/core/export.h"
#include "baracuda/core/hash.h"
#include "baracuda/core/result.h"

namespace baracuda {

/// Who does the work.
enum class Backend : std::uint8_t { Bespoke = 0, Cublas = 1, Cudnn = 2, Onednn = 3, Driver = 4 };

inline constexpr Backend kBackends[] = {Backend::Bespoke, Backend::Cublas, Backend::Cudnn, Backend::Onednn,
                                        Backend::Driver};

/// "bespoke", "cublas", …
BARACUDA_API std::string_view name_of(Backend backend);

/// The family an op belongs to.
enum class Category : std::uint8_t { DataMovement = 0, Gemm = 1, Elementwise = 2, Quantization = 3, Moe = 4 };
BARACUDA_API std::string_view name_of(Category category);

/// In what arithmetic a plan computes.
enum class MathPrecision : std::uint8_t { None = 0, Int4, Int8, F16, Bf16, Tf32, F32, F64, F8, Integer };
BARACUDA_API std::string_view name_of(MathPrecision precision);

/// What a plan promises about its numbers. Each kernel states its own; tests try what it claims.
struct PrecisionGuarantee {
  MathPrecision math = MathPrecision::None;  ///< None: bits are moved, nothing is computed
  std::optional<Element> accumulator = {};   ///< absent where nothing is accumulated
  bool bit_stable_on_same_hardware = false;  ///< the same inputs give the same bits on every run
  bool deterministic = false;                ///< no result depends on timing or scheduling
  bool batch_invariant = false;              ///< a row's result does not depend on how many other rows there are
  bool matches_cpu = false;                  ///< the same bits as the CPU backend

  BARACUDA_API std::string to_string() const;
  friend bool operator==(const PrecisionGuarantee&, const PrecisionGuarantee&) = default;
};

template <class Visit>
void visit_fields(const PrecisionGuarantee& guarantee, Visit&& visit) {
  visit("math", guarantee.math);
  visit("accumulator", guarantee.accumulator);
  visit("bit_stable_on_same_hardware", guarantee.bit_stable_on_same_hardware);
  visit("deterministic", guarantee.deterministic);
  visit("batch_invariant", guarantee.batch_invariant);
  visit("matches_cpu", guarantee.matches_cpu);
}

/// Which kernel does the work. Comparable, hashable, and printable as one stable string, for telemetry and tuning.
/// The names must outlive the sku: plans use string literals.
struct KernelSku {
  Category category = Category::DataMovement;
  std::string_view op = {};  ///< "write_slice"
  Element element = Element::F32;
  std::optional<Element> aux_element = {};     ///< index, weight …; with an epilogue, its bias
  std::optional<Element> output_element = {};  ///< where it differs from `element`
  std::string_view layout = {};                ///< "rcr"
  std::string_view epilogue = {};              ///< "bias_relu"
  std::optional<Element> bias_element = {};    ///< of the epilogue
  std::string_view variant = {};               ///< "contiguous_chunk"
  Arch arch = Arch::Cpu;                       ///< the class asked for
  /// What the code was compiled for, where that is not what the class is compiled for by itself; on the CPU, the
  /// instruction set where it was forced. So equal skus print alike, and unequal ones differently.
  std::optional<CodeTarget> target = {};
  Backend backend = Backend::Bespoke;
  PrecisionGuarantee guarantee = {};

  /// op/element[:aux][->output]/layout/epilogue[:bias]/variant/arch[@target]/backend, "-" for what does not apply:
  /// "write_slice/f32/-/-/contiguous_chunk/sm90a/driver".
  BARACUDA_API std::string to_string() const;
  friend bool operator==(const KernelSku&, const KernelSku&) = default;
};

template <class Visit>
void visit_fields(const KernelSku& sku, Visit&& visit) {
  visit("category", sku.category);
  visit("op", sku.op);
  visit("element", sku.element);
  visit("aux_element", sku.aux_element);
  visit("output_element", sku.output_element);
  visit("layout", sku.layout);
  visit("epilogue", sku.epilogue);
  visit("bias_element", sku.bias_element);
  visit("variant", sku.variant);
  visit("arch", sku.arch);
  visit("target", sku.target);
  visit("backend", sku.backend);
  visit("guarantee", sku.guarantee);
}

/// The parts of a sku's string, as text, empty where they do not apply: all of a KernelSku but category and guarantee.
/// `target` is there where it differs.
struct SkuText {
  std::string op, element, aux_element, output_element, layout, epilogue, bias_element, variant, arch, target, backend;

  BARACUDA_API std::string to_string() const;
  friend bool operator==(const SkuText&, const SkuText&) = default;
};
/// The inverse of to_string. Errors: InvalidProblem where the text does not follow the grammar.
BARACUDA_API Result<SkuText> parse_sku(std::string_view text) noexcept;

}  // namespace baracuda

template <>
struct std::hash<baracuda::KernelSku> {
  std::size_t operator()(const baracuda::KernelSku& sku) const { return baracuda::hash_of(sku); }
};
