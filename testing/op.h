#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/device.h"
#include "baracuda/core/preference.h"
#include "baracuda/core/result.h"
#include "baracuda/jit/kernel_spec.h"
#include "baracuda/plan/plan.h"

namespace baracuda::testing {

/// Where and how `verify` runs.
struct VerifyOptions {
  Device device;
  bool quick = false;  ///< a few seconds' worth of cases instead of the full set
  std::uint64_t seed = 1;
};

struct VerifyFailure {
  std::string case_text;  ///< the line that repeats it
  std::string message;
};

struct VerifyReport {
  std::int64_t passed = 0;
  std::vector<VerifyFailure> failures;
};

/// What the tool and the tests know of an op, whatever it computes: its cases, its SKUs, its kernels. One object per
/// op, made in ops/<op>/<op>_case.cc.
class Op {
 public:
  virtual ~Op() = default;

  /// The one name: folder, sku prefix, case prefix.
  virtual std::string_view name() const = 0;
  /// A line for lists.
  virtual std::string_view summary() const = 0;

  /// Every SKU that `choose` can pick on `device`, each once, in a stable order.
  virtual std::vector<KernelSku> skus(const DeviceInfo& device) const = 0;
  /// Every CUDA kernel that some plan on `device` may compile, each once.
  virtual std::vector<jit::KernelSpec> kernels(const PlanPreference& preference, const DeviceInfo& device) const = 0;
  /// The CUDA kernels that `select` prepares for the case. What the case says of a run is read and does not matter: any
  /// strides are served by these. Errors: as explain, but for such fields.
  virtual Result<std::vector<jit::KernelSpec>> kernels(std::string_view case_text, const PlanPreference& preference,
                                                       const DeviceInfo& device) const = 0;
  /// Explains the descriptor written as "name field=value …". Errors: InvalidProblem for a line that does not parse, or
  /// that has fields of a run.
  virtual Result<Explanation> explain(std::string_view case_text, const PlanPreference& preference,
                                      const DeviceInfo& device) const = 0;
  /// Runs one case against the oracle; the error tells what differed. Errors: InvalidProblem for a line that does not
  /// parse or is no case of the op.
  virtual Result<void> check(std::string_view case_text, Device device) const = 0;
  /// Random cases with odd sizes, padding and extremes against the oracle, on every CPU target where the device is the
  /// CPU, on every arch class that loads where it is CUDA.
  virtual VerifyReport verify(const VerifyOptions& options) const = 0;
};

/// All ops, in the order of their names.
std::span<const Op* const> ops();
/// Errors: InvalidProblem, with the names that there are.
Result<const Op*> find_op(std::string_view name);

}  // namespace baracuda::testing
