#pragma once

// For the HWY_ONCE part of a SIMD file, after <hwy/highway.h>.

#include "baracuda/core/arch.h"

#if HWY_TARGETS & HWY_AVX2
#define BARACUDA_AVX2_OR(function, otherwise) N_AVX2::function
#else
#define BARACUDA_AVX2_OR(function, otherwise) otherwise
#endif
#if HWY_TARGETS & HWY_AVX3
#define BARACUDA_AVX512_OR(function, otherwise) N_AVX3::function
#else
#define BARACUDA_AVX512_OR(function, otherwise) otherwise
#endif

/// The function of HWY_NAMESPACE that was compiled for `target`. Chosen once, in `select`, and by value rather than by
/// Highway's global choice, so that plans for several instruction sets live side by side.
#define BARACUDA_CPU_FUNCTION(target, function)                                                             \
  ((target) >= ::baracuda::CpuTarget::Avx512 ? &BARACUDA_AVX512_OR(function, HWY_STATIC_DISPATCH(function)) \
   : (target) == ::baracuda::CpuTarget::Avx2 ? &BARACUDA_AVX2_OR(function, HWY_STATIC_DISPATCH(function))   \
                                             : &HWY_STATIC_DISPATCH(function))
