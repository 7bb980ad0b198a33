#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "baracuda/core/propagate.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_kernels.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_oracle.h"
#include "baracuda/plan/candidate.h"
#include "testing/case_op.h"
#include "testing/case_text.h"
#include "testing/compare.h"
#include "testing/float_element.h"

namespace baracuda::testing {
namespace {

constexpr Element kElements[] = {Element::F32, Element::Bf16, Element::F16, Element::F64};

Element scale_element(Element element) { return element == Element::F64 ? Element::F64 : Element::F32; }

std::int64_t num_rows(const Dims& shape) {
  std::int64_t rows = 1;
  for (int axis = 0; axis < shape.rank() - 1; ++axis) rows *= shape[axis];
  return rows;
}

/// Where row `row` begins, in elements from the tensor's origin.
std::int64_t row_offset(const Dims& shape, const Dims& strides, std::int64_t row) {
  std::int64_t offset = 0;
  for (int axis = shape.rank() - 2; axis >= 0; --axis) {
    offset += row % shape[axis] * strides[axis];
    row /= shape[axis];
  }
  return offset;
}

}  // namespace

std::string to_string(const DynamicRangeQuantizeCase& value) {
  return print_case(DynamicRangeQuantizePlan::kName, value);
}

std::vector<double> random_row(Element element, std::int64_t length, bool hostile, Random& random) {
  const auto uniform = [&] { return static_cast<double>(random.draw(-1000000, 1000000)) * 1e-6; };
  const double least = float_ulp(element, 0);
  const double greatest = element == Element::F16   ? 65504
                          : element == Element::F64 ? std::numeric_limits<double>::max()
                                                    : 3e38;
  std::vector<double> row(static_cast<std::size_t>(length));
  const std::int64_t kind = hostile ? random.draw(0, 11) : 11;
  const double size = std::ldexp(1.0, static_cast<int>(random.draw(-12, 12)));
  for (double& value : row) {
    switch (kind) {
      case 0: value = random.one_in(2) ? 0.0 : -0.0; break;
      case 1: value = static_cast<double>(random.draw(-254, 254)) / 2; break;  // ties where the scale is 1
      case 2: value = static_cast<double>(random.draw(-300, 300)) * least; break;
      case 3: value = uniform() * greatest; break;
      case 4: value = std::abs(uniform()) * size; break;
      case 5: value = -std::abs(uniform()) * size; break;
      default: value = uniform() * size;
    }
  }
  if (row.empty()) return row;
  double& one = row[static_cast<std::size_t>(random.draw(0, length - 1))];
  if (kind == 1) one = random.one_in(2) ? 127 : -127;
  if (kind == 6) one = std::numeric_limits<double>::quiet_NaN();
  if (kind == 7) one = random.one_in(2) ? HUGE_VAL : -HUGE_VAL;
  return row;
}

Result<DynamicRangeQuantizeBuffers> DynamicRangeQuantizeBuffers::create(const DynamicRangeQuantizeCase& value,
                                                                        const Stream& stream) {
  const DynamicRangeQuantizeDescriptor& descriptor = value.descriptor;
  const Dims& shape = descriptor.shape;
  BARACUDA_ASSIGN_OR_RETURN(const Placement x_place,
                            place("x", descriptor.element, shape, value.x_strides, value.x_misalignment));
  BARACUDA_ASSIGN_OR_RETURN(const Placement q_place,
                            place("q", descriptor.output_element, shape, value.q_strides, value.q_misalignment));
  Random random(value.seed);
  const std::int64_t rows = num_rows(shape), length = shape[shape.rank() - 1];
  const int scale_bytes = element_bytes(scale_element(descriptor.element));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer x,
                            GuardedBuffer::create("x", stream, x_place.bytes, random, x_place.misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer q,
                            GuardedBuffer::create("q", stream, q_place.bytes, random, q_place.misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer scale, GuardedBuffer::create("scale", stream, rows * scale_bytes, random));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer zero_point, GuardedBuffer::create("zero_point", stream, rows * 4, random));
  const std::int64_t drawn_rows =
      value.x_strides.empty() ? std::min(rows, 1 + kMaxDrawnElements / std::max<std::int64_t>(1, length)) : rows;
  for (std::int64_t row = 0; row < drawn_rows; ++row) {
    const std::int64_t offset = row_offset(shape, x_place.strides, row);
    const std::vector<double> values = random_row(descriptor.element, length, value.hostile, random);
    for (std::int64_t i = 0; i < length; ++i)
      write_float(descriptor.element, values[static_cast<std::size_t>(i)],
                  x.image().data() + x_place.origin_bytes +
                      (offset + i * x_place.strides[shape.rank() - 1]) * element_bytes(descriptor.element));
  }
  if (drawn_rows < rows) repeat_first(x.image(), drawn_rows * length * element_bytes(descriptor.element));
  DynamicRangeQuantizeBuffers buffers{
      value, x_place, q_place, std::move(x), std::move(q), std::move(scale), std::move(zero_point)};
  for (GuardedBuffer* operand : buffers.operands()) BARACUDA_RETURN_IF_ERROR(operand->upload());
  return buffers;
}

DynamicRangeQuantizeArgs DynamicRangeQuantizeBuffers::args() const {
  const DynamicRangeQuantizeDescriptor& descriptor = value.descriptor;
  const std::int64_t rows = num_rows(descriptor.shape);
  DynamicRangeQuantizeArgs args{
      .x = x.tensor(descriptor.element, descriptor.shape, x_place.strides, x_place.origin_bytes),
      .q = q.tensor(descriptor.output_element, descriptor.shape, q_place.strides, q_place.origin_bytes),
      .scale = scale.vector(scale_element(descriptor.element), rows),
  };
  if (!descriptor.symmetric || value.zero_point) args.zero_point = zero_point.vector(Element::I32, rows);
  return args;
}

Result<void> DynamicRangeQuantizeBuffers::check() {
  const DynamicRangeQuantizeDescriptor& descriptor = value.descriptor;
  const Dims& shape = descriptor.shape;
  const int inner = shape.rank() - 1;
  const bool is_signed = descriptor.output_element == Element::I8;
  const int least = is_signed ? (descriptor.symmetric ? -127 : -128) : 0;
  const int q_min = descriptor.q_min.value_or(least), q_max = descriptor.q_max.value_or(is_signed ? 127 : 255);
  const Element in = scale_element(descriptor.element);
  const auto copy_of = [](const GuardedBuffer& buffer) {
    return std::vector<std::byte>(buffer.image().begin(), buffer.image().end());
  };
  std::vector<std::byte> expected_q = copy_of(q), expected_scale = copy_of(scale), expected_zero = copy_of(zero_point);
  for (std::int64_t row = 0; row < num_rows(shape); ++row) {
    std::vector<double> values;
    const std::int64_t x_offset = row_offset(shape, x_place.strides, row);
    for (std::int64_t i = 0; i < shape[inner]; ++i)
      values.push_back(read_float(descriptor.element,
                                  x.image().data() + x_place.origin_bytes +
                                      (x_offset + i * x_place.strides[inner]) * element_bytes(descriptor.element)));
    const QuantizedRow quantized = dynamic_range_quantize_oracle(values, in, descriptor.symmetric, q_min, q_max);
    const std::int64_t q_offset = q_place.origin_bytes + row_offset(shape, q_place.strides, row);
    for (std::int64_t i = 0; i < shape[inner]; ++i)
      expected_q[static_cast<std::size_t>(q_offset + i * q_place.strides[inner])] =
          static_cast<std::byte>(quantized.q[static_cast<std::size_t>(i)]);
    write_float(in, quantized.scale, expected_scale.data() + row * element_bytes(in));
    const std::int32_t zero = quantized.zero_point;
    if (!descriptor.symmetric || value.zero_point) std::memcpy(expected_zero.data() + row * 4, &zero, 4);
  }
  for (GuardedBuffer* output : {&scale, &zero_point, &q}) BARACUDA_RETURN_IF_ERROR(output->download());
  BARACUDA_RETURN_IF_ERROR(compare_bytes("scale", scale.image(), expected_scale));
  BARACUDA_RETURN_IF_ERROR(compare_bytes("zero_point", zero_point.image(), expected_zero));
  BARACUDA_RETURN_IF_ERROR(compare_bytes("q", q.image(), expected_q));
  return x.expect_unchanged();
}

Result<void> check_dynamic_range_quantize(const DynamicRangeQuantizeCase& value, const TestTarget& target) {
  BARACUDA_ASSIGN_OR_RETURN(const Stream stream, make_case_stream(value, target.device));
  BARACUDA_ASSIGN_OR_RETURN(const DynamicRangeQuantizePlan plan,
                            DynamicRangeQuantizePlan::select(stream, value.descriptor, target.preference));
  BARACUDA_ASSIGN_OR_RETURN(DynamicRangeQuantizeBuffers buffers, DynamicRangeQuantizeBuffers::create(value, stream));
  BARACUDA_RETURN_IF_ERROR(plan.run(stream, Workspace::none(), buffers.args()));
  return buffers.check();
}

// ---- random cases ---------------------------------------------------------------------------------------------------

DynamicRangeQuantizeCase random_dynamic_range_quantize_case(Random& random) {
  DynamicRangeQuantizeCase value;
  DynamicRangeQuantizeDescriptor& descriptor = value.descriptor;
  descriptor.element = random.pick(kElements);
  descriptor.output_element = random.one_in(3) ? Element::U8 : Element::I8;
  descriptor.symmetric = random.one_in(2);
  const bool is_signed = descriptor.output_element == Element::I8;
  if (random.one_in(3)) {
    const int lowest = is_signed ? -128 : 0;
    descriptor.q_max = static_cast<int>(random.draw(lowest + 1, lowest + 255));
    if (descriptor.symmetric) descriptor.q_max = std::max(1, *descriptor.q_max);
    descriptor.q_min = static_cast<int>(random.draw(lowest, *descriptor.q_max - 1));
  }
  const int rank = static_cast<int>(random.one_in(6) ? random.draw(1, kMaxRank) : random.draw(1, 3));
  descriptor.shape = Dims::filled(rank, 0);
  // Around the lengths that lanes of a warp and blocks keep in registers: 8 pieces each of 8 to 256 threads.
  constexpr std::int64_t kLengths[] = {1,   8,   16,   33,   64,   128,  256,  257, 264,
                                       512, 520, 1024, 2048, 2056, 4104, 8192, 8200};
  std::int64_t length = random.one_in(3) ? random.draw(0, 300) : random.pick(kLengths);
  if (random.one_in(60)) length = 16384 + 8 * random.draw(0, 2);
  descriptor.shape[rank - 1] = length;
  std::int64_t budget = std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, length));
  for (int axis = rank - 2; axis >= 0; --axis) {
    descriptor.shape[axis] = std::max<std::int64_t>(1, std::min(budget, random.draw(1, 12)));
    budget /= descriptor.shape[axis];
  }
  if (random.one_in(30)) descriptor.shape[static_cast<int>(random.draw(0, rank - 1))] = 0;
  if (random.one_in(3)) value.x_strides = random_strides(descriptor.shape, random, true);
  if (random.one_in(3)) value.q_strides = random_strides(descriptor.shape, random, false);
  const int bytes = element_bytes(descriptor.element);
  if (random.one_in(3)) value.x_misalignment = bytes * static_cast<int>(random.draw(0, 15));
  if (random.one_in(3)) value.q_misalignment = static_cast<int>(random.draw(0, 15));
  value.hostile = !random.one_in(4);
  value.zero_point = random.one_in(4);
  value.num_threads = static_cast<int>(random.draw(1, 3));
  value.seed = random.next() >> 32;
  return value;
}

// ---- what the tool and the shared tests see -------------------------------------------------------------------------

namespace {

class DynamicRangeQuantizeOp final
    : public CaseOp<DynamicRangeQuantizePlan, DynamicRangeQuantizeCase, DynamicRangeQuantizeBuffers> {
 public:
  std::string_view summary() const override { return "rows to 8 bits, with a scale and a zero point that fit each"; }

  std::vector<KernelSku> skus(const DeviceInfo& device) const override {
    std::vector<KernelSku> skus;
    for (Element element : kElements)
      for (Element output : {Element::I8, Element::U8})
        for (bool symmetric : {true, false})
          for (std::int64_t length : {16, 15})
            if (const auto choice = DynamicRangeQuantizePlan::choose(
                    {.element = element, .shape = {4, length}, .output_element = output, .symmetric = symmetric}, {},
                    device);
                choice && std::find(skus.begin(), skus.end(), choice->sku) == skus.end())
              skus.push_back(choice->sku);
    return skus;
  }

  using CaseOp::kernels;
  std::vector<jit::KernelSpec> kernels(const PlanPreference& preference, const DeviceInfo& device) const override {
    std::vector<jit::KernelSpec> kernels;
    const auto arch = choose_arch(name(), preference, device);
    if (!arch || arch->arch == Arch::Cpu) return kernels;
    for (Element element : kElements)
      for (bool symmetric : {true, false}) {
        const auto add = [&](DynamicRangeQuantizeVariant variant, int row_threads) {
          kernels.push_back(dynamic_range_quantize_kernel({variant, element, symmetric, row_threads}, arch->target));
        };
        for (int row_threads : {8, 16, 32, 64, 128, 256}) add(DynamicRangeQuantizeVariant::Vectors, row_threads);
        for (int row_threads : {32, 256}) add(DynamicRangeQuantizeVariant::Elements, row_threads);
      }
    return kernels;
  }

  std::vector<std::string> bench_cases(Device device) const override {
    if (device.is_cpu())
      return {
          "dynamic_range_quantize shape=4096x4096 element=f32 num_threads=0",
          "dynamic_range_quantize shape=8192x4096 element=bf16 num_threads=0",
          "dynamic_range_quantize shape=8192x4096 element=f16 symmetric=false num_threads=0",
          "dynamic_range_quantize shape=1x16777216 element=f32 num_threads=0",
      };
    return {
        // Activations of a prompt; one that is no longer in a cache; long rows that are read twice.
        "dynamic_range_quantize shape=4096x8192 element=bf16",
        "dynamic_range_quantize shape=32768x8192 element=bf16",
        "dynamic_range_quantize shape=32768x8192 element=f16 symmetric=false",
        "dynamic_range_quantize shape=16384x8192 element=f32",
        "dynamic_range_quantize shape=4096x28672 element=bf16",
        "dynamic_range_quantize shape=8192x8192 element=f64",
        // Short rows, and what goes one by one.
        "dynamic_range_quantize shape=1048576x128 element=bf16",
        "dynamic_range_quantize shape=16384x8191 element=bf16",
        "dynamic_range_quantize shape=1x8192 element=bf16",
    };
  }

 private:
  DynamicRangeQuantizeCase random_case(Random& random) const override {
    return random_dynamic_range_quantize_case(random);
  }
  Result<void> check(const DynamicRangeQuantizeCase& value, const TestTarget& target) const override {
    return check_dynamic_range_quantize(value, target);
  }
};

}  // namespace

const Op& dynamic_range_quantize_op() {
  static const DynamicRangeQuantizeOp op;
  return op;
}

}  // namespace baracuda::testing
