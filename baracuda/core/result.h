#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "baracuda/core/export.h"

namespace baracuda {

/// What went wrong, for programs. The values are part of the C ABI and never change.
enum class ErrorKind : std::uint8_t {
  InvalidProblem = 1,     ///< an impossible or inconsistent size, shape, range, presence or overlap
  Unsupported = 2,        ///< a well-formed request that is not served
  MisalignedOperand = 3,  ///< a pointer that is not a multiple of its element size, a workspace not of 256
  BufferTooSmall = 4,     ///< `needed` and `got` in bytes
  WorkspaceTooSmall = 5,  ///< `needed` and `got` in bytes
  Backend = 6,            ///< driver, compiler or library failure, out of memory too; `code` is theirs
  MalformedFile = 7,      ///< `code` is the byte offset
  Io = 8,                 ///< `code` is errno
};

BARACUDA_API std::string_view name_of(ErrorKind kind);

/// A failure as a value. `message` is for people: it names the plan, the field, what was expected and what was given.
struct Error {
  ErrorKind kind = ErrorKind::InvalidProblem;
  std::string message;
  std::int64_t needed = 0;  ///< BufferTooSmall, WorkspaceTooSmall: bytes
  std::int64_t got = 0;     ///< BufferTooSmall, WorkspaceTooSmall: bytes
  std::int64_t code = 0;    ///< Backend: the library's status; MalformedFile: byte offset; Io: errno

  static Error invalid_problem(std::string message) { return {ErrorKind::InvalidProblem, std::move(message)}; }
  static Error unsupported(std::string message) { return {ErrorKind::Unsupported, std::move(message)}; }
  static Error misaligned(std::string message) { return {ErrorKind::MisalignedOperand, std::move(message)}; }
  static Error buffer_too_small(std::string message, std::int64_t needed_bytes, std::int64_t got_bytes) {
    return {ErrorKind::BufferTooSmall, std::move(message), needed_bytes, got_bytes};
  }
  static Error workspace_too_small(std::string message, std::int64_t needed_bytes, std::int64_t got_bytes) {
    return {ErrorKind::WorkspaceTooSmall, std::move(message), needed_bytes, got_bytes};
  }
  static Error backend(std::int64_t code, std::string message) {
    return {ErrorKind::Backend, std::move(message), 0, 0, code};
  }
  static Error malformed_file(std::int64_t offset, std::string message) {
    return {ErrorKind::MalformedFile, std::move(message), 0, 0, offset};
  }
  static Error io(int error_number, std::string message) {
    return {ErrorKind::Io, std::move(message), 0, 0, error_number};
  }

  /// "InvalidProblem: WriteSlicePlan: …"
  BARACUDA_API std::string to_string() const;
  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
class Result;

namespace internal {

/// The exception in flight as an error, for the catch (...) at the API's boundary; `where` begins its message. Where
/// the host is out of memory: Backend with ENOMEM, and a message without details if there is no memory for those
/// either. Exported, because PlanCache, a template, calls it from the user's program.
BARACUDA_API Error thrown_error(std::string_view where) noexcept;

/// What chains results, the same for Result<T> and Result<void>: `f` takes the value, for void nothing. It runs on an
/// expiring result's value itself, and on a named one's as const. Not a pointer to a member: that takes std::invoke,
/// and <functional> would double what this header costs to compile.
template <class Self>
class ResultChain {
 public:
  /// `f(T) -> Result<U>`, run on the value.
  template <class F>
  auto and_then(F&& f) const& {
    return and_then(self(), std::forward<F>(f));
  }
  template <class F>
  auto and_then(F&& f) && {
    return and_then(std::move(self()), std::forward<F>(f));
  }
  /// `f(T) -> U`, run on the value.
  template <class F>
  auto transform(F&& f) const& {
    return transform(self(), std::forward<F>(f));
  }
  template <class F>
  auto transform(F&& f) && {
    return transform(std::move(self()), std::forward<F>(f));
  }
  /// `f(Error) -> Result<T>`, run on the error.
  template <class F>
  Self or_else(F&& f) const& {
    return self() ? self() : Self(std::forward<F>(f)(self().error()));
  }
  template <class F>
  Self or_else(F&& f) && {
    return self() ? std::move(self()) : Self(std::forward<F>(f)(std::move(self()).error()));
  }
  /// `f(Error) -> Error`, run on the error.
  template <class F>
  Self transform_error(F&& f) const& {
    return or_else(std::forward<F>(f));
  }
  template <class F>
  Self transform_error(F&& f) && {
    return std::move(*this).or_else(std::forward<F>(f));
  }

 private:
  Self& self() { return static_cast<Self&>(*this); }
  const Self& self() const { return static_cast<const Self&>(*this); }

  template <class R, class F>
  static decltype(auto) call(R&& result, F&& f) {
    if constexpr (std::is_void_v<typename Self::value_type>)
      return std::forward<F>(f)();
    else
      return std::forward<F>(f)(*std::forward<R>(result));
  }
  template <class R, class F>
  static auto and_then(R&& result, F&& f) {
    using Next = std::remove_cvref_t<decltype(call(std::forward<R>(result), std::forward<F>(f)))>;
    return result ? call(std::forward<R>(result), std::forward<F>(f)) : Next(std::forward<R>(result).error());
  }
  template <class R, class F>
  static auto transform(R&& result, F&& f) {
    using Next = Result<std::remove_cv_t<decltype(call(std::forward<R>(result), std::forward<F>(f)))>>;
    if (!result) return Next(std::forward<R>(result).error());
    if constexpr (std::is_void_v<typename Next::value_type>) {
      call(std::forward<R>(result), std::forward<F>(f));
      return Next();
    } else {
      return Next(call(std::forward<R>(result), std::forward<F>(f)));
    }
  }
};

}  // namespace internal

/// A value or an Error, with std::expected's interface short of throwing: there is no value(). Reading the side
/// that is not there is a programming error, caught by an assert.
///
/// No function of the library that returns one throws: a host without memory is an error too, Backend with ENOMEM, and
/// the same call may succeed later. Copies of strings and vectors that the caller makes allocate as ever.
template <class T>
class [[nodiscard]] Result : public internal::ResultChain<Result<T>> {
  static_assert(!std::is_same_v<std::remove_cv_t<T>, Error> && !std::is_reference_v<T>);

 public:
  using value_type = T;
  using error_type = Error;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& operator*() & { return get(); }
  const T& operator*() const& { return const_cast<Result*>(this)->get(); }
  T&& operator*() && { return std::move(get()); }
  T* operator->() { return &get(); }
  const T* operator->() const { return &const_cast<Result*>(this)->get(); }

  const Error& error() const& { return const_cast<Result*>(this)->get_error(); }
  Error& error() & { return get_error(); }
  Error&& error() && { return std::move(get_error()); }

  template <class U>
  T value_or(U&& other) const& {
    return has_value() ? **this : static_cast<T>(std::forward<U>(other));
  }
  template <class U>
  T value_or(U&& other) && {
    return has_value() ? std::move(get()) : static_cast<T>(std::forward<U>(other));
  }
  Error error_or(Error other) const { return has_value() ? std::move(other) : error(); }

  friend bool operator==(const Result& a, const Result& b) { return a.state_ == b.state_; }

 private:
  T& get() {
    assert(has_value() && "Result holds an error; test it before reading the value");
    return *std::get_if<0>(&state_);
  }
  Error& get_error() {
    assert(!has_value() && "Result holds a value; test it before reading the error");
    return *std::get_if<1>(&state_);
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> : public internal::ResultChain<Result<void>> {
 public:
  using value_type = void;
  using error_type = Error;

  Result() = default;
  Result(Error error) : error_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return error_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  void operator*() const { assert(has_value()); }

  const Error& error() const& {
    assert(!has_value() && "Result holds no error; test it before reading the error");
    return *std::get_if<1>(&error_);
  }
  Error&& error() && { return std::move(const_cast<Error&>(std::as_const(*this).error())); }
  Error error_or(Error other) const { return has_value() ? std::move(other) : error(); }

  friend bool operator==(const Result& a, const Result& b) { return a.error_ == b.error_; }

 private:
  std::variant<std::monostate, Error> error_;
};

}  // namespace baracuda
