#include "bench/timing.h"

#include <gtest/gtest.h>

#include <memory>

#include "bench/device_bench.h"

namespace baracuda::bench {
namespace {

TEST(Spread, Percentiles) {
  const Spread one = spread_of({3});
  EXPECT_EQ(one.median, 3);
  EXPECT_EQ(one.min, 3);
  EXPECT_EQ(one.p10, 3);
  EXPECT_EQ(one.p90, 3);
  EXPECT_EQ(one.samples, 1);

  EXPECT_EQ(spread_of({4, 1}).median, 2.5);
  std::vector<double> values;
  for (int i = 10; i >= 0; --i) values.push_back(i * i);
  const Spread squares = spread_of(values);
  EXPECT_EQ(squares.median, 25);
  EXPECT_EQ(squares.min, 0);
  EXPECT_EQ(squares.p10, 1);
  EXPECT_EQ(squares.p90, 81);
  EXPECT_EQ(squares.samples, 11);
}

/// A stopwatch that says 1, 2, 3, … and notes its turns.
Timed counting(char name, std::string* turns) {
  auto count = std::make_shared<int>(0);
  return {[=]() -> Result<Sample> {
    *turns += name;
    return Sample{.seconds = static_cast<double>(++*count), .sm_clock_mhz = *count % 2 ? 0 : 1000 + *count};
  }};
}

TEST(Interleave, TakesTurnsAndLeavesTheFirstRoundOut) {
  std::string turns;
  Timed a = counting('a', &turns), b = counting('b', &turns);
  Timed* const both[] = {&a, &b};
  double last = -1;
  const auto done = interleave(both, {.min_rounds = 1, .max_rounds = 3, .seconds = 1e9}, [&](double part) {
    EXPECT_GE(part, last);
    EXPECT_LE(part, 1);
    last = part;
  });
  ASSERT_TRUE(done);
  EXPECT_EQ(turns, "abababab");
  EXPECT_EQ(a.seconds().min, 2);
  EXPECT_EQ(a.seconds().median, 3);
  EXPECT_EQ(b.seconds().samples, 3);
  EXPECT_EQ(a.sm_clock_mhz(), 1003);  // the middle of 1002 and 1004; the unknown one does not count
}

TEST(Interleave, StopsWhenItsTimeIsUpButNotBeforeTheFewestRounds) {
  std::string turns;
  Timed a = counting('a', &turns);
  Timed* const one[] = {&a};
  ASSERT_TRUE(interleave(one, {.min_rounds = 4, .max_rounds = 100, .seconds = 0}, [](double) {}));
  EXPECT_EQ(a.seconds().samples, 4);
}

TEST(Interleave, PassesAnErrorOn) {
  Timed broken{[]() -> Result<Sample> { return Error::backend(7, "no clock"); }};
  Timed* const one[] = {&broken};
  const auto done = interleave(one, {}, [](double) {});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, 7);
}

TEST(TimeCalls, CallsSoOftenAndThenFinishes) {
  int calls = 0, finished = 0;
  const Timed timed = time_calls(
      5, [&]() -> Result<void> { return ++calls, Result<void>(); },
      [&]() -> Result<void> {
        EXPECT_EQ(calls, 5);
        return ++finished, Result<void>();
      });
  const auto sample = timed.sample();
  ASSERT_TRUE(sample);
  EXPECT_EQ(finished, 1);
  EXPECT_GE(sample->seconds, 0);
}

}  // namespace
}  // namespace baracuda::bench
