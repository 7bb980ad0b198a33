#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "baracuda/core/result.h"

namespace baracuda::json {

struct Member;

/// A JSON value that knows where it stands. Whole numbers that fit are integers; what has a fraction or an exponent, or
/// is greater than 2^64 - 1, is a double.
struct Value {
  using Array = std::vector<Value>;
  using Object = std::vector<Member>;  ///< in the order of the text

  std::size_t offset = 0;  ///< of its first byte in the file
  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, Array, Object> data;

  template <class T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
  /// The member of an object; null if there is none, or this is no object.
  const Value* find(std::string_view name) const;
  /// For messages: "a string", "a negative number", …
  std::string_view kind() const;
};

struct Member {
  std::string name;
  std::size_t offset = 0;  ///< of the name
  Value value;
};

/// Deeper nesting is refused: configs have less than ten levels, and values are visited recursively.
inline constexpr int kMaxDepth = 64;

/// One JSON text (RFC 8259, in UTF-8), whole, which stands `base` bytes into its file. A name that stands twice in an
/// object is refused: what readers make of it differs. Takes memory in proportion to the text.
/// Errors: MalformedFile, with an offset in the file.
Result<Value> parse(std::string_view text, std::size_t base = 0);

/// What a file of one JSON text says. `kind` is what messages call it: "index". Errors: Io; MalformedFile (more than
/// `max_bytes`, no JSON).
Result<Value> read(std::string_view kind, const std::string& path, std::size_t max_bytes);

/// MalformedFile: "<message>, at byte 17".
Error malformed(std::size_t offset, std::string_view message);

/// An error of what a file says: "index model.safetensors.index.json: <message>".
Error in_file(std::string_view kind, const std::string& path, Error error);

/// What a terminal does not print but obeys.
inline bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// A name from a file, in UTF-8, for messages: in quotes, shortened, with control characters replaced.
std::string in_quotes(std::string_view name);

}  // namespace baracuda::json
