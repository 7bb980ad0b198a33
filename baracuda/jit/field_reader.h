#pragma once

#include <fmt/core.h>

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

namespace baracuda::jit {

/// "kind 3\nabc\n".
inline std::string block(std::string_view kind, std::string_view bytes) {
  return fmt::format("{} {}\n", kind, bytes.size()).append(bytes).append("\n");
}

/// Takes what we wrote apart from its front. After the first thing that is not as expected every read gives nothing,
/// and the offset stays where that was.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : size_(bytes.size()), rest_(bytes) {}

  void expect(std::string_view text) {
    if (!rest_.starts_with(text)) sound_ = false;
    if (sound_) rest_.remove_prefix(text.size());
  }
  template <class T>
  void number(T& value) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc()) sound_ = false;
    if (sound_) rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
  }
  /// "kind 12\n".
  template <class T>
  void number(std::string_view kind, T& value) {
    expect(kind);
    expect(" ");
    number(value);
    expect("\n");
  }
  /// As the function block writes it.
  std::string_view block(std::string_view kind) {
    std::size_t bytes = 0;
    number(kind, bytes);
    if (bytes > rest_.size()) {
      is_cut_short_ = sound_;
      sound_ = false;
    }
    if (!sound_) return {};
    const std::string_view block = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    expect("\n");
    return block;
  }

  std::string_view rest() const { return rest_; }
  std::size_t offset() const { return size_ - rest_.size(); }
  bool sound() const { return sound_; }
  /// Whether the first thing that was not as expected is a block that is longer than what is left.
  bool is_cut_short() const { return is_cut_short_; }
  bool ended_well() const { return sound_ && rest_.empty(); }

 private:
  std::size_t size_;
  std::string_view rest_;
  bool sound_ = true;
  bool is_cut_short_ = false;
};

}  // namespace baracuda::jit
