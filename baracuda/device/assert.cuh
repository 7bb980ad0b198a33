#pragma once

// BARACUDA_DEVICE_ASSERT(condition): of our own invariants, in kernels that are compiled with BARACUDA_JIT_DEBUG. A
// false condition prints where it stands and ends the kernel with an error; without BARACUDA_JIT_DEBUG it is not
// evaluated.

#ifdef BARACUDA_DEVICE_ASSERTS
// What assert() of CUDA's headers calls; the driver knows it.
extern "C" __device__ void __assertfail(const char* condition, const char* file, unsigned line, const char* function,
                                        decltype(sizeof(0)) char_bytes);
#define BARACUDA_DEVICE_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : __assertfail(#condition, __FILE__, __LINE__, __func__, 1))
#else
#define BARACUDA_DEVICE_ASSERT(condition) static_cast<void>(sizeof(static_cast<bool>(condition)))
#endif
