#include "bench/report.h"

#include <fmt/core.h>

#include <algorithm>

#include "baracuda/core/propagate.h"
#include "testing/case_text.h"

namespace baracuda::bench {
namespace {

using testing::PreparedCase;

/// A case on the device, while it is measured.
struct RunningCase {
  std::unique_ptr<PreparedCase> prepared;
  CaseReport report;

  std::int64_t device_bytes(std::int64_t cache_bytes) const {
    return prepared->num_sets() * prepared->bytes_per_set() +
           (report.copy ? num_cold_buffers(report.bytes, cache_bytes) * report.bytes : 0);
  }
};

Result<RunningCase> start(const std::string& case_text, DeviceBench& bench) {
  BARACUDA_ASSIGN_OR_RETURN(const testing::Op* op, testing::find_op(testing::case_op(case_text)));
  RunningCase running;
  BARACUDA_ASSIGN_OR_RETURN(running.prepared, op->prepare(case_text, bench.info().device));
  CaseReport& report = running.report;
  BARACUDA_ASSIGN_OR_RETURN(report.run, bench.time_case(*running.prepared));
  const Explanation& explanation = running.prepared->explanation();
  report.case_text = case_text;
  report.sku = running.prepared->sku().to_string();
  report.math = running.prepared->sku().guarantee.math;
  report.bytes = explanation.bytes;
  report.ops = explanation.ops;
  report.num_sets = running.prepared->num_sets();
  if (report.ops == 0 && report.bytes >= 2) {
    BARACUDA_ASSIGN_OR_RETURN(report.copy, bench.time_copy(report.bytes));
  }
  return running;
}

/// Times the cases and the ceilings in turn, then what they cost the host.
Result<void> measure(std::vector<RunningCase>& cases, DeviceBench& bench, double seconds,
                     const std::function<void(double)>& progress) {
  std::vector<Timed*> timed;
  for (Ceiling& ceiling : bench.ceilings())
    if (ceiling.absent.empty()) timed.push_back(&ceiling.timed);
  for (RunningCase& each : cases) {
    timed.push_back(&each.report.run);
    if (each.report.copy) timed.push_back(&*each.report.copy);
  }
  BARACUDA_RETURN_IF_ERROR(interleave(timed, {.seconds = seconds}, progress));
  for (RunningCase& each : cases) {
    BARACUDA_ASSIGN_OR_RETURN(each.report.host,
                              bench.time_host(each.report.case_text, *each.prepared, each.report.run.seconds().median));
  }
  return {};
}

const Ceiling* find(const std::vector<Ceiling>& ceilings, auto&& wanted) {
  const Ceiling* best = nullptr;
  for (const Ceiling& each : ceilings)
    if (each.absent.empty() && wanted(each) && (!best || each.rate() > best->rate())) best = &each;
  return best;
}

}  // namespace

Roofline roofline(const CaseReport& report, const std::vector<Ceiling>& ceilings) {
  using Bounds = Ceiling::Bounds;
  const Ceiling* memory = find(ceilings, [&](const Ceiling& each) {
    return each.bounds == Bounds::Copy || (each.bounds == Bounds::Read && report.ops > 0);
  });
  const Ceiling* math =
      find(ceilings, [&](const Ceiling& each) { return each.bounds == Bounds::Math && each.math == report.math; });
  Roofline line;
  double least_seconds = 0;
  const auto bound = [&](const Ceiling* ceiling, std::int64_t amount) {
    if (!ceiling || amount == 0) return;
    const double seconds = static_cast<double>(amount) / ceiling->rate();
    if (seconds <= least_seconds) return;
    least_seconds = seconds;
    line.ceiling = ceiling->name;
  };
  bound(memory, report.bytes);
  bound(math, report.ops);
  line.fraction = least_seconds / report.run.seconds().median;
  return line;
}

Result<BenchReport> run_bench(const BenchOptions& options, const Progress& progress) {
  progress(0, "ceilings");
  BARACUDA_ASSIGN_OR_RETURN(const std::unique_ptr<DeviceBench> bench, DeviceBench::create(options.device));
  const std::int64_t limit = max_bytes_of_cases(bench->info());
  const double num_cases = static_cast<double>(options.cases.size());

  BenchReport report;
  report.device = bench->info();
  report.description = bench->description();
  std::vector<RunningCase> group;
  std::int64_t group_bytes = 0;
  for (std::size_t i = 0; i < options.cases.size(); ++i) {
    const double done = static_cast<double>(report.cases.size()) / num_cases;
    progress(done, options.cases[i]);
    BARACUDA_ASSIGN_OR_RETURN(group.emplace_back(), start(options.cases[i], *bench));
    group_bytes += group.back().device_bytes(bench->cache_bytes());
    if (group_bytes < limit && i + 1 < options.cases.size()) continue;

    // After the buffers were filled, so that the device is as idle as it will be.
    if (report.cases.empty()) {
      if (auto clocks = bench->read_clocks()) {
        report.clocks_before = *clocks;
      } else {
        report.no_clocks = clocks.error().message;
      }
    }
    const double part = static_cast<double>(group.size()) / num_cases;
    const std::string what = fmt::format("{} cases in turn", group.size());
    BARACUDA_RETURN_IF_ERROR(measure(group, *bench, options.seconds * part,
                                     [&](double fraction) { progress(done + part * fraction, what); }));
    for (RunningCase& each : group) {
      each.report.run.finish();
      if (each.report.copy) each.report.copy->finish();
      report.cases.push_back(std::move(each.report));
    }
    group.clear();
    group_bytes = 0;
  }
  if (auto clocks = bench->read_clocks()) report.clocks_after = *clocks;
  progress(1, "done");
  report.ceilings = std::move(bench->ceilings());
  for (Ceiling& ceiling : report.ceilings) ceiling.timed.finish();
  return report;
}

}  // namespace baracuda::bench
