// The operators against tests/data/elementwise/reference.txt, which NumPy, SciPy and mpmath made; make_reference.py,
// beside it, says what its words mean.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baracuda/core/buffer.h"
#include "baracuda/core/propagate.h"
#include "baracuda/ops/elementwise/elementwise_oracle.h"
#include "baracuda/ops/elementwise/elementwise_table.h"
#include "testing/devices.h"
#include "testing/files.h"
#include "testing/options.h"

namespace baracuda::testing {
namespace {

/// "points": the arguments of one point after those of the other.
struct Points {
  int arity;
  std::vector<std::string_view> words;

  std::size_t size() const { return words.size() / static_cast<std::size_t>(arity); }
};

/// "results": of one operator, one kind, one set of points.
struct Results {
  std::string_view title;
  const ElementwiseRow* row;
  Element element;
  Element output;
  const Points* points;
  std::array<std::optional<double>, 2> scalars;
  std::vector<std::string_view> words;
};

struct Reference {
  std::string text;
  std::map<std::pair<std::string_view, std::string_view>, Points> points;  // by name and kind
  std::vector<Results> results;
};

template <class T>
T parse(std::string_view word) {
  T value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  EXPECT_TRUE(error == std::errc() && end == word.data() + word.size()) << "not a number: " << word;
  return value;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

Element element_named(std::string_view name) {
  for (const ElementInfo& info : kElements)
    if (info.name == name) return info.element;
  ADD_FAILURE() << "no element: " << name;
  return Element::F32;
}

const ElementwiseRow* row_named(std::string_view name) {
  for (const ElementwiseRow& row : elementwise_rows())
    if (row.name == name) return &row;
  return nullptr;
}

/// "results clamp f32 unary s0=2 s1=-2".
Results parse_title(const Reference& reference, std::string_view line) {
  const auto words = split(line, ' ');
  const auto kinds = split(words.at(2), '>');
  const auto points = reference.points.find({words.at(3), kinds.at(0)});
  EXPECT_NE(points, reference.points.end()) << line;
  Results results{line, row_named(words[1]), element_named(kinds[0]), element_named(kinds.back()), &points->second, {},
                  {}};
  EXPECT_TRUE(results.row) << line;
  if (results.row->output != ElementwiseOutput::Chosen)
    results.output = output_element(*results.row, results.element, results.element);
  for (std::size_t i = 4; i < words.size(); ++i) results.scalars.at(i - 4) = parse<double>(words[i].substr(3));
  return results;
}

Reference read_reference() {
  Reference reference;
  auto text = read_data("elementwise/reference.txt");
  EXPECT_TRUE(text) << text.error().to_string();
  if (!text) return reference;
  reference.text = *std::move(text);
  std::vector<std::string_view>* words = nullptr;
  for (std::string_view line : split(reference.text, '\n')) {
    if (line.starts_with("points ")) {
      const auto title = split(line, ' ');
      Points& points = reference.points[{title.at(1), title.at(2)}];
      points.arity = parse<int>(title.at(3));
      words = &points.words;
    } else if (line.starts_with("results ")) {
      reference.results.push_back(parse_title(reference, line));
      words = &reference.results.back().words;
    } else if (!line.starts_with('#')) {
      for (std::string_view word : split(line, ' ')) words->push_back(word);
    }
  }
  for (const Results& results : reference.results)
    EXPECT_EQ(results.words.size(), results.points->size()) << results.title;
  return reference;
}

const Reference& reference() {
  static const Reference reference = read_reference();
  return reference;
}

/// A number of the table in memory. Of the narrow floats it has the bits.
void write_word(Element element, std::string_view word, std::byte* to) {
  const auto write = [to](auto value) { std::memcpy(to, &value, sizeof(value)); };
  switch (element) {
    case Element::F32: return write(parse<float>(word));
    case Element::F64: return write(parse<double>(word));
    case Element::I8: return write(parse<std::int8_t>(word));
    case Element::I16: return write(parse<std::int16_t>(word));
    case Element::I32: return write(parse<std::int32_t>(word));
    case Element::I64: return write(parse<std::int64_t>(word));
    case Element::F8E4M3:
    case Element::F8E5M2:
    case Element::Bool:
    case Element::U8: return write(parse<std::uint8_t>(word));
    case Element::F16:
    case Element::Bf16:
    case Element::U16: return write(parse<std::uint16_t>(word));
    case Element::U32: return write(parse<std::uint32_t>(word));
    case Element::U64: return write(parse<std::uint64_t>(word));
    default: ADD_FAILURE() << "no such element in the table: " << name_of(element);
  }
}

/// How far `actual` is from the exact value, in the units of the operator's tolerance; infinite where nothing but the
/// table's number would do.
double error_in_ulps(Element element, std::string_view word, const std::byte* actual_bytes) {
  if (word == "*") return 0;
  const auto parts = split(word, ':');
  std::byte nearest_bytes[8];
  write_word(element, parts[0], nearest_bytes);
  const long double actual = decode_float(element, actual_bytes), nearest = decode_float(element, nearest_bytes);
  if (std::isnan(actual) || std::isnan(nearest))
    return std::isnan(actual) && std::isnan(nearest) ? 0 : std::numeric_limits<double>::infinity();
  const bool is_same = std::memcmp(actual_bytes, nearest_bytes, static_cast<std::size_t>(element_bytes(element))) == 0;
  if (parts.size() == 1 && (is_same || std::isinf(nearest)))
    return is_same ? 0 : std::numeric_limits<double>::infinity();
  // Only where a term cancels may a zero have the other sign.
  if (actual == 0 && nearest == 0 && !is_same && parts.size() < 3) return std::numeric_limits<double>::infinity();

  const FloatFormat& format = *float_format(element);
  const auto finite = [&](long double value) {  // infinity is the power of two that would follow
    return std::isinf(value) ? std::copysign(std::ldexp(1.0L, 2 - format.least_exponent), value) : value;
  };
  const long double thousandths = parts.size() > 1 ? parse<int>(parts[1]) : 0;
  long double unit = ulp_at(format, std::isinf(nearest) ? format.greatest : nearest);
  // The exact value lies in the binade below, whose ulp is half as large.
  int exponent;
  if (std::isfinite(nearest) && nearest * thousandths < 0 && std::frexp(std::fabs(nearest), &exponent) == 0.5L &&
      exponent - 1 > format.least_exponent)
    unit /= 2;
  const long double exact = finite(nearest) + thousandths / 1000 * unit;
  if (std::isinf(actual) && std::isinf(nearest) && actual == nearest) return 0;
  const int log2_of_units = parts.size() > 2 ? parse<int>(parts[2]) : 0;
  return static_cast<double>(std::ldexp(std::fabs(finite(actual) - exact) / unit, -log2_of_units));
}

bool is_right(const Results& results, std::string_view word, const std::byte* actual) {
  const Element output = results.output;
  if (float_format(output) && word == "nan") return std::isnan(decode_float(output, actual));
  if (results.row->ulps > 0 && (output == Element::F32 || output == Element::F64))
    return error_in_ulps(output, word, actual) <= results.row->ulps + 0.0005;  // a word has three places
  std::byte expected[8];
  write_word(output, word, expected);
  return std::memcmp(actual, expected, static_cast<std::size_t>(element_bytes(output))) == 0;
}

/// The plan's output on the points of the results.
Result<std::vector<std::byte>> run(const Results& results, const TestTarget& target) {
  const auto size = static_cast<std::int64_t>(results.points->size());
  const ElementwiseRow& row = *results.row;
  BARACUDA_ASSIGN_OR_RETURN(const Stream stream, make_stream(target.device));
  ElementwiseDescriptor descriptor{.op = row.op, .element = results.element, .shape = {size}};
  if (row.output == ElementwiseOutput::Chosen) descriptor.output = results.output;
  BARACUDA_ASSIGN_OR_RETURN(const ElementwisePlan plan, ElementwisePlan::select(stream, descriptor, target.preference));

  const auto view = [&](const Buffer& buffer, Element element) {
    return TensorMut(buffer.data(), element, {size}, {1}, target.device,
                     ByteRange(buffer.data(), static_cast<std::size_t>(buffer.bytes())));
  };
  std::vector<Buffer> inputs;
  std::vector<TensorRef> views;
  for (int k = 0; k < row.num_inputs; ++k) {
    const Element element = k == 0 && row.op == ElementwiseOp::Where ? Element::Bool : results.element;
    std::vector<std::byte> bytes(static_cast<std::size_t>(size * element_bytes(element)));
    for (std::int64_t i = 0; i < size; ++i)
      write_word(element, results.points->words[static_cast<std::size_t>(i * row.num_inputs + k)],
                 &bytes[static_cast<std::size_t>(i * element_bytes(element))]);
    BARACUDA_ASSIGN_OR_RETURN(Buffer input, Buffer::allocate(stream, static_cast<std::int64_t>(bytes.size())));
    BARACUDA_RETURN_IF_ERROR(input.copy_from_host(stream, bytes.data(), static_cast<std::int64_t>(bytes.size())));
    BARACUDA_RETURN_IF_ERROR(stream.synchronize());
    views.push_back(view(input, element));
    inputs.push_back(std::move(input));
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(size * element_bytes(results.output)));
  BARACUDA_ASSIGN_OR_RETURN(const Buffer output, Buffer::allocate(stream, static_cast<std::int64_t>(bytes.size())));
  ElementwiseArgs args{.output = view(output, results.output), .x = views[0], .scalars = results.scalars};
  if (row.num_inputs > 1) args.y = views[1];
  if (row.num_inputs > 2) args.z = views[2];
  BARACUDA_RETURN_IF_ERROR(plan.run(stream, Workspace::none(), args));
  BARACUDA_RETURN_IF_ERROR(output.copy_to_host(stream, bytes.data(), static_cast<std::int64_t>(bytes.size())));
  BARACUDA_RETURN_IF_ERROR(stream.synchronize());
  return bytes;
}

void expect_right(const Results& results, const TestTarget& target) {
  const auto bytes = run(results, target);
  ASSERT_TRUE(bytes) << results.title << ": " << bytes.error().to_string();
  const auto size = static_cast<std::size_t>(element_bytes(results.output));
  const auto arity = static_cast<std::size_t>(results.points->arity);
  int num_wrong = 0;
  for (std::size_t i = 0; i < results.words.size(); ++i) {
    const std::byte* actual = bytes->data() + i * size;
    if (is_right(results, results.words[i], actual)) continue;
    std::string message = fmt::format("{}, {}: of", target.name, results.title);
    for (std::size_t k = 0; k < arity; ++k) message += fmt::format(" {}", results.points->words[i * arity + k]);
    message += fmt::format(" expected {} (within {} ulp), got ", results.words[i], results.row->ulps);
    message += float_format(results.output)
                   ? fmt::format("{:.17g}", static_cast<double>(decode_float(results.output, actual)))
                   : fmt::format("{}", static_cast<std::int64_t>(decode_integer(results.output, actual)));
    ADD_FAILURE() << message;
    if (++num_wrong == 10) return;
  }
}

class ElementwiseReferenceTest : public ::testing::TestWithParam<TestTarget> {};
INSTANTIATE_TEST_SUITE_P(Targets, ElementwiseReferenceTest, ::testing::ValuesIn(test_targets()), NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ElementwiseReferenceTest);

/// Every operator on every kind of the table: 8- to 64-bit integers, bool, f32 and f64, and casts of all kinds.
TEST_P(ElementwiseReferenceTest, IsWithinTheStatedUlps) {
  for (const Results& results : reference().results) {
    // A kernel has to be compiled for each on a GPU.
    const bool covering =
        GetParam().device.is_cpu() || results.element == Element::F32 || results.element == Element::I32;
    if (covering || options().full) expect_right(results, GetParam());
  }
}

/// A new row needs results: an operator in make_reference.py. The narrow floats are computed in f32, so the oracle's
/// tests have them; the table has their casts.
TEST(ElementwiseReference, HasEveryOperatorAndKind) {
  std::set<std::pair<std::string_view, Element>> present;
  for (const Results& results : reference().results) present.emplace(results.row->name, results.element);
  for (const ElementwiseRow& row : elementwise_rows())
    for (const ElementInfo& info : kElements) {
      const bool is_narrow = float_format(info.element) && element_bytes(info.element) < 4;
      if (!row.elements.contains(info.element) || info.element == Element::Complex64) continue;
      if (is_narrow && row.op != ElementwiseOp::Cast) continue;
      EXPECT_TRUE(present.contains({row.name, info.element})) << row.name << " of " << info.name;
    }
}

/// The results tell right from wrong: each word refuses what is one unit past its tolerance.
TEST(ElementwiseReference, MeasuresInUlps) {
  const auto error = [](std::string_view word, float value) {
    return error_in_ulps(Element::F32, word, reinterpret_cast<const std::byte*>(&value));
  };
  constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(error("1", 1.0f), 0);
  EXPECT_EQ(error("1", 1.0f + 0x1p-23f), 1);
  EXPECT_NEAR(error("1:250", 1.0f + 0x1p-23f), 0.75, 1e-9);
  EXPECT_NEAR(error("1:-250", 1.0f), 0.25, 1e-9);  // of an ulp below 1, which is half of the one above
  EXPECT_NEAR(error("1:-250", 1.0f - 0x1p-24f), 0.75, 1e-9);
  EXPECT_NEAR(error("-1:250", -1.0f + 0x1p-24f), 0.75, 1e-9);
  EXPECT_NEAR(error("1:0:3", 1.0f + 0x1p-21f), 0.5, 1e-9);
  EXPECT_NEAR(error("0:300", 0x1p-149f), 0.7, 1e-9);
  EXPECT_NEAR(error("inf:200", 0x1.fffffep127f), 1.2, 1e-9);
  EXPECT_NEAR(error("3.4028235e38:400", kInf), 0.6, 1e-9);
  EXPECT_EQ(error("inf", kInf), 0);
  EXPECT_EQ(error("inf", 0x1.fffffep127f), kInf);
  EXPECT_EQ(error("inf", -kInf), kInf);
  EXPECT_EQ(error("nan", kNan), 0);
  EXPECT_EQ(error("nan", 1.0f), kInf);
  EXPECT_EQ(error("1", kNan), kInf);
  EXPECT_EQ(error("0", -0.0f), kInf);
  EXPECT_EQ(error("0:100", -0.0f), kInf);
  EXPECT_EQ(error("0:0:3", -0.0f), 0);
  EXPECT_EQ(error("*", kNan), 0);
}

}  // namespace
}  // namespace baracuda::testing
