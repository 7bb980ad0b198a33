#include "baracuda/checkpoint/json.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "baracuda/checkpoint/mapped_file.h"
#include "baracuda/core/propagate.h"

namespace baracuda::json {
namespace {

/// Where the parser, which copies its iterators and tells nothing of them, has come to.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    const CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at_ == b.at_; }

 private:
  const char* at_;
  const char** reached_;
};

/// The parser's events as a Value. The parser keeps a bit for each open bracket and does not recurse.
class Builder {
 public:
  using Parsed = nlohmann::json;

  Builder(std::string_view text, std::size_t base, const char* const* reached)
      : text_(text), base_(base), reached_(reached) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(Parsed::number_integer_t value) { return add(value); }
  bool number_unsigned(Parsed::number_unsigned_t value) { return add(value); }
  bool number_float(Parsed::number_float_t value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(Parsed::binary_t&) { return false; }  // not of JSON
  bool start_object(std::size_t) { return start(Value::Object()); }
  bool start_array(std::size_t) { return start(Value::Array()); }
  bool key(std::string& name) {
    const std::size_t offset = take_token();
    std::get<Value::Object>(open_.back().data).push_back({std::move(name), offset, {}});
    return true;
  }
  bool end_array() { return end(); }
  bool end_object() {
    std::vector<const Member*> sorted;
    for (const Member& member : std::get<Value::Object>(open_.back().data)) sorted.push_back(&member);
    std::ranges::sort(sorted, {}, [](const Member* member) { return std::tie(member->name, member->offset); });
    const auto twice = std::ranges::adjacent_find(sorted, {}, &Member::name);
    if (twice == sorted.end()) return end();
    const Member& second = **std::next(twice);
    error_ = malformed(second.offset, in_quotes(second.name) + " stands twice in one object");
    return false;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& thrown) {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: what is wrong; last read: 'may be long'", or
    // "[json.exception.out_of_range.406] number overflow parsing '1e999'"
    std::string_view message = thrown.what();
    message.remove_prefix(std::min(message.find(']') + 2, message.size()));
    if (const std::size_t place = message.find(": "); place != message.npos) message.remove_prefix(place + 2);
    message = message.substr(0, std::min(message.find("; last read"), std::size_t{200}));
    error_ = malformed(last_read(), fmt::format("no JSON: {}", message));
    return false;
  }

  /// Bytes of the text that the parser has read, and where the last of them is in the file.
  std::size_t position() const { return static_cast<std::size_t>(*reached_ - text_.data()); }
  std::size_t last_read() const { return base_ + position() - (position() > 0); }
  std::optional<Error>& error() { return error_; }
  Value& root() { return root_; }

 private:
  /// The offset in the file of the token that was read last: it is the first after the one before it that is no
  /// punctuation. (After a number the parser has looked at one character more, which is punctuation or the end.)
  std::size_t take_token() {
    const std::size_t offset = std::min(text_.find_first_not_of(" \t\r\n,:]}", last_), text_.size());
    last_ = position();
    return base_ + offset;
  }
  template <class T>
  bool add(T data) {
    const std::size_t offset = take_token();
    place({offset, std::move(data)});
    return true;
  }
  void place(Value value) {
    if (open_.empty())
      root_ = std::move(value);
    else if (auto* array = std::get_if<Value::Array>(&open_.back().data))
      array->push_back(std::move(value));
    else
      std::get<Value::Object>(open_.back().data).back().value = std::move(value);
  }
  template <class T>
  bool start(T container) {
    const std::size_t offset = take_token();
    if (open_.size() == kMaxDepth) {
      error_ = malformed(offset, fmt::format("JSON is nested deeper than {} levels", kMaxDepth));
      return false;
    }
    open_.push_back({offset, std::move(container)});
    return true;
  }
  bool end() {
    Value closed = std::move(open_.back());
    open_.pop_back();
    place(std::move(closed));
    return true;
  }

  std::string_view text_;
  std::size_t base_;
  const char* const* reached_;
  std::size_t last_ = 0;
  std::vector<Value> open_;
  Value root_;
  std::optional<Error> error_;
};

}  // namespace

const Value* Value::find(std::string_view name) const {
  const Object* members = as<Object>();
  if (!members) return nullptr;
  const auto found = std::ranges::find(*members, name, &Member::name);
  return found == members->end() ? nullptr : &found->value;
}

std::string_view Value::kind() const {
  constexpr std::string_view kKinds[] = {"null",     "a bool",   "a negative number", "a whole number",
                                         "a number", "a string", "an array",          "an object"};
  return kKinds[data.index()];
}

Result<Value> parse(std::string_view text, std::size_t base) {
  const char* reached = text.data();
  Builder builder(text, base, &reached);
  const CountingIterator begin(text.data(), &reached), end(text.data() + text.size(), &reached);
  if (!nlohmann::json::sax_parse(begin, end, &builder)) return *std::move(builder.error());
  // The parser takes a zero byte for the end.
  if (builder.position() != text.size() || text.back() == '\0')
    return malformed(builder.last_read(), "no JSON: a zero byte");
  return std::move(builder.root());
}

Result<Value> read(std::string_view kind, const std::string& path, std::size_t max_bytes) {
  BARACUDA_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() > max_bytes)
    return in_file(kind, path,
                   malformed(max_bytes, fmt::format("it has {} bytes, expected at most {}", bytes.size(), max_bytes)));
  Result<Value> root = parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!root) return in_file(kind, path, std::move(root).error());
  return root;
}

Error malformed(std::size_t offset, std::string_view message) {
  return Error::malformed_file(static_cast<std::int64_t>(offset), fmt::format("{}, at byte {}", message, offset));
}

Error in_file(std::string_view kind, const std::string& path, Error error) {
  error.message = fmt::format("{} {}: {}", kind, path, error.message);
  return error;
}

std::string in_quotes(std::string_view name) {
  constexpr std::size_t kMaxBytes = 200;
  std::string text = "\"";
  for (const char c : name.substr(0, kMaxBytes)) text += is_control(c) ? '?' : c;
  if (name.size() > kMaxBytes) {
    // Not within a character of several bytes.
    while ((static_cast<unsigned char>(name[text.size() - 1]) & 0xc0) == 0x80) text.pop_back();
    text += "…";
  }
  return text + "\"";
}

}  // namespace baracuda::json
