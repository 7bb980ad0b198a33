#include "baracuda/checkpoint/safetensors.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "baracuda/checkpoint/json.h"
#include "baracuda/core/propagate.h"

namespace baracuda {
namespace {

using json::in_quotes;
using json::malformed;
using json::Value;

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's

/// The format's kinds of numbers; some of them have no element here.
struct Dtype {
  std::string_view name;
  int bits;
  std::optional<Element> element;
};
constexpr Dtype kDtypes[] = {
    {"BOOL", 8, Element::Bool},
    {"U8", 8, Element::U8},
    {"I8", 8, Element::I8},
    {"U16", 16, Element::U16},
    {"I16", 16, Element::I16},
    {"U32", 32, Element::U32},
    {"I32", 32, Element::I32},
    {"U64", 64, Element::U64},
    {"I64", 64, Element::I64},
    {"F16", 16, Element::F16},
    {"BF16", 16, Element::Bf16},
    {"F32", 32, Element::F32},
    {"F64", 64, Element::F64},
    {"C64", 64, Element::Complex64},
    {"F8_E4M3", 8, Element::F8E4M3},
    {"F8_E5M2", 8, Element::F8E5M2},
    {"F8_E4M3FNUZ", 8, {}},
    {"F8_E5M2FNUZ", 8, {}},
    {"F8_E8M0", 8, {}},
    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},
    {"F4", 4, {}},
};

/// The member of a header's entry, which must be there and of type T.
template <class T>
Result<const T*> member(const Value& entry, std::string_view name, std::string_view expected) {
  const Value* value = entry.find(name);
  if (!value) return malformed(entry.offset, fmt::format("no {}, expected {}", name, expected));
  const T* found = value->as<T>();
  if (!found) return malformed(value->offset, fmt::format("{} is {}, expected {}", name, value->kind(), expected));
  return found;
}

/// A number in [0, 2^63).
Result<std::int64_t> size_from(const Value& value, std::string_view name) {
  const auto* number = value.as<std::uint64_t>();
  if (!number)
    return malformed(value.offset, fmt::format("{} holds {}, expected whole numbers from 0 on", name, value.kind()));
  if (*number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return malformed(value.offset, fmt::format("{} holds {}, expected less than 2^63", name, *number));
  return static_cast<std::int64_t>(*number);
}

/// Bits of all elements. Nothing where a product passes 2^63, even beside an extent of 0: strides are products too.
std::optional<std::int64_t> bits_of(int element_bits, const std::vector<std::int64_t>& shape) {
  std::int64_t bits = element_bits;
  bool empty = false;
  for (const std::int64_t extent : shape) {
    empty |= extent == 0;
    if (extent != 0 && __builtin_mul_overflow(bits, extent, &bits)) return std::nullopt;
  }
  return empty ? 0 : bits;
}

/// A tensor whose `offset` still counts from the end of the header.
struct Entry {
  SafetensorsTensor tensor;
  std::int64_t end;
  std::size_t offsets_at;  // of data_offsets, in the header
};

/// `entry` is what the header says of the tensor.
Result<Entry> read_entry(const std::string& name, const Value& entry, std::size_t data_bytes) {
  if (!entry.as<Value::Object>())
    return malformed(entry.offset,
                     fmt::format("{}, expected an object with dtype, shape and data_offsets", entry.kind()));
  BARACUDA_ASSIGN_OR_RETURN(const auto* dtype, member<std::string>(entry, "dtype", "a string"));
  BARACUDA_ASSIGN_OR_RETURN(const auto* shape, member<Value::Array>(entry, "shape", "an array of extents"));
  BARACUDA_ASSIGN_OR_RETURN(const auto* offsets, member<Value::Array>(entry, "data_offsets", "an array [begin, end]"));

  Entry read;
  SafetensorsTensor& tensor = read.tensor;
  tensor.name = name;
  tensor.dtype = *dtype;
  for (const Value& extent : *shape) {
    BARACUDA_ASSIGN_OR_RETURN(tensor.shape.emplace_back(), size_from(extent, "shape"));
  }

  const auto* known = std::ranges::find(kDtypes, *dtype, &Dtype::name);
  const bool is_known = known != std::end(kDtypes);
  if (is_known) tensor.element = known->element;
  const std::size_t shape_at = entry.find("shape")->offset;
  const std::optional<std::int64_t> bits = bits_of(is_known ? known->bits : 1, tensor.shape);  // no dtype takes less
  if (!bits) return malformed(shape_at, "shape has more elements than 2^63 bits hold");

  const std::size_t at = read.offsets_at = entry.find("data_offsets")->offset;
  if (offsets->size() != 2)
    return malformed(at, fmt::format("data_offsets has {} numbers, expected [begin, end]", offsets->size()));
  BARACUDA_ASSIGN_OR_RETURN(tensor.offset, size_from((*offsets)[0], "data_offsets"));
  BARACUDA_ASSIGN_OR_RETURN(read.end, size_from((*offsets)[1], "data_offsets"));
  if (tensor.offset > read.end || static_cast<std::uint64_t>(read.end) > data_bytes)
    return malformed(at, fmt::format("data_offsets are [{}, {}], expected begin <= end <= {}, the bytes of data in the "
                                     "file; it may be cut short",
                                     tensor.offset, read.end, data_bytes));
  if (!is_known) return read;  // what its elements take cannot be said
  if (*bits % 8 != 0)
    return malformed(shape_at, fmt::format("shape takes {} bits in {}, expected whole bytes", *bits, *dtype));
  if (*bits / 8 != read.end - tensor.offset)
    return malformed(at, fmt::format("data_offsets [{}, {}] hold {} bytes, but shape takes {} in {}", tensor.offset,
                                     read.end, read.end - tensor.offset, *bits / 8, *dtype));
  return read;
}

Result<std::vector<std::pair<std::string, std::string>>> read_metadata(const Value& value) {
  const auto* members = value.as<Value::Object>();
  if (!members) return malformed(value.offset, fmt::format("__metadata__ is {}, expected an object", value.kind()));
  std::vector<std::pair<std::string, std::string>> metadata;
  for (const json::Member& each : *members) {
    const auto* text = each.value.as<std::string>();
    if (!text)
      return malformed(each.value.offset, fmt::format("__metadata__: {} is {}, expected a string", in_quotes(each.name),
                                                      each.value.kind()));
    metadata.emplace_back(each.name, *text);
  }
  return metadata;
}

/// The header's JSON, and where it begins in the file.
Result<std::string_view> header_of(std::span<const std::byte> bytes) {
  if (bytes.size() < kLengthBytes)
    return malformed(bytes.size(),
                     fmt::format("the file has {} bytes, expected 8 for the header's length", bytes.size()));
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length |= std::to_integer<std::uint64_t>(bytes[i]) << 8 * i;
  if (length > kMaxHeaderBytes)
    return malformed(0, fmt::format("the header's length is {}, expected at most {}; is this a safetensors file?",
                                    length, kMaxHeaderBytes));
  if (length > bytes.size() - kLengthBytes)
    return malformed(0, fmt::format("the header's length is {}, but {} bytes follow; the file may be cut short", length,
                                    bytes.size() - kLengthBytes));
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  if (!header.starts_with('{')) return malformed(kLengthBytes, "the header does not begin with '{'");
  return header;
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) noexcept try {
  const auto in_file = [&](Error error) { return json::in_file("safetensors file", path, std::move(error)); };
  SafetensorsFile opened;
  BARACUDA_ASSIGN_OR_RETURN(opened.file_, MappedFile::open(path));
  const std::span<const std::byte> bytes = opened.file_.bytes();
  const Result<std::string_view> header = header_of(bytes);
  if (!header) return in_file(header.error());
  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + header->size());

  Result<Value> root = json::parse(*header, kLengthBytes);
  if (!root) return in_file(std::move(root).error());
  std::vector<Entry> entries;
  for (const json::Member& each : *root->as<Value::Object>()) {
    if (each.name == "__metadata__") {
      auto metadata = read_metadata(each.value);
      if (!metadata) return in_file(std::move(metadata).error());
      opened.metadata_ = *std::move(metadata);
      continue;
    }
    Result<Entry> entry = read_entry(each.name, each.value, data.size());
    if (!entry) {
      entry.error().message = fmt::format("tensor {}: {}", in_quotes(each.name), entry.error().message);
      return in_file(std::move(entry).error());
    }
    entries.push_back(*std::move(entry));
  }

  // A tensor without bytes comes before the one that begins where it does.
  std::ranges::stable_sort(entries, {}, [](const Entry& entry) { return std::pair(entry.tensor.offset, entry.end); });
  std::int64_t end = 0;
  for (Entry& entry : entries) {
    SafetensorsTensor& tensor = entry.tensor;
    if (tensor.offset != end)
      return in_file(malformed(
          entry.offsets_at,
          fmt::format("tensor {}: data_offsets begin at {}, expected {}, where the tensors "
                      "before it end: there is {} between them",
                      in_quotes(tensor.name), tensor.offset, end, tensor.offset > end ? "a hole" : "an overlap")));
    tensor.bytes = data.subspan(static_cast<std::size_t>(end), static_cast<std::size_t>(entry.end - end));
    end = entry.end;
    tensor.offset += data.data() - bytes.data();
    opened.tensors_.push_back(std::move(tensor));
  }
  if (static_cast<std::size_t>(end) != data.size())
    return in_file(malformed(bytes.size() - data.size() + static_cast<std::size_t>(end),
                             fmt::format("{} bytes after the last tensor", data.size() - end)));

  opened.by_name_.resize(opened.tensors_.size());
  std::iota(opened.by_name_.begin(), opened.by_name_.end(), std::size_t{0});
  std::ranges::sort(opened.by_name_, {}, [&](std::size_t i) -> const std::string& { return opened.tensors_[i].name; });
  return opened;
} catch (...) {
  return internal::thrown_error("SafetensorsFile");
}

const SafetensorsTensor* SafetensorsFile::find(std::string_view name) const {
  const auto name_of = [&](std::size_t i) -> std::string_view { return tensors_[i].name; };
  const auto found = std::ranges::lower_bound(by_name_, name, {}, name_of);
  return found != by_name_.end() && name_of(*found) == name ? &tensors_[*found] : nullptr;
}

Result<TensorRef> SafetensorsTensor::view() const noexcept try {
  if (!element)
    return Error::unsupported(fmt::format("tensor {}: dtype {} has no element kind here; its bytes can be read",
                                          in_quotes(name), in_quotes(dtype)));
  if (shape.size() > static_cast<std::size_t>(kMaxRank))
    return Error::unsupported(fmt::format("tensor {} has {} axes, expected at most {}; its bytes can be read",
                                          in_quotes(name), shape.size(), kMaxRank));
  return TensorRef(bytes.data(), *element, Dims(std::span<const std::int64_t>(shape)), Device::cpu());
} catch (...) {
  return internal::thrown_error("SafetensorsTensor");
}

}  // namespace baracuda
