// A libcuda without a GPU: device memory is host memory, a stream's work is done when it is enqueued, kernels are
// loaded from any bytes and do nothing. It checks what a driver checks of handles, contexts and captures.

#include "tests/doubles/fakes.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <type_traits>
#include <utility>

namespace baracuda::cuda {

struct CUctx_st {
  int ordinal;
};
struct CUstream_st {
  CUcontext context;
  bool capturing = false;
};
struct CUevent_st {
  CUcontext context;
};
struct CUgraph_st {};
struct CUgraphExec_st {};
struct CUlib_st {
  CUcontext context;
};
// A kernel of a library, and the same as a function, is the library.

namespace {

using testing::FakeCuda;

FakeCuda& fake() {
  static FakeCuda controls;
  return controls;
}

CUctx_st contexts[16];
thread_local CUcontext current[8] = {};
thread_local int depth = 0;
std::map<CUdeviceptr, std::pair<std::size_t, int>>& allocations() {
  static std::map<CUdeviceptr, std::pair<std::size_t, int>> all;
  return all;
}

/// What a function answers before it does anything.
CUresult refusal(const char* function, bool needs_context) {
  if (const auto fails = fake().fails.find(function); fails != fake().fails.end()) return fails->second;
  return needs_context ? fake().lost : CUDA_SUCCESS;
}

CUcontext context_of(CUstream stream) {
  return reinterpret_cast<std::uintptr_t>(stream) <= 2 ? current[depth] : stream->context;
}
bool is_capturing(CUstream stream) { return reinterpret_cast<std::uintptr_t>(stream) > 2 && stream->capturing; }

/// That memory of the range lies in one allocation.
bool is_allocated(CUdeviceptr begin, std::size_t bytes) {
  auto after = allocations().upper_bound(begin);
  if (after == allocations().begin()) return false;
  const auto& [address, size] = *std::prev(after);
  return begin - address <= size.first && bytes <= size.first - (begin - address);
}

/// Of work that is given to a stream: done, or recorded in its graph. A driver wants the stream's context current.
template <class F>
CUresult enqueue(CUstream stream, F&& work) {
  if (!current[depth] || context_of(stream) != current[depth]) return CUDA_ERROR_INVALID_VALUE;
  if (!is_capturing(stream)) work();
  return CUDA_SUCCESS;
}

CUresult launch(CUfunction function, CUstream stream) {
  const auto* library = reinterpret_cast<const CUlib_st*>(function);
  if (library->context != current[depth]) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(stream, [&] {
    ++fake().gpus[library->context->ordinal].launches;
    fake().lost = std::exchange(fake().fault_of_next_launch, CUDA_SUCCESS);
  });
}

}  // namespace
}  // namespace baracuda::cuda

using namespace baracuda::cuda;

#define EXPORT extern "C" __attribute__((visibility("default")))
#define CALL_WITHOUT_CONTEXT \
  if (const CUresult refused = refusal(__func__, false); refused != CUDA_SUCCESS) return refused
#define CALL \
  if (const CUresult refused = refusal(__func__, true); refused != CUDA_SUCCESS) return refused

EXPORT baracuda::testing::FakeCuda* baracuda_fake_cuda() { return &fake(); }

EXPORT CUresult cuInit(unsigned) {
  CALL_WITHOUT_CONTEXT;
  return fake().gpus.empty() ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}
EXPORT CUresult cuDriverGetVersion(int* version) {
  CALL_WITHOUT_CONTEXT;
  return *version = fake().driver_version, CUDA_SUCCESS;
}
EXPORT CUresult cuGetErrorName(CUresult status, const char** name) {
  switch (status) {
    case CUDA_ERROR_OUT_OF_MEMORY: return *name = "CUDA_ERROR_OUT_OF_MEMORY", CUDA_SUCCESS;
    case CUDA_ERROR_LAUNCH_FAILED: return *name = "CUDA_ERROR_LAUNCH_FAILED", CUDA_SUCCESS;
    case CUDA_ERROR_ASSERT: return *name = "CUDA_ERROR_ASSERT", CUDA_SUCCESS;
    default: return *name = "CUDA_ERROR", CUDA_SUCCESS;
  }
}
EXPORT CUresult cuGetErrorString(CUresult, const char** text) { return *text = "as the fake says", CUDA_SUCCESS; }

EXPORT CUresult cuDeviceGetCount(int* count) {
  CALL_WITHOUT_CONTEXT;
  return *count = static_cast<int>(fake().gpus.size()), CUDA_SUCCESS;
}
EXPORT CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  CALL_WITHOUT_CONTEXT;
  return *device = ordinal, CUDA_SUCCESS;
}
EXPORT CUresult cuDeviceGetName(char* name, int size, CUdevice device) {
  CALL_WITHOUT_CONTEXT;
  std::snprintf(name, static_cast<std::size_t>(size), "%s", fake().gpus[device].name.c_str());
  return CUDA_SUCCESS;
}
EXPORT CUresult cuDeviceGetPCIBusId(char* id, int size, CUdevice device) {
  CALL_WITHOUT_CONTEXT;
  std::snprintf(id, static_cast<std::size_t>(size), "0000:%02x:00.0", static_cast<unsigned>(device));
  return CUDA_SUCCESS;
}
EXPORT CUresult cuDeviceTotalMem_v2(std::size_t* bytes, CUdevice device) {
  CALL_WITHOUT_CONTEXT;
  return *bytes = fake().gpus[device].memory_bytes, CUDA_SUCCESS;
}
EXPORT CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute which, CUdevice device) {
  CALL_WITHOUT_CONTEXT;
  const FakeCuda::Gpu& gpu = fake().gpus[device];
  switch (which) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 100; break;
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *value = 1'000'000; break;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *value = 4096; break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = 50 << 20; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = gpu.sm / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = gpu.sm % 10; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = 227 << 10; break;
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED: *value = gpu.has_memory_pools; break;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  CALL;
  contexts[device].ordinal = device;
  return *context = &contexts[device], CUDA_SUCCESS;
}

EXPORT CUresult cuCtxGetCurrent(CUcontext* context) {
  CALL_WITHOUT_CONTEXT;
  return *context = current[depth], CUDA_SUCCESS;
}
EXPORT CUresult cuCtxSetCurrent(CUcontext context) {
  CALL_WITHOUT_CONTEXT;
  return current[depth] = context, CUDA_SUCCESS;
}
EXPORT CUresult cuCtxPushCurrent_v2(CUcontext context) {
  CALL_WITHOUT_CONTEXT;
  return current[++depth] = context, CUDA_SUCCESS;
}
EXPORT CUresult cuCtxPopCurrent_v2(CUcontext* context) {
  CALL_WITHOUT_CONTEXT;
  return *context = current[depth--], CUDA_SUCCESS;
}
EXPORT CUresult cuCtxGetDevice(CUdevice* device) {
  CALL_WITHOUT_CONTEXT;
  return *device = current[depth]->ordinal, CUDA_SUCCESS;
}

EXPORT CUresult cuStreamCreate(CUstream* stream, unsigned) {
  CALL;
  ++fake().streams;
  return *stream = new CUstream_st{current[depth]}, CUDA_SUCCESS;
}
EXPORT CUresult cuStreamDestroy_v2(CUstream stream) {
  --fake().streams;
  delete stream;
  CALL;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuStreamSynchronize(CUstream stream) {
  CALL;
  return is_capturing(stream) ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}
EXPORT CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
  CALL;
  return *context = context_of(stream), CUDA_SUCCESS;
}
EXPORT CUresult cuStreamWaitEvent(CUstream stream, CUevent, unsigned) {
  CALL;
  return enqueue(stream, [] {});
}
EXPORT CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  CALL;
  *status = is_capturing(stream) ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode) {
  CALL;
  return stream->capturing = true, CUDA_SUCCESS;
}
EXPORT CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  CALL;
  stream->capturing = false;
  ++fake().graphs;
  return *graph = new CUgraph_st, CUDA_SUCCESS;
}
EXPORT CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  CALL;
  thread_local CUstreamCaptureMode own = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::swap(own, *mode);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph, unsigned long long) {
  CALL;
  ++fake().graphs;
  return *executable = new CUgraphExec_st, CUDA_SUCCESS;
}
EXPORT CUresult cuGraphLaunch(CUgraphExec, CUstream stream) {
  CALL;
  return enqueue(stream, [] {});
}
EXPORT CUresult cuGraphExecDestroy(CUgraphExec executable) {
  --fake().graphs;
  delete executable;
  CALL;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuGraphDestroy(CUgraph graph) {
  --fake().graphs;
  delete graph;
  CALL;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuEventCreate(CUevent* event, unsigned) {
  CALL;
  ++fake().events;
  return *event = new CUevent_st{current[depth]}, CUDA_SUCCESS;
}
EXPORT CUresult cuEventDestroy_v2(CUevent event) {
  --fake().events;
  delete event;
  CALL;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuEventRecord(CUevent event, CUstream stream) {
  CALL;
  if (event->context != context_of(stream)) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(stream, [] {});
}
EXPORT CUresult cuEventQuery(CUevent) {
  CALL;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuEventSynchronize(CUevent) {
  CALL;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuEventElapsedTime(float* ms, CUevent, CUevent) {
  CALL;
  return *ms = 1, CUDA_SUCCESS;
}

EXPORT CUresult cuMemAllocAsync(CUdeviceptr* pointer, std::size_t bytes, CUstream stream) {
  CALL;
  const CUcontext context = context_of(stream);
  FakeCuda::Gpu& gpu = fake().gpus[context->ordinal];
  if (bytes > gpu.memory_bytes - gpu.allocated_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  gpu.allocated_bytes += bytes;
  *pointer = as_device_pointer(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
  allocations()[*pointer] = {bytes, context->ordinal};
  return CUDA_SUCCESS;
}
EXPORT CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream) {
  const auto found = allocations().find(pointer);
  if (found == allocations().end()) return CUDA_ERROR_INVALID_VALUE;
  fake().gpus[found->second.second].allocated_bytes -= found->second.first;
  allocations().erase(found);
  std::free(as_pointer(pointer));
  CALL;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, std::size_t bytes, CUstream stream) {
  CALL;
  if (!is_allocated(to, bytes)) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(stream, [&] { std::memcpy(as_pointer(to), from, bytes); });
}
EXPORT CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, std::size_t bytes, CUstream stream) {
  CALL;
  if (!is_allocated(from, bytes)) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(stream, [&] { std::memcpy(to, as_pointer(from), bytes); });
}
EXPORT CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream stream) {
  CALL;
  if (!is_allocated(to, bytes) || !is_allocated(from, bytes)) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(stream, [&] { std::memcpy(as_pointer(to), as_pointer(from), bytes); });
}
EXPORT CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, std::size_t bytes, CUstream stream) {
  CALL;
  if (!is_allocated(to, bytes)) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(stream, [&] { std::memset(as_pointer(to), value, bytes); });
}

EXPORT CUresult cuLibraryLoadData(CUlibrary* library, const void*, CUjit_option*, void**, unsigned, CUlibraryOption*,
                                  void**, unsigned) {
  CALL;
  ++fake().gpus[current[depth]->ordinal].loaded_libraries;
  return *library = new CUlib_st{current[depth]}, CUDA_SUCCESS;
}
EXPORT CUresult cuLibraryUnload(CUlibrary library) {
  --fake().gpus[library->context->ordinal].loaded_libraries;
  delete library;
  CALL;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuLibraryGetKernel(CUkernel* kernel, CUlibrary library, const char*) {
  CALL;
  return *kernel = reinterpret_cast<CUkernel>(library), CUDA_SUCCESS;
}
EXPORT CUresult cuKernelGetFunction(CUfunction* function, CUkernel kernel) {
  CALL;
  return *function = reinterpret_cast<CUfunction>(kernel), CUDA_SUCCESS;
}
EXPORT CUresult cuFuncLoad(CUfunction) {
  CALL;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuFuncGetAttribute(int* value, CUfunction_attribute, CUfunction) {
  CALL;
  return *value = 16, CUDA_SUCCESS;
}
EXPORT CUresult cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) {
  CALL;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                               unsigned, CUstream stream, void**, void**) {
  CALL;
  return launch(function, stream);
}
EXPORT CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void**, void**) {
  CALL;
  return launch(function, config->hStream);
}
EXPORT CUresult cuOccupancyMaxActiveClusters(int* clusters, CUfunction, const CUlaunchConfig*) {
  CALL;
  return *clusters = fake().gpus[current[depth]->ordinal].clusters, CUDA_SUCCESS;
}
EXPORT CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType, std::uint32_t, void*,
                                       const std::uint64_t*, const std::uint64_t*, const std::uint32_t*,
                                       const std::uint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                                       CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  CALL;
  return *map = {}, CUDA_SUCCESS;
}

// Every function that the library asks for is there, with its type.
#define IS_EXPORTED(name, parameters) \
  static_assert(std::is_same_v<decltype(DriverApi::name), decltype(&::name)>, #name);
BARACUDA_DRIVER_FUNCTIONS(IS_EXPORTED)
