#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "baracuda/core/version.h"
#include "bench/report.h"
#include "testing/case_text.h"
#include "testing/devices.h"
#include "testing/files.h"
#include "testing/machine.h"
#include "tools/commands.h"

namespace baracuda::tools {
namespace {

using bench::BenchReport;
using bench::CaseReport;
using bench::Ceiling;
using bench::Spread;
using json = nlohmann::ordered_json;

// ---- what is to be measured -----------------------------------------------------------------------------------------

/// The cases that the command line and its list name; those of all ops where they name none.
Result<std::vector<std::string>> cases_to_run(const BenchCommandOptions& options, const Stream& stream) {
  std::vector<testing::ListedCase> listed;
  if (!options.shapes.empty()) {
    auto list = read_cases(options.shapes);
    if (!list) return list.error();
    listed = *std::move(list);
  }
  for (const std::string& word : options.cases_or_ops) listed.push_back({word, {}});
  if (listed.empty())
    for (const testing::Op* op : testing::ops()) listed.push_back({std::string(op->name()), {}});

  std::vector<std::string> cases;
  for (const testing::ListedCase& each : listed) {
    const auto add = [&]() -> Result<void> {
      const Result<const testing::Op*> op = find_op(testing::case_op(each.text));
      if (!op) return op.error();
      if (each.text != (*op)->name()) {
        cases.push_back(each.text);
        return (*op)->select(each.text, stream);  // what can be known at once is right
      }
      for (std::string& text : (*op)->bench_cases(stream.device())) cases.push_back(std::move(text));
      return {};
    };
    if (Result<void> added = add(); !added) {
      Error error = std::move(added).error();
      if (!each.place.empty()) error.message = each.place + ": " + error.message;
      return error;
    }
  }
  return cases;
}

// ---- progress -------------------------------------------------------------------------------------------------------

/// A bar on stderr, where that is a terminal, of what takes over a second.
class ProgressBar {
 public:
  ~ProgressBar() {
    if (drawn_) fmt::print(stderr, "\r\x1b[K");
  }
  void show(double fraction, const std::string& what) {
    const Clock::time_point now = Clock::now();
    if (!is_terminal_ || now - begin_ < std::chrono::seconds(1) || now - last_ < std::chrono::milliseconds(50)) return;
    constexpr int kWidth = 30;
    const int filled = static_cast<int>(fraction * kWidth);
    fmt::print(stderr, "\r\x1b[K[{:{}}] {:3.0f}% {:.70}", std::string(static_cast<std::size_t>(filled), '#'), kWidth,
               100 * fraction, what);
    std::fflush(stderr);
    last_ = now;
    drawn_ = true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  const bool is_terminal_ = isatty(STDERR_FILENO);
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point last_ = begin_;
  bool drawn_ = false;
};

// ---- as JSON --------------------------------------------------------------------------------------------------------

/// In microseconds.
json to_json(const Spread& spread) {
  return {{"median_us", spread.median * 1e6},
          {"min_us", spread.min * 1e6},
          {"p10_us", spread.p10 * 1e6},
          {"p90_us", spread.p90 * 1e6},
          {"samples", spread.samples}};
}
json to_json(const std::optional<Spread>& spread) { return spread ? to_json(*spread) : json(); }

json to_json(const std::optional<bench::GpuClocks::Reading>& reading) {
  if (!reading) return {};
  return {{"sm_mhz", reading->sm_mhz}, {"memory_mhz", reading->memory_mhz}, {"watts", reading->watts}};
}

/// Null where it is not known.
json clock_to_json(const bench::Timed& timed) {
  const int mhz = timed.sm_clock_mhz();
  return mhz > 0 ? json(mhz) : json();
}

bool is_math(const Ceiling& ceiling) { return ceiling.bounds == Ceiling::Bounds::Math; }

json to_json(const Ceiling& ceiling) {
  json data = {{"name", ceiling.name}, {"how", ceiling.how}};
  if (!ceiling.absent.empty()) {
    data["absent"] = ceiling.absent;
    return data;
  }
  data[is_math(ceiling) ? "gop_per_s" : "gb_per_s"] = ceiling.rate() / 1e9;
  data[is_math(ceiling) ? "ops" : "bytes"] = ceiling.amount;
  data["time"] = to_json(ceiling.timed.seconds());
  data["sm_mhz"] = clock_to_json(ceiling.timed);
  return data;
}

json to_json(const CaseReport& report, const std::vector<Ceiling>& ceilings) {
  const Spread seconds = report.run.seconds();
  const bench::Roofline roofline = bench::roofline(report, ceilings);
  const bench::HostCosts& host = report.host;
  json data = {{"case", report.case_text},
               {"sku", report.sku},
               {"bytes", report.bytes},
               {"ops", report.ops},
               {"buffers", report.num_sets},
               {"time", to_json(seconds)},
               {"gb_per_s", static_cast<double>(report.bytes) / seconds.median / 1e9},
               {"gop_per_s", static_cast<double>(report.ops) / seconds.median / 1e9},
               {"ceiling", roofline.ceiling},
               {"of_ceiling", roofline.fraction},
               {"sm_mhz", clock_to_json(report.run)}};
  data["copy"] = report.copy ? to_json(report.copy->seconds()) : json();
  data["copy_over_time"] = report.copy ? json(report.copy->seconds().median / seconds.median) : json();
  data["host"] = {{"launch", to_json(host.launch)},
                  {"run", to_json(host.run)},
                  {"run_minus_launch_us", host.run ? json((host.run->median - host.launch->median) * 1e6) : json()},
                  {"can_implement", to_json(host.can_implement)},
                  {"select", to_json(host.select)},
                  {"select_from_disk", to_json(host.select_from_disk)}};
  if (!host.select_from_disk) data["host"]["no_select_from_disk"] = host.no_select_from_disk;
  return data;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[16];
  std::strftime(text, sizeof(text), "%Y-%m-%d", &local);
  return text;
}

json to_json(const BenchReport& report, const BenchCommandOptions& options) {
  json libraries = json::object(), ceilings = json::array(), cases = json::array();
  for (const testing::FoundLibrary& library : testing::find_libraries())
    libraries[library.name] = library.problem.empty() ? json(library.version) : json();
  for (const Ceiling& ceiling : report.ceilings) ceilings.push_back(to_json(ceiling));
  for (const CaseReport& each : report.cases) cases.push_back(to_json(each, report.ceilings));
  json clocks = {{"before", to_json(report.clocks_before)}, {"after", to_json(report.clocks_after)}};
  if (!report.no_clocks.empty()) clocks["absent"] = report.no_clocks;
  return {{"command", options.command},
          {"note", options.note},
          {"date", today()},
          {"version", version()},
          {"device", report.device.device.name()},
          {"machine", report.description},
          {"libraries", libraries},
          {"clocks", clocks},
          {"ceilings", ceilings},
          {"cases", cases}};
}

// ---- as a table -----------------------------------------------------------------------------------------------------

std::string us(double seconds) { return fmt::format("{:.4g}", seconds * 1e6); }
std::string us(const std::optional<Spread>& spread) { return spread ? us(spread->median) : "-"; }
std::string scatter(const Spread& spread) { return fmt::format("{}-{}", us(spread.p10), us(spread.p90)); }
std::string rate(double per_second) { return fmt::format("{:.4g}", per_second / 1e9); }
std::string clock(const bench::Timed& timed) {
  return timed.sm_clock_mhz() > 0 ? fmt::format("{}", timed.sm_clock_mhz()) : "-";
}

void print_clocks(const BenchReport& report) {
  if (!report.no_clocks.empty()) {
    fmt::print("clocks: not read: {}\n", report.no_clocks);
    return;
  }
  for (const auto& [when, reading] : {std::pair("before", report.clocks_before), {"after", report.clocks_after}})
    if (reading)
      fmt::print("clocks {}: SM {} MHz, memory {} MHz, {:.0f} W\n", when, reading->sm_mhz, reading->memory_mhz,
                 reading->watts);
}

void print_report(const BenchReport& report) {
  fmt::print("{}: {}\n", report.device.device.name(), report.description);
  print_clocks(report);
  fmt::print("\n");

  std::vector<std::vector<std::string>> rows = {{"ceiling", "µs", "p10-p90", "GB/s", "Gop/s", "SM MHz", ""}};
  for (const Ceiling& each : report.ceilings) {
    if (!each.absent.empty()) {
      rows.push_back({each.name, "-", "-", "-", "-", "-", "not measured: " + each.absent});
      continue;
    }
    const Spread seconds = each.timed.seconds();
    rows.push_back({each.name, us(seconds.median), scatter(seconds), is_math(each) ? "-" : rate(each.rate()),
                    is_math(each) ? rate(each.rate()) : "-", clock(each.timed), each.how});
  }
  print_table(rows);
  fmt::print("\n");
  rows = {{"µs", "p10-p90", "GB/s", "Gop/s", "of ceiling", "bound by", "copy/time", "buffers", "SM MHz", "case"}};
  for (const CaseReport& each : report.cases) {
    const Spread seconds = each.run.seconds();
    const bench::Roofline roofline = bench::roofline(each, report.ceilings);
    rows.push_back({us(seconds.median), scatter(seconds), rate(static_cast<double>(each.bytes) / seconds.median),
                    each.ops == 0 ? "-" : rate(static_cast<double>(each.ops) / seconds.median),
                    fmt::format("{:.2f}", roofline.fraction), roofline.ceiling,
                    each.copy ? fmt::format("{:.2f}", each.copy->seconds().median / seconds.median) : "-",
                    fmt::format("{}", each.num_sets), clock(each.run), each.case_text});
  }
  print_table(rows);
  fmt::print("\n");
  rows = {{"host µs: launch", "run", "can_implement", "select", "from disk", "case"}};
  std::string no_select_from_disk;
  for (const CaseReport& each : report.cases) {
    const bench::HostCosts& host = each.host;
    rows.push_back({us(host.launch), us(host.run), us(host.can_implement), us(host.select), us(host.select_from_disk),
                    each.case_text});
    if (!host.select_from_disk) no_select_from_disk = host.no_select_from_disk;
  }
  print_table(rows);
  if (!no_select_from_disk.empty()) fmt::print("from disk: not measured: {}\n", no_select_from_disk);
}

}  // namespace

int bench(const BenchCommandOptions& options) {
  const Result<DeviceInfo> device = find_device(options.device);
  if (!device) return fail(device.error());
  const Result<Stream> stream = testing::make_stream(device->device);
  if (!stream) return fail(stream.error());
  const Result<std::vector<std::string>> cases = cases_to_run(options, *stream);
  if (!cases) return fail(cases.error());

  // Before the minutes that the rest may take.
  if (!options.json.empty())
    if (const auto can_write = testing::check_can_write(options.json); !can_write) return fail(can_write.error());

  const Result<BenchReport> report = [&] {
    ProgressBar bar;
    return bench::run_bench({.device = device->device, .cases = *cases, .seconds = options.seconds},
                            [&](double fraction, const std::string& what) { bar.show(fraction, what); });
  }();
  if (!report) return fail(report.error());
  print_report(*report);
  if (options.json.empty()) return kSuccess;
  const Result<void> written = testing::write_file(options.json, to_json(*report, options).dump(2) + "\n");
  return written ? kSuccess : fail(written.error());
}

}  // namespace baracuda::tools
