#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "testing/case_text.h"
#include "testing/devices.h"
#include "testing/guarded_buffer.h"
#include "testing/op.h"
#include "testing/parallel.h"
#include "testing/random.h"

namespace baracuda::testing {

/// What a case runs on. Checks and measurements make it in the same way.
template <class Buffers, class Plan, class Case>
concept CaseBuffers = requires(const Case& value, const Stream& stream, const Buffers& buffers,
                               Buffers& mutable_buffers) {
  /// The operands on the stream's device, guarded and full of random bytes.
  { Buffers::create(value, stream) } -> std::same_as<Result<Buffers>>;
  { buffers.args() } -> std::same_as<typename Plan::Args>;
  /// Every buffer.
  { mutable_buffers.operands() } -> std::same_as<std::vector<GuardedBuffer*>>;
};

/// A stream for the case: on the CPU with its num_threads.
template <class Case>
Result<Stream> make_case_stream(const Case& value, Device device) {
  if (device.is_cpu()) return Stream::cpu(value.num_threads);
  return Stream::cuda(device.ordinal);
}

template <class Plan, class Case, class Buffers>
class PreparedPlanCase final : public PreparedCase {
 public:
  static Result<std::unique_ptr<PreparedCase>> prepare(const Case& value, Device device) {
    Result<Stream> stream = make_case_stream(value, device);
    if (!stream) return stream.error();
    Result<Plan> plan = Plan::select(*stream, value.descriptor);
    if (!plan) return plan.error();
    Result<Explanation> explanation = Plan::explain(*stream, value.descriptor);
    if (!explanation) return explanation.error();
    std::unique_ptr<PreparedPlanCase> prepared(
        new PreparedPlanCase(value, *std::move(stream), *std::move(plan), *std::move(explanation)));
    if (Result<void> made = prepared->make_workspace(); !made) return made.error();
    if (Result<void> added = prepared->add_set(); !added) return added.error();
    Result<KernelSku> sku = prepared->plan_.sku(prepared->sets_.front().args);
    if (!sku) return sku.error();
    prepared->sku_ = *sku;
    return std::unique_ptr<PreparedCase>(std::move(prepared));
  }

  const Stream& stream() const override { return stream_; }
  const Explanation& explanation() const override { return explanation_; }
  const KernelSku& sku() const override { return sku_; }
  int num_sets() const override { return static_cast<int>(sets_.size()); }
  std::int64_t bytes_per_set() const override { return bytes_per_set_; }

  Result<void> add_set() override {
    Result<Buffers> buffers = Buffers::create(value_, stream_);
    if (!buffers) return buffers.error();
    bytes_per_set_ = 0;
    for (GuardedBuffer* operand : buffers->operands()) {
      bytes_per_set_ += operand->bytes();
      operand->drop_image();
    }
    typename Plan::Args args = buffers->args();
    sets_.push_back({*std::move(buffers), std::move(args)});
    return {};
  }

  Result<void> run(int set) const override {
    return plan_.run(stream_, workspace_, sets_[static_cast<std::size_t>(set)].args);
  }
  Result<void> can_implement() const override { return plan_.can_implement(sets_.front().args); }
  Result<void> select() const override {
    return Plan::select(stream_, value_.descriptor).transform([](const Plan&) {});
  }

 private:
  struct Set {
    Buffers buffers;
    typename Plan::Args args;
  };

  PreparedPlanCase(const Case& value, Stream stream, Plan plan, Explanation explanation)
      : value_(value), stream_(std::move(stream)), plan_(std::move(plan)), explanation_(std::move(explanation)) {}

  Result<void> make_workspace() {
    if (plan_.workspace_size() == 0) return {};
    Result<Buffer> scratch = Buffer::allocate(stream_, plan_.workspace_size());
    if (!scratch) return scratch.error();
    scratch_ = *std::move(scratch);
    workspace_ = Workspace(scratch_);
    return plan_.workspace_must_be_zero() ? scratch_.fill(stream_, 0) : Result<void>();
  }

  Case value_;
  Stream stream_;
  Plan plan_;
  Explanation explanation_;
  KernelSku sku_;
  Buffer scratch_;
  Workspace workspace_ = Workspace::none();
  std::vector<Set> sets_;
  std::int64_t bytes_per_set_ = 0;
};

/// An Op whose cases are of type Case, which has a `descriptor` of Plan, num_threads, visit_fields and to_string, and
/// run on Buffers; plan_kernels takes the descriptor. What is left to the op: a summary, the lists of SKUs and kernels,
/// its cases, and how one is checked.
template <class Plan, class Case, CaseBuffers<Plan, Case> Buffers>
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

  std::string random_case_text(Random& random) const final { return to_string(random_case(random)); }

  VerifyReport verify(const VerifyOptions& options) const final {
    std::vector<Case> cases = designed_cases();
    Random random(options.seed);
    for (int i = 0; i < (options.quick ? 1000 : 10000); ++i) cases.push_back(random_case(random));
    VerifyReport report;
    for (const TestTarget& target : targets_of(options.device)) {
      const auto checks = for_each_in_parallel("checking a case", std::span<const Case>(cases),
                                               [&](const Case& value) { return check(value, target); });
      for (std::size_t i = 0; i < cases.size(); ++i) {
        if (!checks[i])
          report.failures.push_back({to_string(cases[i]), target.name + ": " + checks[i].error().to_string()});
        else
          ++report.passed;
      }
    }
    return report;
  }

  Result<void> select(std::string_view case_text, const Stream& stream) const final {
    return parse_case<Case>(name(), case_text).and_then([&](const Case& value) {
      return Plan::select(stream, value.descriptor).transform([](const Plan&) {});
    });
  }

  Result<std::unique_ptr<PreparedCase>> prepare(std::string_view case_text, Device device) const final {
    return parse_case<Case>(name(), case_text).and_then([&](const Case& value) {
      return PreparedPlanCase<Plan, Case, Buffers>::prepare(value, device);
    });
  }

 private:
  /// Cases made for a purpose, which every run of `verify` has ahead of the random ones.
  virtual std::vector<Case> designed_cases() const { return {}; }
  virtual Case random_case(Random& random) const = 0;
  virtual Result<void> check(const Case& value, const TestTarget& target) const = 0;
};

}  // namespace baracuda::testing
