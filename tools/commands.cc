#include "tools/commands.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "testing/machine.h"

namespace baracuda::tools {

int fail(std::string_view message, int status) {
  fmt::print(stderr, "baracuda: error: {}\n", message);
  return status;
}

int fail(const Error& error) {
  return fail(error.message, error.kind == ErrorKind::InvalidProblem ? kBadInput : kFailure);
}

Result<std::vector<const testing::Op*>> find_ops(const std::vector<std::string>& names) {
  std::vector<const testing::Op*> found;
  for (const std::string& name : names) {
    Result<const testing::Op*> op = find_op(name);
    if (!op) return op.error();
    found.push_back(*op);
  }
  if (names.empty()) found.assign(testing::ops().begin(), testing::ops().end());
  return found;
}

Result<std::vector<testing::ListedCase>> read_cases(const std::string& path) {
  return testing::read_case_list(path).transform_error(
      [](const Error& error) { return Error::invalid_problem(error.message); });
}

Result<DeviceInfo> find_device(const std::string& name) {
  if (name.empty()) return DeviceInfo::of(testing::default_device());
  return Device::parse(name).and_then([](Device device) { return DeviceInfo::of(device); });
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  }
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : separator).append(word);
  return text;
}

}  // namespace baracuda::tools
