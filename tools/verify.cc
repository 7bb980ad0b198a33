#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "testing/case_text.h"
#include "tools/commands.h"

namespace baracuda::tools {
namespace {

using json = nlohmann::ordered_json;
using testing::VerifyReport;

std::string repeat_command(const std::string& case_text, Device device) {
  return fmt::format("baracuda verify --device {} --case \"{}\"", device.name(), case_text);
}

Result<VerifyReport> verify_case(const std::string& case_text, Device device) {
  const Result<const testing::Op*> op = find_op(testing::case_op(case_text));
  if (!op) return op.error();
  VerifyReport report;
  if (Result<void> result = (*op)->check(case_text, device)) {
    report.passed = 1;
  } else {
    // What there cannot be is bad input, not a case that failed.
    if (result.error().kind == ErrorKind::InvalidProblem) return result.error();
    report.failures.push_back({case_text, result.error().message});
  }
  return report;
}

/// Adds up the reports of several ops, and prints each unless the answer is to be JSON.
class Summary {
 public:
  Summary(Device device, bool is_json) : device_(device), is_json_(is_json) {}

  void add(std::string_view op_name, VerifyReport report) {
    if (report.passed == 0 && report.failures.empty())
      report.failures.push_back({std::string(op_name), "not one case was run"});
    passed_ += report.passed;
    failed_ += static_cast<std::int64_t>(report.failures.size());
    json failures = json::array();
    for (const testing::VerifyFailure& failure : report.failures)
      failures.push_back({{"case", failure.case_text},
                          {"message", failure.message},
                          {"repeat", repeat_command(failure.case_text, device_)}});
    ops_.push_back({{"op", op_name}, {"device", device_.name()}, {"passed", report.passed}, {"failures", failures}});
    if (!is_json_) print(op_name, report);
  }

  int finish() const {
    if (is_json_) {
      const json data = {{"device", device_.name()}, {"ops", ops_}, {"passed", passed_}, {"failed", failed_}};
      fmt::print("{}\n", data.dump(2));
    } else {
      fmt::print("{} passed, {} failed\n", passed_, failed_);
    }
    return failed_ == 0 ? kSuccess : kFailure;
  }

 private:
  void print(std::string_view op_name, const VerifyReport& report) const {
    fmt::print("{:<20} {:<8} {} passed, {} failed\n", op_name, device_.name(), report.passed, report.failures.size());
    for (const testing::VerifyFailure& failure : report.failures)
      fmt::print("  FAILED {}\n    {}\n    {}\n", failure.case_text, failure.message,
                 repeat_command(failure.case_text, device_));
    std::fflush(stdout);
  }

  Device device_;
  bool is_json_;
  std::int64_t passed_ = 0, failed_ = 0;
  json ops_ = json::array();
};

}  // namespace

int verify(const VerifyCommandOptions& options) {
  const Result<std::vector<const testing::Op*>> ops = find_ops(options.ops);
  if (!ops) return fail(ops.error());
  const Result<DeviceInfo> info = find_device(options.device);
  if (!info) return fail(info.error());

  Summary summary(info->device, options.json);
  if (!options.case_text.empty()) {
    Result<VerifyReport> report = verify_case(options.case_text, info->device);
    if (!report) return fail(report.error());
    summary.add(testing::case_op(options.case_text), *std::move(report));
  } else {
    for (const testing::Op* op : *ops) summary.add(op->name(), op->verify({info->device, options.quick, options.seed}));
  }
  return summary.finish();
}

}  // namespace baracuda::tools
