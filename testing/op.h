#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/device.h"
#include "baracuda/core/preference.h"
#include "baracuda/core/result.h"
#include "baracuda/core/stream.h"
#include "baracuda/jit/kernel_spec.h"
#include "baracuda/plan/plan.h"
#include "testing/random.h"

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

/// A case with its plan and its operands on a device, to run again and again: what a measurement needs of an op.
class PreparedCase {
 public:
  virtual ~PreparedCase() = default;

  virtual const Stream& stream() const = 0;
  /// What the descriptor costs.
  virtual const Explanation& explanation() const = 0;
  /// The kernel that the operands run on.
  virtual const KernelSku& sku() const = 0;

  /// Sets of operands at addresses of their own, so that going round them finds none in a cache. All hold random bytes;
  /// there is one from the start.
  virtual int num_sets() const = 0;
  virtual std::int64_t bytes_per_set() const = 0;
  virtual Result<void> add_set() = 0;

  /// Enqueues one run on a set.
  virtual Result<void> run(int set) const = 0;
  /// The same call of the plan as `run`, without the run.
  virtual Result<void> can_implement() const = 0;
  /// Selects the plan anew.
  virtual Result<void> select() const = 0;
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
  /// Every CUDA kernel that some plan on `device` may compile, each once; where those are too many for CI, a set in
  /// which each operator, each element and each variant occurs.
  virtual std::vector<jit::KernelSpec> kernels(const PlanPreference& preference, const DeviceInfo& device) const = 0;
  /// Every one.
  virtual std::vector<jit::KernelSpec> all_kernels(const PlanPreference& preference, const DeviceInfo& device) const {
    return kernels(preference, device);
  }
  /// The CUDA kernels that `select` prepares for the case. What the case says of a run is read and does not matter: any
  /// strides are served by these. Errors: as explain, but for such fields.
  virtual Result<std::vector<jit::KernelSpec>> kernels(std::string_view case_text, const PlanPreference& preference,
                                                       const DeviceInfo& device) const = 0;
  /// The table of the op's page in docs/ops/ that its code knows, as Markdown; empty where it has none.
  virtual std::string markdown_table() const { return {}; }
  /// Explains the descriptor written as "name field=value …". Errors: InvalidProblem for a line that does not parse, or
  /// that has fields of a run.
  virtual Result<Explanation> explain(std::string_view case_text, const PlanPreference& preference,
                                      const DeviceInfo& device) const = 0;
  /// Runs one case against the oracle; the error tells what differed. Errors: InvalidProblem for a line that does not
  /// parse or is no case of the op.
  virtual Result<void> check(std::string_view case_text, Device device) const = 0;
  /// A line for `check`: a case with odd sizes, padding and extremes.
  virtual std::string random_case_text(Random& random) const = 0;
  /// Random cases against the oracle, on every CPU target where the device is the CPU, on every arch class that loads
  /// where it is CUDA.
  virtual VerifyReport verify(const VerifyOptions& options) const = 0;

  /// Selects the plan of a case, as a program does at its start. Errors: InvalidProblem for a line that does not parse,
  /// and those of the plan's select.
  virtual Result<void> select(std::string_view case_text, const Stream& stream) const = 0;

  /// The cases whose speed matters, few: what `bench` measures unless it is told otherwise.
  virtual std::vector<std::string> bench_cases(Device device) const = 0;
  /// Errors: as check, and what select and the allocation of the operands say.
  virtual Result<std::unique_ptr<PreparedCase>> prepare(std::string_view case_text, Device device) const = 0;
};

/// All ops, in the order of their names.
std::span<const Op* const> ops();
/// Errors: InvalidProblem, with the names that there are.
Result<const Op*> find_op(std::string_view name);

}  // namespace baracuda::testing
