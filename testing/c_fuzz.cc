#include "testing/c_fuzz.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "baracuda/baracuda.h"
#include "baracuda/capi/baracuda_c.h"
#include "testing/c_call.h"
#include "testing/random.h"

namespace baracuda::testing {
namespace {

constexpr std::size_t kWordBytes = 8;
constexpr std::size_t kArenaBytes = 4096;

/// Memory for the tensors of a call, which all lie within it.
class Arena {
 public:
  /// Filled the same each time, so that an input tells all.
  Arena() : bytes_(new std::byte[kArenaBytes]) {
    for (std::size_t i = 0; i < kArenaBytes; ++i) bytes_[i] = static_cast<std::byte>(i * 37 >> 3);
  }

  std::byte* begin() const { return bytes_.get(); }
  TensorMut tensor(Element element, const Dims& shape) {
    std::byte* const place = begin() + used_;
    used_ += 512;
    return TensorMut(place, element, shape, Device::cpu());
  }
  VectorMut vector(Element element, std::int64_t length) {
    const TensorMut view = tensor(element, {length});
    return {{view.data, element, length, view.device, view.buffer}};
  }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t used_ = 0;
};

/// A call of each op that is right.
template <class P>
CCall right_call(Arena& arena, Random& random) {
  const Dims shape = {3, 8};
  const auto f32 = [&] { return arena.tensor(Element::F32, shape); };
  const auto i8 = [&] { return arena.tensor(Element::I8, shape); };
  const auto scale = [&] { return arena.vector(Element::F32, 1); };
  const auto call = [&](const auto& descriptor, const typename P::Args& args) {
    return CCall(descriptor, args, {}, random);
  };
  using Descriptor = typename P::Descriptor;
  if constexpr (std::same_as<P, WriteSlicePlan>) {
    return call(Descriptor{.dest_shape = shape, .start = {1, 0}, .end = {3, 8}, .device_starts = true},
                {.dest = f32(),
                 .source = arena.tensor(Element::F32, {2, 8}),
                 .device_starts = arena.vector(Element::I64, 2),
                 .status = arena.vector(Element::I32, 1)});
  } else if constexpr (std::same_as<P, KvCacheAppendPlan>) {
    const auto tokens = [&] { return arena.tensor(Element::F16, {3, 2, 1, 8}); };
    const auto cache = [&] { return arena.tensor(Element::F16, {3, 4, 1, 8}); };
    return call(
        Descriptor{
            .num_tokens = 2, .num_kv_heads = 1, .k_head_dim = 8, .v_head_dim = 8, .num_sequences = 3, .max_seq_len = 4},
        {.k = tokens(),
         .v = tokens(),
         .k_cache = cache(),
         .v_cache = cache(),
         .positions = arena.vector(Element::I64, 3),
         .status = arena.vector(Element::I32, 1)});
  } else if constexpr (std::same_as<P, ElementwisePlan>) {
    return call(Descriptor{.op = ElementwiseOp::Where, .shape = shape},
                {.output = f32(), .x = arena.tensor(Element::Bool, shape), .y = f32(), .z = f32()});
  } else if constexpr (std::same_as<P, DynamicRangeQuantizePlan>) {
    return call(
        Descriptor{.shape = shape, .symmetric = false},
        {.x = f32(), .q = i8(), .scale = arena.vector(Element::F32, 3), .zero_point = arena.vector(Element::I32, 3)});
  } else if constexpr (std::same_as<P, QuantizedLinearPlan>) {
    return call(Descriptor{.m = 3, .c_out = 4, .k = 8, .weight_element = Element::U8, .bias_element = Element::F32},
                {.x = f32(),
                 .weight = arena.tensor(Element::U8, {4, 8}),
                 .weight_scale = arena.vector(Element::F32, 4),
                 .weight_zero_point = arena.vector(Element::U8, 4),
                 .bias = arena.vector(Element::F32, 4),
                 .y = arena.tensor(Element::F32, {3, 4}),
                 .act_q_scratch = i8(),
                 .act_scale_scratch = arena.vector(Element::F32, 3)});
  } else {
    const Descriptor descriptor{.shape = shape, .zero_point_element = Element::I32};
    const auto zero_point = [&] { return arena.vector(Element::I32, 1); };
    if constexpr (std::same_as<P, QuantizePlan>)
      return call(descriptor, {.x = f32(), .scale = scale(), .zero_point = zero_point(), .q = i8()});
    else if constexpr (std::same_as<P, DequantizePlan>)
      return call(descriptor, {.q = i8(), .scale = scale(), .zero_point = zero_point(), .x = f32()});
    else if constexpr (std::same_as<P, FakeQuantizePlan>)
      return call(descriptor, {.x = f32(), .scale = scale(), .zero_point = zero_point(), .y = f32()});
    else
      return call(descriptor, {.x = f32(), .dy = f32(), .scale = scale(), .zero_point = zero_point(), .dx = f32()});
  }
}

constexpr CCall (*kRightCalls[])(Arena&, Random&) = {
#define PLAN(name, P) right_call<P>,
#include "baracuda/capi/ops.def"
};

/// Takes numbers off the input; 0 when there is none left.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }
  std::size_t below(std::size_t count) { return byte() % count; }
  std::int64_t raw() {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < kWordBytes; ++i) word = word << 8 | byte();
    return static_cast<std::int64_t>(word);
  }
  /// Small for the most part, else on an edge, or anything.
  std::int64_t number() {
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    constexpr std::int64_t kEdges[] = {-1,    127,       255, 256, std::int64_t{1} << 31, std::int64_t{1} << 32,
                                       kMost, -kMost - 1};
    const std::uint8_t control = byte();
    if (control < 240) return control % 20;
    return control < 250 ? kEdges[below(std::size(kEdges))] : raw();
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "%s; the last error: %s\n", what, baracuda_last_error_message());
  std::abort();
}

bool succeeded(baracuda_status status) {
  if (status == BARACUDA_OK) return true;
  if (std::string(baracuda_status_name(status)) == "invalid") give_up("a status that is none");
  if (*baracuda_last_error_message() == 0) give_up("an error without a text");
  return false;
}

void put_word(std::vector<std::byte>& bytes, std::size_t word, std::int64_t value) {
  std::memcpy(bytes.data() + kWordBytes * word, &value, sizeof value);
}

std::int64_t get_word(const std::vector<std::byte>& bytes, std::size_t word) {
  std::int64_t value;
  std::memcpy(&value, bytes.data() + kWordBytes * word, sizeof value);
  return value;
}

/// Sets struct_size. The bytes are as long as it says then, and no longer; larger ones than the library takes are not
/// read.
void change_size(std::vector<std::byte>& bytes, Input& input) {
  const auto size = static_cast<std::size_t>(input.below(4) ? input.byte() : input.raw());
  const std::size_t whole = bytes.size();
  bytes.resize(size <= 4096 ? std::max(size, kWordBytes) : kWordBytes);
  // Of a pointer that was cut, what is left is none.
  if (bytes.size() < whole)
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / kWordBytes * kWordBytes), bytes.end(),
              std::byte{0});
  bytes.shrink_to_fit();
  put_word(bytes, 0, static_cast<std::int64_t>(size));
}

/// Changes a word that is there, not before `first_word`.
void change_word(std::vector<std::byte>& bytes, std::size_t first_word, Input& input) {
  const std::size_t words = bytes.size() / kWordBytes;
  if (words > first_word) put_word(bytes, first_word + input.below(words - first_word), input.number());
}

/// Whether all that the tensor's elements reach lies in the arena, worked out apart from the library.
bool lies_in(const CTensor& c_tensor, const std::byte* arena) {
  const DLTensor& tensor = c_tensor.tensor;
  __int128 least = 0, greatest = 0, contiguous = 1;
  for (int axis = std::min(tensor.ndim, kMaxRank) - 1; axis >= 0; --axis) {
    const std::int64_t extent = c_tensor.shape[axis];
    if (extent == 0) return true;
    const __int128 stride = tensor.strides ? __int128{tensor.strides[axis]} : contiguous;
    (stride < 0 ? least : greatest) += stride * (extent - 1);
    contiguous *= extent;
    // Nothing so far out overflows with what follows.
    if (least < -(__int128{1} << 64) || greatest > __int128{1} << 64 || contiguous > __int128{1} << 62) return false;
  }
  const auto begin = static_cast<__int128>(reinterpret_cast<std::uintptr_t>(tensor.data)) + tensor.byte_offset;
  const auto arena_begin = static_cast<__int128>(reinterpret_cast<std::uintptr_t>(arena));
  const int bits = tensor.dtype.bits;
  // Downwards, to whole bytes.
  const __int128 first = begin + (least * bits >> 3), end = begin + ((greatest * bits + bits + 7) >> 3);
  return first >= arena_begin && end <= arena_begin + static_cast<__int128>(kArenaBytes);
}

void change_tensor(CTensor& changed, std::byte* arena, Input& input) {
  static const std::vector<DLDataType> kTypes = [] {
    std::vector<DLDataType> types;
    for (const ElementInfo& info : kElements)
      if (const auto type = dl_type(info.element)) types.push_back(*type);
    return types;
  }();
  DLTensor& tensor = changed.tensor;
  const std::size_t axis = input.below(kMaxRank);
  switch (input.below(8)) {
    case 0: tensor.dtype = kTypes[input.below(kTypes.size())]; break;
    case 1: tensor.dtype = {input.byte(), input.byte(), input.byte()}; break;
    case 2: tensor.device = {static_cast<DLDeviceType>(input.below(20)), static_cast<int>(input.number())}; break;
    case 3: tensor.data = input.below(4) ? arena + 8 * input.byte() : nullptr; break;
    case 4: tensor.byte_offset = static_cast<std::uint64_t>(input.number()); break;
    case 5: tensor.ndim = static_cast<std::int32_t>(input.number()); break;
    case 6:
      if (input.below(16) == 0) tensor.shape = nullptr;
      changed.shape[axis] = input.number();
      break;
    default:
      tensor.strides = input.below(16) ? changed.strides : nullptr;
      changed.strides[axis] = input.below(2) ? ~input.number() : input.number();  // -1 - number: none overflows
  }
}

/// Changes a number wherever it stands, so that sizes still fit each other.
void change_everywhere(CCall& call, std::size_t first_word, Input& input) {
  const std::int64_t before = input.below(16), after = input.number();
  for (std::size_t word = first_word; word < call.descriptor.size() / kWordBytes; ++word)
    if (get_word(call.descriptor, word) == before) put_word(call.descriptor, word, after);
  for (const auto& tensor : call.tensors) {
    std::replace(tensor->shape, tensor->shape + kMaxRank, before, after);
    std::replace(tensor->strides, tensor->strides + kMaxRank, before, after);
  }
}

}  // namespace

bool fuzz_c_call(std::span<const std::uint8_t> bytes) {
  static baracuda_stream* const stream = [] {
    baracuda_stream* made = nullptr;
    if (!succeeded(baracuda_stream_cpu(1, &made))) give_up("no stream");
    return made;
  }();
  Input input(bytes);
  Arena arena;
  Random random(input.byte());
  CCall call = kRightCalls[input.below(std::size(kRightCalls))](arena, random);
  const COp& op = *call.op;
  const bool is_elementwise = op.name == ElementwisePlan::kName;
  const std::size_t first_word = is_elementwise ? 2 : 1;  // it begins with a pointer

  std::string name;
  for (std::size_t changes = input.below(8); changes > 0; --changes) {
    switch (input.below(10)) {
      case 0: change_word(call.descriptor, first_word, input); break;
      case 1: change_word(call.preference, 1, input); break;
      case 2: change_size(*std::array{&call.descriptor, &call.preference, &call.args}[input.below(3)], input); break;
      case 3:
      case 4: change_everywhere(call, first_word, input); break;
      case 5:
        if (is_elementwise && call.descriptor.size() >= 2 * kWordBytes) {
          name.clear();
          if (const std::uint8_t choice = input.byte(); choice < 250)
            name = name_of(static_cast<ElementwiseOp>(choice % 128));
          else
            while (const std::uint8_t letter = input.byte()) name += static_cast<char>(letter);
          put_word(call.descriptor, 1, reinterpret_cast<std::int64_t>(name.c_str()));
        }
        break;
      case 6: {
        // A view that is absent; of elementwise, scalars too.
        const std::size_t word = 1 + input.below(8);
        if (word >= call.args.size() / kWordBytes) break;
        put_word(call.args, word, is_elementwise && word > 4 ? input.number() : 0);
        break;
      }
      default: change_tensor(*call.tensors[input.below(call.tensors.size())], arena.begin(), input);
    }
  }

  baracuda_plan* plan = nullptr;
  const bool selected = succeeded(call.select(stream, &plan));
  if (selected != (plan != nullptr)) give_up("select's status and plan");
  if (!selected) return false;
  baracuda_call* bound = nullptr;
  const bool is_bound = succeeded(op.bind(plan, call.args.data(), &bound));
  if (is_bound != (bound != nullptr)) give_up("bind's status and call");
  const bool runs = is_bound && std::all_of(call.tensors.begin(), call.tensors.end(), [&](const auto& tensor) {
                      return tensor->tensor.data == nullptr || lies_in(*tensor, arena.begin());
                    });
  if (runs) {
    const char* text = nullptr;
    if (!succeeded(baracuda_call_sku(bound, &text)) || !succeeded(baracuda_plan_explain(plan, &text)) ||
        !succeeded(baracuda_call_run(bound, stream, nullptr, 0)) ||
        !succeeded(op.run(plan, stream, nullptr, 0, call.args.data())))
      give_up("what was bound does not run");
  }
  baracuda_call_destroy(bound);
  baracuda_plan_destroy(plan);
  return runs;
}

}  // namespace baracuda::testing
