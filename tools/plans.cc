#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "testing/machine.h"
#include "tools/commands.h"

namespace baracuda::tools {
namespace {

constexpr Arch kArchs[] = {Arch::Cpu, Arch::Sm80, Arch::Sm89, Arch::Sm90a};

/// A sku and the classes of device that it is picked on.
struct SkuRow {
  const testing::Op* op;
  KernelSku sku;
  std::vector<std::string> devices;
};

std::vector<SkuRow> all_skus() {
  std::vector<SkuRow> rows;
  for (const testing::Op* op : testing::ops()) {
    std::unordered_map<KernelSku, std::size_t> places;
    for (Arch arch : kArchs) {
      for (const KernelSku& sku : op->skus(testing::typical_device(arch))) {
        const auto [place, is_new] = places.try_emplace(sku, rows.size());
        if (is_new) rows.push_back({op, sku, {}});
        rows[place->second].devices.emplace_back(name_of(arch));
      }
    }
  }
  return rows;
}

/// Skus that differ in element, output element, operator of a family, epilogue and arch alone.
struct SkuGroup {
  const testing::Op* op;
  std::string pattern;  // the sku's string with * for them
  std::vector<std::string> elements, outputs, devices;

  std::string elements_text() const {
    return join(elements, ", ") + (outputs.empty() ? "" : " → " + join(outputs, ", "));
  }
};

void add_new(std::vector<std::string>& words, const std::string& word) {
  if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
}

std::string pattern_of(const KernelSku& sku, bool op_has_epilogues) {
  std::vector<std::string> parts;
  std::string text = sku.to_string();
  for (std::size_t begin = 0, end; begin <= text.size(); begin = end + 1) {
    end = std::min(text.find('/', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
  }
  // op[.operator]/element[:aux][->output]/layout/epilogue/variant/arch/backend
  if (const std::size_t dot = parts[0].find('.'); dot != std::string::npos)
    parts[0].replace(dot + 1, std::string::npos, "*");
  parts[1].replace(0, std::string_view(name_of(sku.element)).size(), "*");
  if (sku.output_element) parts[1].replace(parts[1].find("->") + 2, std::string::npos, "*");
  if (op_has_epilogues) parts[3] = "*";
  parts[5] = "*";
  return join(parts, "/");
}

/// Devices with the same elements of a pattern share a row.
std::vector<SkuGroup> grouped(const std::vector<SkuRow>& skus) {
  std::vector<SkuGroup> per_device;
  for (const SkuRow& row : skus) {
    const bool has_epilogues = std::any_of(skus.begin(), skus.end(), [&](const SkuRow& other) {
      return other.op == row.op && !other.sku.epilogue.empty();
    });
    const std::string pattern = pattern_of(row.sku, has_epilogues);
    for (const std::string& device : row.devices) {
      auto same = [&](const SkuGroup& g) { return g.pattern == pattern && g.devices.front() == device; };
      auto group = std::find_if(per_device.begin(), per_device.end(), same);
      if (group == per_device.end()) group = per_device.insert(per_device.end(), {row.op, pattern, {}, {}, {device}});
      add_new(group->elements, name_of(row.sku.element));
      if (row.sku.output_element) add_new(group->outputs, name_of(*row.sku.output_element));
    }
  }
  std::vector<SkuGroup> groups;
  for (const SkuGroup& one : per_device) {
    auto same = [&](const SkuGroup& g) { return g.pattern == one.pattern && g.elements_text() == one.elements_text(); };
    auto group = std::find_if(groups.begin(), groups.end(), same);
    if (group == groups.end()) {
      groups.push_back(one);
    } else {
      group->devices.push_back(one.devices.front());
    }
  }
  // The devices of a pattern stand together.
  std::stable_sort(groups.begin(), groups.end(), [](const SkuGroup& a, const SkuGroup& b) {
    return std::pair(a.op->name(), a.pattern) < std::pair(b.op->name(), b.pattern);
  });
  return groups;
}

void print_json(const std::vector<SkuRow>& skus) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const SkuRow& row : skus)
    list.push_back({{"op", row.op->name()},
                    {"summary", row.op->summary()},
                    {"sku", row.sku.to_string()},
                    {"devices", row.devices},
                    {"element", name_of(row.sku.element)},
                    {"variant", row.sku.variant},
                    {"guarantee", row.sku.guarantee.to_string()}});
  fmt::print("{}\n", list.dump(2));
}

void print_markdown(const std::vector<SkuGroup>& groups) {
  fmt::print("| op | sku | elements | devices |\n|---|---|---|---|\n");
  for (const SkuGroup& group : groups)
    fmt::print("| {} | `{}` | {} | {} |\n", group.op->name(), group.pattern, group.elements_text(),
               join(group.devices, ", "));
}

void print_text(const std::vector<SkuGroup>& groups) {
  for (const testing::Op* op : testing::ops()) fmt::print("{}: {}\n", op->name(), op->summary());
  fmt::print("\n");
  std::vector<std::vector<std::string>> rows = {{"op", "sku", "devices", "elements"}};
  for (const SkuGroup& group : groups)
    rows.push_back({std::string(group.op->name()), group.pattern, join(group.devices, " "), group.elements_text()});
  print_table(rows);
}

int print_page(std::string_view name) {
  std::vector<std::string> names;
  for (const testing::Op* op : testing::ops()) {
    const std::string table = op->markdown_table();
    if (table.empty()) continue;
    if (op->name() == name) {
      fmt::print("{}", table);
      return kSuccess;
    }
    names.emplace_back(op->name());
  }
  return fail(fmt::format("--page is \"{}\", expected one of {}", name, join(names, ", ")), kBadInput);
}

}  // namespace

int plans(const PlansOptions& options) {
  if (!options.page.empty()) return print_page(options.page);
  const std::vector<SkuRow> skus = all_skus();
  if (options.json) {
    print_json(skus);
  } else if (options.markdown) {
    print_markdown(grouped(skus));
  } else {
    print_text(grouped(skus));
  }
  return kSuccess;
}

}  // namespace baracuda::tools
