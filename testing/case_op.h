#pragma once

#include <string>
#include <vector>

#include "testing/case_text.h"
#include "testing/devices.h"
#include "testing/op.h"
#include "testing/random.h"

namespace baracuda::testing {

/// An Op whose cases are of type Case, which has a `descriptor` of Plan, visit_fields and to_string; plan_kernels takes
/// the descriptor. What is left to
/// the op: a summary, the lists of SKUs and kernels, its cases, and how one is checked.
template <class Plan, class Case>
class CaseOp : public Op {
 public:
  std::string_view name() const final { return Plan::kName; }

  Result<Explanation> explain(std::string_view case_text, const PlanPreference& preference,
                              const DeviceInfo& device) const final {
    // How a case lies in memory is known at `run` alone, so what it says of that would be ignored here.
    return parse_case<typename Plan::Descriptor>(name(), case_text).and_then([&](const auto& descriptor) {
      return Plan::explain(descriptor, preference, device);
    });
  }

  using Op::kernels;
  Result<std::vector<jit::KernelSpec>> kernels(std::string_view case_text, const PlanPreference& preference,
                                               const DeviceInfo& device) const final {
    return parse_case<Case>(name(), case_text).and_then([&](const Case& value) {
      return plan_kernels(value.descriptor, preference, device);
    });
  }

  Result<void> check(std::string_view case_text, Device device) const final {
    return parse_case<Case>(name(), case_text).and_then([&](const Case& value) -> Result<void> {
      for (const TestTarget& target : targets_of(device))
        if (Result<void> checked = check(value, target); !checked) return checked;
      return {};
    });
  }

  VerifyReport verify(const VerifyOptions& options) const final {
    std::vector<Case> cases = designed_cases();
    Random random(options.seed);
    for (int i = 0; i < (options.quick ? 1000 : 10000); ++i) cases.push_back(random_case(random));
    VerifyReport report;
    for (const TestTarget& target : targets_of(options.device))
      for (const Case& value : cases) {
        if (Result<void> checked = check(value, target); !checked)
          report.failures.push_back({to_string(value), target.name + ": " + checked.error().to_string()});
        else
          ++report.passed;
      }
    return report;
  }

 private:
  /// Cases made for a purpose, which every run of `verify` has ahead of the random ones.
  virtual std::vector<Case> designed_cases() const { return {}; }
  virtual Case random_case(Random& random) const = 0;
  virtual Result<void> check(const Case& value, const TestTarget& target) const = 0;
};

}  // namespace baracuda::testing
