#include "baracuda/core/sku.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/fields.h"
#include "testing/property.h"

namespace baracuda {
namespace {

using testing::draw;
using testing::expect_every_field_counts;
using testing::property;

TEST(KernelSku, IsOneStableString) {
  EXPECT_EQ((KernelSku{.category = Category::Gemm,
                       .op = "int4_gemm",
                       .element = Element::S4,
                       .layout = "rcr",
                       .epilogue = "bias_relu",
                       .bias_element = Element::F32,
                       .arch = Arch::Sm90a}
                 .to_string()),
            "int4_gemm/s4/rcr/bias_relu:f32/-/sm90a/bespoke");
  EXPECT_EQ((KernelSku{.op = "write_slice",
                       .element = Element::F32,
                       .variant = "contiguous_chunk",
                       .arch = Arch::Sm80,
                       .target = CodeTarget::for_cuda(90, false),
                       .backend = Backend::Driver}
                 .to_string()),
            "write_slice/f32/-/-/contiguous_chunk/sm80@sm90/driver");
  EXPECT_EQ((KernelSku{.op = "int4_gemm",
                       .element = Element::U4,
                       .aux_element = Element::F16,
                       .output_element = Element::Bf16,
                       .layout = "rrr",
                       .epilogue = "identity",
                       .variant = "split_k4",
                       .arch = Arch::Sm89,
                       .backend = Backend::Cublas}
                 .to_string()),
            "int4_gemm/u4:f16->bf16/rrr/identity/split_k4/sm89/cublas");
  EXPECT_EQ((KernelSku{.op = "relu",
                       .output_element = Element::I8,
                       .target = CodeTarget::for_cpu(CpuTarget::Avx2),
                       .backend = Backend::Onednn}
                 .to_string()),
            "relu/f32->i8/-/-/-/cpu@avx2/onednn");
}

template <class T>
T pick(const std::vector<T>& values, const char* name) {
  return values[static_cast<std::size_t>(draw(0, static_cast<std::int64_t>(values.size()) - 1, name))];
}

Element any_element(const char* name) {
  return kElements[draw(0, static_cast<std::int64_t>(std::size(kElements)) - 1, name)].element;
}
std::optional<Element> maybe_element(const char* name) {
  return draw(0, 1, name) ? std::optional(any_element(name)) : std::nullopt;
}
std::string text_of(std::optional<Element> element) { return element ? name_of(*element) : ""; }

TEST(KernelSku, ParsingInvertsPrinting) {
  property(
      "parse_sku(to_string(sku)) gives its parts",
      [] {
        KernelSku sku;
        sku.op = pick<std::string_view>({"write_slice", "moe", "x"}, "op");
        sku.element = any_element("element");
        sku.aux_element = maybe_element("aux_element");
        sku.output_element = maybe_element("output_element");
        sku.layout = pick<std::string_view>({"", "rcr"}, "layout");
        sku.epilogue = pick<std::string_view>({"", "identity", "bias_gelu"}, "epilogue");
        sku.bias_element = maybe_element("bias_element");
        sku.variant = pick<std::string_view>({"", "split_k4", "contiguous-chunk"}, "variant");
        sku.arch = pick<Arch>({Arch::Cpu, Arch::Sm80, Arch::Sm89, Arch::Sm90a}, "arch");
        if (draw(0, 1, "target_differs"))
          sku.target = sku.arch == Arch::Cpu
                           ? CodeTarget::for_cpu(kCpuTargets[draw(0, 2, "cpu")])
                           : CodeTarget::for_cuda(static_cast<int>(draw(80, 130, "sm")), draw(0, 1, "arch_specific"));
        sku.backend = kBackends[draw(0, 4, "backend")];

        const std::string text = sku.to_string();
        const Result<SkuText> parts = parse_sku(text);
        ASSERT_TRUE(parts) << parts.error().message;
        EXPECT_EQ(parts->to_string(), text);
        EXPECT_EQ(*parts, (SkuText{.op = std::string(sku.op),
                                   .element = name_of(sku.element),
                                   .aux_element = text_of(sku.aux_element),
                                   .output_element = text_of(sku.output_element),
                                   .layout = std::string(sku.layout),
                                   .epilogue = std::string(sku.epilogue),
                                   .bias_element = text_of(sku.bias_element),
                                   .variant = std::string(sku.variant),
                                   .arch = std::string(name_of(sku.arch)),
                                   .target = sku.target ? sku.target->name() : "",
                                   .backend = std::string(name_of(sku.backend))}))
            << text;
      },
      300);
}

TEST(ParseSku, WhatIsMalformedIsNamed) {
  struct Row {
    const char *text, *problem;
  };
  for (const Row& row : {Row{"", "1 parts"},
                         {"op/f32/-/-/-/cpu", "6 parts"},
                         {"op/f32/-/-/-/cpu/bespoke/", "8 parts"},
                         {"/f32/-/-/-/cpu/bespoke", "empty"},
                         {"op//-/-/-/cpu/bespoke", "'' is no element"},
                         {"op/f32//-/-/cpu/bespoke", "empty"},
                         {"op/f32/-//-/cpu/bespoke", "empty"},
                         {"op/f32/-/-//cpu/bespoke", "empty"},
                         {"op/f32/-/-/-//bespoke", "'' is no arch"},
                         {"op/f32/-/-/-/cpu/", "'' is no backend"},
                         {"op/f32:/-/-/-/cpu/bespoke", "empty"},
                         {"op/f32->/-/-/-/cpu/bespoke", "empty"},
                         {"op/:f32/-/-/-/cpu/bespoke", "'' is no element"},
                         {"op/->f32/-/-/-/cpu/bespoke", "'' is no element"},
                         {"op/f32:->f16/-/-/-/cpu/bespoke", "empty"},
                         {"op/f32:f16:f16/-/-/-/cpu/bespoke", "'f16:f16' is no element"},
                         {"op/f32->f16:f16/-/-/-/cpu/bespoke", "'f16:f16' is no element"},
                         {"op/F32/-/-/-/cpu/bespoke", "'F32' is no element"},
                         {"op/-/-/-/-/cpu/bespoke", "'-' is no element"},
                         {"op/f32/-/bias:/-/cpu/bespoke", "empty"},
                         {"op/f32/-/:f32/-/cpu/bespoke", "empty"},
                         {"op/f32/-/bias:f33/-/cpu/bespoke", "'f33' is no element"},
                         {"op/f32/-/-/-/sm70/bespoke", "'sm70' is no arch"},
                         {"op/f32/-/-/-/sm80@/bespoke", "empty"},
                         {"op/f32/-/-/-/sm80@90/bespoke", "'90' is no code target"},
                         {"op/f32/-/-/-/sm80@sm/bespoke", "'sm' is no code target"},
                         {"op/f32/-/-/-/sm80@sma/bespoke", "'sma' is no code target"},
                         {"op/f32/-/-/-/sm80@sm90b/bespoke", "'sm90b' is no code target"},
                         {"op/f32/-/-/-/cpu@sse2/bespoke", "'sse2' is no code target"},
                         {"op/f32/-/-/-/cpu/magic", "'magic' is no backend"}}) {
    const Result<SkuText> parts = parse_sku(row.text);
    ASSERT_FALSE(parts) << row.text;
    EXPECT_EQ(parts.error().kind, ErrorKind::InvalidProblem);
    EXPECT_NE(parts.error().message.find(row.problem), std::string::npos) << parts.error().message;
    EXPECT_TRUE(parts.error().message.starts_with("sku '" + std::string(row.text) + "': ")) << parts.error().message;
  }
}

TEST(KernelSku, EveryFieldCounts) {
  // A new field does not compile here until it is counted, and then fails until it has a change.
  [[maybe_unused]] const auto [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13] = KernelSku();
  expect_every_field_counts<KernelSku>(
      {.op = "op", .layout = "rcr"},
      {{"category", [](KernelSku& sku) { sku.category = Category::Moe; }},
       {"op", [](KernelSku& sku) { sku.op = "po"; }},
       {"element", [](KernelSku& sku) { sku.element = Element::F16; }},
       // Zero, and the same in each: the place of an optional must count, not its value alone.
       {"aux_element", [](KernelSku& sku) { sku.aux_element = Element::F16; }},
       {"output_element", [](KernelSku& sku) { sku.output_element = Element::F16; }},
       {"layout", [](KernelSku& sku) { sku.layout = "rrr"; }},
       {"epilogue", [](KernelSku& sku) { sku.epilogue = "rcr"; }},
       {"bias_element", [](KernelSku& sku) { sku.bias_element = Element::F16; }},
       {"variant", [](KernelSku& sku) { sku.variant = "rcr"; }},
       {"arch", [](KernelSku& sku) { sku.arch = Arch::Sm80; }},
       {"target", [](KernelSku& sku) { sku.target = CodeTarget(); }},
       {"backend", [](KernelSku& sku) { sku.backend = Backend::Cublas; }},
       {"guarantee", [](KernelSku& sku) { sku.guarantee.deterministic = true; }}});
}

TEST(KernelSku, EveryFieldOfItsPartsCounts) {
  [[maybe_unused]] const auto [f1, f2, f3, f4, f5, f6] = PrecisionGuarantee();
  [[maybe_unused]] const auto [g1, g2, g3] = CodeTarget();
  const auto different = [](auto... changes) {
    std::vector<KernelSku> skus(1 + sizeof...(changes));
    std::size_t i = 1;
    (changes(skus[i++]), ...);
    for (std::size_t a = 0; a < skus.size(); ++a) {
      for (std::size_t b = 0; b < skus.size(); ++b) {
        EXPECT_EQ(skus[a] == skus[b], a == b) << a << " " << b;
        EXPECT_EQ(hash_of(skus[a]) == hash_of(skus[b]), a == b) << a << " " << b;
      }
    }
  };
  different([](KernelSku& sku) { sku.guarantee.math = MathPrecision::Int4; },
            [](KernelSku& sku) { sku.guarantee.accumulator = Element::F16; },
            [](KernelSku& sku) { sku.guarantee.bit_stable_on_same_hardware = true; },
            [](KernelSku& sku) { sku.guarantee.deterministic = true; },
            [](KernelSku& sku) { sku.guarantee.batch_invariant = true; },
            [](KernelSku& sku) { sku.guarantee.matches_cpu = true; }, [](KernelSku& sku) { sku.target = CodeTarget(); },
            [](KernelSku& sku) { sku.target = CodeTarget::for_cpu(CpuTarget::Avx2); },
            [](KernelSku& sku) { sku.target = CodeTarget::for_cuda(1, false); },
            [](KernelSku& sku) { sku.target = CodeTarget::for_cuda(1, true); });
}

TEST(KernelSku, NamesAreComparedAsText) {
  const std::string one = "rows", other = "rows";
  EXPECT_EQ((KernelSku{.variant = one}), (KernelSku{.variant = other}));
  EXPECT_EQ(hash_of(KernelSku{.variant = one}), hash_of(KernelSku{.variant = other}));
}

TEST(PrecisionGuarantee, SaysWhatItPromises) {
  EXPECT_EQ(PrecisionGuarantee().to_string(), "bits moved, nothing computed");
  EXPECT_EQ((PrecisionGuarantee{.math = MathPrecision::Int4,
                                .accumulator = Element::I32,
                                .bit_stable_on_same_hardware = true,
                                .deterministic = true,
                                .batch_invariant = true,
                                .matches_cpu = true}
                 .to_string()),
            "math int4, accumulated in i32, bit-stable, deterministic, batch-invariant, matches the CPU");
}

}  // namespace
}  // namespace baracuda
