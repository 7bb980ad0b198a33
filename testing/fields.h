#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "baracuda/core/hash.h"

namespace baracuda::testing {

/// Checks that every field of a value counts for == and for the hash. `changes` has a change for each name that
/// visit_fields lists; the base and all that it is changed to must be pairwise different.
template <class T>
void expect_every_field_counts(const T& base, const std::map<std::string, std::function<void(T&)>>& changes) {
  std::map<std::string, int> visits;
  visit_fields(base, [&](const char* name, const auto&) { ++visits[name]; });
  std::vector<std::pair<std::string, T>> values = {{"nothing", base}};
  for (const auto& [name, change] : changes) {
    EXPECT_EQ(visits[name], 1) << "visit_fields and field " << name;
    change(values.emplace_back(name, base).second);
  }
  EXPECT_EQ(visits.size(), changes.size()) << "a field has no change here";
  for (const auto& [name, value] : values) {
    for (const auto& [other_name, other] : values) {
      const bool same = name == other_name;
      EXPECT_EQ(value == other, same) << name << " and " << other_name;
      EXPECT_EQ(std::hash<T>()(value) == std::hash<T>()(other), same) << name << " and " << other_name;
    }
  }
}

}  // namespace baracuda::testing
