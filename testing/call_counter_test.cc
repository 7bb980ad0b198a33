#include "testing/call_counter.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <shared_mutex>
#include <string>

namespace baracuda::testing {
namespace {

class CallCounterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kCanCountCalls) GTEST_SKIP() << "a sanitizer has taken the functions";
  }
};

std::mutex mutex;
std::shared_mutex shared_mutex;
volatile int seven = 7;
std::string text;

TEST_F(CallCounterTest, QuietCodeCountsNothing) {
  CallCounter counter;
  seven = seven * 1;
  EXPECT_EQ(counter.stop().total(), 0);
  EXPECT_EQ(counter.theirs().total(), 0);
}

TEST_F(CallCounterTest, Allocations) {
  CallCounter counter;
  void* volatile memory = std::malloc(10);
  std::free(memory);
  int* volatile number = new int(3);
  delete number;
  text = std::string(100 + seven, 'a');  // allocated by libstdc++, for us
  EXPECT_EQ(counter.stop().allocations, 3);
}

TEST_F(CallCounterTest, Locks) {
  CallCounter counter;
  mutex.lock();
  mutex.unlock();
  shared_mutex.lock_shared();
  shared_mutex.unlock_shared();
  EXPECT_EQ(counter.stop().locks, 2);
}

TEST_F(CallCounterTest, EnvironmentReads) {
  CallCounter counter;
  text = std::getenv("HOME") ? "home" : "";
  EXPECT_EQ(counter.stop().environment_reads, 1);
}

TEST_F(CallCounterTest, Formatting) {
  char buffer[20];
  CallCounter counter;
  text = fmt::format("a{}", int{seven});
  std::snprintf(buffer, sizeof buffer, "%d", int{seven});
  EXPECT_EQ(counter.stop().formats, 2);
}

TEST_F(CallCounterTest, StopsCounting) {
  CallCounter counter;
  counter.stop();
  text = std::string(300 + seven, 'a');
  EXPECT_EQ(counter.stop().total(), 0);
}

}  // namespace
}  // namespace baracuda::testing
