#include "testing/op.h"

#include <fmt/core.h>

#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_case.h"
#include "baracuda/ops/elementwise/elementwise_case.h"
#include "baracuda/ops/kv_cache_append/kv_cache_append_case.h"
#include "baracuda/ops/quantize/quantize_case.h"
#include "baracuda/ops/quantized_linear/quantized_linear_case.h"
#include "baracuda/ops/write_slice/write_slice_case.h"

namespace baracuda::testing {

std::span<const Op* const> ops() {
  static const Op* const kOps[] = {&dequantize_op(),    &dynamic_range_quantize_op(), &elementwise_op(),
                                   &fake_quantize_op(), &fake_quantize_backward_op(), &kv_cache_append_op(),
                                   &quantize_op(),      &quantized_linear_op(),       &write_slice_op()};
  return kOps;
}

Result<const Op*> find_op(std::string_view name) {
  std::string names;
  for (const Op* op : ops()) {
    if (op->name() == name) return op;
    names.append(names.empty() ? "" : ", ").append(op->name());
  }
  return Error::invalid_problem(fmt::format("there is no op \"{}\", expected one of {}", name, names));
}

}  // namespace baracuda::testing
