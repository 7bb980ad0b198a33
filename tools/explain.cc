#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "testing/case_text.h"
#include "testing/machine.h"
#include "tools/commands.h"

namespace baracuda::tools {
namespace {

using json = nlohmann::ordered_json;

Result<DeviceInfo> device_of(const ExplainOptions& options) {
  if (options.arch.empty()) return find_device(options.device);
  if (std::optional<Arch> arch = parse_arch(options.arch)) return testing::typical_device(*arch);
  return Error::invalid_problem(fmt::format("--arch is \"{}\", expected one of cpu, sm80, sm89, sm90a", options.arch));
}

json guarantee_to_json(const PrecisionGuarantee& guarantee) {
  return {{"math", name_of(guarantee.math)},
          {"accumulator", guarantee.accumulator ? json(name_of(*guarantee.accumulator)) : json()},
          {"bit_stable_on_same_hardware", guarantee.bit_stable_on_same_hardware},
          {"deterministic", guarantee.deterministic},
          {"batch_invariant", guarantee.batch_invariant},
          {"matches_cpu", guarantee.matches_cpu}};
}

json to_json(const std::string& case_text, const Explanation& explanation) {
  const PlanChoice& choice = explanation.choice;
  json candidates = json::array();
  for (const CandidateVerdict& candidate : choice.candidates)
    candidates.push_back({{"what", candidate.what}, {"accepted", candidate.accepted}, {"reason", candidate.reason}});
  return {{"case", case_text},
          {"device", explanation.device.name},
          {"arch", name_of(explanation.device.arch)},
          {"sku", choice.sku.to_string()},
          {"target", choice.target.name()},
          {"guarantee", guarantee_to_json(choice.sku.guarantee)},
          {"workspace_bytes", choice.workspace_bytes},
          {"workspace_must_be_zero", choice.workspace_must_be_zero},
          {"candidates", candidates},
          {"bytes", explanation.bytes},
          {"ops", explanation.ops},
          {"seconds", explanation.seconds}};
}

}  // namespace

int explain(const ExplainOptions& options) {
  const std::string case_text = join(options.words, " ");
  const Result<const testing::Op*> op = find_op(testing::case_op(case_text));
  if (!op) return fail(op.error());
  const Result<DeviceInfo> device = device_of(options);
  if (!device) return fail(device.error());
  const Result<Explanation> explanation = (*op)->explain(case_text, {}, *device);
  if (!explanation) return fail(explanation.error());
  if (options.json) {
    fmt::print("{}\n", to_json(case_text, *explanation).dump(2));
  } else {
    fmt::print("{}\n{}", case_text, explanation->to_string());
  }
  return kSuccess;
}

}  // namespace baracuda::tools
