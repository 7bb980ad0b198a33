#include "baracuda/ops/quantize/quantize_case.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "baracuda/core/propagate.h"
#include "baracuda/ops/quantize/quantize_kernels.h"
#include "baracuda/ops/quantize/quantize_oracle.h"
#include "baracuda/plan/candidate.h"
#include "testing/case_op.h"
#include "testing/compare.h"

namespace baracuda::testing {
namespace {

using Granularity = QuantizationGranularity;

template <class Descriptor>
constexpr bool kReadsQ = std::same_as<Descriptor, DequantizeDescriptor>;
template <class Descriptor>
constexpr bool kWritesQ = std::same_as<Descriptor, QuantizeDescriptor>;
template <class Descriptor>
constexpr bool kHasGradient = std::same_as<Descriptor, FakeQuantizeBackwardDescriptor>;

struct QRange {
  std::int64_t min, max;
};
template <class Descriptor>
QRange q_range(const Descriptor& descriptor) {
  QRange range = descriptor.q_element == Element::I8   ? QRange{-128, 127}
                 : descriptor.q_element == Element::U8 ? QRange{0, 255}
                 : descriptor.q_element == Element::S4 ? QRange{-8, 7}
                                                       : QRange{0, 15};
  if constexpr (requires { descriptor.q_min; }) {
    if (descriptor.q_min) range.min = *descriptor.q_min;
    if (descriptor.q_max) range.max = *descriptor.q_max;
  }
  return range;
}

template <class Descriptor>
Element input_element(const Descriptor& descriptor) {
  return kReadsQ<Descriptor> ? descriptor.q_element : descriptor.element;
}
template <class Descriptor>
Element output_element(const Descriptor& descriptor) {
  return kWritesQ<Descriptor> ? descriptor.q_element : descriptor.element;
}

/// Calls body(index) for every index of a shape, the last axis fastest, or for the first `count`.
template <class Body>
void for_each_index(const Dims& shape, const Body& body,
                    std::int64_t count = std::numeric_limits<std::int64_t>::max()) {
  if (std::ranges::find(shape, 0) != shape.end()) return;
  Dims index = Dims::filled(shape.rank(), 0);
  for (; count > 0; --count) {
    body(index);
    int axis = shape.rank() - 1;
    for (; axis >= 0 && ++index[axis] == shape[axis]; --axis) index[axis] = 0;
    if (axis < 0) return;
  }
}

template <class Descriptor>
std::int64_t scale_index(const Descriptor& descriptor, const Dims& index) {
  const Dims& shape = descriptor.shape;
  const int last = shape.rank() - 1;
  if (descriptor.granularity == Granularity::PerTensor) return 0;
  if (descriptor.granularity == Granularity::PerChannel) return index[descriptor.axis];
  std::int64_t row = 0;
  for (int axis = 0; axis < last; ++axis) row = row * shape[axis] + index[axis];
  if (descriptor.granularity == Granularity::PerToken) return row;
  return row * (shape[last] / descriptor.group_size) + index[last] / descriptor.group_size;
}

template <class Descriptor>
std::int64_t scale_count(const Descriptor& descriptor) {
  const Dims& shape = descriptor.shape;
  if (descriptor.granularity == Granularity::PerTensor) return 1;
  if (descriptor.granularity == Granularity::PerChannel) return shape[descriptor.axis];
  std::int64_t count = 1;
  for (int axis = 0; axis < shape.rank() - 1; ++axis) count *= shape[axis];
  if (descriptor.granularity == Granularity::PerToken) return count;
  return count * (shape[shape.rank() - 1] / descriptor.group_size);
}

/// Of the element at `index`, counted from the buffer's begin: bytes, or nibbles of a packed kind.
std::int64_t offset_of(const Placement& place, Element element, const Dims& index) {
  std::int64_t offset = 0;
  for (int axis = 0; axis < index.rank(); ++axis) offset += index[axis] * place.strides[axis];
  return is_packed_4bit(element) ? 2 * place.origin_bytes + offset
                                 : place.origin_bytes + offset * element_bytes(element);
}

std::int64_t load_q(Element element, std::span<const std::byte> bytes, std::int64_t at) {
  switch (element) {
    case Element::I8: return static_cast<std::int8_t>(bytes[at]);
    case Element::U8: return static_cast<std::uint8_t>(bytes[at]);
    default: break;
  }
  const int byte = std::to_integer<int>(bytes[at / 2]);
  const int nibble = at % 2 ? byte / 16 : byte % 16;
  return element == Element::S4 && nibble >= 8 ? nibble - 16 : nibble;
}

void store_q(Element element, std::span<std::byte> bytes, std::int64_t at, std::int64_t q) {
  if (!is_packed_4bit(element)) {
    bytes[at] = static_cast<std::byte>(q);
    return;
  }
  const int nibble = static_cast<int>(q + 16) % 16;
  std::byte& byte = bytes[at / 2];
  const int old = std::to_integer<int>(byte);
  byte = static_cast<std::byte>(at % 2 ? old % 16 + nibble * 16 : old / 16 * 16 + nibble);
}

std::int64_t load_zero_point(Element element, std::span<const std::byte> bytes, std::int64_t i) {
  if (element != Element::I32) return load_q(element, bytes, i);
  std::int32_t value;
  std::memcpy(&value, bytes.data() + 4 * i, 4);
  return value;
}

double random_unit(Random& random) { return static_cast<double>(random.draw(0, (1 << 30) - 1)) / (1 << 30); }

double random_scale(Random& random, bool hostile, bool is_f64) {
  if (hostile && random.one_in(4)) {
    const double tiny = is_f64 ? 0x1p-1060 : 0x1p-140, large = is_f64 ? 0x1p1020 : 0x1p126;
    const double scales[] = {0.0, -0.0, -0.5, NAN, INFINITY, -INFINITY, tiny, large, 0x1.234p-110, 0x1.fffp105};
    return random.pick(scales);
  }
  const double power = std::ldexp(1.0, static_cast<int>(random.draw(-7, 3)));
  return random.one_in(2) ? power : static_cast<float>(power * (1 + random_unit(random)));
}

std::int64_t random_zero_point(Random& random, Element element, QRange range, bool hostile) {
  if (element == Element::I32 && hostile && random.one_in(3)) {
    const std::int64_t zero_points[] = {std::numeric_limits<std::int32_t>::min(),
                                        std::numeric_limits<std::int32_t>::max(),
                                        1 << 22,
                                        (1 << 22) - 512,
                                        -(1 << 24) - 1,
                                        5000};
    return random.pick(zero_points);
  }
  const QRange kinds = element == Element::I8   ? QRange{-128, 127}
                       : element == Element::U8 ? QRange{0, 255}
                                                : QRange{-1000, 1000};
  return std::clamp(random.draw(range.min, range.max), kinds.min, kinds.max);
}

/// Numbers that come out in the range or, one in six, a little outside; among them ties.
double random_x(Random& random, double scale, std::int64_t zero_point, QRange range, bool hostile) {
  if (hostile && random.one_in(8)) {
    const double numbers[] = {NAN, INFINITY, -INFINITY, -0.0, 0x1p-149, 3e38, -3e38, 1e-30};
    return random.pick(numbers);
  }
  std::int64_t q = random.draw(range.min, range.max);
  if (random.one_in(6)) q = random.one_in(2) ? range.min - random.draw(1, 9) : range.max + random.draw(1, 9);
  const auto around = static_cast<double>(q - zero_point);
  const double off[] = {0, 0.5, -0.5, 0.4999, random_unit(random) - 0.5};
  return (around + random.pick(off)) * scale;
}

}  // namespace

template <class Descriptor>
Result<QuantizationBuffers<Descriptor>> QuantizationBuffers<Descriptor>::create(
    const QuantizationCase<Descriptor>& value, const Stream& stream) {
  const Descriptor& descriptor = value.descriptor;
  const Dims& shape = descriptor.shape;
  const Element x_element = descriptor.element;
  BARACUDA_ASSIGN_OR_RETURN(const Placement input_place, place("input", input_element(descriptor), shape,
                                                               value.input_strides, value.input_misalignment));
  BARACUDA_ASSIGN_OR_RETURN(const Placement output_place, place("output", output_element(descriptor), shape,
                                                                value.output_strides, value.output_misalignment));
  Placement gradient_place;
  if (kHasGradient<Descriptor>) {
    BARACUDA_ASSIGN_OR_RETURN(gradient_place,
                              place("gradient", x_element, shape, value.gradient_strides, value.gradient_misalignment));
  }
  const bool is_f64 = x_element == Element::F64;
  const Element scale_element = is_f64 ? Element::F64 : Element::F32;
  const Element zero_point_element = descriptor.zero_point_element.value_or(Element::I32);
  const std::int64_t num_scales = scale_count(descriptor);

  Random random(value.seed);
  const auto buffer = [&](const char* name, std::int64_t bytes, int misalignment = 0) {
    return GuardedBuffer::create(name, stream, bytes, random, misalignment);
  };
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer input, buffer("input", input_place.bytes, input_place.misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer output, buffer("output", output_place.bytes, output_place.misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer gradient,
                            buffer("gradient", gradient_place.bytes, gradient_place.misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer scale, buffer("scale", num_scales * element_bytes(scale_element)));
  BARACUDA_ASSIGN_OR_RETURN(
      GuardedBuffer zero_point,
      buffer("zero_point",
             descriptor.zero_point_element ? num_scales * element_bytes(zero_point_element) : std::int64_t{0}));

  const QRange range = q_range(descriptor);
  for (std::int64_t i = 0; i < num_scales; ++i) {
    oracle_store(scale_element, scale.image().data() + i * element_bytes(scale_element),
                 random_scale(random, value.hostile, is_f64));
    if (!descriptor.zero_point_element) continue;
    const auto bits = static_cast<std::int32_t>(random_zero_point(random, zero_point_element, range, value.hostile));
    std::memcpy(zero_point.image().data() + i * element_bytes(zero_point_element), &bits,
                element_bytes(zero_point_element));
  }
  // Any bits are a q. What is between the elements stays random too.
  if (!kReadsQ<Descriptor>) {
    const std::int64_t drawn =
        value.input_strides.empty() ? kMaxDrawnElements : std::numeric_limits<std::int64_t>::max();
    for_each_index(
        shape,
        [&](const Dims& index) {
          const std::int64_t i = scale_index(descriptor, index);
          const double scale_value =
              oracle_load(scale_element, scale.image().data() + i * element_bytes(scale_element));
          const std::int64_t shift =
              descriptor.zero_point_element ? load_zero_point(zero_point_element, zero_point.image(), i) : 0;
          oracle_store(x_element, input.image().data() + offset_of(input_place, x_element, index),
                       random_x(random, scale_value, shift, range, value.hostile));
        },
        drawn);
    if (value.input_strides.empty()) repeat_first(input.image(), drawn * element_bytes(x_element));
  }
  QuantizationBuffers buffers{value,
                              input_place,
                              output_place,
                              gradient_place,
                              std::move(input),
                              std::move(output),
                              std::move(gradient),
                              std::move(scale),
                              std::move(zero_point)};
  for (GuardedBuffer* operand : buffers.operands()) BARACUDA_RETURN_IF_ERROR(operand->upload());
  return buffers;
}

template <class Descriptor>
typename QuantizationPlan<Descriptor>::Args QuantizationBuffers<Descriptor>::args() const {
  const Descriptor& descriptor = value.descriptor;
  const auto tensor = [&](const GuardedBuffer& buffer, const Placement& place, Element element) {
    return buffer.tensor(element, place.shape, place.strides, place.origin_bytes);
  };
  const TensorMut in = tensor(input, input_place, input_element(descriptor));
  const TensorMut out = tensor(output, output_place, output_element(descriptor));
  const std::int64_t num_scales = scale_count(descriptor);
  const VectorRef scales = scale.vector(descriptor.element == Element::F64 ? Element::F64 : Element::F32, num_scales);
  std::optional<VectorRef> zero_points;
  if (descriptor.zero_point_element) zero_points = zero_point.vector(*descriptor.zero_point_element, num_scales);
  if constexpr (kHasGradient<Descriptor>) {
    return {in, tensor(gradient, gradient_place, descriptor.element), scales, zero_points, out};
  } else {
    return {in, scales, zero_points, out};
  }
}

template <class Descriptor>
Result<void> QuantizationBuffers<Descriptor>::check() {
  const Descriptor& descriptor = value.descriptor;
  const Element x_element = descriptor.element, q_element = descriptor.q_element;
  const bool is_f64 = x_element == Element::F64;
  const int scale_bytes = is_f64 ? 8 : 4;
  const QRange range = q_range(descriptor);
  const std::vector<std::byte> before(output.image().begin(), output.image().end());
  std::vector<std::byte> expected = before;
  BARACUDA_RETURN_IF_ERROR(output.download());
  std::set<std::int64_t> quantized;
  for_each_index(descriptor.shape, [&](const Dims& index) {
    const std::int64_t i = scale_index(descriptor, index);
    const double scale_value =
        oracle_load(is_f64 ? Element::F64 : Element::F32, scale.image().data() + i * scale_bytes);
    const std::int64_t shift =
        descriptor.zero_point_element ? load_zero_point(*descriptor.zero_point_element, zero_point.image(), i) : 0;
    const std::int64_t from = offset_of(input_place, input_element(descriptor), index);
    const std::int64_t to = offset_of(output_place, output_element(descriptor), index);
    if constexpr (kReadsQ<Descriptor>) {
      oracle_store(x_element, expected.data() + to,
                   oracle_dequantize(load_q(q_element, input.image(), from), scale_value, shift, is_f64));
    } else {
      const double x = oracle_load(x_element, input.image().data() + from);
      const OracleQuantized q = oracle_quantize(x, scale_value, shift, range.min, range.max, is_f64);
      quantized.insert(kHasGradient<Descriptor> ? q.inside : q.q);
      if constexpr (kWritesQ<Descriptor>) {
        store_q(q_element, expected, to, q.q);
      } else if constexpr (kHasGradient<Descriptor>) {
        const std::int64_t bytes = element_bytes(x_element);
        std::memset(expected.data() + to, 0, bytes);
        if (q.inside)
          std::memcpy(expected.data() + to, gradient.image().data() + offset_of(gradient_place, x_element, index),
                      bytes);
      } else {
        oracle_store(x_element, expected.data() + to, oracle_dequantize(q.q, scale_value, shift, is_f64));
      }
    }
    if constexpr (!kWritesQ<Descriptor> && !kHasGradient<Descriptor>)
      if (std::isnan(oracle_load(x_element, expected.data() + to)) &&
          std::isnan(oracle_load(x_element, output.image().data() + to)))
        std::memcpy(expected.data() + to, output.image().data() + to, element_bytes(x_element));
  });
  std::int64_t different_inputs = 1;
  for (int axis = 0; axis < descriptor.shape.rank(); ++axis)
    if (input_place.strides[axis] != 0 || descriptor.shape[axis] == 0) different_inputs *= descriptor.shape[axis];
  if (!kReadsQ<Descriptor> && !value.hostile && different_inputs >= 300 && range.max - range.min >= 7 &&
      quantized.size() < 2)
    return Error::backend(0, "every element comes out alike, so the case proves nothing");

  BARACUDA_RETURN_IF_ERROR(compare_bytes("output", output.image(), expected));
  BARACUDA_RETURN_IF_ERROR(input.expect_unchanged());
  BARACUDA_RETURN_IF_ERROR(gradient.expect_unchanged());
  BARACUDA_RETURN_IF_ERROR(scale.expect_unchanged());
  return zero_point.expect_unchanged();
}

template <class Descriptor>
Result<void> QuantizationBuffers<Descriptor>::expect_untouched() const {
  for (const GuardedBuffer* buffer : {&input, &output, &gradient, &scale, &zero_point})
    BARACUDA_RETURN_IF_ERROR(buffer->expect_unchanged());
  return {};
}

template <class Descriptor>
Result<void> check_quantization(const QuantizationCase<Descriptor>& value, const TestTarget& target) {
  using Plan = QuantizationPlan<Descriptor>;
  BARACUDA_ASSIGN_OR_RETURN(const Stream stream, make_case_stream(value, target.device));
  BARACUDA_ASSIGN_OR_RETURN(const Plan plan, Plan::select(stream, value.descriptor, target.preference));
  BARACUDA_ASSIGN_OR_RETURN(auto buffers, QuantizationBuffers<Descriptor>::create(value, stream));
  BARACUDA_RETURN_IF_ERROR(plan.run(stream, Workspace::none(), buffers.args()));
  BARACUDA_RETURN_IF_ERROR(stream.synchronize());
  return buffers.check();
}

// ---- cases ----------------------------------------------------------------------------------------------------------

namespace {

constexpr Element kXElements[] = {Element::F32, Element::F64, Element::F16, Element::Bf16};
constexpr Element kQElements[] = {Element::I8, Element::U8, Element::S4, Element::U4};

void set_granularity(auto& descriptor, Granularity granularity, Random& random) {
  const int rank = descriptor.shape.rank();
  const std::int64_t last = descriptor.shape[rank - 1];
  descriptor.granularity = granularity;
  if (granularity == Granularity::PerChannel) descriptor.axis = static_cast<int>(random.draw(0, rank - 1));
  if (granularity == Granularity::PerGroup) {
    std::vector<std::int64_t> divisors;
    for (std::int64_t i = 1; i <= std::max<std::int64_t>(1, last); ++i)
      if (last % i == 0) divisors.push_back(i);
    descriptor.group_size = random.pick(divisors);
  }
}

void set_zero_point(auto& descriptor, Random& random) {
  const std::optional<Element> elements[] = {std::nullopt, Element::I32, Element::I8, Element::U8};
  descriptor.zero_point_element = random.pick(elements);
}

}  // namespace

template <class Descriptor>
QuantizationCase<Descriptor> random_quantization_case(Random& random) {
  QuantizationCase<Descriptor> value;
  Descriptor& descriptor = value.descriptor;
  descriptor.element = random.pick(kXElements);
  descriptor.q_element = random.pick(kQElements);
  const int rank = static_cast<int>(random.one_in(6) ? random.draw(1, kMaxRank) : random.draw(1, 3));
  descriptor.shape = Dims::filled(rank, 1);
  std::int64_t budget = 600;
  // Multiples of 16 keep vectors whole.
  for (int axis = rank - 1; axis >= 0; --axis) {
    std::int64_t extent =
        axis == rank - 1 ? random.one_in(2) ? 16 * random.draw(1, 12) : random.draw(1, 150) : random.draw(1, 9);
    extent = std::max<std::int64_t>(1, std::min(budget, extent));
    budget /= extent;
    descriptor.shape[axis] = extent;
  }
  if (random.one_in(40)) descriptor.shape[static_cast<int>(random.draw(0, rank - 1))] = 0;
  set_granularity(descriptor, random.pick(kQuantizationGranularities), random);
  set_zero_point(descriptor, random);
  if constexpr (requires { descriptor.q_min; }) {
    if (random.one_in(4)) {
      const QRange range = q_range(descriptor);
      descriptor.q_min = static_cast<int>(random.draw(range.min, range.max));
      descriptor.q_max = static_cast<int>(random.draw(*descriptor.q_min, range.max));
    }
  }
  const auto misalignment = [&](Element element) {
    return random.one_in(4) ? std::max(1, element_bytes(element)) * static_cast<int>(random.draw(0, 15)) : 0;
  };
  if (random.one_in(3)) value.input_strides = random_strides(descriptor.shape, random, true);
  if (random.one_in(3)) value.output_strides = random_strides(descriptor.shape, random, false);
  value.input_misalignment = misalignment(input_element(descriptor));
  value.output_misalignment = misalignment(output_element(descriptor));
  if (kHasGradient<Descriptor>) {
    if (random.one_in(3)) value.gradient_strides = random_strides(descriptor.shape, random, true);
    value.gradient_misalignment = misalignment(descriptor.element);
  }
  value.hostile = random.one_in(3);
  value.num_threads = static_cast<int>(random.draw(1, 3));
  value.seed = random.next() >> 32;
  return value;
}

template <class Descriptor>
std::vector<QuantizationCase<Descriptor>> designed_quantization_cases() {
  using Case = QuantizationCase<Descriptor>;
  std::vector<Case> cases;
  Random random(11);
  const auto add = [&](const Descriptor& descriptor, bool hostile = false) -> Case& {
    Case& value = cases.emplace_back();
    value.descriptor = descriptor;
    value.hostile = hostile;
    value.seed = cases.size();
    return value;
  };
  for (Element element : kXElements)
    for (Element q_element : kQElements)
      for (Granularity granularity : kQuantizationGranularities)
        for (bool hostile : {false, true}) {
          // Per channel along each axis; vectors that are whole, and that are not.
          for (const Dims& shape : {Dims{6, 5, 64}, Dims{7, 5, 19}}) {
            Descriptor descriptor;
            descriptor.element = element;
            descriptor.q_element = q_element;
            descriptor.shape = shape;
            descriptor.granularity = granularity;
            if (granularity == Granularity::PerGroup) descriptor.group_size = shape[2] == 64 ? 16 : 19;
            set_zero_point(descriptor, random);
            for (int axis = 0; axis < (granularity == Granularity::PerChannel ? 3 : 1); ++axis) {
              descriptor.axis = axis;
              add(descriptor, hostile);
            }
          }
        }
  // Around vectors, blocks and pieces; rows that are cut for threads; rows of columns that are no multiple of a
  // thread's.
  for (Element q_element : {Element::I8, Element::U4})
    for (std::int64_t extent : {1, 2, 7, 8, 9, 1023, 1024, 1025, 32768, 32769, 40001}) {
      Descriptor descriptor;
      descriptor.element = Element::F16;
      descriptor.q_element = q_element;
      descriptor.shape = {extent};
      add(descriptor).num_threads = 2;
      descriptor.shape = {3, extent};
      descriptor.granularity = Granularity::PerToken;
      add(descriptor).num_threads = 3;
      descriptor.granularity = Granularity::PerChannel;
      descriptor.axis = 1;
      if (extent < 2000) {
        descriptor.shape = {extent, 24};
        add(descriptor).num_threads = 2;
      }
    }
  // Transposed in memory, alike and differently; backwards in both; a broadcast input.
  for (Element q_element : {Element::I8, Element::S4})
    for (Granularity granularity : kQuantizationGranularities) {
      Descriptor descriptor;
      descriptor.q_element = q_element;
      descriptor.shape = {32, 48};
      descriptor.granularity = granularity;
      if (granularity == Granularity::PerGroup) descriptor.group_size = 8;
      Case* value = &add(descriptor);
      value->input_strides = value->output_strides = value->gradient_strides = {1, 32};
      value = &add(descriptor);
      value->input_strides = {1, 32};
      value = &add(descriptor);
      value->input_strides = value->output_strides = value->gradient_strides = {-48, -1};
      value = &add(descriptor);
      value->output_strides = {50, 1};
      value = &add(descriptor);
      value->output_strides = {49, 1};
      value = &add(descriptor);
      value->input_strides = {0, 1};
    }
  for (Case& value : cases)
    if (!kHasGradient<Descriptor>) value.gradient_strides = {};
  return cases;
}

// ---- what the tool and the shared tests see -------------------------------------------------------------------------

namespace {

/// Descriptors that between them reach every variant.
template <class Descriptor>
std::vector<Descriptor> descriptors_of_every_sku() {
  std::vector<Descriptor> descriptors;
  for (Element element : kXElements)
    for (Element q_element : kQElements)
      for (const Dims& shape : {Dims{64, 64}, Dims{64, 63}})
        for (Granularity granularity : {Granularity::PerTensor, Granularity::PerChannel}) {
          Descriptor& descriptor = descriptors.emplace_back();
          descriptor.element = element;
          descriptor.q_element = q_element;
          descriptor.shape = shape;
          descriptor.granularity = granularity;
          if (granularity == Granularity::PerChannel) descriptor.axis = 1;
        }
  return descriptors;
}

/// A case whose speed matters: the extents on a GPU, which go beyond every cache, and the rest of the line.
struct BenchCase {
  int rows, cols;
  std::string_view fields;
};

template <class Descriptor>
class QuantizationOp final
    : public CaseOp<QuantizationPlan<Descriptor>, QuantizationCase<Descriptor>, QuantizationBuffers<Descriptor>> {
  using Case = QuantizationCase<Descriptor>;
  using Base = CaseOp<QuantizationPlan<Descriptor>, Case, QuantizationBuffers<Descriptor>>;

 public:
  QuantizationOp(QuantizeOp op, std::string_view summary, std::vector<BenchCase> bench_cases)
      : op_(op), summary_(summary), bench_cases_(std::move(bench_cases)) {}

  std::string_view summary() const override { return summary_; }

  std::vector<KernelSku> skus(const DeviceInfo& device) const override {
    std::vector<KernelSku> skus;
    for (const Descriptor& descriptor : descriptors_of_every_sku<Descriptor>())
      if (const auto choice = QuantizationPlan<Descriptor>::choose(descriptor, {}, device);
          choice && std::find(skus.begin(), skus.end(), choice->sku) == skus.end())
        skus.push_back(choice->sku);
    return skus;
  }

  using Base::kernels;
  std::vector<jit::KernelSpec> kernels(const PlanPreference& preference, const DeviceInfo& device) const override {
    std::vector<jit::KernelSpec> kernels;
    const auto arch = choose_arch(this->name(), preference, device);
    if (!arch || arch->arch == Arch::Cpu) return kernels;
    for (Element element : kXElements)
      for (int q_bits : {8, 4})
        for (auto variant : {QuantizeVariant::Contiguous, QuantizeVariant::Columns, QuantizeVariant::Generic})
          for (bool wide_index : {false, true}) {
            if (q_bits == 4 && !kReadsQ<Descriptor> && !kWritesQ<Descriptor>) continue;
            if (wide_index && variant == QuantizeVariant::Columns) continue;
            kernels.push_back(quantize_kernel({op_, element, q_bits, variant, wide_index}, arch->target));
          }
    return kernels;
  }

  std::vector<std::string> bench_cases(Device device) const override {
    std::vector<std::string> lines;
    for (const BenchCase& each : bench_cases_)
      lines.push_back(fmt::format("{} shape={}x{} {}{}", this->name(), device.is_cpu() ? each.rows / 4 : each.rows,
                                  each.cols, each.fields, device.is_cpu() ? " num_threads=0" : ""));
    return lines;
  }

 private:
  std::vector<Case> designed_cases() const override { return designed_quantization_cases<Descriptor>(); }
  Case random_case(Random& random) const override { return random_quantization_case<Descriptor>(random); }
  Result<void> check(const Case& value, const TestTarget& target) const override {
    return check_quantization(value, target);
  }

  QuantizeOp op_;
  std::string_view summary_;
  std::vector<BenchCase> bench_cases_;
};

}  // namespace

#define BARACUDA_QUANTIZATION_OP(descriptor)                                                    \
  template struct QuantizationBuffers<descriptor>;                                              \
  template QuantizationCase<descriptor> random_quantization_case<descriptor>(Random&);          \
  template std::vector<QuantizationCase<descriptor>> designed_quantization_cases<descriptor>(); \
  template Result<void> check_quantization(const QuantizationCase<descriptor>&, const TestTarget&);

BARACUDA_QUANTIZATION_OP(QuantizeDescriptor)
BARACUDA_QUANTIZATION_OP(DequantizeDescriptor)
BARACUDA_QUANTIZATION_OP(FakeQuantizeDescriptor)
BARACUDA_QUANTIZATION_OP(FakeQuantizeBackwardDescriptor)

const Op& quantize_op() {
  static const QuantizationOp<QuantizeDescriptor> op(
      QuantizeOp::Quantize, "q = clamp(round_half_even(x / scale) + zero_point), to 8 or 4 bits",
      {{8192, 8192, "element=f32 q_element=i8"},
       {8192, 16384, "element=f16 q_element=i8 granularity=per_token"},
       {8192, 16384, "element=f16 q_element=s4 granularity=per_group group_size=128"},
       {8192, 16384, "element=f16 q_element=i8 granularity=per_channel axis=1"}});
  return op;
}

const Op& dequantize_op() {
  static const QuantizationOp<DequantizeDescriptor> op(
      QuantizeOp::Dequantize, "x = f32(q − zero_point) · scale, from 8 or 4 bits",
      {{8192, 8192, "element=f32 q_element=i8 granularity=per_channel axis=1"},
       {8192, 16384, "element=bf16 q_element=i8"},
       {8192, 16384, "element=f16 q_element=s4 granularity=per_group group_size=128"}});
  return op;
}

const Op& fake_quantize_op() {
  static const QuantizationOp<FakeQuantizeDescriptor> op(
      QuantizeOp::FakeQuantize, "what quantize and dequantize make of x, in one pass",
      {{8192, 8192, "element=f32"}, {8192, 8192, "element=f16 granularity=per_channel axis=1"}});
  return op;
}

const Op& fake_quantize_backward_op() {
  static const QuantizationOp<FakeQuantizeBackwardDescriptor> op(
      QuantizeOp::FakeQuantizeBackward, "the gradient of fake_quantize: dy where x was not clamped, else 0",
      {{4096, 8192, "element=f32"}, {8192, 8192, "element=bf16 granularity=per_channel axis=1"}});
  return op;
}

}  // namespace baracuda::testing
