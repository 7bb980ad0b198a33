#pragma once

#include <string_view>

#include "baracuda/capi/dlpack/dlpack.h"
#include "baracuda/core/result.h"
#include "baracuda/core/view.h"

namespace baracuda::capi {

/// Whose tensor it is, for messages, and the device of the plan that takes it.
struct TensorField {
  std::string_view op;
  std::string_view field;
  Device device;
};

/// The view of a DLTensor. DLPack does not tell how large the memory behind a tensor is: the view's buffer is what its
/// shape and strides reach. Pinned and managed memory is on the CPU for a plan there, and on the GPU for one there.
///
/// Errors: InvalidProblem (another kind of device, an ndim or an extent below 0, a null shape, a reach outside the
/// address space), Unsupported (a dtype that is no Element). The rest is the plan's to check, a null pointer too.
Result<TensorMut> tensor_view(const TensorField& field, const DLTensor& tensor);

/// The same for a vector. Errors: also InvalidProblem (not of rank 1) and Unsupported (a stride other than 1).
Result<VectorMut> vector_view(const TensorField& field, const DLTensor& tensor);

}  // namespace baracuda::capi
