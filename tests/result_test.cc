#include "baracuda/core/result.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "baracuda/core/propagate.h"
#include "testing/call_counter.h"

namespace baracuda {
namespace {

using testing::CallCounter;
using testing::kCanCountCalls;

Error odd() { return Error::invalid_problem("odd"); }
Result<int> half(int number) {
  if (number % 2 != 0) return odd();
  return number / 2;
}

static_assert(!std::is_convertible_v<Result<int>, bool>);
static_assert(!std::is_convertible_v<Result<void>, bool>);
static_assert(std::is_same_v<Result<int>::value_type, int> && std::is_same_v<Result<int>::error_type, Error>);
static_assert(std::is_copy_constructible_v<Result<std::string>> &&
              !std::is_copy_constructible_v<Result<std::unique_ptr<int>>>);

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> value = half(6);
  ASSERT_TRUE(value);
  EXPECT_TRUE(value.has_value());
  EXPECT_EQ(*value, 3);
  const Result<int> error = half(5);
  ASSERT_FALSE(error);
  EXPECT_FALSE(error.has_value());
  EXPECT_EQ(error.error(), odd());
}

TEST(Result, ValueCanBeReachedAndChanged) {
  Result<std::string> text = std::string("ab");
  text->push_back('c');
  *text += 'd';
  EXPECT_EQ(std::as_const(text)->size(), 4u);
  text = odd();
  EXPECT_FALSE(text);
  text.error().message += "er";
  EXPECT_EQ(text.error().message, "odder");
  text = std::string("again");
  EXPECT_EQ(*text, "again");
}

TEST(Result, ValueOrAndErrorOr) {
  EXPECT_EQ(half(6).value_or(7), 3);
  EXPECT_EQ(half(5).value_or(7), 7);
  const Result<std::string> named = odd();
  EXPECT_EQ(named.value_or("other"), "other");
  EXPECT_EQ(half(5).error_or(Error::io(2, "")), odd());
  EXPECT_EQ(half(6).error_or(Error::io(2, "")), Error::io(2, ""));
  EXPECT_EQ(Result<void>().error_or(odd()), odd());
}

TEST(Result, AndThenRunsOnTheValueOnly) {
  EXPECT_EQ(half(12).and_then(half), Result<int>(3));
  EXPECT_EQ(half(6).and_then(half), Result<int>(odd()));
  int calls = 0;
  const auto count = [&](int) -> Result<void> { return ++calls, Result<void>(); };
  EXPECT_EQ(half(5).and_then(count), Result<void>(odd()));
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(half(6).and_then(count));
  EXPECT_EQ(calls, 1);
}

TEST(Result, TransformWrapsWhatTheFunctionReturns) {
  const auto print = [](int number) { return std::to_string(number); };
  EXPECT_EQ(half(6).transform(print), Result<std::string>("3"));
  EXPECT_EQ(half(5).transform(print), Result<std::string>(odd()));
  int seen = 0;
  const Result<void> nothing = half(6).transform([&](int number) { seen = number; });
  EXPECT_TRUE(nothing);
  EXPECT_EQ(seen, 3);
}

TEST(Result, OrElseAndTransformErrorRunOnTheErrorOnly) {
  const auto repair = [](const Error& error) -> Result<int> { return static_cast<int>(error.message.size()); };
  EXPECT_EQ(half(5).or_else(repair), Result<int>(3));
  EXPECT_EQ(half(40).or_else(repair), Result<int>(20));
  const auto name = [](Error error) { return error.message = "5 is " + error.message, error; };
  EXPECT_EQ(half(5).transform_error(name).error().message, "5 is odd");
  EXPECT_EQ(half(6).transform_error(name), Result<int>(3));
}

TEST(Result, ANamedResultIsLeftAsItWas) {
  const Result<std::string> text = std::string(100, 'a'), error = odd();
  EXPECT_EQ(text.transform([](std::string taken) { return taken.size(); }), Result<std::size_t>(100u));
  EXPECT_EQ(text.and_then([](const std::string& seen) -> Result<std::string> { return seen; }), text);
  EXPECT_EQ(error.or_else([](Error taken) -> Result<std::string> { return taken; }), error);
  EXPECT_EQ(error.transform_error([](Error taken) { return taken; }), error);
  EXPECT_EQ(*text, std::string(100, 'a'));
  EXPECT_EQ(error.error(), odd());
}

TEST(Result, CarriesMoveOnlyTypes) {
  using Box = std::unique_ptr<int>;
  const auto box = [](int number) -> Result<Box> { return std::make_unique<int>(number); };
  Result<Box> held = box(3);
  EXPECT_EQ(**held, 3);
  const Box taken = *std::move(held);
  EXPECT_EQ(*taken, 3);
  EXPECT_EQ(*box(4).value_or(nullptr), 4);
  EXPECT_EQ(box(4).transform([](Box given) { return *given; }), Result<int>(4));
  EXPECT_EQ(**box(4).and_then([&](Box given) { return box(*given + 1); }), 5);
  EXPECT_EQ(**Result<Box>(odd()).or_else([&](Error) { return box(6); }), 6);
  EXPECT_EQ(**box(7).transform_error([](Error error) { return error; }), 7);
}

TEST(Result, OfVoid) {
  const Result<void> done, failed = odd();
  EXPECT_TRUE(done);
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.error(), odd());
  EXPECT_EQ(done.and_then([] { return half(6); }), Result<int>(3));
  EXPECT_EQ(failed.and_then([] { return half(6); }), Result<int>(odd()));
  EXPECT_EQ(done.transform([] { return 4; }), Result<int>(4));
  EXPECT_EQ(Result<void>(odd()).transform([] { return 4; }), Result<int>(odd()));
  EXPECT_TRUE(done.transform([] {}));
  EXPECT_TRUE(failed.or_else([](const Error&) { return Result<void>(); }));
  EXPECT_EQ(failed.transform_error([](Error error) { return error.code = 1, error; }).error().code, 1);
  EXPECT_NE(done, failed);
}

TEST(Result, SuccessAllocatesNothing) {
  if (!kCanCountCalls) GTEST_SKIP() << "a sanitizer has taken the functions";
  CallCounter counter;
  const auto add_one = [](int number) -> Result<int> { return number + 1; };
  const int sum = half(6)
                      .and_then(add_one)
                      .transform([](int n) { return n * 2; })
                      .or_else([](Error e) -> Result<int> { return e; })
                      .value_or(0);
  const bool done =
      Result<void>().and_then([] { return Result<std::array<int, 100>>(std::array<int, 100>()); }).has_value();
  const int calls = counter.stop().total();
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(sum, 8);
  EXPECT_TRUE(done);
}

Result<int> quarter(int number) {
  BARACUDA_ASSIGN_OR_RETURN(const int once, half(number));
  BARACUDA_RETURN_IF_ERROR(half(once));
  return once / 2;
}

TEST(Result, MacrosPassTheErrorOn) {
  EXPECT_EQ(quarter(12), Result<int>(3));
  EXPECT_EQ(quarter(6), Result<int>(odd()));
  EXPECT_EQ(quarter(3), Result<int>(odd()));
}

TEST(Error, EachKindHasItsFieldsNameAndNumber) {
  struct Row {
    Error error;
    ErrorKind kind;
    int number;  // the C ABI's
    const char* name;
    std::int64_t needed, got, code;
  };
  // clang-format off
  for (const Row& row : {
           Row{Error::invalid_problem("x"),            ErrorKind::InvalidProblem,    1, "InvalidProblem",    0,  0, 0 },
           Row{Error::unsupported("x"),                ErrorKind::Unsupported,       2, "Unsupported",       0,  0, 0 },
           Row{Error::misaligned("x"),                 ErrorKind::MisalignedOperand, 3, "MisalignedOperand", 0,  0, 0 },
           Row{Error::buffer_too_small("x", 10, 7),    ErrorKind::BufferTooSmall,    4, "BufferTooSmall",    10, 7, 0 },
           Row{Error::workspace_too_small("x", 10, 7), ErrorKind::WorkspaceTooSmall, 5, "WorkspaceTooSmall", 10, 7, 0 },
           Row{Error::backend(-3, "x"),                ErrorKind::Backend,           6, "Backend",           0,  0, -3},
           Row{Error::malformed_file(99, "x"),         ErrorKind::MalformedFile,     7, "MalformedFile",     0,  0, 99},
           Row{Error::io(2, "x"),                      ErrorKind::Io,                8, "Io",                0,  0, 2 },
  }) {
    // clang-format on
    SCOPED_TRACE(row.name);
    EXPECT_EQ(row.error.kind, row.kind);
    EXPECT_EQ(static_cast<int>(row.kind), row.number);
    EXPECT_EQ(name_of(row.kind), row.name);
    EXPECT_EQ(row.error.message, "x");
    EXPECT_EQ(row.error.needed, row.needed);
    EXPECT_EQ(row.error.got, row.got);
    EXPECT_EQ(row.error.code, row.code);
    EXPECT_EQ(row.error.to_string(), std::string(row.name) + ": x");
  }
}

template <class Thrown>
Error error_of(const Thrown& thrown) {
  try {
    throw thrown;
  } catch (...) {
    return internal::thrown_error("Plan");
  }
}

TEST(ThrownError, SaysWhereAndWhat) {
  for (const Error& error : {error_of(std::bad_alloc()), error_of(std::bad_array_new_length())})
    EXPECT_EQ(error, Error::backend(ENOMEM, "Plan: the host is out of memory; free some and call again"));
  EXPECT_EQ(error_of(std::length_error("too long")), Error::backend(0, "Plan: too long"));
  EXPECT_EQ(error_of(7), Error::backend(0, "Plan: an exception that is no std::exception"));
}

}  // namespace
}  // namespace baracuda
