#include "baracuda/plan/plan.h"

#include <fmt/core.h>

namespace baracuda {

std::string Explanation::to_string() const {
  const KernelSku& sku = choice.sku;
  std::string text = fmt::format("sku        {}\ndevice     {}\ncode       {}\nguarantee  {}\nworkspace  {} bytes{}\n",
                                 sku.to_string(), device.name, choice.target.name(), sku.guarantee.to_string(),
                                 choice.workspace_bytes, choice.workspace_must_be_zero ? ", zero before" : "");
  text += fmt::format("work       {} bytes, {} operations: {:.3g} µs at {:.0f} GB/s\ncandidates\n", bytes, ops,
                      seconds * 1e6, device.copy_bytes_per_second / 1e9);
  bool picked = false;
  for (const CandidateVerdict& candidate : choice.candidates) {
    const bool taken = candidate.accepted && !picked;
    picked |= taken;
    const std::string outcome = taken                ? "taken"
                                : candidate.accepted ? "could serve too, but comes later"
                                                     : "not taken: " + candidate.reason;
    text += fmt::format("  {}: {}\n", candidate.what, outcome);
  }
  return text;
}

}  // namespace baracuda
