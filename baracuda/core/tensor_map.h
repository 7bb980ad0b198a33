#pragma once

// Includes nothing, so that kernels compiled by NVRTC can use it too.

namespace baracuda {

/// How the copy engine of sm_90 finds boxes of a matrix in device memory, as the driver encodes it (cuda/tensor_map.h).
/// Lies in a kernel's `__grid_constant__` parameters.
struct alignas(128) TensorMap {
  unsigned long long words[16];
};

}  // namespace baracuda
