#include "baracuda/ops/elementwise/elementwise_case.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <vector>

#include "baracuda/core/propagate.h"
#include "baracuda/ops/elementwise/elementwise_kernels.h"
#include "baracuda/ops/elementwise/elementwise_oracle.h"
#include "baracuda/ops/elementwise/elementwise_table.h"
#include "baracuda/plan/candidate.h"
#include "testing/case_op.h"
#include "testing/compare.h"
#include "testing/guarded_buffer.h"
#include "testing/placement.h"

namespace baracuda::testing {

const std::vector<ElementwiseOp> EnumValues<ElementwiseOp>::values = [] {
  std::vector<ElementwiseOp> ops;
  for (const ElementwiseRow& row : elementwise_rows()) ops.push_back(row.op);
  return ops;
}();

namespace {

constexpr std::string_view kInputNames[] = {"x", "y", "z"};

// ---- inputs ---------------------------------------------------------------------------------------------------------

void write_bits(std::uint64_t bits, int bytes, std::byte* to) {
  std::memcpy(to, &bits, static_cast<std::size_t>(bytes));
}

/// The bits of a moderate number in a float kind: random sign, exponent around that of 1, mantissa.
std::uint64_t moderate_float(const FloatFormat& format, Random& random) {
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const auto exponent = static_cast<std::uint64_t>(bias + random.draw(-4, 3));
  std::uint64_t mantissa = random.next() & ((std::uint64_t{1} << format.mantissa_bits) - 1);
  // Halves and whole numbers, on which rounding and remainders turn.
  if (random.one_in(3)) mantissa &= ~((std::uint64_t{1} << std::max(0, format.mantissa_bits - 3)) - 1);
  return random.next() % 2 << (format.bytes * 8 - 1) | exponent << format.mantissa_bits | mantissa;
}

/// Zeros, infinities, NaN and the limits of a float kind, and their neighbours.
std::uint64_t special_float(const FloatFormat& format, Random& random) {
  const std::uint64_t one_mantissa = std::uint64_t{1} << format.mantissa_bits;
  const std::uint64_t infinity = ((std::uint64_t{1} << format.exponent_bits) - 1) << format.mantissa_bits;
  const std::uint64_t one = ((std::uint64_t{1} << (format.exponent_bits - 1)) - 1) << format.mantissa_bits;
  const std::uint64_t magnitudes[] = {0,
                                      1,
                                      one_mantissa - 1,
                                      one_mantissa,
                                      one,
                                      one - 1,
                                      one + 1,
                                      infinity,
                                      infinity - 1,
                                      infinity + 1,
                                      infinity + one_mantissa / 2,
                                      infinity + one_mantissa - 1,
                                      infinity + one_mantissa - 2};
  return random.next() % 2 << (format.bytes * 8 - 1) | random.pick(magnitudes);
}

void write_value(Element element, bool hostile, Random& random, std::byte* to) {
  const int bytes = element_bytes(element);
  const FloatFormat* format = float_format(element);
  const std::int64_t kind = hostile ? random.draw(0, 7) : 7;
  if (kind <= 1) return write_bits(random.next(), bytes, to);
  if (format)
    return write_bits(kind <= 3 ? special_float(*format, random) : moderate_float(*format, random), bytes, to);
  const std::uint64_t width = 8 * static_cast<std::uint64_t>(bytes);
  const std::uint64_t specials[] = {
      0,         1, ~std::uint64_t{0}, std::uint64_t{1} << (width - 1), (std::uint64_t{1} << (width - 1)) - 1, width,
      width - 1, 2};
  write_bits(kind <= 3 ? random.pick(specials) : static_cast<std::uint64_t>(random.draw(-12, 12)), bytes, to);
}

/// Every element of the buffer, so also what a view steps over.
void fill(Element element, const ElementwiseCase& value, Random& random, std::span<std::byte> bytes) {
  const auto size = static_cast<std::size_t>(element_bytes(element));
  const std::size_t period = kMaxDrawnElements * size;
  for (std::size_t at = 0; at + size <= std::min(period, bytes.size()); at += size) {
    if (value.counting)
      write_bits(at / size, static_cast<int>(size), bytes.data() + at);
    else
      write_value(element, value.hostile, random, bytes.data() + at);
  }
  repeat_first(bytes, period);
}

// ---- results --------------------------------------------------------------------------------------------------------

/// One element's inputs and result as text.
std::string describe_value(Element element, const std::byte* data) {
  if (const FloatFormat* format = float_format(element)) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, data, static_cast<std::size_t>(format->bytes));
    return fmt::format("{:.9g} ({:#x})", static_cast<double>(decode_float(element, data)), bits);
  }
  if (element == Element::Complex64) return "a complex number";
  return fmt::format("{}", static_cast<std::int64_t>(decode_integer(element, data)));
}

using Scalars = ElementwiseBuffers::Scalars;

/// What the scalar is where it is used: rounded to the type computed in.
long double float_scalar(Element computed, double value) {
  return computed == Element::F32 ? static_cast<float>(value) : value;
}

bool same_number(long double a, long double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b && std::signbit(a) == std::signbit(b);
}

/// Whether `data` holds a float that lies within the tolerance of the oracle's result.
bool float_is_right(const ElementwiseRow& row, Element element, Element output, const ElementwiseOracle& oracle,
                    const long double (&in)[3], const Scalars& scalars, const std::byte* data, std::string* expected) {
  const Element computed = compute_element(row.op, element);
  const long double s0 = float_scalar(computed, scalars.given[0]), s1 = float_scalar(computed, scalars.given[1]);
  OracleResult<long double> exact = 0.0L;
  if (row.ulps == 0) {
    const auto of_double =
        oracle.of_doubles(static_cast<double>(in[0]), static_cast<double>(in[1]), static_cast<double>(in[2]),
                          static_cast<double>(s0), static_cast<double>(s1));
    exact = OracleResult<long double>(of_double.value);
  } else {
    exact = oracle.of_long_doubles(in[0], in[1], in[2], s0, s1);
  }
  if (row.output == ElementwiseOutput::Predicate) {
    *expected = fmt::format("{}", static_cast<int>(exact.value));
    return std::to_integer<int>(*data) == static_cast<int>(exact.value);
  }
  const FloatFormat& format = *float_format(output);
  const FloatFormat& inner = *float_format(computed);
  const long double actual = decode_float(output, data);
  // 0 · ∞, where the term rounds to 0 on the way.
  const long double least = ulp_at(inner, 0);
  if (std::isinf(exact.subnormal_factor) && exact.subnormal_term <= least / 2) exact.value = std::nanl("");
  if (std::isnan(exact.value)) return *expected = "nan", std::isnan(actual);
  const bool is_sum = exact.magnitude != std::fabs(exact.value) && !std::isnan(exact.value);
  // A term past the greatest number is infinity on the way, and the sum infinity or NaN.
  if (is_sum && exact.magnitude > inner.greatest / 2 && !std::isfinite(actual)) return true;
  *expected = fmt::format("{:.12g}", static_cast<double>(exact.value));
  const bool has_narrow_text = row.has_narrow_text && element != computed;
  const long double slack =
      has_narrow_text ? ulp_at(format, exact.value) / 32
                      : row.ulps * std::max(ulp_at(inner, exact.magnitude),
                                            std::isinf(exact.subnormal_factor) ? 0 : exact.subnormal_factor * least);
  if (slack == 0) return same_number(actual, round_to(format, exact.value));
  *expected += fmt::format(" ± {:.2g}", static_cast<double>(slack));
  if (&format == &inner && std::isfinite(exact.value)) {
    // Nothing is rounded after it; infinity stands for the power of two that would follow the greatest number.
    const long double end = format.greatest + ulp_at(format, format.greatest);
    const long double value = std::isinf(actual) ? std::copysign(end, actual) : actual;
    const long double of_format = std::clamp(exact.value, -end, end);
    return std::fabs(value - of_format) <= slack;
  }
  // Past the greatest number lies infinity, or NaN where there is none.
  FloatFormat with_infinity = format;
  with_infinity.has_infinity = true;
  const long double lower = round_to(with_infinity, exact.value - slack);
  const long double upper = round_to(with_infinity, exact.value + slack);
  if (std::isnan(actual)) return !format.has_infinity && (std::isinf(lower) || std::isinf(upper));
  return actual >= lower && actual <= upper;
}

std::string integer_text(Integer128 value) { return fmt::format("{}", static_cast<std::int64_t>(value)); }

bool integer_is_right(Element element, Element output, const ElementwiseOracle& oracle, const Integer128 (&in)[3],
                      const Scalars& scalars, const std::byte* data, std::string* expected) {
  const int width = element == Element::Bool ? 1 : 8 * element_bytes(element);
  const Integer128 value =
      wrap_to(output, oracle.of_integers(in[0], in[1], in[2], saturate_to(element, scalars.given[0]),
                                         saturate_to(element, scalars.given[1]), width));
  *expected = integer_text(value);
  std::uint64_t bits = 0;
  std::memcpy(&bits, data, static_cast<std::size_t>(element_bytes(output)));
  // A bool's byte is 0 or 1, which decode_integer would hide.
  return output == Element::Bool ? bits == static_cast<std::uint64_t>(value) : decode_integer(output, data) == value;
}

bool cast_is_right(Element element, Element output, const std::byte* from, const std::byte* data,
                   std::string* expected) {
  const FloatFormat* format = float_format(output);
  const bool from_float = float_format(element) != nullptr;
  if (format) {
    const long double exact =
        from_float ? decode_float(element, from) : static_cast<long double>(decode_integer(element, from));
    *expected = fmt::format("{:.12g}", static_cast<double>(exact));
    return same_number(decode_float(output, data), round_to(*format, exact));
  }
  const Integer128 value = from_float                ? saturate_to(output, decode_float(element, from))
                           : output == Element::Bool ? Integer128(decode_integer(element, from) != 0)
                                                     : wrap_to(output, decode_integer(element, from));
  *expected = integer_text(value);
  std::uint64_t bits = 0;
  std::memcpy(&bits, data, static_cast<std::size_t>(element_bytes(output)));
  return output == Element::Bool ? bits == static_cast<std::uint64_t>(value) : decode_integer(output, data) == value;
}

bool is_right(const ElementwiseRow& row, Element element, Element output, const std::byte* const (&inputs)[3],
              const Scalars& scalars, const std::byte* data, std::string* expected) {
  if (row.op == ElementwiseOp::Cast) return cast_is_right(element, output, inputs[0], data, expected);
  const ElementwiseOracle& oracle = elementwise_oracle(row.op);
  if (row.op == ElementwiseOp::Where) {
    const std::byte* taken = decode_integer(Element::Bool, inputs[0]) != 0 ? inputs[1] : inputs[2];
    *expected = describe_value(element, taken);
    return std::memcmp(data, taken, static_cast<std::size_t>(element_bytes(element))) == 0;
  }
  if (float_format(element)) {
    long double in[3] = {};
    for (int k = 0; k < row.num_inputs; ++k) in[k] = decode_float(element, inputs[k]);
    return float_is_right(row, element, output, oracle, in, scalars, data, expected);
  }
  Integer128 in[3] = {};
  for (int k = 0; k < row.num_inputs; ++k) in[k] = decode_integer(element, inputs[k]);
  return integer_is_right(element, output, oracle, in, scalars, data, expected);
}

/// The strides with which the output's index walks an input.
Dims broadcast_strides(const Placement& place, const Dims& shape) {
  Dims strides = Dims::filled(shape.rank(), 0);
  for (int axis = 0; axis < place.shape.rank(); ++axis)
    if (place.shape[axis] != 1) strides[axis + shape.rank() - place.shape.rank()] = place.strides[axis];
  return strides;
}

double random_scalar(Random& random) {
  const double picks[] = {0, -1,  1,     0.5,   -2.25,
                          3, 100, -1e30, 1e300, static_cast<double>(random.draw(-1000, 1000)) / 64};
  return random.pick(picks);
}

}  // namespace

std::string to_string(const ElementwiseCase& value) { return print_case(ElementwisePlan::kName, value); }

Result<ElementwiseBuffers> ElementwiseBuffers::create(const ElementwiseCase& value, const Stream& stream) {
  const ElementwiseDescriptor& descriptor = value.descriptor;
  const Dims& shape = descriptor.shape;
  const ElementwiseRow& row = *find_row(descriptor.op);
  const Element output_kind = output_element(row, descriptor.element, descriptor.output.value_or(descriptor.element));

  Random random(value.seed);
  Scalars scalars{{row.scalars[0], row.scalars[1]}};
  if (value.scalars)
    for (int i = 0; i < row.num_scalars; ++i) {
      const double scalar = random_scalar(random);
      scalars.given[i] = float_format(descriptor.element) ? scalar : std::trunc(scalar);
    }

  BARACUDA_ASSIGN_OR_RETURN(const Placement output_place,
                            place("output", output_kind, shape, value.output_strides, value.output_misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer output, GuardedBuffer::create("output", stream, output_place.bytes, random,
                                                                        output_place.misalignment));
  ElementwiseBuffers buffers{value, scalars, output_kind, output_place, std::move(output), {}, {}, {}};
  const ElementwiseTensorCase* const tensors[] = {&value.x, &value.y, &value.z};
  for (int k = 0; k < row.num_inputs; ++k) {
    const Element kind = k == 0 && row.op == ElementwiseOp::Where ? Element::Bool : descriptor.element;
    BARACUDA_ASSIGN_OR_RETURN(Placement own, place(kInputNames[k], kind, tensors[k]->shape.value_or(shape),
                                                   tensors[k]->strides, tensors[k]->misalignment));
    const bool in_place = value.in_place == kInputNames[k];
    if (in_place) {
      if (element_bytes(kind) != element_bytes(output_kind))
        return Error::invalid_problem(
            fmt::format("in_place is {}, whose elements are not of the output's size", value.in_place));
      own = output_place;
      buffers.in_place = k;
    }
    BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer input, GuardedBuffer::create(std::string(kInputNames[k]), stream, own.bytes,
                                                                         random, own.misalignment));
    fill(kind, value, random, input.image());
    if (in_place) std::ranges::copy(input.image(), buffers.output.image().begin());
    buffers.kinds.push_back(kind);
    buffers.places.push_back(own);
    buffers.inputs.push_back(std::move(input));
  }
  if (buffers.in_place < 0 && !value.in_place.empty())
    return Error::invalid_problem(fmt::format("in_place is {}, expected an input of {}", value.in_place, row.name));
  for (GuardedBuffer* operand : buffers.operands()) BARACUDA_RETURN_IF_ERROR(operand->upload());
  return buffers;
}

std::vector<GuardedBuffer*> ElementwiseBuffers::operands() {
  std::vector<GuardedBuffer*> all = {&output};
  for (GuardedBuffer& input : inputs) all.push_back(&input);
  return all;
}

ElementwiseArgs ElementwiseBuffers::args() const {
  const auto view = [&](int k) -> TensorRef {
    const auto index = static_cast<std::size_t>(k);
    const Placement& own = places[index];
    const GuardedBuffer& buffer = in_place == k ? output : inputs[index];
    return buffer.tensor(kinds[index], own.shape, own.strides, own.origin_bytes);
  };
  ElementwiseArgs args{
      .output = output.tensor(output_kind, output_place.shape, output_place.strides, output_place.origin_bytes),
      .x = view(0)};
  if (inputs.size() > 1) args.y = view(1);
  if (inputs.size() > 2) args.z = view(2);
  if (value.scalars)
    for (int i = 0; i < find_row(value.descriptor.op)->num_scalars; ++i)
      args.scalars[static_cast<std::size_t>(i)] = scalars.given[i];
  return args;
}

Result<void> check_elementwise(const ElementwiseCase& value, const TestTarget& target, std::vector<std::byte>* bytes) {
  BARACUDA_ASSIGN_OR_RETURN(const Stream stream, make_case_stream(value, target.device));
  BARACUDA_ASSIGN_OR_RETURN(const ElementwisePlan plan,
                            ElementwisePlan::select(stream, value.descriptor, target.preference));
  BARACUDA_ASSIGN_OR_RETURN(ElementwiseBuffers buffers, ElementwiseBuffers::create(value, stream));
  BARACUDA_RETURN_IF_ERROR(plan.run(stream, Workspace::none(), buffers.args()));
  BARACUDA_RETURN_IF_ERROR(buffers.check());
  if (bytes) bytes->assign(buffers.output.image().begin(), buffers.output.image().end());
  return {};
}

Result<void> ElementwiseBuffers::check() {
  const ElementwiseDescriptor& descriptor = value.descriptor;
  const Dims& shape = descriptor.shape;
  const ElementwiseRow& row = *find_row(descriptor.op);
  const std::vector<std::byte> before(output.image().begin(), output.image().end());
  BARACUDA_RETURN_IF_ERROR(output.download());

  // Each result against the oracle; what is left in `rest` is what no index names.
  const auto size = static_cast<std::size_t>(element_bytes(output_kind));
  std::vector<std::byte> rest(output.image().begin(), output.image().end());
  std::int64_t wrong = 0;
  std::string first_wrong;
  if (std::ranges::find(shape, 0) == shape.end()) {
    std::vector<Dims> strides;
    for (const Placement& own : places) strides.push_back(broadcast_strides(own, shape));
    Dims index = Dims::filled(shape.rank(), 0);
    for (bool more = true; more;) {
      std::int64_t to = 0;
      for (int axis = 0; axis < shape.rank(); ++axis) to += index[axis] * output_place.strides[axis];
      const auto at = static_cast<std::size_t>(output_place.origin_bytes) + static_cast<std::size_t>(to) * size;
      const std::byte* data[3] = {};
      for (std::size_t k = 0; k < places.size(); ++k) {
        std::int64_t from = 0;
        for (int axis = 0; axis < shape.rank(); ++axis) from += index[axis] * strides[k][axis];
        data[k] = inputs[k].image().data() + places[k].origin_bytes + from * element_bytes(kinds[k]);
      }
      std::string expected;
      if (!is_right(row, descriptor.element, output_kind, data, scalars, output.image().data() + at, &expected) &&
          wrong++ == 0) {
        first_wrong = fmt::format("output[{}] is {}, expected {} for", index.to_string(),
                                  describe_value(output_kind, output.image().data() + at), expected);
        for (std::size_t k = 0; k < places.size(); ++k)
          first_wrong += fmt::format(" {} = {}", kInputNames[k], describe_value(kinds[k], data[k]));
        for (int i = 0; i < row.num_scalars; ++i) first_wrong += fmt::format(" s{} = {:g}", i, scalars.given[i]);
      }
      std::copy_n(before.begin() + static_cast<std::ptrdiff_t>(at), size,
                  rest.begin() + static_cast<std::ptrdiff_t>(at));
      int axis = shape.rank() - 1;
      for (; axis >= 0 && ++index[axis] == shape[axis]; --axis) index[axis] = 0;
      more = axis >= 0;
    }
  }
  if (wrong > 0) return Error::backend(0, fmt::format("{} ({} wrong)", first_wrong, wrong));
  BARACUDA_RETURN_IF_ERROR(compare_bytes("output, between its elements", rest, before));
  for (const GuardedBuffer& input : inputs) BARACUDA_RETURN_IF_ERROR(input.expect_unchanged());
  return {};
}

// ---- random cases ---------------------------------------------------------------------------------------------------

namespace {

std::vector<Element> elements_of(ElementSet set) {
  std::vector<Element> elements;
  for (const ElementInfo& info : kElements)
    if (set.contains(info.element)) elements.push_back(info.element);
  return elements;
}

/// A shape that broadcasts to `shape`.
Dims random_input_shape(const Dims& shape, Random& random) {
  const int rank = random.one_in(3) ? static_cast<int>(random.draw(0, shape.rank())) : shape.rank();
  Dims input = Dims::filled(rank, 1);
  for (int axis = 0; axis < rank; ++axis)
    if (!random.one_in(3)) input[axis] = shape[axis + shape.rank() - rank];
  return input;
}

Dims random_shape(Random& random) {
  const int rank = static_cast<int>(random.one_in(4) ? random.draw(0, kMaxRank) : random.draw(1, 3));
  Dims shape = Dims::filled(rank, 1);
  std::int64_t budget = random.one_in(8) ? 5000 : 1200;  // elements; a block of the CPU's loops has 1024
  for (int axis = rank - 1; axis >= 0; --axis) {
    shape[axis] = std::max<std::int64_t>(1, std::min(budget, random.draw(1, axis == rank - 1 ? budget : 9)));
    budget /= shape[axis];
  }
  if (rank > 0 && random.one_in(40)) shape[static_cast<int>(random.draw(0, rank - 1))] = 0;
  return shape;
}

/// Of each operator three elements, which are not the same for its neighbours in the table: kernels of all pairs would
/// take a GPU's tests many minutes to compile, and what loads an element knows nothing of the operator.
ElementwiseDescriptor random_descriptor(Random& random) {
  const std::int64_t index = random.draw(0, static_cast<std::int64_t>(elementwise_rows().size()) - 1);
  const ElementwiseRow& row = elementwise_rows()[static_cast<std::size_t>(index)];
  const std::vector<Element> elements = elements_of(row.elements);
  ElementwiseDescriptor descriptor{
      .op = row.op, .element = elements[static_cast<std::size_t>(index + random.draw(0, 2)) % elements.size()]};
  if (row.output == ElementwiseOutput::Chosen) descriptor.output = random.pick(elements_of(row.elements));
  return descriptor;
}

}  // namespace

ElementwiseCase random_elementwise_case(Random& random) {
  ElementwiseCase value;
  ElementwiseDescriptor& descriptor = value.descriptor;
  // As many casts as of all others together would be too many, but there are as many pairs of elements.
  descriptor = random_descriptor(random);
  if (random.one_in(8)) {
    const auto elements = elements_of(find_row(ElementwiseOp::Cast)->elements);
    descriptor = {.op = ElementwiseOp::Cast, .element = random.pick(elements), .output = random.pick(elements)};
  }
  descriptor.shape = random_shape(random);
  const ElementwiseRow& row = *find_row(descriptor.op);
  const Element output = output_element(row, descriptor.element, descriptor.output.value_or(descriptor.element));

  if (random.one_in(2)) value.output_strides = random_strides(descriptor.shape, random, false);
  if (random.one_in(2)) value.output_misalignment = element_bytes(output) * static_cast<int>(random.draw(0, 15));
  ElementwiseTensorCase* const tensors[] = {&value.x, &value.y, &value.z};
  for (int k = 0; k < row.num_inputs; ++k) {
    const Element kind = k == 0 && row.op == ElementwiseOp::Where ? Element::Bool : descriptor.element;
    if (value.in_place.empty() && element_bytes(kind) == element_bytes(output) && random.one_in(5)) {
      value.in_place = kInputNames[k];
      continue;
    }
    if (random.one_in(3)) tensors[k]->shape = random_input_shape(descriptor.shape, random);
    const Dims shape = tensors[k]->shape.value_or(descriptor.shape);
    if (random.one_in(3)) {
      tensors[k]->strides = random_strides(shape, random, true);
    } else if (!tensors[k]->shape && random.one_in(2)) {
      tensors[k]->strides = value.output_strides;
    }
    if (random.one_in(2)) tensors[k]->misalignment = element_bytes(kind) * static_cast<int>(random.draw(0, 15));
  }
  value.hostile = !random.one_in(8);
  value.scalars = row.num_scalars > 0 && random.one_in(2);
  value.num_threads = static_cast<int>(random.draw(1, 3));
  value.seed = random.next() >> 32;
  return value;
}

// ---- what the tool and the shared tests see -------------------------------------------------------------------------

namespace {

class ElementwiseTestOp final : public CaseOp<ElementwisePlan, ElementwiseCase, ElementwiseBuffers> {
 public:
  std::string_view summary() const override { return "output = op(x, y, z), element by element, with broadcasting"; }

  std::string markdown_table() const override { return elementwise_markdown(); }

  std::vector<KernelSku> skus(const DeviceInfo& device) const override {
    std::vector<KernelSku> skus;
    for_each_descriptor([&](const ElementwiseDescriptor& descriptor) {
      const auto choice = ElementwisePlan::choose(descriptor, {}, device);
      if (!choice) return;
      // `choose` tells the first; strides ask for the others.
      for (std::string_view variant : {"contiguous", "rows", "strided"}) {
        skus.push_back(choice->sku);
        skus.back().variant = variant;
      }
    });
    return skus;
  }

  using CaseOp::kernels;
  std::vector<jit::KernelSpec> kernels(const PlanPreference& preference, const DeviceInfo& device) const override {
    std::vector<ElementwiseConfig> configs;
    const auto add = [&](ElementwiseOp op, Element element, Element output, ElementwiseVariant variant,
                         bool wide_index = false) {
      configs.push_back({op, element, output, variant, wide_index});
    };
    using enum ElementwiseVariant;
    // Each text of each operator once, f32 where it takes that; each element in and out; each variant with one to three
    // inputs.
    for (const ElementwiseRow& row : elementwise_rows()) {
      const Element element = row.elements.contains(Element::F32) ? Element::F32 : Element::I32;
      if (row.op != ElementwiseOp::Cast) add(row.op, element, output_element(row, element, element), Contiguous);
      if (row.has_narrow_text) add(row.op, Element::Bf16, Element::Bf16, Contiguous);
    }
    for (Element element : elements_of(elementwise_words::Castable)) {
      add(ElementwiseOp::Cast, element, Element::F16, Contiguous);
      if (element != Element::F16) add(ElementwiseOp::Cast, Element::F64, element, Contiguous);
    }
    for (Element element : elements_of(elementwise_words::Number))
      if (element != Element::F32) add(ElementwiseOp::FloorDivide, element, element, Contiguous);
    for (ElementwiseVariant variant : {Rows, Strided})
      for (bool wide_index : {false, true}) {
        add(ElementwiseOp::Erf, Element::F16, Element::F16, variant, wide_index);
        add(ElementwiseOp::Add, Element::F32, Element::F32, variant, wide_index);
        add(ElementwiseOp::Eq, Element::I64, Element::Bool, variant, wide_index);
        add(ElementwiseOp::Where, Element::Complex64, Element::Complex64, variant, wide_index);
      }
    return specs_of(configs, preference, device);
  }

  std::vector<jit::KernelSpec> all_kernels(const PlanPreference& preference, const DeviceInfo& device) const override {
    std::vector<ElementwiseConfig> configs;
    using enum ElementwiseVariant;
    for_each_descriptor([&](const ElementwiseDescriptor& descriptor) {
      const Element output =
          output_element(*find_row(descriptor.op), descriptor.element, descriptor.output.value_or(descriptor.element));
      for (ElementwiseVariant variant : {Contiguous, Rows, Strided})
        for (bool wide_index : {false, true})
          if (variant != Contiguous || !wide_index)
            configs.push_back({descriptor.op, descriptor.element, output, variant, wide_index});
    });
    return specs_of(configs, preference, device);
  }

  std::vector<std::string> bench_cases(Device device) const override {
    const std::string shape = device.is_cpu() ? " shape=4096x4096 num_threads=0" : " shape=16384x8192";
    std::vector<std::string> cases;
    for (const char* fields : {"op=add", "op=relu element=bf16", "op=silu element=bf16", "op=gelu element=bf16",
                               "op=exp", "op=sin", "op=cast element=f32 output=f8e4m3", "op=eq element=i8",
                               "op=where element=f16", "op=add y_strides=0x1", "op=add x_strides=0x1 y_strides=1x0"})
      cases.push_back(std::string(name()) + " " + fields + shape);
    return cases;
  }

 private:
  std::vector<jit::KernelSpec> specs_of(std::span<const ElementwiseConfig> configs, const PlanPreference& preference,
                                        const DeviceInfo& device) const {
    std::vector<jit::KernelSpec> kernels;
    const auto arch = choose_arch(name(), preference, device);
    if (!arch || arch->arch == Arch::Cpu) return kernels;
    for (const ElementwiseConfig& config : configs) kernels.push_back(elementwise_kernel(config, arch->target));
    return kernels;
  }

  /// A descriptor of each operator and each element, or pair of them.
  template <class F>
  static void for_each_descriptor(F&& f) {
    for (const ElementwiseRow& row : elementwise_rows())
      for (Element element : elements_of(row.elements)) {
        if (row.output != ElementwiseOutput::Chosen) {
          f(ElementwiseDescriptor{.op = row.op, .element = element, .shape = {64, 64}});
          continue;
        }
        for (Element output : elements_of(row.elements))
          f(ElementwiseDescriptor{.op = row.op, .element = element, .output = output, .shape = {64, 64}});
      }
  }

  ElementwiseCase random_case(Random& random) const override { return random_elementwise_case(random); }
  Result<void> check(const ElementwiseCase& value, const TestTarget& target) const override {
    return check_elementwise(value, target);
  }
};

}  // namespace

const Op& elementwise_op() {
  static const ElementwiseTestOp op;
  return op;
}

}  // namespace baracuda::testing
