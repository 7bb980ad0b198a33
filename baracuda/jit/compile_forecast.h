#pragma once

#include <map>
#include <mutex>
#include <string>

#include "baracuda/jit/kernel_spec.h"

namespace baracuda::jit {

class KernelStore;

/// Guesses how long compiles take, so that the long ones can be told of before they begin.
class CompileForecast {
 public:
  /// What the last kernel of the same op took in this process, else in the store's memory; by the text's size where
  /// nothing is known.
  double seconds(const KernelSpec& spec, KernelStore* store);
  void took(const KernelSpec& spec, double seconds);

 private:
  std::mutex mutex_;
  std::map<std::string, double, std::less<>> seconds_of_op_;
};

/// Tells stderr and the callback (jit.h), if it is expected to be a long compile.
void tell_of_long_compile(const KernelSpec& spec, double expected_seconds);

}  // namespace baracuda::jit
