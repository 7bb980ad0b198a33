#include "testing/c_call.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace baracuda::testing {
namespace {

baracuda_dims c_dims(const Dims& dims) {
  baracuda_dims c{};
  c.rank = dims.rank();
  std::copy(dims.begin(), dims.end(), c.sizes);
  return c;
}

/// What has_MEMBER and MEMBER are for an optional number or enumerator.
template <class T>
baracuda_flag has(const std::optional<T>& value) {
  return value.has_value();
}
template <class T>
std::int64_t number(const std::optional<T>& value) {
  return value ? static_cast<std::int64_t>(*value) : 0x5a5a5a5a5a5a5a5a;  // is not looked at
}
template <class T>
std::int64_t number(T value) {
  return static_cast<std::int64_t>(value);
}

template <class T>
std::vector<std::byte> bytes_of(const T& value) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

}  // namespace

std::span<const COp> c_ops() {
  static const COp kOps[] = {
#define PLAN(name, P)                                                                                                  \
  {#name,                                                                                                              \
   sizeof(baracuda_##name##_descriptor),                                                                               \
   sizeof(baracuda_##name##_args),                                                                                     \
   [](void* descriptor, std::size_t bytes) {                                                                           \
     return baracuda_##name##_descriptor_init(static_cast<baracuda_##name##_descriptor*>(descriptor), bytes);          \
   },                                                                                                                  \
   [](const baracuda_stream* stream, const void* descriptor, const baracuda_preference* preference,                    \
      baracuda_plan** plan) {                                                                                          \
     return baracuda_##name##_select(stream, static_cast<const baracuda_##name##_descriptor*>(descriptor), preference, \
                                     plan);                                                                            \
   },                                                                                                                  \
   [](const baracuda_plan* plan, const baracuda_stream* stream, void* workspace, std::size_t bytes,                    \
      const void* args) {                                                                                              \
     return baracuda_##name##_run(plan, stream, workspace, bytes, static_cast<const baracuda_##name##_args*>(args));   \
   },                                                                                                                  \
   [](const baracuda_plan* plan, const void* args, baracuda_call** call) {                                             \
     return baracuda_##name##_bind(plan, static_cast<const baracuda_##name##_args*>(args), call);                      \
   }},
#include "baracuda/capi/ops.def"
  };
  return kOps;
}

const COp& c_op(std::string_view name) {
  const auto op = std::find_if(c_ops().begin(), c_ops().end(), [&](const COp& each) { return each.name == name; });
  assert(op != c_ops().end());
  return *op;
}

std::optional<DLDataType> dl_type(Element element) {
  switch (element) {
    case Element::F16: return DLDataType{kDLFloat, 16, 1};
    case Element::Bf16: return DLDataType{kDLBfloat, 16, 1};
    case Element::F32: return DLDataType{kDLFloat, 32, 1};
    case Element::F64: return DLDataType{kDLFloat, 64, 1};
    case Element::I8: return DLDataType{kDLInt, 8, 1};
    case Element::I16: return DLDataType{kDLInt, 16, 1};
    case Element::I32: return DLDataType{kDLInt, 32, 1};
    case Element::I64: return DLDataType{kDLInt, 64, 1};
    case Element::U8: return DLDataType{kDLUInt, 8, 1};
    case Element::U16: return DLDataType{kDLUInt, 16, 1};
    case Element::U32: return DLDataType{kDLUInt, 32, 1};
    case Element::U64: return DLDataType{kDLUInt, 64, 1};
    case Element::Bool: return DLDataType{kDLBool, 8, 1};
    case Element::F8E4M3: return DLDataType{kDLFloat8_e4m3fn, 8, 1};
    case Element::F8E5M2: return DLDataType{kDLFloat8_e5m2, 8, 1};
    case Element::Complex64: return DLDataType{kDLComplex, 64, 1};
    case Element::Complex128: return DLDataType{kDLComplex, 128, 1};
    case Element::S4: return DLDataType{kDLInt, 4, 1};
    case Element::U4: return DLDataType{kDLUInt, 4, 1};
    default: return std::nullopt;
  }
}

const DLTensor* CCall::add(const void* data, Element element, std::span<const std::int64_t> shape,
                           std::span<const std::int64_t> strides, Device device) {
  CTensor& added = *tensors.emplace_back(std::make_unique<CTensor>());
  std::copy(shape.begin(), shape.end(), added.shape);
  std::copy(strides.begin(), strides.end(), added.strides);
  const Dims dims(shape);
  const bool is_contiguous = Dims(strides) == contiguous_strides(dims);
  const int offset = data != nullptr && random_->one_in(2) ? static_cast<int>(random_->draw(1, 300)) : 0;
  added.tensor = {.data = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(data) - offset),
                  .device = {device.is_cpu() ? kDLCPU : kDLCUDA, device.ordinal},
                  .ndim = dims.rank(),
                  .dtype = *dl_type(element),
                  .shape = dims.empty() ? nullptr : added.shape,
                  .strides = is_contiguous && random_->one_in(2) ? nullptr : added.strides,
                  .byte_offset = static_cast<std::uint64_t>(offset)};
  return &added.tensor;
}

const DLTensor* CCall::add(const TensorRef& view) {
  return add(view.data, view.element, std::span(view.shape.begin(), view.shape.end()),
             std::span(view.strides.begin(), view.strides.end()), view.device);
}

const DLTensor* CCall::add(const VectorRef& view) {
  constexpr std::int64_t kOne = 1;
  return add(view.data, view.element, std::span(&view.length, 1), std::span(&kOne, 1), view.device);
}

template <class D, class A>
void CCall::keep(const char* name, const D& c_descriptor, const A& c_args) {
  op = &c_op(name);
  descriptor = bytes_of(c_descriptor);
  args = bytes_of(c_args);
}

void CCall::fill(const WriteSliceDescriptor& from, const WriteSliceArgs& views) {
  baracuda_write_slice_descriptor d{};
  d.struct_size = sizeof d;
  d.element = number(from.element);
  d.dest = c_dims(from.dest_shape);
  d.start = c_dims(from.start);
  d.end = c_dims(from.end);
  d.device_starts = from.device_starts;
  baracuda_write_slice_args a{};
  a.struct_size = sizeof a;
  a.dest = add(views.dest);
  a.source = add(views.source);
  a.device_starts = add(views.device_starts);
  a.status = add(views.status);
  keep("write_slice", d, a);
}

void CCall::fill(const KvCacheAppendDescriptor& from, const KvCacheAppendArgs& views) {
  baracuda_kv_cache_append_descriptor d{};
  d.struct_size = sizeof d;
  d.element = number(from.element);
  d.layout = number(from.layout);
  d.num_tokens = from.num_tokens;
  d.num_kv_heads = from.num_kv_heads;
  d.k_head_dim = from.k_head_dim;
  d.v_head_dim = from.v_head_dim;
  d.num_sequences = from.num_sequences;
  d.max_seq_len = from.max_seq_len;
  d.num_pages = from.num_pages;
  d.page_size = from.page_size;
  baracuda_kv_cache_append_args a{};
  a.struct_size = sizeof a;
  a.k = add(views.k);
  a.v = add(views.v);
  a.k_cache = add(views.k_cache);
  a.v_cache = add(views.v_cache);
  a.positions = add(views.positions);
  a.status = add(views.status);
  keep("kv_cache_append", d, a);
}

namespace {

/// The members that the four quantizations share.
template <class C, class Descriptor>
C c_quantization(const Descriptor& from) {
  C d{};
  d.struct_size = sizeof d;
  d.element = number(from.element);
  d.shape = c_dims(from.shape);
  d.q_element = number(from.q_element);
  d.granularity = number(from.granularity);
  d.axis = from.axis;
  d.group_size = from.group_size;
  d.has_zero_point_element = has(from.zero_point_element);
  d.zero_point_element = number(from.zero_point_element);
  return d;
}

/// And those of three of them.
template <class C, class Descriptor>
C c_ranged_quantization(const Descriptor& from) {
  C d = c_quantization<C>(from);
  d.has_q_min = has(from.q_min);
  d.q_min = number(from.q_min);
  d.has_q_max = has(from.q_max);
  d.q_max = number(from.q_max);
  return d;
}

}  // namespace

void CCall::fill(const QuantizeDescriptor& from, const QuantizeArgs& views) {
  baracuda_quantize_args a{};
  a.struct_size = sizeof a;
  a.x = add(views.x);
  a.scale = add(views.scale);
  a.zero_point = add(views.zero_point);
  a.q = add(views.q);
  keep("quantize", c_ranged_quantization<baracuda_quantize_descriptor>(from), a);
}

void CCall::fill(const DequantizeDescriptor& from, const DequantizeArgs& views) {
  baracuda_dequantize_args a{};
  a.struct_size = sizeof a;
  a.q = add(views.q);
  a.scale = add(views.scale);
  a.zero_point = add(views.zero_point);
  a.x = add(views.x);
  keep("dequantize", c_quantization<baracuda_dequantize_descriptor>(from), a);
}

void CCall::fill(const FakeQuantizeDescriptor& from, const FakeQuantizeArgs& views) {
  baracuda_fake_quantize_args a{};
  a.struct_size = sizeof a;
  a.x = add(views.x);
  a.scale = add(views.scale);
  a.zero_point = add(views.zero_point);
  a.y = add(views.y);
  keep("fake_quantize", c_ranged_quantization<baracuda_fake_quantize_descriptor>(from), a);
}

void CCall::fill(const FakeQuantizeBackwardDescriptor& from, const FakeQuantizeBackwardArgs& views) {
  baracuda_fake_quantize_backward_args a{};
  a.struct_size = sizeof a;
  a.x = add(views.x);
  a.dy = add(views.dy);
  a.scale = add(views.scale);
  a.zero_point = add(views.zero_point);
  a.dx = add(views.dx);
  keep("fake_quantize_backward", c_ranged_quantization<baracuda_fake_quantize_backward_descriptor>(from), a);
}

void CCall::fill(const QuantizedLinearDescriptor& from, const QuantizedLinearArgs& views) {
  baracuda_quantized_linear_descriptor d{};
  d.struct_size = sizeof d;
  d.m = from.m;
  d.c_out = from.c_out;
  d.k = from.k;
  d.element = number(from.element);
  d.has_output_element = has(from.output_element);
  d.output_element = number(from.output_element);
  d.weight_element = number(from.weight_element);
  d.weight_scale_element = number(from.weight_scale_element);
  d.has_bias_element = has(from.bias_element);
  d.bias_element = number(from.bias_element);
  d.activation = number(from.activation);
  d.q_min = from.q_min;
  d.q_max = from.q_max;
  baracuda_quantized_linear_args a{};
  a.struct_size = sizeof a;
  a.x = add(views.x);
  a.weight = add(views.weight);
  a.weight_scale = add(views.weight_scale);
  a.weight_zero_point = add(views.weight_zero_point);
  a.bias = add(views.bias);
  a.y = add(views.y);
  a.act_q_scratch = add(views.act_q_scratch);
  a.act_scale_scratch = add(views.act_scale_scratch);
  keep("quantized_linear", d, a);
}

void CCall::fill(const DynamicRangeQuantizeDescriptor& from, const DynamicRangeQuantizeArgs& views) {
  baracuda_dynamic_range_quantize_descriptor d{};
  d.struct_size = sizeof d;
  d.element = number(from.element);
  d.shape = c_dims(from.shape);
  d.output_element = number(from.output_element);
  d.symmetric = from.symmetric;
  d.has_q_min = has(from.q_min);
  d.q_min = number(from.q_min);
  d.has_q_max = has(from.q_max);
  d.q_max = number(from.q_max);
  baracuda_dynamic_range_quantize_args a{};
  a.struct_size = sizeof a;
  a.x = add(views.x);
  a.q = add(views.q);
  a.scale = add(views.scale);
  a.zero_point = add(views.zero_point);
  keep("dynamic_range_quantize", d, a);
}

void CCall::fill(const ElementwiseDescriptor& from, const ElementwiseArgs& views) {
  baracuda_elementwise_descriptor d{};
  d.struct_size = sizeof d;
  d.op = name_of(from.op).data();
  d.element = number(from.element);
  d.has_output = has(from.output);
  d.output = number(from.output);
  d.shape = c_dims(from.shape);
  baracuda_elementwise_args a{};
  a.struct_size = sizeof a;
  a.output = add(views.output);
  a.x = add(views.x);
  a.y = add(views.y);
  a.z = add(views.z);
  a.has_s0 = has(views.scalars[0]);
  a.s0 = views.scalars[0].value_or(-1e300);
  a.has_s1 = has(views.scalars[1]);
  a.s1 = views.scalars[1].value_or(-1e300);
  keep("elementwise", d, a);
}

void CCall::fill(const PlanPreference& from) {
  baracuda_preference p{};
  p.struct_size = sizeof p;
  p.determinism = number(from.determinism);
  p.has_max_workspace_bytes = has(from.max_workspace_bytes);
  p.max_workspace_bytes = number(from.max_workspace_bytes);
  p.has_force_backend = has(from.force_backend);
  p.force_backend = number(from.force_backend);
  p.exclude_backends = from.exclude_backends.bits();
  p.has_force_arch = has(from.force_arch);
  p.force_arch = number(from.force_arch);
  p.exclude_archs = from.exclude_archs.bits();
  p.has_force_cpu_target = has(from.force_cpu_target);
  p.force_cpu_target = number(from.force_cpu_target);
  p.autotune = from.autotune;
  preference = bytes_of(p);
}

}  // namespace baracuda::testing
