#pragma once

// The part of CUDA's driver API that we call, declared by hand so that building needs no toolkit. Names, values and
// layouts are those of cuda.h; cuda_driver_api_test compares them with it where it is installed.

#include <cstddef>
#include <cstdint>

namespace baracuda::cuda {

using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st*;
using CUstream = struct CUstream_st*;
using CUevent = struct CUevent_st*;
using CUgraph = struct CUgraph_st*;
using CUgraphExec = struct CUgraphExec_st*;
using CUlibrary = struct CUlib_st*;
using CUkernel = struct CUkern_st*;
using CUfunction = struct CUfunc_st*;

enum CUresult : int {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_DEINITIALIZED = 4,
  CUDA_ERROR_STUB_LIBRARY = 34,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_IMAGE = 200,
  CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
  CUDA_ERROR_ECC_UNCORRECTABLE = 214,
  CUDA_ERROR_NVLINK_UNCORRECTABLE = 220,
  CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222,
  CUDA_ERROR_CONTAINED = 226,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_ILLEGAL_ADDRESS = 700,
  CUDA_ERROR_LAUNCH_TIMEOUT = 702,
  CUDA_ERROR_CONTEXT_IS_DESTROYED = 709,
  CUDA_ERROR_ASSERT = 710,
  CUDA_ERROR_HARDWARE_STACK_ERROR = 714,
  CUDA_ERROR_ILLEGAL_INSTRUCTION = 715,
  CUDA_ERROR_MISALIGNED_ADDRESS = 716,
  CUDA_ERROR_INVALID_ADDRESS_SPACE = 717,
  CUDA_ERROR_INVALID_PC = 718,
  CUDA_ERROR_LAUNCH_FAILED = 719,
  CUDA_ERROR_TENSOR_MEMORY_LEAK = 721,
  CUDA_ERROR_SYSTEM_NOT_READY = 802,
  CUDA_ERROR_SYSTEM_DRIVER_MISMATCH = 803,
  CUDA_ERROR_MPS_CLIENT_TERMINATED = 810,
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
  CUDA_ERROR_UNKNOWN = 999,
};

enum CUdevice_attribute : int {
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE = 36,        // kHz
  CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH = 37,  // bits
  CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE = 38,            // bytes
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
  CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED = 115,
};

enum CUfunction_attribute : int {
  CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
  CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES = 3,
  CU_FUNC_ATTRIBUTE_NUM_REGS = 4,
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
};

enum CUpointer_attribute : int {
  CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,
  CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9,
};

enum CUstream_flags : unsigned { CU_STREAM_DEFAULT = 0, CU_STREAM_NON_BLOCKING = 1 };
enum CUevent_flags : unsigned { CU_EVENT_DEFAULT = 0, CU_EVENT_DISABLE_TIMING = 2 };

enum CUstreamCaptureMode : int {
  CU_STREAM_CAPTURE_MODE_GLOBAL = 0,
  CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
  CU_STREAM_CAPTURE_MODE_RELAXED = 2,
};
enum CUstreamCaptureStatus : int {
  CU_STREAM_CAPTURE_STATUS_NONE = 0,
  CU_STREAM_CAPTURE_STATUS_ACTIVE = 1,
  CU_STREAM_CAPTURE_STATUS_INVALIDATED = 2,
};

enum CUjit_option : int {};
enum CUlibraryOption : int {};

enum CUlaunchAttributeID : int {
  CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION = 4,
  CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6,
};

union CUlaunchAttributeValue {
  char pad[64];
  struct {
    unsigned x, y, z;
  } clusterDim;
  int programmaticStreamSerializationAllowed;
  void* aligned_like_a_pointer;  // as the members that we leave out are
};
struct CUlaunchAttribute {
  CUlaunchAttributeID id;
  char pad[8 - sizeof(CUlaunchAttributeID)];
  CUlaunchAttributeValue value;
};
struct CUlaunchConfig {
  unsigned gridDimX, gridDimY, gridDimZ;
  unsigned blockDimX, blockDimY, blockDimZ;
  unsigned sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute* attrs;
  unsigned numAttrs;
};

enum CUtensorMapDataType : int {
  CU_TENSOR_MAP_DATA_TYPE_UINT8 = 0,
  CU_TENSOR_MAP_DATA_TYPE_UINT16 = 1,
  CU_TENSOR_MAP_DATA_TYPE_UINT32 = 2,
};
enum CUtensorMapInterleave : int { CU_TENSOR_MAP_INTERLEAVE_NONE = 0 };
enum CUtensorMapSwizzle : int { CU_TENSOR_MAP_SWIZZLE_128B = 3 };
enum CUtensorMapL2promotion : int { CU_TENSOR_MAP_L2_PROMOTION_L2_256B = 3 };
enum CUtensorMapFloatOOBfill : int { CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE = 0 };
struct alignas(128) CUtensorMap {
  std::uint64_t opaque[16];
};

/// Every function that we call, once: the name that libcuda exports, version suffix included, and its parameters. All
/// are in driver 12.4. The exported names without _ptsz give a null stream its legacy meaning.
// clang-format off
#define BARACUDA_DRIVER_FUNCTIONS(X)                                                                                  \
  X(cuInit, (unsigned))                                                                                               \
  X(cuDriverGetVersion, (int*))                                                                                       \
  X(cuGetErrorName, (CUresult, const char**))                                                                         \
  X(cuGetErrorString, (CUresult, const char**))                                                                       \
  X(cuDeviceGetCount, (int*))                                                                                         \
  X(cuDeviceGet, (CUdevice*, int))                                                                                    \
  X(cuDeviceGetName, (char*, int, CUdevice))                                                                          \
  X(cuDeviceGetPCIBusId, (char*, int, CUdevice))                                                                      \
  X(cuDeviceGetAttribute, (int*, CUdevice_attribute, CUdevice))                                                       \
  X(cuDeviceTotalMem_v2, (std::size_t*, CUdevice))                                                                    \
  X(cuDevicePrimaryCtxRetain, (CUcontext*, CUdevice))                                                                 \
  X(cuCtxGetCurrent, (CUcontext*))                                                                                    \
  X(cuCtxSetCurrent, (CUcontext))                                                                                     \
  X(cuCtxPushCurrent_v2, (CUcontext))                                                                                 \
  X(cuCtxPopCurrent_v2, (CUcontext*))                                                                                 \
  X(cuCtxGetDevice, (CUdevice*))                                                                                      \
  X(cuStreamCreate, (CUstream*, unsigned))                                                                            \
  X(cuStreamDestroy_v2, (CUstream))                                                                                   \
  X(cuStreamSynchronize, (CUstream))                                                                                  \
  X(cuStreamGetCtx, (CUstream, CUcontext*))                                                                           \
  X(cuStreamWaitEvent, (CUstream, CUevent, unsigned))                                                                 \
  X(cuStreamIsCapturing, (CUstream, CUstreamCaptureStatus*))                                                          \
  X(cuStreamBeginCapture_v2, (CUstream, CUstreamCaptureMode))                                                         \
  X(cuStreamEndCapture, (CUstream, CUgraph*))                                                                         \
  X(cuThreadExchangeStreamCaptureMode, (CUstreamCaptureMode*))                                                        \
  X(cuGraphInstantiateWithFlags, (CUgraphExec*, CUgraph, unsigned long long))                                         \
  X(cuGraphLaunch, (CUgraphExec, CUstream))                                                                           \
  X(cuGraphExecDestroy, (CUgraphExec))                                                                                \
  X(cuGraphDestroy, (CUgraph))                                                                                        \
  X(cuEventCreate, (CUevent*, unsigned))                                                                              \
  X(cuEventDestroy_v2, (CUevent))                                                                                     \
  X(cuEventRecord, (CUevent, CUstream))                                                                               \
  X(cuEventQuery, (CUevent))                                                                                          \
  X(cuEventSynchronize, (CUevent))                                                                                    \
  X(cuEventElapsedTime, (float*, CUevent, CUevent))                                                                   \
  X(cuMemAllocAsync, (CUdeviceptr*, std::size_t, CUstream))                                                           \
  X(cuMemFreeAsync, (CUdeviceptr, CUstream))                                                                          \
  X(cuMemcpyHtoDAsync_v2, (CUdeviceptr, const void*, std::size_t, CUstream))                                          \
  X(cuMemcpyDtoHAsync_v2, (void*, CUdeviceptr, std::size_t, CUstream))                                                \
  X(cuMemcpyDtoDAsync_v2, (CUdeviceptr, CUdeviceptr, std::size_t, CUstream))                                          \
  X(cuMemsetD8Async, (CUdeviceptr, unsigned char, std::size_t, CUstream))                                             \
  X(cuLibraryLoadData,                                                                                                \
    (CUlibrary*, const void*, CUjit_option*, void**, unsigned, CUlibraryOption*, void**, unsigned))                   \
  X(cuLibraryUnload, (CUlibrary))                                                                                     \
  X(cuLibraryGetKernel, (CUkernel*, CUlibrary, const char*))                                                          \
  X(cuKernelGetFunction, (CUfunction*, CUkernel))                                                                     \
  X(cuFuncLoad, (CUfunction))                                                                                         \
  X(cuFuncGetAttribute, (int*, CUfunction_attribute, CUfunction))                                                     \
  X(cuFuncSetAttribute, (CUfunction, CUfunction_attribute, int))                                                      \
  X(cuLaunchKernel,                                                                                                   \
    (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void**,              \
     void**))                                                                                                         \
  X(cuLaunchKernelEx, (const CUlaunchConfig*, CUfunction, void**, void**))                                            \
  X(cuOccupancyMaxActiveClusters, (int*, CUfunction, const CUlaunchConfig*))                                          \
  X(cuTensorMapEncodeTiled,                                                                                           \
    (CUtensorMap*, CUtensorMapDataType, std::uint32_t, void*, const std::uint64_t*, const std::uint64_t*,             \
     const std::uint32_t*, const std::uint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion,   \
     CUtensorMapFloatOOBfill))
// clang-format on

/// The functions above as pointers, each named as libcuda exports it. Plain data, so that a test can make its own.
struct DriverApi {
#define BARACUDA_DECLARE(name, parameters) CUresult(*name) parameters = nullptr;
  BARACUDA_DRIVER_FUNCTIONS(BARACUDA_DECLARE)
#undef BARACUDA_DECLARE
};

inline void* as_pointer(CUdeviceptr pointer) { return reinterpret_cast<void*>(pointer); }
inline CUdeviceptr as_device_pointer(const void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

}  // namespace baracuda::cuda
