// Calls that are right but for one thing: the right error, with every operand as it was, or the right result.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "baracuda/capi/c_cases_test.h"
#include "baracuda/capi/c_fields.h"
#include "testing/c_call.h"
#include "testing/c_fuzz.h"
#include "testing/files.h"
#include "testing/options.h"

namespace baracuda {
namespace {

using testing::CCall;
using testing::CTensor;
using testing::Random;

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

/// What a change may lead to.
struct Change {
  std::string what;
  std::vector<baracuda_status> allowed;
};

bool is_empty(const DLTensor& tensor) {
  return std::find(tensor.shape, tensor.shape + tensor.ndim, 0) != tensor.shape + tensor.ndim;
}

bool has_neighbours(const CTensor& tensor) {
  return std::any_of(tensor.shape, tensor.shape + tensor.tensor.ndim, [](std::int64_t extent) { return extent > 1; });
}

/// A view of args.
struct View {
  const char* name;
  bool is_written;
  std::size_t offset;
  const DLTensor* tensor;
};
template <class Args>
std::vector<View> views_of(const std::vector<std::byte>& bytes) {
  std::vector<View> views;
  std::size_t offset = sizeof(std::size_t);
  const Args args{};
  visit_fields(args, [&]<class T>(const char* name, const T&) {
    if (capi::is_view(capi::kind_of<T>())) {
      views.push_back({name, capi::kIsWritable<T>, offset, nullptr});
      std::memcpy(&views.back().tensor, bytes.data() + offset, sizeof(DLTensor*));
    }
    offset += capi::kFieldBytes<T>;
  });
  return views;
}

Change change_tensor(CTensor& changed, const std::string& op, const std::vector<View>& views, Device device,
                     Random& random) {
  DLTensor& tensor = changed.tensor;
  const auto address = [](const DLTensor& of) { return reinterpret_cast<std::uintptr_t>(of.data) + of.byte_offset; };
  // It is written itself, or the call is one in place.
  const bool is_written = std::any_of(views.begin(), views.end(), [&](const View& view) {
    return view.is_written && view.tensor && address(*view.tensor) == address(tensor);
  });
  const auto output = std::find_if(views.begin(), views.end(), [](const View& view) { return view.is_written; });
  const baracuda_status if_elements = is_empty(tensor) ? BARACUDA_OK : BARACUDA_INVALID_PROBLEM;
  switch (random.draw(0, 11)) {
    case 0: {
      const DLDataType before = tensor.dtype;
      while (tensor.dtype.code == before.code && tensor.dtype.bits == before.bits &&
             tensor.dtype.lanes == before.lanes) {
        tensor.dtype.code = static_cast<std::uint8_t>(random.one_in(9) ? random.draw(0, 255) : random.draw(0, 6));
        tensor.dtype.bits = static_cast<std::uint8_t>(random.one_in(9) ? random.draw(0, 255) : 4 << random.draw(0, 5));
        tensor.dtype.lanes = static_cast<std::uint16_t>(random.one_in(9) ? random.draw(0, 65535) : 1);
      }
      return {"dtype", {BARACUDA_UNSUPPORTED}};
    }
    case 1:
      tensor.device.device_type =
          static_cast<DLDeviceType>(random.one_in(2) ? random.draw(4, 12) : random.draw(14, 99));
      return {"device", {BARACUDA_INVALID_PROBLEM}};
    case 2:
      tensor.device = device.is_cpu() ? DLDevice{kDLCUDA, 0} : DLDevice{kDLCPU, 0};
      return {"the other device", {BARACUDA_INVALID_PROBLEM}};
    case 3:
      tensor.device = {random.one_in(2) ? kDLCUDAHost : kDLCUDAManaged, 0};
      return {"memory of both devices", {BARACUDA_OK}};
    case 4:
      tensor.data = nullptr;
      // A product without outputs does not look at the data of its weights' scales.
      if (op == "quantized_linear" && is_empty(*output->tensor)) return {"data NULL", {if_elements, BARACUDA_OK}};
      return {"data NULL", {if_elements}};
    case 5:
      tensor.byte_offset = ~std::uint64_t{0};
      return {"byte_offset", {tensor.data ? BARACUDA_INVALID_PROBLEM : if_elements}};
    case 6:
      tensor.ndim = random.pick(std::initializer_list<std::int32_t>{-1, std::numeric_limits<std::int32_t>::min(), 9,
                                                                    std::numeric_limits<std::int32_t>::max()});
      if (tensor.shape == nullptr) tensor.shape = changed.shape;
      return {"ndim", {BARACUDA_INVALID_PROBLEM}};
    case 7:
      if (tensor.ndim == 0) return {"nothing", {BARACUDA_OK}};
      tensor.shape = nullptr;
      return {"shape NULL", {BARACUDA_INVALID_PROBLEM}};
    case 8: {
      if (tensor.ndim == 0) return {"nothing", {BARACUDA_OK}};
      std::int64_t& extent = changed.shape[random.draw(0, tensor.ndim - 1)];
      extent = random.pick(std::initializer_list<std::int64_t>{-1, kLeast, (std::int64_t{1} << 62) + 1});
      // A scratch may be longer than is needed, and one of an empty tensor's axes may be so long.
      return {"extent", {BARACUDA_INVALID_PROBLEM}};
    }
    case 9: {
      if (tensor.ndim == 0) return {"nothing", {BARACUDA_OK}};
      // Were it longer where 1 repeats, it would be right.
      if (op == "elementwise") return {"nothing", {BARACUDA_OK}};
      std::int64_t& extent = changed.shape[random.draw(0, tensor.ndim - 1)];
      // A scratch vector may be longer than is needed.
      const bool may_be_scratch = op == "quantized_linear" && tensor.ndim == 1;
      const bool longer = extent == 0 || (random.one_in(2) && !may_be_scratch);
      extent += longer ? 1 : -1;
      if (may_be_scratch)
        return {"a vector's length", {BARACUDA_OK, BARACUDA_INVALID_PROBLEM, BARACUDA_BUFFER_TOO_SMALL}};
      return {longer ? "an extent too long" : "an extent too short", {BARACUDA_INVALID_PROBLEM}};
    }
    case 10: {
      tensor.strides = changed.strides;
      std::fill(changed.strides, changed.strides + kMaxRank, kLeast);
      const bool counts = !is_empty(tensor) && has_neighbours(changed) && tensor.data;
      // Without elements they do not count, but some ops want rows to be contiguous all the same.
      return {
          "strides out of memory",
          {counts ? BARACUDA_INVALID_PROBLEM : BARACUDA_OK, counts ? BARACUDA_INVALID_PROBLEM : BARACUDA_UNSUPPORTED}};
    }
    default:
      tensor.strides = changed.strides;
      std::fill(changed.strides, changed.strides + kMaxRank, 0);
      if (is_empty(tensor) || !has_neighbours(changed)) return {"strides 0", {BARACUDA_OK, BARACUDA_UNSUPPORTED}};
      if (is_written) return {"strides 0 of what is written", {BARACUDA_INVALID_PROBLEM, BARACUDA_UNSUPPORTED}};
      return {"strides 0", {BARACUDA_OK, BARACUDA_UNSUPPORTED}};
  }
}

/// Of the bytes of a struct whose members are so many words.
Change change_size(std::vector<std::byte>& bytes, Random& random) {
  std::size_t size = bytes.size();
  const auto set = [&](std::size_t given) { std::memcpy(bytes.data(), &given, sizeof given); };
  switch (random.draw(0, 4)) {
    case 0:
      set(random.pick(std::initializer_list<std::size_t>{0, 1, 7, 4097, std::size_t{1} << 40, ~std::size_t{0}}));
      return {"an absurd struct_size", {BARACUDA_INVALID_PROBLEM}};
    case 1:
      set(size - static_cast<std::size_t>(random.draw(1, 7)));
      return {"a struct_size within a member", {BARACUDA_INVALID_PROBLEM}};
    case 2:
      set(8 * static_cast<std::size_t>(random.draw(0, static_cast<std::int64_t>(size / 8) - 1)));
      return {"a shorter struct, which no header had", {BARACUDA_INVALID_PROBLEM}};
    default: {
      const auto tail = static_cast<std::int64_t>(size);
      size += static_cast<std::size_t>(random.draw(1, 200));
      bytes.resize(size);
      set(size);
      if (random.one_in(2)) return {"a longer struct", {BARACUDA_OK}};
      bytes[static_cast<std::size_t>(random.draw(tail, static_cast<std::int64_t>(size) - 1))] = std::byte{1};
      return {"a longer struct that is not zero", {BARACUDA_UNSUPPORTED}};
    }
  }
}

/// What the words of a struct after its size are.
enum class Word { Flag, Enumerator, Other };
template <class Struct>
std::vector<Word> words_of() {
  std::vector<Word> words;
  const Struct fields{};
  visit_fields(fields, [&]<class T>(const char*, const T&) {
    constexpr capi::FieldKind kKind = capi::kind_of<T>();
    if (capi::kHasFlag<T>) words.push_back(Word::Flag);
    words.insert(words.end(), capi::bytes_of(kKind) / 8, Word::Other);
    if (kKind == capi::FieldKind::Flag && !capi::kIsOptional<T>) words.back() = Word::Flag;
    if (kKind == capi::FieldKind::Enumerator && !capi::kIsOptional<T>) words.back() = Word::Enumerator;
  });
  return words;
}

/// A word of a struct but for its size; those that are pointers stay.
Change change_word(std::vector<std::byte>& bytes, const std::vector<Word>& words, std::size_t first_word,
                   Random& random) {
  const std::int64_t hostile[] = {-1,
                                  2,
                                  3,
                                  9,
                                  255,
                                  256,
                                  1 << 20,
                                  std::int64_t{1} << 31,
                                  std::int64_t{1} << 62,
                                  kLeast,
                                  static_cast<std::int64_t>(random.next())};
  const std::int64_t value = random.pick(hostile);
  const auto word = static_cast<std::size_t>(
      random.draw(static_cast<std::int64_t>(first_word), static_cast<std::int64_t>(words.size()) - 1));
  std::memcpy(bytes.data() + 8 * (1 + word), &value, sizeof value);
  if (words[word] == Word::Flag) return {"a flag that is neither 0 nor 1", {BARACUDA_INVALID_PROBLEM}};
  if (words[word] == Word::Enumerator && (value < 0 || value >= 255))
    return {"an enumerator that is none", {BARACUDA_INVALID_PROBLEM}};
  return {"a number", {BARACUDA_OK, BARACUDA_INVALID_PROBLEM, BARACUDA_UNSUPPORTED}};
}

/// Whether a view may be NULL that is given; other optional ones are there exactly if the descriptor says so.
bool may_be_left_out(const CCall& call, const View& view) {
  const std::string name = std::string(call.op->name) + "." + view.name;
  if (name != "dynamic_range_quantize.zero_point")
    return name == "write_slice.status" || name == "kv_cache_append.status";
  baracuda_dynamic_range_quantize_descriptor descriptor;
  std::memcpy(&descriptor, call.descriptor.data(), sizeof descriptor);
  return descriptor.symmetric == 1;
}

Change drop_view(CCall& call, const std::vector<View>& views, Random& random) {
  const View& view = random.pick(views);
  std::fill_n(call.args.begin() + static_cast<std::ptrdiff_t>(view.offset), 8, std::byte{0});
  const bool may = view.tensor == nullptr || may_be_left_out(call, view);
  return {std::string(view.name) + " is NULL", {may ? BARACUDA_OK : BARACUDA_INVALID_PROBLEM}};
}

class CMisuse : public ::testing::TestWithParam<Device> {
 protected:
  /// Whether a status is one that the change allows, and an error tells what is wrong.
  static ::testing::AssertionResult is_allowed(baracuda_status status, const Change& change) {
    const std::string message = baracuda_last_error_message();
    if (std::find(change.allowed.begin(), change.allowed.end(), status) == change.allowed.end())
      return ::testing::AssertionFailure() << change.what << ": " << baracuda_status_name(status) << ", " << message;
    if (status != BARACUDA_OK && message.find(": ") == message.npos)
      return ::testing::AssertionFailure() << change.what << ": the message is \"" << message << "\"";
    return ::testing::AssertionSuccess();
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, CMisuse, ::testing::ValuesIn(testing::test_devices()), testing::NameOfParam());

TEST_P(CMisuse, OneThingIsWrong) {
  Random random(testing::options().seed);
  std::map<baracuda_status, int> counts;
  testing::for_each_c_op([&]<class C>(C) {
    const int num_cases = GetParam().is_cpu() ? 100 : 10;
    for (int i = 0; i < num_cases; ++i) {
      const auto value = C::random(random);
      SCOPED_TRACE(to_string(value));
      const auto stream = testing::make_case_stream(value, GetParam());
      ASSERT_TRUE(stream) << stream.error().message;
      auto buffers = C::Buffers::create(value, *stream);
      ASSERT_TRUE(buffers) << buffers.error().message;
      CCall call(value.descriptor, buffers->args(), {}, random);
      const testing::StreamHandle c_stream = testing::handle_of(*stream);
      const testing::PlanHandle good_plan = testing::select_plan(call, c_stream);
      ASSERT_TRUE(good_plan);
      const std::size_t pointers = std::string_view(call.op->name) == "elementwise";  // at the descriptor's begin
      const std::vector<View> views = views_of<typename C::Plan::Args>(call.args);
      static const auto kDescriptorWords = words_of<typename C::Plan::Descriptor>();

      for (int change_idx = 0; change_idx < 12; ++change_idx) {
        // Everything, to be put back.
        const auto descriptor = call.descriptor, preference = call.preference, args = call.args;
        std::vector<CTensor> tensors;
        for (const auto& tensor : call.tensors) tensors.push_back(*tensor);

        Change change;
        bool of_plan = false;
        const int kind = static_cast<int>(random.draw(0, 9));
        if (kind == 0) {
          change = change_size(call.args, random);
        } else if (kind == 1) {
          change = drop_view(call, views, random);
        } else if (kind == 2) {
          of_plan = true;
          change = change_size(random.one_in(2) ? call.descriptor : call.preference, random);
        } else if (kind == 3) {
          of_plan = true;
          change = random.one_in(4) ? change_word(call.preference, words_of<PlanPreference>(), 0, random)
                                    : change_word(call.descriptor, kDescriptorWords, pointers, random);
        } else {
          change = change_tensor(*random.pick(call.tensors), call.op->name, views, GetParam(), random);
        }

        baracuda_plan* changed_plan = nullptr;
        baracuda_status status = BARACUDA_OK;
        if (of_plan) {
          status = call.select(c_stream.get(), &changed_plan);
          EXPECT_TRUE(is_allowed(status, change));
          EXPECT_EQ(changed_plan != nullptr, status == BARACUDA_OK);
          // The plan is another now; what it makes of the args is its own.
          change.allowed = {BARACUDA_OK, BARACUDA_INVALID_PROBLEM, BARACUDA_UNSUPPORTED, BARACUDA_MISALIGNED_OPERAND,
                            BARACUDA_BUFFER_TOO_SMALL};
        }
        const testing::PlanHandle freed(changed_plan, baracuda_plan_destroy);
        if (status == BARACUDA_OK) {
          const baracuda_plan* plan = of_plan ? changed_plan : good_plan.get();
          baracuda_call* bound = nullptr;
          status = call.op->bind(plan, call.args.data(), &bound);
          EXPECT_TRUE(is_allowed(status, change));
          EXPECT_EQ(bound != nullptr, status == BARACUDA_OK);
          baracuda_call_destroy(bound);
          EXPECT_EQ(call.op->run(plan, c_stream.get(), nullptr, 0, call.args.data()), status);
          ASSERT_EQ(baracuda_stream_synchronize(c_stream.get()), BARACUDA_OK) << baracuda_last_error_message();
        }
        ++counts[status];
        for (testing::GuardedBuffer* operand : buffers->operands()) {
          // A right call writes its outputs, and nothing around them.
          const Result<void> checked = status == BARACUDA_OK ? operand->download() : operand->expect_unchanged();
          EXPECT_TRUE(checked) << change.what << ": " << checked.error().message;
        }
        if (HasFailure()) return;

        call.descriptor = descriptor;
        call.preference = preference;
        call.args = args;
        for (std::size_t t = 0; t < tensors.size(); ++t) *call.tensors[t] = tensors[t];
      }
    }
  });
  for (const baracuda_status status : {BARACUDA_OK, BARACUDA_INVALID_PROBLEM, BARACUDA_UNSUPPORTED})
    EXPECT_GT(counts[status], 50) << baracuda_status_name(status);
}

/// What tools/fuzz does with the bytes that libFuzzer makes.
TEST(CFuzz, RandomBytesAreNoCallOrOne) {
  Random random(testing::options().seed);
  int num_ran = 0;
  for (int i = 0; i < 20000; ++i) {
    std::uint8_t bytes[400];
    random.fill_bytes(std::as_writable_bytes(std::span(bytes)));
    num_ran += testing::fuzz_c_call(bytes);
  }
  EXPECT_GT(num_ran, 2000) << "too few are right calls for the others to be near one";
}

/// Bytes that libFuzzer found to reach what others do not, as hexadecimal numbers, a line each.
TEST(CFuzz, FoundBytesAreNoCallOrOne) {
  const auto text = testing::read_data("c_calls.txt");
  ASSERT_TRUE(text) << text.error().to_string();
  std::istringstream lines(*text);
  int num_ran = 0;
  for (std::string line; std::getline(lines, line);) {
    ASSERT_EQ(line.size() % 2, 0u) << line;
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i < line.size(); i += 2)
      bytes.push_back(static_cast<std::uint8_t>(std::stoi(line.substr(i, 2), nullptr, 16)));
    SCOPED_TRACE(line);
    num_ran += testing::fuzz_c_call(bytes);
  }
  EXPECT_GT(num_ran, 20);
}

TEST(CFuzz, WithoutChangesEveryOpRuns) {
  for (std::uint8_t op = 0; op < testing::c_ops().size(); ++op)
    EXPECT_TRUE(testing::fuzz_c_call(std::array<std::uint8_t, 2>{1, op})) << testing::c_ops()[op].name;
}

}  // namespace
}  // namespace baracuda
