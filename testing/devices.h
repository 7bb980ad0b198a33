#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "baracuda/core/device.h"
#include "baracuda/core/preference.h"
#include "baracuda/core/stream.h"

namespace baracuda::testing {

/// The devices that tests run on: the CPU and every usable GPU, or the one of --device.
const std::vector<Device>& test_devices();
/// The GPUs among them.
std::vector<Device> cuda_test_devices();

/// A device together with the code that runs on it: one CPU instruction set, or one arch class, forced.
struct TestTarget {
  Device device;
  PlanPreference preference;
  std::string name;  ///< "cpu_avx2", "cuda0_sm80": fit for a test's name
};

/// Every instruction set that this CPU runs, or every arch class that loads on this GPU; oldest first.
std::vector<TestTarget> targets_of(Device device);
/// targets_of each of test_devices().
std::vector<TestTarget> test_targets();

/// A new stream on the device.
Result<Stream> make_stream(Device device);

/// "cpu", "cuda0".
std::string test_name(Device device);
inline std::string test_name(const TestTarget& target) { return target.name; }

/// Names the tests of INSTANTIATE_TEST_SUITE_P(Devices, Suite, ValuesIn(test_devices()), NameOfParam()), and those over
/// test_targets(). A suite over something that only GPUs have also needs GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST.
struct NameOfParam {
  template <class TestParamInfo>
  std::string operator()(const TestParamInfo& info) const {
    return test_name(info.param);
  }
};

/// How gtest prints a parameter.
void PrintTo(const TestTarget& target, std::ostream* out);

}  // namespace baracuda::testing

namespace baracuda {
void PrintTo(const Device& device, std::ostream* out);
}  // namespace baracuda
