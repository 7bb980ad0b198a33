#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "baracuda/baracuda.h"
#include "baracuda/capi/baracuda_c.h"
#include "testing/random.h"

namespace baracuda::testing {

/// The functions of one op, over structs as bytes.
struct COp {
  const char* name;
  std::size_t descriptor_bytes, args_bytes;
  baracuda_status (*init)(void* descriptor, std::size_t struct_size);
  baracuda_status (*select)(const baracuda_stream*, const void* descriptor, const baracuda_preference*,
                            baracuda_plan**);
  baracuda_status (*run)(const baracuda_plan*, const baracuda_stream*, void* workspace, std::size_t workspace_bytes,
                         const void* args);
  baracuda_status (*bind)(const baracuda_plan*, const void* args, baracuda_call**);
};
std::span<const COp> c_ops();
const COp& c_op(std::string_view name);

/// A DLTensor with the arrays that it points to.
struct CTensor {
  DLTensor tensor;
  std::int64_t shape[kMaxRank], strides[kMaxRank];
};

/// What the C ABI is given for a call of a plan: structs as bytes, which a test may change before it makes the call.
/// The structs are filled member by member, so that they tell whether the library takes each from its place.
class CCall {
 public:
  /// `random` decides what may be said in two ways: strides or NULL, an offset in the pointer or in byte_offset.
  template <class Descriptor, class Args>
  CCall(const Descriptor& descriptor, const Args& args, const PlanPreference& preference, Random& random)
      : random_(&random) {
    fill(descriptor, args);
    fill(preference);
  }
  CCall(CCall&&) = default;

  const COp* op = nullptr;
  std::vector<std::byte> descriptor, args, preference;
  std::vector<std::unique_ptr<CTensor>> tensors;  ///< those that args points to

  baracuda_status select(const baracuda_stream* stream, baracuda_plan** plan) const {
    return op->select(stream, descriptor.data(), c_preference(), plan);
  }
  const baracuda_preference* c_preference() const {
    return reinterpret_cast<const baracuda_preference*>(preference.data());
  }

 private:
  void fill(const WriteSliceDescriptor& from, const WriteSliceArgs& args);
  void fill(const KvCacheAppendDescriptor& from, const KvCacheAppendArgs& args);
  void fill(const QuantizeDescriptor& from, const QuantizeArgs& args);
  void fill(const DequantizeDescriptor& from, const DequantizeArgs& args);
  void fill(const FakeQuantizeDescriptor& from, const FakeQuantizeArgs& args);
  void fill(const FakeQuantizeBackwardDescriptor& from, const FakeQuantizeBackwardArgs& args);
  void fill(const QuantizedLinearDescriptor& from, const QuantizedLinearArgs& args);
  void fill(const DynamicRangeQuantizeDescriptor& from, const DynamicRangeQuantizeArgs& args);
  void fill(const ElementwiseDescriptor& from, const ElementwiseArgs& args);
  void fill(const PlanPreference& from);

  template <class D, class A>
  void keep(const char* name, const D& c_descriptor, const A& c_args);
  const DLTensor* add(const void* data, Element element, std::span<const std::int64_t> shape,
                      std::span<const std::int64_t> strides, Device device);
  const DLTensor* add(const TensorRef& view);
  const DLTensor* add(const VectorRef& view);
  template <class View>
  const DLTensor* add(const std::optional<View>& view) {
    return view ? add(*view) : nullptr;
  }

  Random* random_;
};

/// The dtype that stands for an element kind; nothing for the kinds that DLPack has none for.
std::optional<DLDataType> dl_type(Element element);

}  // namespace baracuda::testing
