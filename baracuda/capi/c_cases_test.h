#pragma once

// What the tests of the C ABI share: handles that free themselves, and the cases of every op.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_case.h"
#include "baracuda/ops/elementwise/elementwise_case.h"
#include "baracuda/ops/kv_cache_append/kv_cache_append_case.h"
#include "baracuda/ops/quantize/quantize_case.h"
#include "baracuda/ops/quantized_linear/quantized_linear_case.h"
#include "baracuda/ops/write_slice/write_slice_case.h"
#include "testing/c_call.h"
#include "testing/case_op.h"

namespace baracuda::testing {

// ---- handles that free themselves -----------------------------------------------------------------------------------

using StreamHandle = std::unique_ptr<baracuda_stream, decltype(&baracuda_stream_destroy)>;
using PlanHandle = std::unique_ptr<baracuda_plan, decltype(&baracuda_plan_destroy)>;
using CallHandle = std::unique_ptr<baracuda_call, decltype(&baracuda_call_destroy)>;

inline std::string last_error() { return baracuda_last_error_message(); }

inline StreamHandle cpu_stream(int num_threads = 1) {
  baracuda_stream* stream = nullptr;
  EXPECT_EQ(baracuda_stream_cpu(num_threads, &stream), BARACUDA_OK) << last_error();
  return {stream, baracuda_stream_destroy};
}

/// The handle of a stream of the tests.
inline StreamHandle handle_of(const Stream& stream) {
  if (stream.device().is_cpu()) return cpu_stream(stream.num_threads());
  baracuda_stream* adopted = nullptr;
  EXPECT_EQ(baracuda_stream_adopt_cuda(stream.cuda_handle(), stream.device().ordinal, &adopted), BARACUDA_OK)
      << last_error();
  return {adopted, baracuda_stream_destroy};
}

inline PlanHandle select_plan(const CCall& call, const StreamHandle& stream) {
  baracuda_plan* plan = nullptr;
  EXPECT_EQ(call.select(stream.get(), &plan), BARACUDA_OK) << last_error();
  return {plan, baracuda_plan_destroy};
}

inline CallHandle bind_call(const CCall& call, const PlanHandle& plan) {
  baracuda_call* bound = nullptr;
  EXPECT_EQ(call.op->bind(plan.get(), call.args.data(), &bound), BARACUDA_OK) << last_error();
  return {bound, baracuda_call_destroy};
}

// ---- the cases of every op ------------------------------------------------------------------------------------------

template <class PlanOfCase, class CaseOfPlan, class BuffersOfCase, auto kRandomCase>
struct Cases {
  using Plan = PlanOfCase;
  using Case = CaseOfPlan;
  using Buffers = BuffersOfCase;
  static Case random(Random& random) { return kRandomCase(random); }
};
template <class Descriptor>
using QuantizationCases = Cases<QuantizationPlan<Descriptor>, QuantizationCase<Descriptor>,
                                QuantizationBuffers<Descriptor>, random_quantization_case<Descriptor>>;

template <class P>
struct CasesOf;
template <>
struct CasesOf<WriteSlicePlan> : Cases<WriteSlicePlan, WriteSliceCase, WriteSliceBuffers, random_write_slice_case> {};
template <>
struct CasesOf<KvCacheAppendPlan>
    : Cases<KvCacheAppendPlan, KvCacheAppendCase, KvCacheAppendBuffers, random_kv_cache_append_case> {};
template <>
struct CasesOf<ElementwisePlan> : Cases<ElementwisePlan, ElementwiseCase, ElementwiseBuffers, random_elementwise_case> {
};
template <>
struct CasesOf<DynamicRangeQuantizePlan> : Cases<DynamicRangeQuantizePlan, DynamicRangeQuantizeCase,
                                                 DynamicRangeQuantizeBuffers, random_dynamic_range_quantize_case> {};
template <>
struct CasesOf<QuantizedLinearPlan>
    : Cases<QuantizedLinearPlan, QuantizedLinearCase, QuantizedLinearBuffers, random_quantized_linear_case> {};
template <class Descriptor>
struct CasesOf<QuantizationPlan<Descriptor>> : QuantizationCases<Descriptor> {};

/// Calls `visit` with the Cases of every op of the C ABI.
template <class Visit>
void for_each_c_op(Visit&& visit) {
#define PLAN(name, P) visit(CasesOf<P>());
#include "baracuda/capi/ops.def"
}

}  // namespace baracuda::testing
