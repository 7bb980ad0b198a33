#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace baracuda::testing {

/// What a test or a measurement runs in a process of its own, which is this binary again: neither a forked copy, which
/// has no threads and may hold locks for ever, nor a second binary. At namespace scope:
///
///   int hold_lock(const ChildArguments& arguments) { … }
///   const RegisterChild kHoldLock("hold_lock", hold_lock);
using ChildArguments = std::vector<std::string>;
using ChildMain = int (*)(const ChildArguments&);
struct RegisterChild {
  RegisterChild(std::string name, ChildMain main);
};

/// A running child; killed at the end, if it is still there.
class Child {
 public:
  /// `environment` as in "NAME=value", added to this process's.
  Child(const std::string& name, const ChildArguments& arguments, const std::vector<std::string>& environment = {});
  ~Child() { kill(); }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}

  /// Its exit status, or minus the signal that ended it. One that is not done in time is killed: minus SIGKILL.
  int wait(std::chrono::seconds limit = std::chrono::seconds(120));
  void kill();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

/// For the main of the binary: --child NAME ARGUMENTS…
inline constexpr std::string_view kChildFlag = "--child";
int run_child(std::vector<std::string> name_and_arguments);

}  // namespace baracuda::testing
