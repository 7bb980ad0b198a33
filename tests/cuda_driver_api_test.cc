// Our declarations of the driver API against NVIDIA's, all of it while this file compiles. Without a toolkit there is
// nothing to compare with, and the file is empty.

#if __has_include(<cuda.h>)
#include <cuda.h>
#define BARACUDA_HAS_CUDA_H
#elif __has_include("/usr/local/cuda/include/cuda.h")
#include "/usr/local/cuda/include/cuda.h"
#define BARACUDA_HAS_CUDA_H
#endif

#ifdef BARACUDA_HAS_CUDA_H

#include <type_traits>

#include "baracuda/cuda/driver_api.h"

namespace {

namespace ours = baracuda::cuda;

/// How the C ABI passes a value: enums, integers and bool alike in integer registers.
enum class PassedAs { Pointer, Integer, Floating, Other };

template <class T>
constexpr PassedAs kPassedAs = std::is_pointer_v<T>                         ? PassedAs::Pointer
                               : std::is_integral_v<T> || std::is_enum_v<T> ? PassedAs::Integer
                               : std::is_floating_point_v<T>                ? PassedAs::Floating
                                                                            : PassedAs::Other;

/// What a pointer points to counts too, one level down, unless it is opaque on either side.
template <class A, class B>
constexpr bool same_pointee() {
  using PointeeA = std::remove_cv_t<std::remove_pointer_t<A>>;
  using PointeeB = std::remove_cv_t<std::remove_pointer_t<B>>;
  if constexpr (std::is_class_v<PointeeA> || std::is_void_v<PointeeA> || std::is_class_v<PointeeB> ||
                std::is_void_v<PointeeB>) {
    return std::is_class_v<PointeeA> == std::is_class_v<PointeeB> &&
           std::is_void_v<PointeeA> == std::is_void_v<PointeeB>;
  } else {
    return sizeof(PointeeA) == sizeof(PointeeB) && kPassedAs<PointeeA> == kPassedAs<PointeeB>;
  }
}

template <class A, class B>
constexpr bool same_parameter() {
  if constexpr (sizeof(A) != sizeof(B) || kPassedAs<A> != kPassedAs<B>) {
    return false;
  } else if constexpr (std::is_pointer_v<A>) {
    return same_pointee<A, B>();
  } else {
    return kPassedAs<A> != PassedAs::Other;
  }
}

template <class A, class B>
constexpr bool kSameFunction = false;
template <class ResultA, class... As, class ResultB, class... Bs>
constexpr bool kSameFunction<ResultA (*)(As...), ResultB (*)(Bs...)> = [] {
  if constexpr (sizeof...(As) != sizeof...(Bs)) {
    return false;
  } else {
    return same_parameter<ResultA, ResultB>() && (same_parameter<As, Bs>() && ...);
  }
}();

static_assert(kSameFunction<int (*)(long, char*), unsigned (*)(unsigned long, const char*)>);
static_assert(!kSameFunction<int (*)(long), int (*)(int)>);
static_assert(!kSameFunction<int (*)(long), int (*)(long, long)>);
static_assert(!kSameFunction<int (*)(int*), int (*)(long*)>);
static_assert(!kSameFunction<int (*)(float), int (*)(int)>);

#define CHECK_FUNCTION(name, parameters) \
  static_assert(kSameFunction<decltype(ours::DriverApi::name), decltype(&::name)>, #name);
BARACUDA_DRIVER_FUNCTIONS(CHECK_FUNCTION)
#undef CHECK_FUNCTION

#define CHECK_VALUE(name) static_assert(static_cast<long>(ours::name) == static_cast<long>(::name), #name);
CHECK_VALUE(CUDA_SUCCESS)
CHECK_VALUE(CUDA_ERROR_INVALID_VALUE)
CHECK_VALUE(CUDA_ERROR_OUT_OF_MEMORY)
CHECK_VALUE(CUDA_ERROR_DEINITIALIZED)
CHECK_VALUE(CUDA_ERROR_STUB_LIBRARY)
CHECK_VALUE(CUDA_ERROR_NO_DEVICE)
CHECK_VALUE(CUDA_ERROR_ECC_UNCORRECTABLE)
CHECK_VALUE(CUDA_ERROR_NVLINK_UNCORRECTABLE)
CHECK_VALUE(CUDA_ERROR_NOT_READY)
CHECK_VALUE(CUDA_ERROR_ILLEGAL_ADDRESS)
CHECK_VALUE(CUDA_ERROR_LAUNCH_TIMEOUT)
CHECK_VALUE(CUDA_ERROR_CONTEXT_IS_DESTROYED)
CHECK_VALUE(CUDA_ERROR_ASSERT)
CHECK_VALUE(CUDA_ERROR_HARDWARE_STACK_ERROR)
CHECK_VALUE(CUDA_ERROR_ILLEGAL_INSTRUCTION)
CHECK_VALUE(CUDA_ERROR_MISALIGNED_ADDRESS)
CHECK_VALUE(CUDA_ERROR_INVALID_ADDRESS_SPACE)
CHECK_VALUE(CUDA_ERROR_INVALID_PC)
CHECK_VALUE(CUDA_ERROR_LAUNCH_FAILED)
CHECK_VALUE(CUDA_ERROR_SYSTEM_NOT_READY)
CHECK_VALUE(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)
CHECK_VALUE(CUDA_ERROR_MPS_CLIENT_TERMINATED)
CHECK_VALUE(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
CHECK_VALUE(CUDA_ERROR_UNKNOWN)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)
CHECK_VALUE(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)
CHECK_VALUE(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)
CHECK_VALUE(CU_FUNC_ATTRIBUTE_NUM_REGS)
CHECK_VALUE(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
CHECK_VALUE(CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
CHECK_VALUE(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
CHECK_VALUE(CU_STREAM_DEFAULT)
CHECK_VALUE(CU_STREAM_NON_BLOCKING)
CHECK_VALUE(CU_EVENT_DEFAULT)
CHECK_VALUE(CU_EVENT_DISABLE_TIMING)
CHECK_VALUE(CU_STREAM_CAPTURE_MODE_GLOBAL)
CHECK_VALUE(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
CHECK_VALUE(CU_STREAM_CAPTURE_MODE_RELAXED)
CHECK_VALUE(CU_STREAM_CAPTURE_STATUS_NONE)
CHECK_VALUE(CU_STREAM_CAPTURE_STATUS_ACTIVE)
CHECK_VALUE(CU_STREAM_CAPTURE_STATUS_INVALIDATED)
CHECK_VALUE(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
CHECK_VALUE(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION)
CHECK_VALUE(CU_TENSOR_MAP_DATA_TYPE_UINT8)
CHECK_VALUE(CU_TENSOR_MAP_DATA_TYPE_UINT16)
CHECK_VALUE(CU_TENSOR_MAP_DATA_TYPE_UINT32)
CHECK_VALUE(CU_TENSOR_MAP_INTERLEAVE_NONE)
CHECK_VALUE(CU_TENSOR_MAP_SWIZZLE_128B)
CHECK_VALUE(CU_TENSOR_MAP_L2_PROMOTION_L2_256B)
CHECK_VALUE(CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE)
#undef CHECK_VALUE

#define CHECK_SIZE(type) \
  static_assert(sizeof(ours::type) == sizeof(::type) && alignof(ours::type) == alignof(::type), #type);
CHECK_SIZE(CUdevice)
CHECK_SIZE(CUdeviceptr)
CHECK_SIZE(CUresult)
CHECK_SIZE(CUlaunchAttributeValue)
CHECK_SIZE(CUlaunchAttribute)
CHECK_SIZE(CUlaunchConfig)
CHECK_SIZE(CUtensorMap)
#undef CHECK_SIZE

#define CHECK_OFFSET(type, field) \
  static_assert(offsetof(ours::type, field) == offsetof(::type, field), #type "." #field);
CHECK_OFFSET(CUlaunchAttribute, id)
CHECK_OFFSET(CUlaunchAttribute, value)
CHECK_OFFSET(CUlaunchAttributeValue, clusterDim.x)
CHECK_OFFSET(CUlaunchAttributeValue, clusterDim.z)
CHECK_OFFSET(CUlaunchAttributeValue, programmaticStreamSerializationAllowed)
CHECK_OFFSET(CUlaunchConfig, gridDimX)
CHECK_OFFSET(CUlaunchConfig, gridDimZ)
CHECK_OFFSET(CUlaunchConfig, blockDimX)
CHECK_OFFSET(CUlaunchConfig, blockDimZ)
CHECK_OFFSET(CUlaunchConfig, sharedMemBytes)
CHECK_OFFSET(CUlaunchConfig, hStream)
CHECK_OFFSET(CUlaunchConfig, attrs)
CHECK_OFFSET(CUlaunchConfig, numAttrs)
#undef CHECK_OFFSET

}  // namespace

#endif
