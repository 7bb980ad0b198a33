#include "baracuda/core/fast_divmod.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "testing/random.h"

namespace baracuda {
namespace {

constexpr unsigned kMax = (1u << 31) - 1;

static_assert(quotient(100, make_fast_divisor(7)) == 14);
static_assert(quotient(kMax, make_fast_divisor(1)) == kMax && quotient(kMax, FastDivisor()) == kMax);

/// 0 … 2^31 − 1 where it matters: small numbers, and the neighbours of powers of two.
std::set<unsigned> edges() {
  std::set<unsigned> numbers;
  for (unsigned n = 0; n < 1000; ++n) numbers.insert({n, kMax - n});
  for (int bit = 0; bit < 31; ++bit)
    for (int delta = -3; delta <= 3; ++delta)
      if (const long long n = (1ll << bit) + delta; n >= 0 && n <= kMax) numbers.insert(static_cast<unsigned>(n));
  return numbers;
}

/// The first numerator near a multiple of the divisor for which the quotient is wrong, or none.
::testing::AssertionResult divides(unsigned divisor, unsigned near) {
  const FastDivisor fast = make_fast_divisor(divisor);
  const unsigned multiple = near / divisor * divisor;
  for (unsigned n : {near, multiple, multiple - (multiple > 0), multiple + 1})
    if (n <= kMax && quotient(n, fast) != n / divisor)
      return ::testing::AssertionFailure() << n << " / " << divisor << " gives " << quotient(n, fast);
  return ::testing::AssertionSuccess();
}

TEST(FastDivisor, IsRightAtEdges) {
  const std::set<unsigned> numbers = edges();
  for (unsigned divisor : numbers) {
    if (divisor == 0) continue;
    for (unsigned n : numbers) ASSERT_TRUE(divides(divisor, n));
  }
}

TEST(FastDivisor, IsRightForRandomNumbersOfEveryLength) {
  testing::Random random(1);
  const auto any = [&](unsigned least) {
    return std::max(least, static_cast<unsigned>(random.draw(0, kMax) >> random.draw(0, 30)));
  };
  for (int i = 0; i < 2'000'000; ++i) ASSERT_TRUE(divides(any(1), any(0)));
}

TEST(FastDivisor, IsRightForEveryNumeratorUpTo16BitsAndDivisorUpTo8) {
  for (unsigned divisor = 1; divisor < 256; ++divisor) {
    const FastDivisor fast = make_fast_divisor(divisor);
    unsigned wrong = 0;
    for (unsigned n = 0; n < 65536; ++n) wrong += quotient(n, fast) != n / divisor;
    EXPECT_EQ(wrong, 0u) << divisor;
  }
}

}  // namespace
}  // namespace baracuda
