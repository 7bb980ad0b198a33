#pragma once

/// The C ABI of baracuda: the plans of baracuda.h for C and for whatever calls C. C11.
///
///   baracuda_OP_descriptor ──baracuda_OP_select──▶ baracuda_plan ──baracuda_OP_run──▶ done, in stream order
///                                                        └────────baracuda_OP_bind──▶ baracuda_call
///   baracuda_call ──baracuda_call_run──▶ done, as often as wanted
///
/// What an op computes, and the rules of its operands, its C++ header says: baracuda/ops/OP/OP.h. Members of a struct
/// have the names, the meaning and the defaults of the fields there. Tensors are DLPack's.
///
/// - Functions return BARACUDA_OK or the kind of error; the text of it is in baracuda_last_error_message. Nothing
///   throws; a NULL that is no answer is BARACUDA_INVALID_PROBLEM. A handle that is asked for is NULL after an error.
/// - A struct begins with struct_size, which its caller sets to sizeof the struct. So a program runs with a later
///   library, whose structs are longer: members that it does not have are at their defaults; and with an older one,
///   where members that the library does not know have to be zero. Members that are optional have a baracuda_flag
///   has_MEMBER, 1: given; where it is 0 the member is not looked at, but for a view, which is absent as NULL.
/// - Handles may be used by many threads at once. A plan, stream or call is destroyed when none uses it any more; calls
///   and plans do not need the handles that they were made of. Destroying NULL does nothing.
/// - A DLTensor is read in the function that takes it. What its data points to is used until the stream has passed the
///   work. The memory behind a tensor is taken to be what its shape and strides reach: DLPack does not tell how much
///   there is. data may be NULL where there are no elements, strides may be NULL for a row-major tensor.
/// - Devices: kDLCPU and kDLCUDA; kDLCUDAHost and kDLCUDAManaged, for a plan on either.
/// - Packed pairs of 4 bits (BARACUDA_ELEMENT_S4, _U4) are {kDLInt, 4, 1} and {kDLUInt, 4, 1}, shape and strides in
///   nibbles. f8e4m3 is kDLFloat8_e4m3fn.

#include <stddef.h>
#include <stdint.h>

// DLPack's header as version 1.1 has it. One that was included before serves as well, from version 0.6 on.
#include "baracuda/capi/dlpack/dlpack.h"

#define BARACUDA_C_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define BARACUDA_C_NOEXCEPT noexcept
extern "C" {
#else
#define BARACUDA_C_NOEXCEPT
#endif

/// 0, or what went wrong: the values of baracuda::ErrorKind, which never change.
typedef int32_t baracuda_status;
enum {
  BARACUDA_OK = 0,
  BARACUDA_INVALID_PROBLEM = 1,      ///< an impossible or inconsistent size, shape, range, presence or overlap
  BARACUDA_UNSUPPORTED = 2,          ///< a well-formed request that is not served
  BARACUDA_MISALIGNED_OPERAND = 3,   ///< a pointer that is no multiple of its element size, a workspace not of 256
  BARACUDA_BUFFER_TOO_SMALL = 4,     ///< baracuda_last_error_needed and _got, in bytes
  BARACUDA_WORKSPACE_TOO_SMALL = 5,  ///< the same
  BARACUDA_BACKEND = 6,              ///< driver, compiler or library; out of memory too; baracuda_last_error_code
  BARACUDA_MALFORMED_FILE = 7,       ///< baracuda_last_error_code is the byte offset
  BARACUDA_IO = 8                    ///< baracuda_last_error_code is errno
};

/// 0 or 1.
typedef int64_t baracuda_flag;

/// A shape, or the corners of a window: `rank` sizes, outermost first.
typedef struct baracuda_dims {
  int64_t rank;  ///< 0 to 8; as wide as the sizes, so that no bytes lie between
  int64_t sizes[8];
} baracuda_dims;

typedef struct baracuda_stream baracuda_stream;  ///< an order of execution on one device
typedef struct baracuda_plan baracuda_plan;      ///< a plan of any op
typedef struct baracuda_call baracuda_call;      ///< a plan with its args

// ---- errors and versions --------------------------------------------------------------------------------------------

/// Of the last call on this thread that failed: what was expected and what was given, for people. Never NULL; it stays
/// until the next call that fails. Of a text longer than 4095 bytes, as a compiler's log may be, the beginning.
BARACUDA_C_API const char* baracuda_last_error_message(void) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API int64_t baracuda_last_error_needed(void) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API int64_t baracuda_last_error_got(void) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API int64_t baracuda_last_error_code(void) BARACUDA_C_NOEXCEPT;
/// "Ok", "InvalidProblem", …; "invalid" for a number that is no status.
BARACUDA_C_API const char* baracuda_status_name(baracuda_status status) BARACUDA_C_NOEXCEPT;

/// What changes where a program that was built before would not run any more. Members and functions that are added do
/// not count.
#define BARACUDA_ABI_VERSION 1
/// BARACUDA_UNSUPPORTED where the library has another ABI than the header that the program was built with:
/// baracuda_check_abi(BARACUDA_ABI_VERSION), once, before all else.
BARACUDA_C_API baracuda_status baracuda_check_abi(int32_t abi_version) BARACUDA_C_NOEXCEPT;
/// The library's version, as BARACUDA_HEADER_VERSION is the header's.
BARACUDA_C_API const char* baracuda_version(void) BARACUDA_C_NOEXCEPT;

// ---- streams --------------------------------------------------------------------------------------------------------

/// A CPU stream is synchronous. num_threads ≤ 0: as many as the machine has.
BARACUDA_C_API baracuda_status baracuda_stream_cpu(int32_t num_threads, baracuda_stream** stream) BARACUDA_C_NOEXCEPT;
/// A new CUDA stream, which goes with the handle.
BARACUDA_C_API baracuda_status baracuda_stream_cuda(int32_t ordinal, baracuda_stream** stream) BARACUDA_C_NOEXCEPT;
/// A CUstream or cudaStream_t that somebody else owns and that outlives the handle; NULL and 1: the legacy default
/// stream; 2: the default stream of the thread that makes the call, so that threads that share the handle run on a
/// stream each.
BARACUDA_C_API baracuda_status baracuda_stream_adopt_cuda(void* cuda_stream, int32_t ordinal,
                                                          baracuda_stream** stream) BARACUDA_C_NOEXCEPT;
/// Waits until what the stream was given is done.
BARACUDA_C_API baracuda_status baracuda_stream_synchronize(const baracuda_stream* stream) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_stream_device(const baracuda_stream* stream,
                                                      DLDevice* device) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API void baracuda_stream_destroy(baracuda_stream* stream) BARACUDA_C_NOEXCEPT;
/// 0 where no usable driver is found.
BARACUDA_C_API int32_t baracuda_num_cuda_devices(void) BARACUDA_C_NOEXCEPT;

// ---- plans of every op ----------------------------------------------------------------------------------------------

// Texts live as long as the handle that was asked for them.

/// "write_slice".
BARACUDA_C_API baracuda_status baracuda_plan_op(const baracuda_plan* plan, const char** name) BARACUDA_C_NOEXCEPT;
/// The kernel for contiguous tensors: "write_slice/f32/-/-/contiguous_chunk/cpu/bespoke".
BARACUDA_C_API baracuda_status baracuda_plan_sku(const baracuda_plan* plan, const char** sku) BARACUDA_C_NOEXCEPT;
/// What the plan promises about its numbers.
BARACUDA_C_API baracuda_status baracuda_plan_guarantee(const baracuda_plan* plan,
                                                       const char** guarantee) BARACUDA_C_NOEXCEPT;
/// Which kernel was picked, why no other candidate was, and what the work costs.
BARACUDA_C_API baracuda_status baracuda_plan_explain(const baracuda_plan* plan,
                                                     const char** explanation) BARACUDA_C_NOEXCEPT;
/// Bytes of workspace that every run needs, on the plan's device, aligned to 256.
BARACUDA_C_API baracuda_status baracuda_plan_workspace_size(const baracuda_plan* plan,
                                                            int64_t* bytes) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_plan_workspace_must_be_zero(const baracuda_plan* plan,
                                                                    baracuda_flag* must_be_zero) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_plan_device(const baracuda_plan* plan, DLDevice* device) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API void baracuda_plan_destroy(baracuda_plan* plan) BARACUDA_C_NOEXCEPT;

/// Runs a plan with the args that it was bound to, as often as wanted, in the order of the stream. No member is
/// converted again, no memory is allocated; may be captured in a CUDA graph. The workspace may be NULL where the plan
/// needs none.
BARACUDA_C_API baracuda_status baracuda_call_run(const baracuda_call* call, const baracuda_stream* stream,
                                                 void* workspace, size_t workspace_bytes) BARACUDA_C_NOEXCEPT;
/// The kernel that these args run on.
BARACUDA_C_API baracuda_status baracuda_call_sku(const baracuda_call* call, const char** sku) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API void baracuda_call_destroy(baracuda_call* call) BARACUDA_C_NOEXCEPT;

// ---- printed by tools/bindings: `make bindings` ---------------------------------------------------------------------

// clang-format off
/* <generated> */
#define BARACUDA_HEADER_VERSION "0.1.0"

typedef int64_t baracuda_determinism;
enum {
  BARACUDA_DETERMINISM_ANY = 0,
  BARACUDA_DETERMINISM_RUN_TO_RUN = 1,
  BARACUDA_DETERMINISM_BATCH_INVARIANT = 2,
  BARACUDA_DETERMINISM_MATCHES_CPU = 3
};

typedef int64_t baracuda_backend;
enum {
  BARACUDA_BACKEND_BESPOKE = 0,
  BARACUDA_BACKEND_CUBLAS = 1,
  BARACUDA_BACKEND_CUDNN = 2,
  BARACUDA_BACKEND_ONEDNN = 3,
  BARACUDA_BACKEND_DRIVER = 4
};

typedef int64_t baracuda_arch;
enum {
  BARACUDA_ARCH_CPU = 0,
  BARACUDA_ARCH_SM80 = 1,
  BARACUDA_ARCH_SM89 = 2,
  BARACUDA_ARCH_SM90A = 3
};

typedef int64_t baracuda_cpu_target;
enum {
  BARACUDA_CPU_TARGET_SCALAR = 0,
  BARACUDA_CPU_TARGET_AVX2 = 1,
  BARACUDA_CPU_TARGET_AVX512 = 2,
  BARACUDA_CPU_TARGET_AVX512_VNNI = 3
};

typedef int64_t baracuda_element;
enum {
  BARACUDA_ELEMENT_F16 = 0,
  BARACUDA_ELEMENT_BF16 = 1,
  BARACUDA_ELEMENT_F32 = 2,
  BARACUDA_ELEMENT_F64 = 3,
  BARACUDA_ELEMENT_I8 = 4,
  BARACUDA_ELEMENT_I16 = 5,
  BARACUDA_ELEMENT_I32 = 6,
  BARACUDA_ELEMENT_I64 = 7,
  BARACUDA_ELEMENT_U8 = 8,
  BARACUDA_ELEMENT_U16 = 9,
  BARACUDA_ELEMENT_U32 = 10,
  BARACUDA_ELEMENT_U64 = 11,
  BARACUDA_ELEMENT_BOOL = 12,
  BARACUDA_ELEMENT_F8E4M3 = 13,
  BARACUDA_ELEMENT_F8E5M2 = 14,
  BARACUDA_ELEMENT_COMPLEX64 = 15,
  BARACUDA_ELEMENT_COMPLEX128 = 16,
  BARACUDA_ELEMENT_S4 = 17,
  BARACUDA_ELEMENT_U4 = 18,
  BARACUDA_ELEMENT_B1 = 19,
  BARACUDA_ELEMENT_Q4_0 = 32,
  BARACUDA_ELEMENT_Q4_1 = 33,
  BARACUDA_ELEMENT_Q5_0 = 34,
  BARACUDA_ELEMENT_Q5_1 = 35,
  BARACUDA_ELEMENT_Q8_0 = 36,
  BARACUDA_ELEMENT_Q2_K = 37,
  BARACUDA_ELEMENT_Q3_K = 38,
  BARACUDA_ELEMENT_Q4_K = 39,
  BARACUDA_ELEMENT_Q5_K = 40,
  BARACUDA_ELEMENT_Q6_K = 41,
  BARACUDA_ELEMENT_Q8_K = 42,
  BARACUDA_ELEMENT_IQ4_NL = 43,
  BARACUDA_ELEMENT_IQ4_XS = 44,
  BARACUDA_ELEMENT_MXFP4 = 45
};

typedef int64_t baracuda_quantization_granularity;
enum {
  BARACUDA_QUANTIZATION_GRANULARITY_PER_TENSOR = 0,
  BARACUDA_QUANTIZATION_GRANULARITY_PER_CHANNEL = 1,
  BARACUDA_QUANTIZATION_GRANULARITY_PER_TOKEN = 2,
  BARACUDA_QUANTIZATION_GRANULARITY_PER_GROUP = 3
};

typedef int64_t baracuda_kv_cache_layout;
enum {
  BARACUDA_KV_CACHE_LAYOUT_CONTIGUOUS = 0,
  BARACUDA_KV_CACHE_LAYOUT_PAGED = 1
};

typedef int64_t baracuda_activation;
enum {
  BARACUDA_ACTIVATION_IDENTITY = 0,
  BARACUDA_ACTIVATION_RELU = 1,
  BARACUDA_ACTIVATION_GELU = 2,
  BARACUDA_ACTIVATION_SILU = 3
};

/// What a caller demands of the choice, baracuda/core/preference.h. Zeros and struct_size: nothing; so does NULL.
typedef struct baracuda_preference {
  size_t struct_size;
  baracuda_determinism determinism;  ///< default BARACUDA_DETERMINISM_ANY
  baracuda_flag has_max_workspace_bytes;
  int64_t max_workspace_bytes;
  baracuda_flag has_force_backend;
  baracuda_backend force_backend;
  uint64_t exclude_backends;  ///< bit i: baracuda_backend i
  baracuda_flag has_force_arch;
  baracuda_arch force_arch;
  uint64_t exclude_archs;  ///< bit i: baracuda_arch i
  baracuda_flag has_force_cpu_target;
  baracuda_cpu_target force_cpu_target;
  baracuda_flag autotune;
} baracuda_preference;

// dequantize: DequantizeDescriptor, DequantizeArgs

typedef struct baracuda_dequantize_descriptor {
  size_t struct_size;
  baracuda_element element;  ///< default BARACUDA_ELEMENT_F32
  baracuda_dims shape;
  baracuda_element q_element;  ///< default BARACUDA_ELEMENT_I8
  baracuda_quantization_granularity granularity;  ///< default BARACUDA_QUANTIZATION_GRANULARITY_PER_TENSOR
  int64_t axis;
  int64_t group_size;
  baracuda_flag has_zero_point_element;
  baracuda_element zero_point_element;
} baracuda_dequantize_descriptor;

typedef struct baracuda_dequantize_args {
  size_t struct_size;
  const DLTensor* q;  ///< read
  const DLTensor* scale;  ///< read, a vector
  const DLTensor* zero_point;  ///< read, a vector; may be NULL
  const DLTensor* x;  ///< written
} baracuda_dequantize_args;

BARACUDA_C_API baracuda_status baracuda_dequantize_descriptor_init(
    baracuda_dequantize_descriptor* descriptor, size_t struct_size) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_dequantize_select(
    const baracuda_stream* stream, const baracuda_dequantize_descriptor* descriptor,
    const baracuda_preference* preference, baracuda_plan** plan) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_dequantize_run(
    const baracuda_plan* plan, const baracuda_stream* stream, void* workspace, size_t workspace_bytes,
    const baracuda_dequantize_args* args) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_dequantize_bind(
    const baracuda_plan* plan, const baracuda_dequantize_args* args,
    baracuda_call** call) BARACUDA_C_NOEXCEPT;

// dynamic_range_quantize: DynamicRangeQuantizeDescriptor, DynamicRangeQuantizeArgs

typedef struct baracuda_dynamic_range_quantize_descriptor {
  size_t struct_size;
  baracuda_element element;  ///< default BARACUDA_ELEMENT_F32
  baracuda_dims shape;
  baracuda_element output_element;  ///< default BARACUDA_ELEMENT_I8
  baracuda_flag symmetric;  ///< default true
  baracuda_flag has_q_min;
  int64_t q_min;
  baracuda_flag has_q_max;
  int64_t q_max;
} baracuda_dynamic_range_quantize_descriptor;

typedef struct baracuda_dynamic_range_quantize_args {
  size_t struct_size;
  const DLTensor* x;  ///< read
  const DLTensor* q;  ///< written
  const DLTensor* scale;  ///< written, a vector
  const DLTensor* zero_point;  ///< written, a vector; may be NULL
} baracuda_dynamic_range_quantize_args;

BARACUDA_C_API baracuda_status baracuda_dynamic_range_quantize_descriptor_init(
    baracuda_dynamic_range_quantize_descriptor* descriptor, size_t struct_size) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_dynamic_range_quantize_select(
    const baracuda_stream* stream, const baracuda_dynamic_range_quantize_descriptor* descriptor,
    const baracuda_preference* preference, baracuda_plan** plan) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_dynamic_range_quantize_run(
    const baracuda_plan* plan, const baracuda_stream* stream, void* workspace, size_t workspace_bytes,
    const baracuda_dynamic_range_quantize_args* args) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_dynamic_range_quantize_bind(
    const baracuda_plan* plan, const baracuda_dynamic_range_quantize_args* args,
    baracuda_call** call) BARACUDA_C_NOEXCEPT;

// elementwise: ElementwiseDescriptor, ElementwiseArgs

typedef struct baracuda_elementwise_descriptor {
  size_t struct_size;
  const char* op;  ///< an operator's name, required
  baracuda_element element;  ///< default BARACUDA_ELEMENT_F32
  baracuda_flag has_output;
  baracuda_element output;
  baracuda_dims shape;
} baracuda_elementwise_descriptor;

typedef struct baracuda_elementwise_args {
  size_t struct_size;
  const DLTensor* output;  ///< written
  const DLTensor* x;  ///< read
  const DLTensor* y;  ///< read; may be NULL
  const DLTensor* z;  ///< read; may be NULL
  baracuda_flag has_s0;
  double s0;
  baracuda_flag has_s1;
  double s1;
} baracuda_elementwise_args;

BARACUDA_C_API baracuda_status baracuda_elementwise_descriptor_init(
    baracuda_elementwise_descriptor* descriptor, size_t struct_size) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_elementwise_select(
    const baracuda_stream* stream, const baracuda_elementwise_descriptor* descriptor,
    const baracuda_preference* preference, baracuda_plan** plan) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_elementwise_run(
    const baracuda_plan* plan, const baracuda_stream* stream, void* workspace, size_t workspace_bytes,
    const baracuda_elementwise_args* args) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_elementwise_bind(
    const baracuda_plan* plan, const baracuda_elementwise_args* args,
    baracuda_call** call) BARACUDA_C_NOEXCEPT;

// fake_quantize: FakeQuantizeDescriptor, FakeQuantizeArgs

typedef struct baracuda_fake_quantize_descriptor {
  size_t struct_size;
  baracuda_element element;  ///< default BARACUDA_ELEMENT_F32
  baracuda_dims shape;
  baracuda_element q_element;  ///< default BARACUDA_ELEMENT_I8
  baracuda_quantization_granularity granularity;  ///< default BARACUDA_QUANTIZATION_GRANULARITY_PER_TENSOR
  int64_t axis;
  int64_t group_size;
  baracuda_flag has_zero_point_element;
  baracuda_element zero_point_element;
  baracuda_flag has_q_min;
  int64_t q_min;
  baracuda_flag has_q_max;
  int64_t q_max;
} baracuda_fake_quantize_descriptor;

typedef struct baracuda_fake_quantize_args {
  size_t struct_size;
  const DLTensor* x;  ///< read
  const DLTensor* scale;  ///< read, a vector
  const DLTensor* zero_point;  ///< read, a vector; may be NULL
  const DLTensor* y;  ///< written
} baracuda_fake_quantize_args;

BARACUDA_C_API baracuda_status baracuda_fake_quantize_descriptor_init(
    baracuda_fake_quantize_descriptor* descriptor, size_t struct_size) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_fake_quantize_select(
    const baracuda_stream* stream, const baracuda_fake_quantize_descriptor* descriptor,
    const baracuda_preference* preference, baracuda_plan** plan) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_fake_quantize_run(
    const baracuda_plan* plan, const baracuda_stream* stream, void* workspace, size_t workspace_bytes,
    const baracuda_fake_quantize_args* args) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_fake_quantize_bind(
    const baracuda_plan* plan, const baracuda_fake_quantize_args* args,
    baracuda_call** call) BARACUDA_C_NOEXCEPT;

// fake_quantize_backward: FakeQuantizeBackwardDescriptor, FakeQuantizeBackwardArgs

typedef struct baracuda_fake_quantize_backward_descriptor {
  size_t struct_size;
  baracuda_element element;  ///< default BARACUDA_ELEMENT_F32
  baracuda_dims shape;
  baracuda_element q_element;  ///< default BARACUDA_ELEMENT_I8
  baracuda_quantization_granularity granularity;  ///< default BARACUDA_QUANTIZATION_GRANULARITY_PER_TENSOR
  int64_t axis;
  int64_t group_size;
  baracuda_flag has_zero_point_element;
  baracuda_element zero_point_element;
  baracuda_flag has_q_min;
  int64_t q_min;
  baracuda_flag has_q_max;
  int64_t q_max;
} baracuda_fake_quantize_backward_descriptor;

typedef struct baracuda_fake_quantize_backward_args {
  size_t struct_size;
  const DLTensor* x;  ///< read
  const DLTensor* dy;  ///< read
  const DLTensor* scale;  ///< read, a vector
  const DLTensor* zero_point;  ///< read, a vector; may be NULL
  const DLTensor* dx;  ///< written
} baracuda_fake_quantize_backward_args;

BARACUDA_C_API baracuda_status baracuda_fake_quantize_backward_descriptor_init(
    baracuda_fake_quantize_backward_descriptor* descriptor, size_t struct_size) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_fake_quantize_backward_select(
    const baracuda_stream* stream, const baracuda_fake_quantize_backward_descriptor* descriptor,
    const baracuda_preference* preference, baracuda_plan** plan) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_fake_quantize_backward_run(
    const baracuda_plan* plan, const baracuda_stream* stream, void* workspace, size_t workspace_bytes,
    const baracuda_fake_quantize_backward_args* args) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_fake_quantize_backward_bind(
    const baracuda_plan* plan, const baracuda_fake_quantize_backward_args* args,
    baracuda_call** call) BARACUDA_C_NOEXCEPT;

// kv_cache_append: KvCacheAppendDescriptor, KvCacheAppendArgs

typedef struct baracuda_kv_cache_append_descriptor {
  size_t struct_size;
  baracuda_element element;  ///< default BARACUDA_ELEMENT_F16
  baracuda_kv_cache_layout layout;  ///< default BARACUDA_KV_CACHE_LAYOUT_CONTIGUOUS
  int64_t num_tokens;
  int64_t num_kv_heads;
  int64_t k_head_dim;
  int64_t v_head_dim;
  int64_t num_sequences;
  int64_t max_seq_len;
  int64_t num_pages;
  int64_t page_size;
} baracuda_kv_cache_append_descriptor;

typedef struct baracuda_kv_cache_append_args {
  size_t struct_size;
  const DLTensor* k;  ///< read
  const DLTensor* v;  ///< read
  const DLTensor* k_cache;  ///< written
  const DLTensor* v_cache;  ///< written
  const DLTensor* positions;  ///< read, a vector
  const DLTensor* status;  ///< written, a vector; may be NULL
} baracuda_kv_cache_append_args;

BARACUDA_C_API baracuda_status baracuda_kv_cache_append_descriptor_init(
    baracuda_kv_cache_append_descriptor* descriptor, size_t struct_size) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_kv_cache_append_select(
    const baracuda_stream* stream, const baracuda_kv_cache_append_descriptor* descriptor,
    const baracuda_preference* preference, baracuda_plan** plan) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_kv_cache_append_run(
    const baracuda_plan* plan, const baracuda_stream* stream, void* workspace, size_t workspace_bytes,
    const baracuda_kv_cache_append_args* args) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_kv_cache_append_bind(
    const baracuda_plan* plan, const baracuda_kv_cache_append_args* args,
    baracuda_call** call) BARACUDA_C_NOEXCEPT;

// quantize: QuantizeDescriptor, QuantizeArgs

typedef struct baracuda_quantize_descriptor {
  size_t struct_size;
  baracuda_element element;  ///< default BARACUDA_ELEMENT_F32
  baracuda_dims shape;
  baracuda_element q_element;  ///< default BARACUDA_ELEMENT_I8
  baracuda_quantization_granularity granularity;  ///< default BARACUDA_QUANTIZATION_GRANULARITY_PER_TENSOR
  int64_t axis;
  int64_t group_size;
  baracuda_flag has_zero_point_element;
  baracuda_element zero_point_element;
  baracuda_flag has_q_min;
  int64_t q_min;
  baracuda_flag has_q_max;
  int64_t q_max;
} baracuda_quantize_descriptor;

typedef struct baracuda_quantize_args {
  size_t struct_size;
  const DLTensor* x;  ///< read
  const DLTensor* scale;  ///< read, a vector
  const DLTensor* zero_point;  ///< read, a vector; may be NULL
  const DLTensor* q;  ///< written
} baracuda_quantize_args;

BARACUDA_C_API baracuda_status baracuda_quantize_descriptor_init(
    baracuda_quantize_descriptor* descriptor, size_t struct_size) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_quantize_select(
    const baracuda_stream* stream, const baracuda_quantize_descriptor* descriptor,
    const baracuda_preference* preference, baracuda_plan** plan) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_quantize_run(
    const baracuda_plan* plan, const baracuda_stream* stream, void* workspace, size_t workspace_bytes,
    const baracuda_quantize_args* args) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_quantize_bind(
    const baracuda_plan* plan, const baracuda_quantize_args* args,
    baracuda_call** call) BARACUDA_C_NOEXCEPT;

// quantized_linear: QuantizedLinearDescriptor, QuantizedLinearArgs

typedef struct baracuda_quantized_linear_descriptor {
  size_t struct_size;
  int64_t m;
  int64_t c_out;
  int64_t k;
  baracuda_element element;  ///< default BARACUDA_ELEMENT_F32
  baracuda_flag has_output_element;
  baracuda_element output_element;
  baracuda_element weight_element;  ///< default BARACUDA_ELEMENT_I8
  baracuda_element weight_scale_element;  ///< default BARACUDA_ELEMENT_F32
  baracuda_flag has_bias_element;
  baracuda_element bias_element;
  baracuda_activation activation;  ///< default BARACUDA_ACTIVATION_IDENTITY
  int64_t q_min;  ///< default -127
  int64_t q_max;  ///< default 127
} baracuda_quantized_linear_descriptor;

typedef struct baracuda_quantized_linear_args {
  size_t struct_size;
  const DLTensor* x;  ///< read
  const DLTensor* weight;  ///< read
  const DLTensor* weight_scale;  ///< read, a vector
  const DLTensor* weight_zero_point;  ///< read, a vector; may be NULL
  const DLTensor* bias;  ///< read, a vector; may be NULL
  const DLTensor* y;  ///< written
  const DLTensor* act_q_scratch;  ///< written
  const DLTensor* act_scale_scratch;  ///< written, a vector
} baracuda_quantized_linear_args;

BARACUDA_C_API baracuda_status baracuda_quantized_linear_descriptor_init(
    baracuda_quantized_linear_descriptor* descriptor, size_t struct_size) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_quantized_linear_select(
    const baracuda_stream* stream, const baracuda_quantized_linear_descriptor* descriptor,
    const baracuda_preference* preference, baracuda_plan** plan) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_quantized_linear_run(
    const baracuda_plan* plan, const baracuda_stream* stream, void* workspace, size_t workspace_bytes,
    const baracuda_quantized_linear_args* args) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_quantized_linear_bind(
    const baracuda_plan* plan, const baracuda_quantized_linear_args* args,
    baracuda_call** call) BARACUDA_C_NOEXCEPT;

// write_slice: WriteSliceDescriptor, WriteSliceArgs

typedef struct baracuda_write_slice_descriptor {
  size_t struct_size;
  baracuda_element element;  ///< default BARACUDA_ELEMENT_F32
  baracuda_dims dest;
  baracuda_dims start;
  baracuda_dims end;
  baracuda_flag device_starts;
} baracuda_write_slice_descriptor;

typedef struct baracuda_write_slice_args {
  size_t struct_size;
  const DLTensor* dest;  ///< written
  const DLTensor* source;  ///< read
  const DLTensor* device_starts;  ///< read, a vector; may be NULL
  const DLTensor* status;  ///< written, a vector; may be NULL
} baracuda_write_slice_args;

BARACUDA_C_API baracuda_status baracuda_write_slice_descriptor_init(
    baracuda_write_slice_descriptor* descriptor, size_t struct_size) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_write_slice_select(
    const baracuda_stream* stream, const baracuda_write_slice_descriptor* descriptor,
    const baracuda_preference* preference, baracuda_plan** plan) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_write_slice_run(
    const baracuda_plan* plan, const baracuda_stream* stream, void* workspace, size_t workspace_bytes,
    const baracuda_write_slice_args* args) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_write_slice_bind(
    const baracuda_plan* plan, const baracuda_write_slice_args* args,
    baracuda_call** call) BARACUDA_C_NOEXCEPT;
/* </generated> */
// clang-format on

#ifdef __cplusplus
}  // extern "C"
#endif
