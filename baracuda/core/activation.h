#pragma once

// Includes nothing, so that kernels compiled by NVRTC can use it too.

namespace baracuda {

/// What is applied to a result before it is rounded to the output's element. NaN passes through all of them. The values
/// are part of the C ABI and never change.
enum class Activation : unsigned char {
  Identity = 0,
  Relu = 1,  ///< v < 0 ? 0 : v
  Gelu = 2,  ///< v · Φ(v), the exact erf form
  Silu = 3,  ///< v / (1 + exp(−v))
};

inline constexpr Activation kActivations[] = {Activation::Identity, Activation::Relu, Activation::Gelu,
                                              Activation::Silu};

/// "identity", "relu", "gelu", "silu"; "invalid" for a value outside the enumeration.
constexpr const char* name_of(Activation activation) {
  switch (activation) {
    case Activation::Identity: return "identity";
    case Activation::Relu: return "relu";
    case Activation::Gelu: return "gelu";
    case Activation::Silu: return "silu";
  }
  return "invalid";
}

}  // namespace baracuda
