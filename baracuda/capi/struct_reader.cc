#include "baracuda/capi/struct_reader.h"

#include <fmt/core.h>

#include <algorithm>

namespace baracuda::capi {
namespace {

/// The operators' names are shorter by far; a text without an end is not read further.
constexpr std::size_t kMostNameBytes = 64;

bool find_op(std::string_view name, ElementwiseOp* op) {
  for (int i = 0; i < kEnumValues; ++i) {
    *op = static_cast<ElementwiseOp>(i);
    if (!is_enumerator(*op)) return false;
    if (name_of(*op) == name) return true;
  }
  return false;
}

}  // namespace

Result<void> check_struct(std::string_view op, std::string_view what, const void* c_struct, std::size_t given_bytes,
                          StructSizes sizes) {
  if (c_struct == nullptr) [[unlikely]]
    return Error::invalid_problem(fmt::format("{}: {} is NULL, expected a struct", op, what));
  if (given_bytes < sizes.first || given_bytes > kMostStructBytes) [[unlikely]]
    return Error::invalid_problem(
        fmt::format("{}: {}.struct_size is {}, expected sizeof the struct, {}", op, what, given_bytes, sizes.known));
  return {};
}

void StructReader::open(const void* c_struct, StructSizes sizes) {
  std::size_t given_bytes = 0;
  if (c_struct != nullptr) std::memcpy(&given_bytes, c_struct, sizeof given_bytes);
  if (Result<void> checked = check_struct(op_, what_, c_struct, given_bytes, sizes); !checked) [[unlikely]] {
    error_ = std::move(checked).error();
    return;
  }
  const auto* bytes = static_cast<const unsigned char*>(c_struct);
  place_ = bytes + sizeof given_bytes;
  end_ = bytes + std::min(given_bytes, sizes.known);
  if (std::any_of(end_, bytes + given_bytes, [](unsigned char byte) { return byte != 0; })) [[unlikely]]
    error_ =
        Error::unsupported(fmt::format("{}: {} has members after the {} bytes that version {} knows, and they are "
                                       "not zero; a newer library has them",
                                       op_, what_, sizes.known, version()));
}

bool StructReader::enter(std::size_t bytes) {
  const auto left = static_cast<std::size_t>(end_ - place_);
  if (left >= bytes) [[likely]]
    return true;
  if (left > 0)
    error_ = Error::invalid_problem(
        fmt::format("{}: {}.struct_size ends within a member, expected sizeof the struct", op_, what_));
  return false;
}

void StructReader::read_one(const char*, double& value) { value = take<double>(); }

void StructReader::read_one(const char* name, Dims& value) {
  const auto rank = take<std::int64_t>();
  if (rank < 0 || rank > std::numeric_limits<int>::max()) [[unlikely]]
    return reject((std::string(name) + ".rank").c_str(), rank, fmt::format("0 to {}", kMaxRank));
  // Dims holds the true rank beside eight sizes, for the plan to refuse.
  value = Dims::filled(static_cast<int>(rank), 0);
  for (int axis = 0; axis < kMaxRank; ++axis)
    if (const auto size = take<std::int64_t>(); axis < value.size()) value[axis] = size;
}

void StructReader::read_one(const char* name, ElementwiseOp& value) {
  const auto* given = take<const char*>();
  if (given == nullptr) return reject_missing(name);
  const std::string_view text(given, strnlen(given, kMostNameBytes));
  if (!find_op(text, &value)) [[unlikely]]
    error_ = Error::invalid_problem(
        fmt::format("{}: {}.{} is \"{}\", expected the name of an operator", op_, what_, name, text));
}

void StructReader::read_flag(const char* prefix, const char* name, bool& value) {
  const auto given = take<std::int64_t>();
  value = given == 1;
  if (given != 0 && given != 1) [[unlikely]]
    reject((std::string(prefix) + name).c_str(), given, "0 or 1");
}

void StructReader::reject(const char* name, std::int64_t given, const std::string& expected) {
  error_ = Error::invalid_problem(fmt::format("{}: {}.{} is {}, expected {}", op_, what_, name, given, expected));
}

void StructReader::reject_missing(const char* name) {
  error_ = Error::invalid_problem(fmt::format("{}: {}.{} is missing, and is required", op_, what_, name));
}

void StructWriter::write_dims(const Dims& dims) {
  put(std::int64_t{dims.rank()});
  for (int axis = 0; axis < kMaxRank; ++axis) put(axis < dims.size() ? dims[axis] : std::int64_t{0});
}

}  // namespace baracuda::capi
