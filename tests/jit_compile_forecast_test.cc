// Long compiles are told of before they begin.

#include "baracuda/jit/compile_forecast.h"

#include <gtest/gtest.h>

#include "baracuda/jit/jit.h"
#include "baracuda/jit/kernel_cache.h"

namespace baracuda::jit {
namespace {

constexpr std::size_t kLongText = 1 << 20;

KernelKey key_of(int number) {
  KernelKey key;
  key.digest[0] = static_cast<std::uint8_t>(number);
  return key;
}

/// Knows one duration, and one kernel.
struct OneKernelStore : KernelStore {
  std::optional<CompiledKernel> load(const KernelSpec&, const KernelKey& key) override {
    return key == key_of(1) ? std::optional<CompiledKernel>(std::in_place) : std::nullopt;
  }
  void store(const KernelSpec&, const CompiledKernel&) override {}
  double seconds_of_similar(const KernelSpec& spec) override { return spec.name.starts_with("known") ? 2.5 : 0; }
};

class LongCompiles : public ::testing::Test {
 protected:
  void SetUp() override {
    set_long_compile_callback([this](const LongCompile& compile) {
      events.push_back("told of " + compile.kernel + " for " + compile.target);
      told = compile;
    });
  }
  void TearDown() override { set_long_compile_callback(nullptr); }

  void get(int number, const std::string& name, std::size_t text_bytes) {
    const KernelSpec spec = {name, std::string(text_bytes, ' '), CodeTarget::for_cuda(90, true)};
    ::testing::internal::CaptureStderr();
    EXPECT_TRUE(cache.get(spec, key_of(number)));
    on_stderr = ::testing::internal::GetCapturedStderr();
  }

  std::vector<std::string> events;
  LongCompile told;
  std::string on_stderr;
  double seconds = 0.1;  ///< that a compile claims to have taken
  KernelCache cache{[this](const KernelSpec& spec) -> Result<CompiledKernel> {
                      events.push_back("compiling " + spec.name);
                      CompiledKernel kernel;
                      kernel.seconds = seconds;
                      return kernel;
                    },
                    std::make_unique<OneKernelStore>()};
};

using Events = std::vector<std::string>;

TEST_F(LongCompiles, AreToldOfBeforeTheyBegin) {
  get(2, "op.rows", kLongText);
  EXPECT_EQ(events, (Events{"told of op.rows for sm90a", "compiling op.rows"}));
  EXPECT_GT(told.expected_seconds, kLongCompileSeconds);
  EXPECT_NE(on_stderr.find("compiling op.rows for sm90a, which takes about"), std::string::npos) << on_stderr;
  EXPECT_EQ(std::count(on_stderr.begin(), on_stderr.end(), '\n'), 1);
}

TEST_F(LongCompiles, ShortOnesAreNot) {
  get(2, "op.rows", 1000);
  EXPECT_EQ(events, Events{"compiling op.rows"});
  EXPECT_EQ(on_stderr, "");
}

TEST_F(LongCompiles, NorIsWhatIsAtHand) {
  get(1, "op.rows", kLongText);  // in the store
  EXPECT_EQ(events, Events());
  get(2, "op.rows", kLongText);
  events.clear();
  get(2, "op.rows", kLongText);  // in memory
  EXPECT_EQ(events, Events());
}

TEST_F(LongCompiles, ExperienceWithTheOpCounts) {
  seconds = 3;
  get(2, "op.rows", 1000);
  get(3, "op.columns", 1000);
  EXPECT_EQ(events, (Events{"compiling op.rows", "told of op.columns for sm90a", "compiling op.columns"}));
  EXPECT_EQ(told.expected_seconds, 3);
  events.clear();
  get(4, "another.rows", 1000);
  EXPECT_EQ(events, Events{"compiling another.rows"});
  // And against the text's size.
  seconds = 0.2;
  get(5, "op.tall", 1000);
  events.clear();
  get(6, "op.wide", kLongText);
  EXPECT_EQ(events, Events{"compiling op.wide"});
}

TEST_F(LongCompiles, SoDoesWhatTheStoreRemembers) {
  get(2, "known.rows", 1000);
  EXPECT_EQ(events, (Events{"told of known.rows for sm90a", "compiling known.rows"}));
  EXPECT_EQ(told.expected_seconds, 2.5);
}

TEST_F(LongCompiles, WithoutACallbackThereIsTheLine) {
  set_long_compile_callback(nullptr);
  get(2, "op.rows", kLongText);
  EXPECT_EQ(events, Events{"compiling op.rows"});
  EXPECT_NE(on_stderr, "");
}

}  // namespace
}  // namespace baracuda::jit
