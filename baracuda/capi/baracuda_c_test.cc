#include "baracuda/capi/baracuda_c.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <thread>

#include "baracuda/capi/c_cases_test.h"
#include "baracuda/capi/last_error.h"
#include "baracuda/capi/struct_reader.h"
#include "testing/c_call.h"
#include "testing/call_counter.h"
#include "testing/cuda_graph.h"
#include "testing/devices.h"
#include "testing/options.h"

namespace baracuda {
namespace {

using testing::bind_call;
using testing::CallHandle;
using testing::CCall;
using testing::COp;
using testing::cpu_stream;
using testing::handle_of;
using testing::last_error;
using testing::PlanHandle;
using testing::Random;
using testing::select_plan;
using testing::StreamHandle;

// ---- structs --------------------------------------------------------------------------------------------------------

TEST(CStructs, HaveTheSizesOfTheirFields) {
#define PLAN(name, P)                                                                            \
  EXPECT_EQ(sizeof(baracuda_##name##_descriptor), capi::struct_bytes<P::Descriptor>()) << #name; \
  EXPECT_EQ(sizeof(baracuda_##name##_args), capi::struct_bytes<P::Args>()) << #name;
#include "baracuda/capi/ops.def"
  EXPECT_EQ(sizeof(baracuda_preference), capi::struct_bytes<PlanPreference>());
}

TEST(CStructs, DefaultsAreThoseOfTheFields) {
  testing::for_each_c_op([]<class C>(C) {
    using Descriptor = typename C::Plan::Descriptor;
    const COp& op = testing::c_op(C::Plan::kName);
    std::vector<std::byte> bytes(op.descriptor_bytes, std::byte{0xa5});
    ASSERT_EQ(op.init(bytes.data(), bytes.size()), BARACUDA_OK) << last_error();
    Descriptor expected;
    if constexpr (std::same_as<Descriptor, ElementwiseDescriptor>) {
      // An operator has no default.
      const auto missing = capi::read_struct<Descriptor>(op.name, "descriptor", Device::cpu(), bytes.data());
      ASSERT_FALSE(missing);
      EXPECT_EQ(missing.error().message, "elementwise: descriptor.op is missing, and is required");
      expected.op = ElementwiseOp::Silu;
      reinterpret_cast<baracuda_elementwise_descriptor*>(bytes.data())->op = "silu";
    }
    const auto read = capi::read_struct<Descriptor>(op.name, "descriptor", Device::cpu(), bytes.data());
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, expected) << op.name;
  });
}

TEST(CStructs, AreReadAsTheyWereFilled) {
  Random random(testing::options().seed);
  const Stream stream = Stream::cpu();
  testing::for_each_c_op([&]<class C>(C) {
    for (int i = 0; i < 50; ++i) {
      const auto value = C::random(random);
      const auto buffers = C::Buffers::create(value, stream);
      ASSERT_TRUE(buffers) << buffers.error().message;
      const CCall call(value.descriptor, buffers->args(), {}, random);
      const auto read = capi::read_struct<typename C::Plan::Descriptor>(call.op->name, "descriptor", Device::cpu(),
                                                                        call.descriptor.data());
      ASSERT_TRUE(read) << read.error().message;
      EXPECT_EQ(*read, value.descriptor) << to_string(value);
    }
  });
}

TEST(CStructs, PreferenceIsReadAsItWasFilled) {
  Random random(1);
  const PlanPreference preferences[] = {
      {},
      {.determinism = Determinism::MatchesCpu, .max_workspace_bytes = 0},
      {.force_backend = Backend::Bespoke, .exclude_backends = {Backend::Cublas, Backend::Driver}, .autotune = true},
      {.force_arch = Arch::Sm89, .exclude_archs = {Arch::Sm90a}},
      {.max_workspace_bytes = std::int64_t{1} << 40, .force_cpu_target = CpuTarget::Avx2}};
  for (const PlanPreference& preference : preferences) {
    const CCall call(WriteSliceDescriptor(), WriteSliceArgs(), preference, random);
    const auto read = capi::read_struct<PlanPreference>("op", "preference", Device::cpu(), call.preference.data());
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, preference);
  }
  baracuda_preference zeros = {};
  zeros.struct_size = sizeof zeros;
  EXPECT_EQ(*capi::read_struct<PlanPreference>("op", "preference", Device::cpu(), &zeros), PlanPreference());
}

/// A struct that came out with `first` and grew since.
struct Grown {
  std::int64_t first = 1;
  Element element = Element::F32;
  Dims dims;
  std::optional<std::int32_t> number;
  std::optional<double> real;
  friend bool operator==(const Grown&, const Grown&) = default;
};
template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, Grown>
void visit_fields(Self& grown, Visit&& visit) {
  visit("first", grown.first);
  visit("element", grown.element);
  visit("dims", grown.dims);
  visit("number", grown.number);
  visit("real", grown.real);
}

}  // namespace

template <>
inline constexpr std::size_t capi::kFirstBytes<Grown> = 16;

namespace {

/// Reads the first `struct_size` bytes of a filled struct, which say that they are the struct.
Result<Grown> read_grown(std::vector<std::byte> bytes, std::size_t struct_size) {
  bytes.resize(std::max(bytes.size(), std::min<std::size_t>(struct_size, 4096)));
  std::memcpy(bytes.data(), &struct_size, sizeof struct_size);
  // On the heap and as long as it says: a sanitizer sees what is read after it.
  std::vector<std::byte> exact(bytes.begin(),
                               bytes.begin() + static_cast<std::ptrdiff_t>(std::min(struct_size, bytes.size())));
  exact.resize(std::max(exact.size(), sizeof struct_size));
  return capi::read_struct<Grown>("grow", "descriptor", Device::cpu(), exact.data());
}

TEST(CStructs, ShorterOnesHaveDefaultsAndLongerOnesZeros) {
  const Grown full = {.first = 2, .element = Element::F64, .dims = {3, 4}, .number = 5, .real = 0.5};
  std::vector<std::byte> bytes(capi::struct_bytes<Grown>());
  capi::StructWriter writer(reinterpret_cast<unsigned char*>(bytes.data()) + sizeof(std::size_t));
  visit_fields(full, writer);

  std::map<std::size_t, Grown> versions;  // by size
  Grown version;
  std::size_t size = sizeof(std::size_t);
  const auto add = [&](auto Grown::*field, std::size_t words) {
    version.*field = full.*field;
    versions[size += 8 * words] = version;
  };
  add(&Grown::first, 1);
  add(&Grown::element, 1);
  add(&Grown::dims, 9);
  add(&Grown::number, 2);
  add(&Grown::real, 2);
  ASSERT_EQ(size, bytes.size());
  for (std::size_t given = 0; given <= size; ++given) {
    const auto read = read_grown(bytes, given);
    if (versions.contains(given)) {
      ASSERT_TRUE(read) << given << ": " << read.error().message;
      EXPECT_EQ(*read, versions[given]) << given;
    } else {
      ASSERT_FALSE(read) << given;
      EXPECT_EQ(read.error().kind, ErrorKind::InvalidProblem);
      EXPECT_NE(read.error().message.find("grow: descriptor.struct_size"), std::string::npos) << read.error().message;
    }
  }
  for (const std::size_t longer : {size + 1, size + 8, std::size_t{4096}}) {
    EXPECT_EQ(read_grown(bytes, longer).value_or(Grown()), full) << longer;
    for (const std::size_t place : {size, longer - 1}) {
      std::vector<std::byte> newer = bytes;
      newer.resize(longer);
      newer[place] = std::byte{1};
      const auto read = read_grown(newer, longer);
      ASSERT_FALSE(read);
      EXPECT_EQ(read.error().kind, ErrorKind::Unsupported) << read.error().message;
    }
  }
  for (const std::size_t absurd : {std::size_t{4097}, std::size_t{1} << 40, ~std::size_t{0}}) {
    const auto read = read_grown(bytes, absurd);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().kind, ErrorKind::InvalidProblem) << read.error().message;
  }
}

/// As `sizeof pointer` is: what it cuts off would be demanded in vain.
TEST(CStructs, OnesThatNoHeaderHadAreRefused) {
  const StreamHandle stream = cpu_stream();
  baracuda_quantize_descriptor descriptor;
  ASSERT_EQ(baracuda_quantize_descriptor_init(&descriptor, sizeof descriptor), BARACUDA_OK);
  descriptor.shape = {1, {4}};
  baracuda_preference preference = {};
  preference.has_force_backend = 1;
  preference.force_backend = BARACUDA_BACKEND_CUBLAS;
  baracuda_plan* plan;
  for (std::size_t size = 0; size < sizeof preference; size += 8) {
    preference.struct_size = size;
    EXPECT_EQ(baracuda_quantize_select(stream.get(), &descriptor, &preference, &plan), BARACUDA_INVALID_PROBLEM);
    EXPECT_EQ(last_error(), "quantize: preference.struct_size is " + std::to_string(size) +
                                ", expected sizeof the struct, " + std::to_string(sizeof preference));
  }
  for (descriptor.struct_size = 0; descriptor.struct_size < sizeof descriptor; descriptor.struct_size += 8)
    EXPECT_EQ(baracuda_quantize_select(stream.get(), &descriptor, nullptr, &plan), BARACUDA_INVALID_PROBLEM);
}

TEST(CStructs, InitFillsWhatItsCallerHas) {
  for (const std::size_t bytes : {sizeof(baracuda_quantize_descriptor), std::size_t{400}}) {
    std::vector<std::byte> memory(bytes, std::byte{0xa5});
    ASSERT_EQ(testing::c_op("quantize").init(memory.data(), bytes), BARACUDA_OK) << last_error();
    EXPECT_EQ(*capi::read_struct<QuantizeDescriptor>("quantize", "descriptor", Device::cpu(), memory.data()),
              QuantizeDescriptor());
  }
  std::byte memory[8] = {};
  for (const std::size_t bytes : {std::size_t{0}, sizeof memory, std::size_t{4097}})
    EXPECT_EQ(testing::c_op("quantize").init(memory, bytes), BARACUDA_INVALID_PROBLEM);
  EXPECT_EQ(testing::c_op("quantize").init(nullptr, 100), BARACUDA_INVALID_PROBLEM);
}

TEST(CStructs, NumbersThatStandForNothingAreNamed) {
  const StreamHandle stream = cpu_stream();
  const auto message = [&](auto&& change) {
    baracuda_quantize_descriptor descriptor;
    EXPECT_EQ(baracuda_quantize_descriptor_init(&descriptor, sizeof descriptor), BARACUDA_OK);
    descriptor.shape = {1, {4}};
    change(descriptor);
    baracuda_plan* plan = reinterpret_cast<baracuda_plan*>(1);
    EXPECT_EQ(baracuda_quantize_select(stream.get(), &descriptor, nullptr, &plan), BARACUDA_INVALID_PROBLEM);
    EXPECT_EQ(plan, nullptr);
    return last_error();
  };
  EXPECT_EQ(message([](auto& d) { d.granularity = 4; }),
            "quantize: descriptor.granularity is 4, expected one of 0 per_tensor, 1 per_channel, 2 per_token, "
            "3 per_group");
  EXPECT_EQ(message([](auto& d) { d.element = 256 + 2; }).substr(0, 51),
            "quantize: descriptor.element is 258, expected one o");
  EXPECT_EQ(message([](auto& d) { d.element = -1; }).substr(0, 50),
            "quantize: descriptor.element is -1, expected one o");
  EXPECT_EQ(message([](auto& d) { d.axis = std::int64_t{1} << 32; }),
            "quantize: descriptor.axis is 4294967296, expected a number from -2147483648 to 2147483647");
  EXPECT_EQ(message([](auto& d) { d.has_q_min = 2; }), "quantize: descriptor.has_q_min is 2, expected 0 or 1");
  EXPECT_EQ(message([](auto& d) { d.shape.rank = -1; }), "quantize: descriptor.shape.rank is -1, expected 0 to 8");
  EXPECT_EQ(message([](auto& d) { d.shape.rank = (std::int64_t{1} << 32) + 1; }),
            "quantize: descriptor.shape.rank is 4294967297, expected 0 to 8");

  baracuda_elementwise_descriptor descriptor;
  EXPECT_EQ(baracuda_elementwise_descriptor_init(&descriptor, sizeof descriptor), BARACUDA_OK);
  baracuda_plan* plan;
  const std::string long_name(100, 'x');
  for (const char* name : {"", "Add", "addd", "invalid", long_name.c_str()}) {
    descriptor.op = name;
    EXPECT_EQ(baracuda_elementwise_select(stream.get(), &descriptor, nullptr, &plan), BARACUDA_INVALID_PROBLEM);
    EXPECT_EQ(last_error(), "elementwise: descriptor.op is \"" + std::string(name).substr(0, 64) +
                                "\", expected the name of an operator");
  }
  descriptor.op = "add";
  baracuda_preference preference = {};
  preference.struct_size = sizeof preference;
  preference.exclude_archs = 1 << 4;
  EXPECT_EQ(baracuda_elementwise_select(stream.get(), &descriptor, &preference, &plan), BARACUDA_INVALID_PROBLEM);
  EXPECT_EQ(last_error(),
            "elementwise: preference.exclude_archs is 16, expected bits of 0 cpu, 1 sm80, 2 sm89, 3 sm90a");
}

TEST(CStructs, ARankAboveEightIsThePlansToRefuse) {
  const StreamHandle stream = cpu_stream();
  baracuda_elementwise_descriptor descriptor;
  EXPECT_EQ(baracuda_elementwise_descriptor_init(&descriptor, sizeof descriptor), BARACUDA_OK);
  descriptor.op = "add";
  baracuda_plan* plan;
  for (const std::int32_t rank : {9, 1 << 30}) {
    descriptor.shape.rank = rank;
    EXPECT_EQ(baracuda_elementwise_select(stream.get(), &descriptor, nullptr, &plan), BARACUDA_UNSUPPORTED);
  }
}

// ---- views ----------------------------------------------------------------------------------------------------------

constexpr Device kGpu = Device::cuda(3);

DLTensor dl_tensor(void* data, DLDataType type, std::vector<std::int64_t>& shape, std::int64_t* strides = nullptr,
                   std::uint64_t byte_offset = 0, DLDevice device = {kDLCPU, 0}) {
  return {data, device, static_cast<std::int32_t>(shape.size()), type, shape.data(), strides, byte_offset};
}

Result<TensorMut> view_of(const DLTensor& tensor, Device plan_device = Device::cpu()) {
  return capi::tensor_view({"op", "x", plan_device}, tensor);
}

TEST(CViews, EveryElementKindHasItsType) {
  std::vector<std::int64_t> shape = {4};
  int found = 0;
  for (int code = 0; code < 256; ++code)
    for (int bits = 0; bits < 256; ++bits)
      for (const int lanes : {1, 0, 2}) {
        char byte;
        const DLDataType type{static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(bits),
                              static_cast<std::uint16_t>(lanes)};
        const auto view = view_of(dl_tensor(&byte, type, shape));
        if (view) {
          ++found;
          const auto expected = testing::dl_type(view->element);
          ASSERT_TRUE(expected);
          EXPECT_TRUE(expected->code == code && expected->bits == bits && lanes == 1);
        } else {
          EXPECT_EQ(view.error().kind, ErrorKind::Unsupported);
        }
      }
  int kinds = 0;
  for (const ElementInfo& info : kElements) kinds += testing::dl_type(info.element).has_value();
  EXPECT_EQ(found, kinds);
  EXPECT_EQ(kinds, 19);
  const auto view = view_of(dl_tensor(&shape, {kDLFloat, 32, 4}, shape));
  EXPECT_EQ(view.error().message, "op: x has DLPack's dtype code 2 with 32 bits and 4 lanes, which is no element kind");
}

TEST(CViews, DevicesAreThePlansWhereBothCanReachThem) {
  std::vector<std::int64_t> shape = {4};
  float data[4];
  const auto device_of = [&](DLDeviceType type, std::int32_t ordinal, Device plan) {
    return view_of(dl_tensor(data, {kDLFloat, 32, 1}, shape, nullptr, 0, {type, ordinal}), plan)
        .transform([](const TensorMut& view) { return view.device.name(); })
        .value_or("none");
  };
  EXPECT_EQ(device_of(kDLCPU, 0, kGpu), "cpu");
  EXPECT_EQ(device_of(kDLCUDA, 3, Device::cpu()), "cuda:3");
  EXPECT_EQ(device_of(kDLCUDA, -1, kGpu), "cuda:-1") << "the plan refuses it";
  for (const DLDeviceType type : {kDLCUDAHost, kDLCUDAManaged}) {
    EXPECT_EQ(device_of(type, 0, kGpu), "cuda:3");
    EXPECT_EQ(device_of(type, 0, Device::cpu()), "cpu");
  }
  for (const int type : {0, 4, 7, 10, 14, -1, 1 << 30})
    EXPECT_EQ(device_of(static_cast<DLDeviceType>(type), 0, Device::cpu()), "none");
  const auto view = view_of(dl_tensor(data, {kDLFloat, 32, 1}, shape, nullptr, 0, {kDLROCM, 0}));
  EXPECT_EQ(view.error(),
            Error::invalid_problem("op: x is on a device of DLPack's type 10, expected 1 (CPU), 2 (CUDA), 3 (CUDA "
                                   "host) or 13 (CUDA managed)"));
}

TEST(CViews, BufferIsWhatTheStridesReach) {
  constexpr std::uintptr_t kBase = 0x10000;
  void* base = reinterpret_cast<void*>(kBase);
  std::vector<std::int64_t> shape = {3, 4};
  std::int64_t strides[] = {-10, 2};
  auto view = *view_of(dl_tensor(base, {kDLFloat, 32, 1}, shape, strides, 24));
  EXPECT_EQ(view.data, reinterpret_cast<void*>(kBase + 24));
  EXPECT_EQ(view.strides, (Dims{-10, 2}));
  EXPECT_EQ(view.buffer.begin, kBase + 24 - 80);
  EXPECT_EQ(view.buffer.end, kBase + 24 + 6 * 4 + 4);

  view = *view_of(dl_tensor(base, {kDLInt, 4, 1}, shape));  // nibbles, rows without gaps
  EXPECT_EQ(view.strides, (Dims{4, 1}));
  EXPECT_EQ(view.buffer.bytes(), 6u);

  std::vector<std::int64_t> scalar, empty = {0, 5};
  view = *view_of(dl_tensor(base, {kDLFloat, 64, 1}, scalar));
  EXPECT_EQ(view.rank(), 0);
  EXPECT_EQ(view.buffer.bytes(), 8u);
  EXPECT_EQ(view_of(dl_tensor(base, {kDLFloat, 64, 1}, empty))->buffer.bytes(), 0u);
  EXPECT_EQ(view_of(dl_tensor(nullptr, {kDLFloat, 64, 1}, empty, nullptr, 8))->data, nullptr);
  EXPECT_EQ(view_of(dl_tensor(nullptr, {kDLFloat, 64, 1}, shape, nullptr, 8))->data, nullptr) << "the plan refuses it";
}

TEST(CViews, WhatLeavesTheAddressSpaceIsRefused) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max(), kLeast = -kMost - 1;
  void* base = reinterpret_cast<void*>(0x10000);
  const auto error_of = [&](std::vector<std::int64_t> shape, std::vector<std::int64_t> strides, std::uint64_t offset) {
    const auto view =
        view_of(dl_tensor(base, {kDLFloat, 32, 1}, shape, strides.empty() ? nullptr : strides.data(), offset));
    return view ? "none" : std::string(name_of(view.error().kind)) + ": " + view.error().message;
  };
  EXPECT_EQ(error_of({2, 3}, {kMost, 1}, 0),
            "InvalidProblem: op: x, shape 2x3 with strides 9223372036854775807x1 and byte_offset 0, reaches outside "
            "the address space");
  EXPECT_NE(error_of({3}, {kMost}, 0), "none");
  EXPECT_NE(error_of({2}, {kLeast}, 0), "none");
  EXPECT_NE(error_of({kMost, kMost}, {}, 0), "none");
  EXPECT_NE(error_of({1}, {}, ~std::uint64_t{0}), "none") << "pointer and offset pass 2^64";
  EXPECT_NE(error_of({1}, {}, ~std::uint64_t{0} - 0x10001), "none") << "the element's last byte does";
  EXPECT_NE(error_of({2}, {-0x10000}, 0), "none") << "before address 0";
  EXPECT_EQ(error_of({1, 2}, {kMost, 1}, 0), "none") << "strides of extent 1 do not count";
  EXPECT_EQ(error_of({0, kMost}, {kMost, kMost}, 0), "none") << "there are no elements";
  EXPECT_EQ(error_of({4, -1}, {}, 0), "InvalidProblem: op: x.shape[1] is -1, expected at least 0");
}

TEST(CViews, RanksAreChecked) {
  float data[4];
  std::vector<std::int64_t> shape(9, 1);
  DLTensor tensor = dl_tensor(data, {kDLFloat, 32, 1}, shape);
  EXPECT_EQ(view_of(tensor)->rank(), 9) << "the plan refuses it";
  tensor.ndim = -1;
  EXPECT_EQ(view_of(tensor).error().message, "op: x.ndim is -1, expected 0 to 8");
  tensor.ndim = 2;
  tensor.shape = nullptr;
  EXPECT_EQ(view_of(tensor).error().message, "op: x.shape is NULL, expected 2 extents");
  tensor.ndim = 0;
  EXPECT_TRUE(view_of(tensor));
}

TEST(CViews, VectorsHaveRankOneAndStrideOne) {
  float data[8];
  std::vector<std::int64_t> shape = {4};
  const auto vector_of = [&](std::vector<std::int64_t> strides) {
    return capi::vector_view({"op", "scale", Device::cpu()},
                             dl_tensor(data, {kDLFloat, 32, 1}, shape, strides.empty() ? nullptr : strides.data()));
  };
  for (const auto& strides : {std::vector<std::int64_t>{}, {1}}) {
    const auto vector = vector_of(strides);
    ASSERT_TRUE(vector);
    EXPECT_TRUE(vector->length == 4 && vector->data == data && vector->element == Element::F32);
    EXPECT_EQ(vector->buffer.bytes(), 16u);
  }
  for (const std::int64_t stride : {2, 0, -1}) EXPECT_EQ(vector_of({stride}).error().kind, ErrorKind::Unsupported);
  EXPECT_EQ(vector_of({2}).error().message, "op: scale.strides[0] is 2, expected 1");
  shape = {1};
  EXPECT_TRUE(vector_of({2}));
  shape = {2, 2};
  EXPECT_EQ(vector_of({}).error(), Error::invalid_problem("op: scale.ndim is 2, expected 1"));
  shape = {};
  EXPECT_EQ(vector_of({}).error(), Error::invalid_problem("op: scale.ndim is 0, expected 1"));
}

// ---- plans ----------------------------------------------------------------------------------------------------------

class CPlans : public ::testing::TestWithParam<testing::TestTarget> {};
INSTANTIATE_TEST_SUITE_P(Targets, CPlans, ::testing::ValuesIn(testing::test_targets()), testing::NameOfParam());

/// Random cases of every op, run once and through a call that is bound, against the op's oracle.
TEST_P(CPlans, ComputeWhatTheOraclesDo) {
  Random random(testing::options().seed);
  testing::for_each_c_op([&]<class C>(C) {
    const int count = GetParam().device.is_cpu() ? 60 : 10;  // kernels of each are compiled
    for (int i = 0; i < count; ++i) {
      const auto value = C::random(random);
      SCOPED_TRACE(to_string(value));
      const auto stream = testing::make_case_stream(value, GetParam().device);
      ASSERT_TRUE(stream) << stream.error().message;
      auto buffers = C::Buffers::create(value, *stream);
      ASSERT_TRUE(buffers) << buffers.error().message;
      const CCall call(value.descriptor, buffers->args(), GetParam().preference, random);
      const StreamHandle c_stream = handle_of(*stream);
      const PlanHandle plan = select_plan(call, c_stream);
      ASSERT_TRUE(plan);
      if (i % 2) {
        const CallHandle bound = bind_call(call, plan);
        ASSERT_TRUE(bound);
        ASSERT_EQ(baracuda_call_run(bound.get(), c_stream.get(), nullptr, 0), BARACUDA_OK) << last_error();
      } else {
        ASSERT_EQ(call.op->run(plan.get(), c_stream.get(), nullptr, 0, call.args.data()), BARACUDA_OK) << last_error();
      }
      ASSERT_EQ(baracuda_stream_synchronize(c_stream.get()), BARACUDA_OK) << last_error();
      const Result<void> checked = buffers->check();
      ASSERT_TRUE(checked) << checked.error().message;
    }
  });
}

TEST_P(CPlans, TellWhatThePlanTells) {
  const auto stream = testing::make_stream(GetParam().device);
  ASSERT_TRUE(stream) << stream.error().message;
  const StreamHandle c_stream = handle_of(*stream);
  const WriteSliceDescriptor descriptor{.dest_shape = {8, 64}, .start = {0, 3}, .end = {8, 60}};
  Random random(1);
  const CCall call(descriptor, WriteSliceArgs(), GetParam().preference, random);
  const PlanHandle plan = select_plan(call, c_stream);
  ASSERT_TRUE(plan);
  const auto expected = WriteSlicePlan::select(*stream, descriptor, GetParam().preference);
  ASSERT_TRUE(expected);
  const char *op, *sku, *guarantee, *explanation;
  ASSERT_EQ(baracuda_plan_op(plan.get(), &op), BARACUDA_OK);
  EXPECT_STREQ(op, "write_slice");
  ASSERT_EQ(baracuda_plan_sku(plan.get(), &sku), BARACUDA_OK);
  EXPECT_EQ(sku, expected->sku().to_string());
  ASSERT_EQ(baracuda_plan_guarantee(plan.get(), &guarantee), BARACUDA_OK);
  EXPECT_EQ(guarantee, expected->precision_guarantee().to_string());
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(baracuda_plan_explain(plan.get(), &explanation), BARACUDA_OK);
    EXPECT_EQ(explanation, WriteSlicePlan::explain(*stream, descriptor, GetParam().preference)->to_string());
  }
  std::int64_t bytes = -1;
  ASSERT_EQ(baracuda_plan_workspace_size(plan.get(), &bytes), BARACUDA_OK);
  EXPECT_EQ(bytes, 0);
  baracuda_flag must_be_zero = -1;
  ASSERT_EQ(baracuda_plan_workspace_must_be_zero(plan.get(), &must_be_zero), BARACUDA_OK);
  EXPECT_EQ(must_be_zero, 0);
  DLDevice device, stream_device;
  ASSERT_EQ(baracuda_plan_device(plan.get(), &device), BARACUDA_OK);
  ASSERT_EQ(baracuda_stream_device(c_stream.get(), &stream_device), BARACUDA_OK);
  EXPECT_EQ(device.device_type, GetParam().device.is_cpu() ? kDLCPU : kDLCUDA);
  EXPECT_EQ(device.device_id, GetParam().device.ordinal);
  EXPECT_TRUE(stream_device.device_type == device.device_type && stream_device.device_id == device.device_id);
}

class CPlansCuda : public ::testing::TestWithParam<Device> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CPlansCuda);
INSTANTIATE_TEST_SUITE_P(Devices, CPlansCuda, ::testing::ValuesIn(testing::cuda_test_devices()),
                         testing::NameOfParam());

/// On a stream that the test owns and the handle adopts.
TEST_P(CPlansCuda, ABoundCallIsCapturedInAGraph) {
  const Stream stream = *testing::make_stream(GetParam());
  Random random(1);
  testing::for_each_c_op([&]<class C>(C) {
    const auto value = C::random(random);
    SCOPED_TRACE(to_string(value));
    auto buffers = C::Buffers::create(value, stream);
    ASSERT_TRUE(buffers) << buffers.error().message;
    const CCall call(value.descriptor, buffers->args(), {}, random);
    const StreamHandle c_stream = handle_of(stream);
    const PlanHandle plan = select_plan(call, c_stream);
    ASSERT_TRUE(plan);
    const CallHandle bound = bind_call(call, plan);
    ASSERT_TRUE(bound);
    const auto graph = testing::CudaGraph::capture(stream, [&]() -> Result<void> {
      if (baracuda_call_run(bound.get(), c_stream.get(), nullptr, 0) == BARACUDA_OK) return {};
      return Error::backend(0, last_error());
    });
    ASSERT_TRUE(graph) << graph.error().message;
    ASSERT_TRUE(graph->replay(stream));
    ASSERT_TRUE(stream.synchronize());
    const Result<void> checked = buffers->check();
    EXPECT_TRUE(checked) << checked.error().message;
  });
}

/// The default streams, as CUstream has them: the legacy one, and the calling thread's.
TEST_P(CPlansCuda, RunOnTheDefaultStreams) {
  const Stream stream = *testing::make_stream(GetParam());
  Random random(1);
  const auto value = testing::random_write_slice_case(random);
  for (const std::uintptr_t handle : {0, 1, 2}) {
    SCOPED_TRACE(handle);
    auto buffers = testing::WriteSliceBuffers::create(value, stream);
    ASSERT_TRUE(buffers) << buffers.error().message;
    ASSERT_TRUE(stream.synchronize());
    const CCall call(value.descriptor, buffers->args(), {}, random);
    baracuda_stream* adopted = nullptr;
    ASSERT_EQ(baracuda_stream_adopt_cuda(reinterpret_cast<void*>(handle), GetParam().ordinal, &adopted), BARACUDA_OK)
        << last_error();
    const StreamHandle c_stream(adopted, baracuda_stream_destroy);
    const PlanHandle plan = select_plan(call, c_stream);
    ASSERT_TRUE(plan);
    const CallHandle bound = bind_call(call, plan);
    ASSERT_TRUE(bound);
    EXPECT_EQ(baracuda_call_run(bound.get(), c_stream.get(), nullptr, 0), BARACUDA_OK) << last_error();
    ASSERT_EQ(baracuda_stream_synchronize(c_stream.get()), BARACUDA_OK) << last_error();
    const Result<void> checked = buffers->check();
    EXPECT_TRUE(checked) << checked.error().message;
  }
}

/// A bound call of a 4 × 6 window, with what it needs.
struct BoundCall {
  explicit BoundCall(Random random = Random(1))
      : args{.dest = TensorMut::of(dest, {4, 6}, Device::cpu()),
             .source = TensorRef::of(source, {2, 4}, Device::cpu())},
        call(WriteSliceDescriptor{.dest_shape = {4, 6}, .start = {1, 2}, .end = {3, 6}}, args, {}, random) {}

  float dest[24] = {}, source[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  WriteSliceArgs args;
  CCall call;
  StreamHandle stream = cpu_stream();
  PlanHandle plan = select_plan(call, stream);
  CallHandle bound = bind_call(call, plan);
};

TEST(CCalls, AreIndependentOfWhatTheyWereMadeOf) {
  BoundCall bound;
  bound.plan.reset();
  bound.call.args.clear();
  bound.call.tensors.clear();
  ASSERT_EQ(baracuda_call_run(bound.bound.get(), bound.stream.get(), nullptr, 0), BARACUDA_OK) << last_error();
  EXPECT_EQ(bound.dest[6 + 2], 1);
  EXPECT_EQ(bound.dest[2 * 6 + 5], 8);
  const char* sku;
  ASSERT_EQ(baracuda_call_sku(bound.bound.get(), &sku), BARACUDA_OK);
  const auto plan = WriteSlicePlan::select(Stream::cpu(), {.dest_shape = {4, 6}, .start = {1, 2}, .end = {3, 6}});
  EXPECT_EQ(sku, plan->sku(bound.args)->to_string());
}

TEST(CCalls, RunWithoutAllocationsAndLocks) {
  if (!testing::kCanCountCalls) GTEST_SKIP() << "a sanitizer has the functions that would be counted";
  const BoundCall bound;
  testing::CallCounter counter;
  EXPECT_EQ(baracuda_call_run(bound.bound.get(), bound.stream.get(), nullptr, 0), BARACUDA_OK);
  EXPECT_EQ(bound.call.op->run(bound.plan.get(), bound.stream.get(), nullptr, 0, bound.call.args.data()), BARACUDA_OK);
  EXPECT_EQ(counter.stop().total(), 0);
}

TEST(CCalls, ErrorsStayOnTheirThread) {
  const BoundCall bound;
  EXPECT_EQ(baracuda_call_run(nullptr, bound.stream.get(), nullptr, 0), BARACUDA_INVALID_PROBLEM);
  EXPECT_EQ(last_error(), "baracuda_call_run: call is NULL, expected a pointer");
  std::thread([] {
    EXPECT_EQ(last_error(), "");
    EXPECT_EQ(baracuda_check_abi(BARACUDA_ABI_VERSION + 1), BARACUDA_UNSUPPORTED);
  }).join();
  EXPECT_EQ(baracuda_call_run(bound.bound.get(), bound.stream.get(), nullptr, 0), BARACUDA_OK);
  EXPECT_EQ(last_error(), "baracuda_call_run: call is NULL, expected a pointer") << "what succeeds leaves it";
}

TEST(CCalls, ManyThreadsShareOne) {
  const BoundCall bound;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      float dest[24] = {};
      const WriteSliceArgs args{.dest = TensorMut::of(dest, {4, 6}, Device::cpu()), .source = bound.args.source};
      Random random(static_cast<std::uint64_t>(i));
      const CCall own(WriteSliceDescriptor{.dest_shape = {4, 6}, .start = {1, 2}, .end = {3, 6}}, args, {}, random);
      const char *sku, *explanation;
      for (int repeat = 0; repeat < 20; ++repeat) {
        EXPECT_EQ(own.op->run(bound.plan.get(), bound.stream.get(), nullptr, 0, own.args.data()), BARACUDA_OK);
        EXPECT_EQ(baracuda_plan_explain(bound.plan.get(), &explanation), BARACUDA_OK);
        EXPECT_EQ(baracuda_call_sku(bound.bound.get(), &sku), BARACUDA_OK);
      }
      EXPECT_EQ(dest[8], 1);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(CErrors, NumbersOfAnErrorAreThere) {
  // A scratch that is too short.
  const QuantizedLinearDescriptor descriptor{.m = 2, .c_out = 1, .k = 1};
  float x[2] = {}, scale[2] = {}, y[2] = {}, weight_scale[1] = {};
  std::int8_t weight[1] = {}, q[2] = {};
  const Device cpu = Device::cpu();
  const QuantizedLinearArgs args{.x = TensorRef::of(x, {2, 1}, cpu),
                                 .weight = TensorRef::of(weight, {1, 1}, cpu),
                                 .weight_scale = VectorRef::of(weight_scale, 1, cpu),
                                 .y = TensorMut::of(y, {2, 1}, cpu),
                                 .act_q_scratch = TensorMut::of(q, {2, 1}, cpu),
                                 .act_scale_scratch = VectorMut::of(scale, 1, cpu)};
  Random random(1);
  const CCall call(descriptor, args, {}, random);
  const StreamHandle stream = cpu_stream();
  const PlanHandle plan = select_plan(call, stream);
  EXPECT_EQ(call.op->run(plan.get(), stream.get(), nullptr, 0, call.args.data()), BARACUDA_BUFFER_TOO_SMALL);
  EXPECT_EQ(baracuda_last_error_needed(), 8);
  EXPECT_EQ(baracuda_last_error_got(), 4);
  EXPECT_EQ(baracuda_last_error_code(), 0);
  EXPECT_EQ(last_error(), QuantizedLinearPlan::select(Stream::cpu(), descriptor)->can_implement(args).error().message);
}

TEST(CErrors, LongTextsAreCutBetweenCharacters) {
  std::string characters;
  for (int i = 0; i < 3000; ++i) characters += "ö";
  for (const std::string& padding : {std::string(), std::string("x")}) {
    EXPECT_EQ(capi::keep_last_error(Error::unsupported(padding + characters)), BARACUDA_UNSUPPORTED);
    const std::string kept = last_error();
    EXPECT_EQ(kept, (padding + characters).substr(0, kept.size()));
    EXPECT_GE(kept.size(), 4094u);
    EXPECT_EQ(kept.size() % 2, padding.size());
  }
}

TEST(CErrors, NullIsRefusedEverywhere) {
  const BoundCall bound;
  const COp& op = *bound.call.op;
  const baracuda_stream* stream = bound.stream.get();
  const baracuda_plan* plan = bound.plan.get();
  const void *descriptor = bound.call.descriptor.data(), *args = bound.call.args.data();
  baracuda_plan* new_plan;
  baracuda_call* new_call;
  const char* text;
  std::int64_t number;
  DLDevice device;
  const std::vector<std::pair<const char*, std::function<baracuda_status()>>> calls = {
      {"baracuda_stream_cpu: stream", [&] { return baracuda_stream_cpu(1, nullptr); }},
      {"baracuda_stream_cuda: stream", [&] { return baracuda_stream_cuda(0, nullptr); }},
      {"baracuda_stream_adopt_cuda: stream", [&] { return baracuda_stream_adopt_cuda(nullptr, 0, nullptr); }},
      {"baracuda_stream_synchronize: stream", [&] { return baracuda_stream_synchronize(nullptr); }},
      {"baracuda_stream_device: stream", [&] { return baracuda_stream_device(nullptr, &device); }},
      {"baracuda_stream_device: device", [&] { return baracuda_stream_device(stream, nullptr); }},
      {"baracuda_plan_op: plan", [&] { return baracuda_plan_op(nullptr, &text); }},
      {"baracuda_plan_op: name", [&] { return baracuda_plan_op(plan, nullptr); }},
      {"baracuda_plan_sku: plan", [&] { return baracuda_plan_sku(nullptr, &text); }},
      {"baracuda_plan_guarantee: plan", [&] { return baracuda_plan_guarantee(nullptr, &text); }},
      {"baracuda_plan_explain: plan", [&] { return baracuda_plan_explain(nullptr, &text); }},
      {"baracuda_plan_workspace_size: plan", [&] { return baracuda_plan_workspace_size(nullptr, &number); }},
      {"baracuda_plan_workspace_must_be_zero: plan",
       [&] { return baracuda_plan_workspace_must_be_zero(nullptr, &number); }},
      {"baracuda_plan_device: plan", [&] { return baracuda_plan_device(nullptr, &device); }},
      {"baracuda_call_run: call", [&] { return baracuda_call_run(nullptr, stream, nullptr, 0); }},
      {"baracuda_call_run: stream", [&] { return baracuda_call_run(bound.bound.get(), nullptr, nullptr, 0); }},
      {"baracuda_call_sku: call", [&] { return baracuda_call_sku(nullptr, &text); }},
      {"write_slice: descriptor", [&] { return op.init(nullptr, op.descriptor_bytes); }},
      {"write_slice: stream", [&] { return op.select(nullptr, descriptor, nullptr, &new_plan); }},
      {"write_slice: descriptor", [&] { return op.select(stream, nullptr, nullptr, &new_plan); }},
      {"write_slice: plan", [&] { return op.select(stream, descriptor, nullptr, nullptr); }},
      {"write_slice: plan", [&] { return op.run(nullptr, stream, nullptr, 0, args); }},
      {"write_slice: stream", [&] { return op.run(plan, nullptr, nullptr, 0, args); }},
      {"write_slice: args", [&] { return op.run(plan, stream, nullptr, 0, nullptr); }},
      {"write_slice: plan", [&] { return op.bind(nullptr, args, &new_call); }},
      {"write_slice: args", [&] { return op.bind(plan, nullptr, &new_call); }},
      {"write_slice: call", [&] { return op.bind(plan, args, nullptr); }},
  };
  for (const auto& [message, call] : calls) {
    EXPECT_EQ(call(), BARACUDA_INVALID_PROBLEM) << message;
    EXPECT_EQ(last_error().substr(0, std::strlen(message) + 8), std::string(message) + " is NULL");
  }
  baracuda_stream_destroy(nullptr);
  baracuda_plan_destroy(nullptr);
  baracuda_call_destroy(nullptr);
}

TEST(CErrors, APlanOfAnotherOpIsRefused) {
  const BoundCall bound;
  const COp& other = testing::c_op("quantize");
  baracuda_quantize_args args = {};
  args.struct_size = sizeof args;
  baracuda_call* call = nullptr;
  EXPECT_EQ(other.run(bound.plan.get(), bound.stream.get(), nullptr, 0, &args), BARACUDA_INVALID_PROBLEM);
  EXPECT_EQ(last_error(), "quantize: plan is one of write_slice, expected quantize");
  EXPECT_EQ(other.bind(bound.plan.get(), &args, &call), BARACUDA_INVALID_PROBLEM);
}

TEST(CErrors, AStreamOfNoDeviceIsRefused) {
  baracuda_stream* stream = reinterpret_cast<baracuda_stream*>(1);
  EXPECT_NE(baracuda_stream_cuda(-1, &stream), BARACUDA_OK);
  EXPECT_EQ(stream, nullptr);
  stream = reinterpret_cast<baracuda_stream*>(1);
  EXPECT_NE(baracuda_stream_adopt_cuda(nullptr, 1000, &stream), BARACUDA_OK);
  EXPECT_EQ(stream, nullptr);
  EXPECT_EQ(baracuda_num_cuda_devices(), num_cuda_devices());
}

TEST(CErrors, StatusesHaveTheNamesOfTheErrors) {
  EXPECT_STREQ(baracuda_status_name(BARACUDA_OK), "Ok");
  EXPECT_STREQ(baracuda_status_name(BARACUDA_INVALID_PROBLEM), "InvalidProblem");
  EXPECT_STREQ(baracuda_status_name(BARACUDA_IO), "Io");
  for (const baracuda_status status : {-1, 9, 255, 256, 256 + 1, 1 << 30})
    EXPECT_STREQ(baracuda_status_name(status), "invalid") << status;
}

TEST(CVersion, IsTheLibrarys) {
  EXPECT_EQ(baracuda_check_abi(BARACUDA_ABI_VERSION), BARACUDA_OK);
  EXPECT_EQ(baracuda_version(), version());
  EXPECT_STREQ(BARACUDA_HEADER_VERSION, baracuda_version());
  EXPECT_EQ(baracuda_check_abi(0), BARACUDA_UNSUPPORTED);
  EXPECT_EQ(last_error(), "baracuda_check_abi: the program was built for version 0 of the ABI, the library, " +
                              std::string(version()) + ", has version 1");
}

}  // namespace
}  // namespace baracuda
