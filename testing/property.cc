#include "testing/property.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <limits>
#include <sstream>
#include <unordered_map>

#include "testing/options.h"

namespace baracuda::testing {
namespace {

/// Runs the body with gtest's failures held back: while a counter-example is sought and shrunk many runs fail.
std::string failures_of(const std::function<void()>& body) {
  ::testing::TestPartResultArray results;
  {
    ::testing::ScopedFakeTestPartResultReporter reporter(
        ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    body();
  }
  std::string text;
  for (int i = 0; i < results.size(); ++i) {
    const ::testing::TestPartResult& part = results.GetTestPartResult(i);
    if (!part.failed()) continue;
    text += std::string(part.file_name() ? part.file_name() : "") + ":" + std::to_string(part.line_number()) + ": " +
            part.message() + "\n";
  }
  return text;
}

/// Without a listener RapidCheck prints a seed of its own choice, which is not the one used.
struct SilentListener : rc::detail::TestListener {
  void onTestCaseFinished(const rc::detail::CaseDescription&) override {}
  void onShrinkTried(const rc::detail::CaseDescription&, bool) override {}
  void onTestFinished(const rc::detail::TestMetadata&, const rc::detail::TestResult&) override {}
};

}  // namespace

void property(const std::string& name, const std::function<void()>& body, int num_cases) {
  rc::detail::TestParams params;
  params.seed = options().seed;
  params.maxSuccess = num_cases;
  SilentListener listener;
  const rc::detail::TestResult result = rc::detail::checkTestable(
      [&] {
        if (std::string failures = failures_of(body); !failures.empty()) RC_FAIL(failures);
      },
      rc::detail::TestMetadata{name, name}, params, listener, std::unordered_map<std::string, rc::detail::Reproduce>{});
  if (result.is<rc::detail::SuccessResult>()) return;

  const std::string head = "property \"" + name + "\", seed " + std::to_string(params.seed) + ": ";
  if (!result.is<rc::detail::FailureResult>()) {
    std::ostringstream text;
    rc::detail::printResultMessage(result, text);
    ADD_FAILURE() << head << text.str();
    return;
  }
  const auto& failure = result.get<rc::detail::FailureResult>();
  std::string draws;
  for (const auto& [draw_name, value] : failure.counterExample) draws += " " + draw_name + "=" + value;
  ADD_FAILURE() << head << "fails after " << failure.numSuccess << " cases that pass, shrunk to" << draws << "\n"
                << failure.description;
}

std::int64_t draw(std::int64_t lo, std::int64_t hi, const std::string& name) {
  RC_ASSERT(lo <= hi && hi < std::numeric_limits<std::int64_t>::max());
  return *rc::gen::inRange<std::int64_t>(lo, hi + 1).as(name.empty() ? "draw" : name);
}

}  // namespace baracuda::testing
