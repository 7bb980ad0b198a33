// Many threads at once: selecting, running, failing. What single parts promise of threads (one compile a key, one plan
// a key) their own tests try; here the whole works on every device.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "baracuda/core/propagate.h"
#include "baracuda/jit/nvrtc.h"
#include "baracuda/ops/write_slice/write_slice.h"
#include "baracuda/plan/plan_cache.h"
#include "testing/child_process.h"
#include "testing/compare.h"
#include "testing/devices.h"
#include "testing/guarded_buffer.h"
#include "testing/op.h"
#include "testing/options.h"
#include "testing/random.h"

namespace baracuda::testing {
namespace {

constexpr int kThreads = 16;

/// Runs `body(thread)` on as many threads, which begin together. What they return as errors, a line each.
std::string errors_of_threads(const std::function<Result<void>(int)>& body) {
  std::mutex mutex;
  std::string errors;
  std::barrier begin(kThreads);
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      begin.arrive_and_wait();
      if (const Result<void> result = body(t); !result) {
        const std::lock_guard lock(mutex);
        errors += "thread " + std::to_string(t) + ": " + result.error().to_string() + "\n";
      }
    });
  threads.clear();
  return errors;
}

class ConcurrencyTest : public ::testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ConcurrencyTest, ::testing::ValuesIn(test_devices()), NameOfParam());

/// Two and two threads select the same plans at the same time, other pairs others, of every op and on every target of
/// the device, and each runs them on streams of its own. On CUDA the first to ask compile, the others wait or find.
TEST_P(ConcurrencyTest, EveryOpOnStreamsOfSixteenThreads) {
  const int num_rounds = options().full ? 100 : 20;
  EXPECT_EQ(errors_of_threads([&](int t) -> Result<void> {
              Random random(options().seed + static_cast<std::uint64_t>(t / 2));
              for (int round = 0; round < num_rounds; ++round)
                for (const Op* op : ops()) {
                  const std::string text = op->random_case_text(random);
                  BARACUDA_RETURN_IF_ERROR(op->check(text, GetParam()).transform_error([&](Error error) {
                    error.message += " in " + text;
                    return error;
                  }));
                }
              return {};
            }),
            "");
}

/// The caller's threads share a plan, on streams of their own and with args of their own, each run large enough for
/// several threads of the CPU. Meanwhile the cache that it came from is cleared, so that it is selected anew all the
/// time, and one run in four is wrong, as is one descriptor.
TEST_P(ConcurrencyTest, OnePlanOnSixteenStreamsWhileOthersSelectAndFail) {
  constexpr std::int64_t kRows = 96, kCols = 8192, kFirst = 3, kWidth = 8000;
  const WriteSliceDescriptor descriptor{
      .element = Element::U8, .dest_shape = {kRows, kCols}, .start = {0, kFirst}, .end = {kRows, kFirst + kWidth}};
  WriteSliceDescriptor impossible = descriptor;
  impossible.end = {kRows, kCols + 1};
  const auto stream_here = [&] {
    return GetParam().is_cpu() ? Result<Stream>(Stream::cpu(2)) : make_stream(GetParam());
  };
  const Result<Stream> stream = stream_here();
  ASSERT_TRUE(stream) << stream.error().message;
  const Result<WriteSlicePlan> shared = WriteSlicePlan::select(*stream, descriptor);
  ASSERT_TRUE(shared) << shared.error().message;
  const Error wrong_descriptor = WriteSlicePlan::select(*stream, impossible).error_or({});
  const Error no_views = shared->run(*stream, Workspace::none(), {}).error_or({});
  ASSERT_NE(wrong_descriptor.message, "");
  ASSERT_NE(no_views.message, "");

  PlanCache<WriteSlicePlan> cache;
  EXPECT_EQ(errors_of_threads([&](int t) -> Result<void> {
              Random random(options().seed + static_cast<std::uint64_t>(t));
              BARACUDA_ASSIGN_OR_RETURN(const Stream own, stream_here());
              BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer dest, GuardedBuffer::create("dest", own, kRows * kCols, random));
              BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer source,
                                        GuardedBuffer::create("source", own, kRows * kWidth, random));
              const WriteSliceArgs args{.dest = dest.tensor(Element::U8, {kRows, kCols}),
                                        .source = source.tensor(Element::U8, {kRows, kWidth})};
              for (int round = 0; round < 8; ++round) {
                random.fill_bytes(source.image());
                BARACUDA_RETURN_IF_ERROR(dest.upload());
                BARACUDA_RETURN_IF_ERROR(source.upload());
                std::vector<std::byte> expected(dest.image().begin(), dest.image().end());
                for (std::int64_t row = 0; row < kRows; ++row)
                  std::copy_n(source.image().data() + row * kWidth, kWidth, expected.data() + row * kCols + kFirst);

                BARACUDA_ASSIGN_OR_RETURN(const WriteSlicePlan cached, cache.get(own, descriptor));
                if (t % 4 == 0) cache.clear();
                if (t % 4 == 1 && cache.get(own, impossible).error_or({}) != wrong_descriptor)
                  return Error::backend(0, "an impossible descriptor gives another error than it did alone");
                if (t % 4 == 2 && shared->run(own, Workspace::none(), {}).error_or({}) != no_views)
                  return Error::backend(0, "missing views give another error than they did alone");
                BARACUDA_RETURN_IF_ERROR((round % 2 == 0 ? *shared : cached).run(own, Workspace::none(), args));
                BARACUDA_RETURN_IF_ERROR(dest.download());
                BARACUDA_RETURN_IF_ERROR(compare_bytes("dest", dest.image(), expected));
              }
              return source.expect_unchanged();
            }),
            "");
}

/// In a process of its own, whose cache in memory is empty: kernels for devices that need not be here, asked for by all
/// threads, each beginning with another one.
int compile_with_threads(const ChildArguments&) {
  const DeviceInfo devices[] = {DeviceInfo::sm80(), DeviceInfo::sm89(), DeviceInfo::sm90a()};
  const Element elements[] = {Element::U8, Element::F16, Element::F32, Element::S4};
  constexpr int kPlans = 3 * 4;
  std::vector<std::vector<CompileReport>> reports(kThreads, std::vector<CompileReport>(kPlans));
  std::string errors = errors_of_threads([&](int t) -> Result<void> {
    for (int i = 0; i < kPlans; ++i) {
      const auto plan = static_cast<std::size_t>((t + i) % kPlans);
      BARACUDA_ASSIGN_OR_RETURN(
          reports[static_cast<std::size_t>(t)][plan],
          WriteSlicePlan::compile({elements[plan / 3], {8, 64}, {0, 1}, {8, 32}}, {}, devices[plan % 3]));
    }
    return {};
  });
  // One compile a kernel, so that all threads are told the same time.
  for (const std::vector<CompileReport>& seen : reports)
    for (std::size_t plan = 0; plan < kPlans && errors.empty(); ++plan)
      if (!std::ranges::equal(seen[plan].kernels, reports[0][plan].kernels, {}, &KernelReport::seconds,
                              &KernelReport::seconds) ||
          seen[plan].kernels.empty())
        errors = "two threads were given different kernels\n";
  std::fputs(errors.c_str(), stderr);
  return errors.empty() ? 0 : 1;
}
const RegisterChild kCompileWithThreads("compile_with_threads", compile_with_threads);

TEST(ConcurrentCompiling, OfSixteenThreadsColdAndWarm) {
  if (const auto nvrtc = jit::nvrtc(); !nvrtc && !options().require_nvrtc) GTEST_SKIP() << nvrtc.error().message;
  const std::string dir = ::testing::TempDir() + "baracuda-concurrency-test-" + std::to_string(getpid());
  const auto said_in_a_process = [&] {
    ::testing::internal::CaptureStderr();
    const std::vector<std::string> environment = {"BARACUDA_CACHE_DIR=" + dir,
                                                  "BARACUDA_KERNEL_PACK=", "BARACUDA_VERBOSE=1"};
    EXPECT_EQ(Child("compile_with_threads", {}, environment).wait(), 0);
    return ::testing::internal::GetCapturedStderr();
  };
  const std::string cold = said_in_a_process();
  EXPECT_NE(cold.find("compiled write_slice"), cold.npos) << cold;
  EXPECT_EQ(said_in_a_process(), "");  // all of it from the folder
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace baracuda::testing
