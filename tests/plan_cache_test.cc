#include "baracuda/plan/plan_cache.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "baracuda/ops/write_slice/write_slice.h"
#include "testing/devices.h"
#include "testing/random.h"

namespace baracuda {
namespace {

/// A WriteSlicePlan that counts how often one is selected, and always for the CPU.
struct CountingPlan : WriteSlicePlan {
  static inline std::atomic<int> selects = 0;

  static Result<CountingPlan> select(const Stream&, const Descriptor& descriptor,
                                     const PlanPreference& preference = {}) noexcept {
    ++selects;
    return WriteSlicePlan::select(Stream::cpu(), descriptor, preference).transform([](WriteSlicePlan plan) {
      return CountingPlan{std::move(plan)};
    });
  }
};
static_assert(Plan<CountingPlan>);

WriteSliceDescriptor descriptor_of(std::int64_t rows) {
  return {.dest_shape = {rows, 4}, .start = {0, 0}, .end = {rows, 2}};
}

class PlanCacheTest : public ::testing::Test {
 protected:
  void SetUp() override { CountingPlan::selects = 0; }

  /// The identity of a plan: copies share their state, and with it the descriptor.
  const WriteSliceDescriptor* get(const WriteSliceDescriptor& descriptor, const PlanPreference& preference = {}) {
    Result<CountingPlan> plan = cache.get(stream, descriptor, preference);
    EXPECT_TRUE(plan) << plan.error().message;
    if (!plan) return nullptr;
    EXPECT_EQ(plan->descriptor(), descriptor);
    return &plan->descriptor();
  }

  Stream stream = Stream::cpu();
  PlanCache<CountingPlan> cache;
};

TEST_F(PlanCacheTest, TheSameKeyGivesTheSamePlan) {
  EXPECT_EQ(cache.size(), 0u);
  const auto* first = get(descriptor_of(3));
  EXPECT_EQ(get(descriptor_of(3)), first);
  stream = Stream::cpu(1);  // another stream of the same device
  EXPECT_EQ(get(descriptor_of(3)), first);
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_EQ(CountingPlan::selects, 1);
}

TEST_F(PlanCacheTest, AnotherDescriptorOrPreferenceIsAnotherPlan) {
  const auto* first = get(descriptor_of(3));
  WriteSliceDescriptor other = descriptor_of(3);
  other.element = Element::F16;
  EXPECT_NE(get(other), first);
  EXPECT_NE(get(descriptor_of(4)), first);
  EXPECT_NE(get(descriptor_of(3), {.max_workspace_bytes = 0}), first);
  EXPECT_NE(get(descriptor_of(3), {.force_cpu_target = CpuTarget::Scalar}), first);
  EXPECT_EQ(cache.size(), 5u);
  EXPECT_EQ(get(descriptor_of(3)), first);
}

TEST_F(PlanCacheTest, AnotherDeviceIsAnotherPlan) {
  for (Device device : testing::test_devices()) {
    Result<Stream> made = testing::make_stream(device);
    ASSERT_TRUE(made) << made.error().message;
    stream = *made;
    get(descriptor_of(3));
    get(descriptor_of(3));
  }
  EXPECT_EQ(cache.size(), testing::test_devices().size());
}

TEST_F(PlanCacheTest, ErrorsAreNotKept) {
  const WriteSliceDescriptor impossible = {.dest_shape = {3}, .start = {2}, .end = {4}};
  for (int i = 1; i <= 2; ++i) {
    const Result<CountingPlan> plan = cache.get(stream, impossible);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().kind, ErrorKind::InvalidProblem);
    EXPECT_EQ(CountingPlan::selects, i);
    EXPECT_EQ(cache.size(), 0u);
  }
}

TEST_F(PlanCacheTest, ClearForgetsButPlansLiveOn) {
  const Result<CountingPlan> plan = cache.get(stream, descriptor_of(3));
  ASSERT_TRUE(plan);
  cache.clear();
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(plan->descriptor(), descriptor_of(3));
  EXPECT_NE(get(descriptor_of(3)), &plan->descriptor());
  EXPECT_EQ(CountingPlan::selects, 2);
}

TEST_F(PlanCacheTest, SixteenThreadsSeeOnePlanAKey) {
  constexpr int kThreads = 16, kKeys = 8, kCalls = 500;
  std::array<std::array<const WriteSliceDescriptor*, kKeys>, kThreads> seen{};
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      testing::Random random(static_cast<std::uint64_t>(t));
      for (int i = 0; i < kCalls; ++i) {
        const auto key = static_cast<std::size_t>(i < kKeys ? i : random.draw(0, kKeys - 1));
        const auto plan = cache.get(stream, descriptor_of(static_cast<std::int64_t>(key) + 1));
        const WriteSliceDescriptor* identity = plan ? &plan->descriptor() : nullptr;
        const WriteSliceDescriptor*& known = seen[static_cast<std::size_t>(t)][key];
        if (known == nullptr) known = identity;
        wrong += identity == nullptr || identity != known;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(cache.size(), std::size_t{kKeys});
  for (const auto& of_thread : seen) EXPECT_EQ(of_thread, seen[0]);
}

TEST_F(PlanCacheTest, ClearingWhileOthersGetIsHarmless) {
  std::atomic<bool> done = false;
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (std::int64_t i = 0; i < 1000; ++i) failed += !cache.get(stream, descriptor_of(i % 5)).has_value();
    });
  std::thread clearing([&] {
    while (!done) {
      cache.clear();
      failed += cache.size() > 5;
    }
  });
  for (std::thread& thread : threads) thread.join();
  done = true;
  clearing.join();
  EXPECT_EQ(failed, 0);
}

}  // namespace
}  // namespace baracuda
