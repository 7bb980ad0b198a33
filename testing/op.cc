#include "testing/op.h"

#include "baracuda/ops/kv_cache_append/kv_cache_append_case.h"
#include "baracuda/ops/write_slice/write_slice_case.h"

namespace baracuda::testing {

std::span<const Op* const> ops() {
  static const Op* const kOps[] = {&kv_cache_append_op(), &write_slice_op()};
  return kOps;
}

}  // namespace baracuda::testing
