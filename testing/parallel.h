#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "baracuda/core/result.h"

namespace baracuda::testing {

/// What `f(value)`, a Result, says of each, in their order, on as many threads as the machine has. What a call throws
/// is its error, in the name of `what` is done.
template <class T, class F>
auto for_each_in_parallel(std::string_view what, std::span<const T> values, F&& f) {
  using Answer = decltype(f(values[0]));
  std::vector<Answer> answers(values.size(), Answer(Error()));
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < values.size(); i = next++) {
      try {
        answers[i] = f(values[i]);
      } catch (...) {
        answers[i] = baracuda::internal::thrown_error(what);
      }
    }
  };
  std::vector<std::jthread> workers;
  for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) workers.emplace_back(work);
  work();
  workers.clear();
  return answers;
}

}  // namespace baracuda::testing
