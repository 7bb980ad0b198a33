#include "baracuda/ops/quantized_linear/quantized_linear_case.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "baracuda/core/propagate.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_case.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_oracle.h"
#include "baracuda/ops/quantized_linear/quantized_linear_kernels.h"
#include "baracuda/ops/quantized_linear/quantized_linear_oracle.h"
#include "baracuda/plan/candidate.h"
#include "testing/case_op.h"
#include "testing/compare.h"
#include "testing/float_element.h"

namespace baracuda::testing {
namespace {

constexpr Element kElements[] = {Element::F32, Element::Bf16, Element::F16, Element::F64};

Element output_of(const QuantizedLinearDescriptor& descriptor) {
  return descriptor.output_element.value_or(descriptor.element);
}
Element compute_element(const QuantizedLinearDescriptor& descriptor) {
  return descriptor.element == Element::F64 ? Element::F64 : Element::F32;
}

/// Bytes from the first row of a matrix to the end of the last.
std::int64_t matrix_bytes(Element element, std::int64_t rows, std::int64_t row, std::int64_t padding) {
  return rows == 0 || row == 0 ? 0 : ((rows - 1) * (row + padding) + row) * element_bytes(element);
}

/// Where an element of a matrix lies.
std::byte* at(GuardedBuffer& buffer, Element element, std::int64_t index) {
  return buffer.image().data() + index * element_bytes(element);
}
double read(GuardedBuffer& buffer, Element element, std::int64_t index) {
  return read_float(element, at(buffer, element, index));
}

bool is_smooth(Activation activation) { return activation == Activation::Gelu || activation == Activation::Silu; }

}  // namespace

std::string to_string(const QuantizedLinearCase& value) { return print_case(QuantizedLinearPlan::kName, value); }

Result<QuantizedLinearBuffers> QuantizedLinearBuffers::create(const QuantizedLinearCase& value, const Stream& stream) {
  const QuantizedLinearDescriptor& d = value.descriptor;
  if (std::min({value.x_padding, value.weight_padding, value.y_padding}) < 0)
    return Error::invalid_problem("a padding is negative, expected at least 0");
  Random random(value.seed);
  const auto buffer = [&](const char* name, std::int64_t bytes, int misalignment = 0) {
    return GuardedBuffer::create(name, stream, bytes, random, misalignment);
  };
  const auto vector = [&](const char* name, Element element, std::int64_t length) {
    return buffer(name, length * element_bytes(element));
  };
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer x,
                            buffer("x", matrix_bytes(d.element, d.m, d.k, value.x_padding), value.x_misalignment));
  BARACUDA_ASSIGN_OR_RETURN(
      GuardedBuffer weight,
      buffer("weight", matrix_bytes(Element::I8, d.c_out, d.k, value.weight_padding), value.weight_misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer weight_scale, vector("weight_scale", d.weight_scale_element, d.c_out));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer zero_point, vector("weight_zero_point", Element::U8, d.c_out));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer bias, vector("bias", d.bias_element.value_or(Element::F32), d.c_out));
  BARACUDA_ASSIGN_OR_RETURN(
      GuardedBuffer y, buffer("y", matrix_bytes(output_of(d), d.m, d.c_out, value.y_padding), value.y_misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer act_q, buffer("act_q_scratch", d.m * d.k, value.act_q_misalignment));
  // Longer than it must be, as scratch may be.
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer act_scale, vector("act_scale_scratch", compute_element(d), d.m + 3));

  const std::int64_t row_elems = d.k + value.x_padding;
  const std::int64_t drawn_rows = std::min(d.m, 1 + kMaxDrawnElements / std::max<std::int64_t>(1, row_elems));
  for (std::int64_t i = 0; i < drawn_rows; ++i) {
    const std::vector<double> row = random_row(d.element, d.k, value.hostile, random);
    for (std::int64_t p = 0; p < d.k; ++p)
      write_float(d.element, row[static_cast<std::size_t>(p)], at(x, d.element, i * row_elems + p));
  }
  if (drawn_rows < d.m) repeat_first(x.image(), drawn_rows * row_elems * element_bytes(d.element));
  // Weights are random bytes. Outputs of ordinary rows should be of the size where activations bend.
  for (std::int64_t n = 0; n < d.c_out; ++n) {
    const double size = std::ldexp(1.0, static_cast<int>(random.draw(-16, -8)));
    write_float(d.weight_scale_element, size * static_cast<double>(random.draw(-1000, 1000)) * 1e-3,
                at(weight_scale, d.weight_scale_element, n));
    if (d.bias_element)
      write_float(*d.bias_element, static_cast<double>(random.draw(-4000, 4000)) * 1e-3, at(bias, *d.bias_element, n));
  }
  QuantizedLinearBuffers buffers{
      value,           std::move(x), std::move(weight), std::move(weight_scale), std::move(zero_point),
      std::move(bias), std::move(y), std::move(act_q),  std::move(act_scale)};
  for (GuardedBuffer* operand : buffers.operands()) BARACUDA_RETURN_IF_ERROR(operand->upload());
  return buffers;
}

QuantizedLinearArgs QuantizedLinearBuffers::args() const {
  const QuantizedLinearDescriptor& d = value.descriptor;
  QuantizedLinearArgs args{
      .x = x.tensor(d.element, {d.m, d.k}, {d.k + value.x_padding, 1}),
      .weight = weight.tensor(d.weight_element, {d.c_out, d.k}, {d.k + value.weight_padding, 1}),
      .weight_scale = weight_scale.vector(d.weight_scale_element, d.c_out),
      .y = y.tensor(output_of(d), {d.m, d.c_out}, {d.c_out + value.y_padding, 1}),
      .act_q_scratch = act_q.tensor(Element::I8, {d.m, d.k}),
      .act_scale_scratch = act_scale.vector(compute_element(d), d.m + 3),
  };
  if (d.weight_element == Element::U8) args.weight_zero_point = weight_zero_point.vector(Element::U8, d.c_out);
  if (d.bias_element) args.bias = bias.vector(*d.bias_element, d.c_out);
  return args;
}

Result<void> QuantizedLinearBuffers::check() {
  const QuantizedLinearDescriptor& d = value.descriptor;
  const Element in = compute_element(d), output = output_of(d);
  std::vector<std::byte> expected_q(act_q.image().begin(), act_q.image().end());
  std::vector<std::byte> expected_scale(act_scale.image().begin(), act_scale.image().end());
  std::vector<std::byte> expected_y(y.image().begin(), y.image().end());
  for (GuardedBuffer* buffer : {&act_q, &act_scale, &y}) BARACUDA_RETURN_IF_ERROR(buffer->download());

  const auto* weights = reinterpret_cast<const unsigned char*>(weight.image().data());
  for (std::int64_t i = 0; i < d.m; ++i) {
    std::vector<double> row;
    for (std::int64_t p = 0; p < d.k; ++p) row.push_back(read(x, d.element, i * (d.k + value.x_padding) + p));
    const QuantizedRow quantized = dynamic_range_quantize_oracle(row, in, /*symmetric=*/true, d.q_min, d.q_max);
    for (std::int64_t p = 0; p < d.k; ++p)
      expected_q[static_cast<std::size_t>(i * d.k + p)] =
          static_cast<std::byte>(quantized.q[static_cast<std::size_t>(p)]);
    write_float(in, quantized.scale, expected_scale.data() + i * element_bytes(in));

    for (std::int64_t n = 0; n < d.c_out; ++n) {
      std::int64_t acc = 0;
      for (std::int64_t p = 0; p < d.k; ++p) {
        const int stored = weights[n * (d.k + value.weight_padding) + p];
        const int w = d.weight_element == Element::I8
                          ? stored - (stored > 127 ? 256 : 0)
                          : stored - std::to_integer<int>(*at(weight_zero_point, Element::U8, n));
        acc += quantized.q[static_cast<std::size_t>(p)] * w;
      }
      const double offset = d.bias_element ? read(bias, *d.bias_element, n) : 0;
      const double v = scaled_sum_oracle(acc, d.k, quantized.scale, read(weight_scale, d.weight_scale_element, n),
                                         d.bias_element ? &offset : nullptr, in);
      const long double exact = activation_oracle(d.activation, v);
      const std::int64_t index = i * (d.c_out + value.y_padding) + n;
      std::byte* expected = expected_y.data() + index * element_bytes(output);
      write_float(output, static_cast<double>(exact), expected);
      if (!is_smooth(d.activation) || !std::isfinite(exact)) continue;
      // The function is within 2 ulp of what it computes in, and that may fall on the other side of a rounding.
      const double actual = read(y, output, index), nearest = static_cast<double>(exact);
      double tolerance = 2 * float_ulp(in, nearest);
      if (output != in) tolerance += float_ulp(output, nearest) / 2;
      const bool overflows = std::isinf(read_float(output, expected));
      if (!overflows && !(std::abs(static_cast<double>(actual - exact)) <= tolerance))
        return Error::backend(0, fmt::format("y[{}, {}] is {:a}, expected {:a} within {:a}: {} of {:a}", i, n, actual,
                                             nearest, tolerance, name_of(d.activation), v));
      if (!overflows) std::memcpy(expected, at(y, output, index), static_cast<std::size_t>(element_bytes(output)));
    }
  }
  BARACUDA_RETURN_IF_ERROR(compare_bytes("act_q_scratch", act_q.image(), expected_q));
  BARACUDA_RETURN_IF_ERROR(compare_bytes("act_scale_scratch", act_scale.image(), expected_scale));
  BARACUDA_RETURN_IF_ERROR(compare_bytes("y", y.image(), expected_y));
  for (GuardedBuffer* input : {&x, &weight, &weight_scale, &weight_zero_point, &bias})
    BARACUDA_RETURN_IF_ERROR(input->expect_unchanged());
  return {};
}

Result<void> check_quantized_linear(const QuantizedLinearCase& value, const TestTarget& target) {
  const auto run = [&value](const Stream& stream, const PlanPreference& preference) -> Result<QuantizedLinearBuffers> {
    BARACUDA_ASSIGN_OR_RETURN(const QuantizedLinearPlan plan,
                              QuantizedLinearPlan::select(stream, value.descriptor, preference));
    BARACUDA_ASSIGN_OR_RETURN(QuantizedLinearBuffers buffers, QuantizedLinearBuffers::create(value, stream));
    BARACUDA_RETURN_IF_ERROR(plan.run(stream, Workspace::none(), buffers.args()));
    return buffers;
  };
  BARACUDA_ASSIGN_OR_RETURN(const Stream stream, make_case_stream(value, target.device));
  BARACUDA_ASSIGN_OR_RETURN(QuantizedLinearBuffers buffers, run(stream, target.preference));
  BARACUDA_RETURN_IF_ERROR(buffers.check());
  if (!is_smooth(value.descriptor.activation)) return {};
  BARACUDA_ASSIGN_OR_RETURN(QuantizedLinearBuffers scalar,
                            run(Stream::cpu(1), {.force_cpu_target = CpuTarget::Scalar}));
  BARACUDA_RETURN_IF_ERROR(scalar.y.download());
  return compare_bytes("y, against the CPU's scalar code,", buffers.y.image(), scalar.y.image());
}

// ---- random cases ---------------------------------------------------------------------------------------------------

QuantizedLinearCase random_quantized_linear_case(Random& random) {
  QuantizedLinearCase value;
  QuantizedLinearDescriptor& d = value.descriptor;
  d.element = random.pick(kElements);
  if (d.element != Element::F64 && random.one_in(3)) d.output_element = kElements[random.draw(0, 2)];
  d.weight_element = random.one_in(2) ? Element::I8 : Element::U8;
  if (random.one_in(2)) d.weight_scale_element = d.element;
  if (random.one_in(2)) d.bias_element = random.one_in(2) ? d.element : Element::F32;
  d.activation = random.pick(kActivations);
  if (random.one_in(4)) {
    d.q_max = static_cast<int>(random.draw(1, 127));
    d.q_min = static_cast<int>(random.draw(-128, d.q_max));
  }
  // Around the tiles of 16, 64 and 128 rows, of 32, 64 and 256 channels, and of 64, 128 and 256 bytes of k; the CPU's
  // blocks are of 48 by 64 by 4096.
  const auto around = [&](std::initializer_list<std::int64_t> sizes) {
    return std::max<std::int64_t>(
        0, *(sizes.begin() + random.draw(0, std::int64_t(sizes.size()) - 1)) + random.draw(-1, 1));
  };
  d.m = random.one_in(2) ? random.draw(1, 20) : around({16, 48, 64, 130});
  d.c_out = random.one_in(2) ? random.draw(1, 40) : around({32, 64, 130});
  d.k = random.one_in(2) ? 16 * random.draw(1, 30) : random.one_in(2) ? random.draw(1, 300) : around({64, 128, 512});
  // The oracle's time.
  while (d.m * d.c_out * d.k > 400000) d.m > d.c_out ? d.m /= 2 : d.c_out /= 2;
  if (random.one_in(40)) d.k = 4096 + random.draw(-2, 66), d.m = random.draw(1, 7), d.c_out = random.draw(1, 6);
  if (random.one_in(40)) (random.one_in(3) ? d.m : random.one_in(2) ? d.k : d.c_out) = 0;
  if (random.one_in(3)) value.x_padding = random.draw(0, 9);
  if (random.one_in(3)) value.weight_padding = random.one_in(2) ? 16 * random.draw(0, 2) : random.draw(0, 17);
  if (random.one_in(3)) value.y_padding = random.draw(0, 9);
  if (random.one_in(3)) value.x_misalignment = element_bytes(d.element) * static_cast<int>(random.draw(0, 15));
  if (random.one_in(4)) value.weight_misalignment = static_cast<int>(random.draw(0, 15));
  if (random.one_in(3)) value.y_misalignment = element_bytes(output_of(d)) * static_cast<int>(random.draw(0, 15));
  if (random.one_in(4)) value.act_q_misalignment = static_cast<int>(random.draw(0, 15));
  value.hostile = !random.one_in(4);
  value.num_threads = static_cast<int>(random.draw(1, 3));
  value.seed = random.next() >> 32;
  return value;
}

// ---- what the tool and the shared tests see -------------------------------------------------------------------------

namespace {

class QuantizedLinearOp final : public CaseOp<QuantizedLinearPlan, QuantizedLinearCase, QuantizedLinearBuffers> {
 public:
  std::string_view summary() const override { return "x · Wᵀ with 8-bit weights and rows quantized on the way"; }

  std::vector<KernelSku> skus(const DeviceInfo& device) const override {
    std::vector<KernelSku> skus;
    // Those of every CPU, so that the list is the same on each.
    std::vector<DeviceInfo> devices = {device};
    if (device.device.is_cpu()) {
      devices = {device, device};
      devices[0].target = CodeTarget::for_cpu(CpuTarget::Avx512);
      devices[1].target = CodeTarget::for_cpu(CpuTarget::Avx512Vnni);
    }
    const auto add = [&](const QuantizedLinearDescriptor& descriptor) {
      for (const DeviceInfo& each : devices)
        if (const auto choice = QuantizedLinearPlan::choose(descriptor, {}, each);
            choice && std::find(skus.begin(), skus.end(), choice->sku) == skus.end())
          skus.push_back(choice->sku);
    };
    for (Element element : kElements)
      for (Element weight : {Element::I8, Element::U8})
        for (Activation activation : kActivations)
          for (std::optional<Element> bias : {std::optional<Element>(), std::optional(Element::F32)})
            for (std::int64_t m : {1, 64, 128, 500, 8192})
              for (std::int64_t c_out : {8192, 28672, 8191})  // of the last, rows of y are not multiples of 16 bytes
                for (std::int64_t k : {4096, 4095})
                  add({.m = m,
                       .c_out = c_out,
                       .k = k,
                       .element = element,
                       .weight_element = weight,
                       .bias_element = bias,
                       .activation = activation});
    return skus;
  }

  using CaseOp::kernels;
  std::vector<jit::KernelSpec> kernels(const PlanPreference& preference, const DeviceInfo& device) const override {
    std::vector<jit::KernelSpec> kernels;
    const auto arch = choose_arch(name(), preference, device);
    if (!arch || arch->arch == Arch::Cpu) return kernels;
    for (int variant = 0; variant < kNumQuantizedLinearVariants; ++variant)
      for (Element weight : {Element::I8, Element::U8})
        for (Element output : kElements)
          for (Activation activation : kActivations) {
            const auto kernel = quantized_linear_kernel(static_cast<QuantizedLinearVariant>(variant), weight, output,
                                                        activation, arch->arch, arch->target);
            const auto is_same = [&](const jit::KernelSpec& other) { return other.name == kernel->name; };
            if (kernel && std::none_of(kernels.begin(), kernels.end(), is_same)) kernels.push_back(*kernel);
          }
    return kernels;
  }

  std::vector<std::string> bench_cases(Device device) const override {
    if (device.is_cpu())
      return {
          "quantized_linear m=1 c_out=4096 k=4096 num_threads=0",
          "quantized_linear m=1 c_out=11008 k=4096 element=bf16 weight_element=u8 num_threads=0",
          "quantized_linear m=32 c_out=4096 k=4096 num_threads=0",
          "quantized_linear m=512 c_out=4096 k=4096 num_threads=1",
          "quantized_linear m=512 c_out=4096 k=4096 num_threads=0",
          "quantized_linear m=512 c_out=4096 k=4096 element=bf16 bias_element=bf16 activation=gelu num_threads=0",
      };
    return {
        // The shapes of the peers in design.md.
        "quantized_linear m=1 c_out=4096 k=4096 element=bf16",
        "quantized_linear m=1 c_out=8192 k=8192 element=bf16",
        "quantized_linear m=16 c_out=8192 k=8192 element=bf16",
        "quantized_linear m=16 c_out=28672 k=8192 element=bf16",
        "quantized_linear m=32 c_out=4096 k=4096 element=bf16",
        "quantized_linear m=64 c_out=4096 k=4096 element=bf16",
        "quantized_linear m=64 c_out=8192 k=8192 element=bf16",
        "quantized_linear m=64 c_out=28672 k=8192 element=bf16",
        "quantized_linear m=256 c_out=8192 k=8192 element=bf16",
        "quantized_linear m=1024 c_out=8192 k=8192 element=bf16",
        "quantized_linear m=4096 c_out=4096 k=4096 element=bf16",
        "quantized_linear m=4096 c_out=8192 k=8192 element=bf16",
        "quantized_linear m=4096 c_out=8192 k=8192 element=f16",
        "quantized_linear m=4096 c_out=8192 k=8192 element=bf16 weight_element=u8 bias_element=bf16 activation=gelu",
        // Rows at any address.
        "quantized_linear m=1024 c_out=8192 k=8191 element=bf16",
    };
  }

 private:
  QuantizedLinearCase random_case(Random& random) const override { return random_quantized_linear_case(random); }
  Result<void> check(const QuantizedLinearCase& value, const TestTarget& target) const override {
    return check_quantized_linear(value, target);
  }
};

}  // namespace

const Op& quantized_linear_op() {
  static const QuantizedLinearOp op;
  return op;
}

}  // namespace baracuda::testing
