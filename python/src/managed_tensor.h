#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "baracuda/capi/dlpack/dlpack.h"

namespace baracuda::python {

/// What messages call an argument: "WriteSlice: dest".
struct ArgName {
  const char* plan;
  const char* arg;
};

/// Where a plan runs: a GPU, and the stream that its work goes to; without an ordinal the CPU.
struct RunsOn {
  std::optional<int> ordinal;
  std::uintptr_t cuda_stream = 0;
};

/// A tensor that its producer lent, by either form of DLPack's capsule, and that is given back when this goes. With the
/// GIL, always.
class ManagedTensor {
 public:
  /// Asks `object` for its memory, through __dlpack__. A tensor of the plan's GPU comes ready on the plan's stream: its
  /// producer makes that wait for its own. Managed memory that the CPU is to use is waited for. Raises TypeError where
  /// `object` is no tensor, InvalidProblem where it is on another GPU, or `written` and read-only, and what the
  /// producer raises.
  static ManagedTensor borrow(ArgName name, nanobind::handle object, bool written, const RunsOn& place);

  ManagedTensor() = default;
  ManagedTensor(ManagedTensor&& other) noexcept
      : legacy_(std::exchange(other.legacy_, nullptr)), versioned_(std::exchange(other.versioned_, nullptr)) {}
  ManagedTensor& operator=(ManagedTensor&& other) noexcept {
    std::swap(legacy_, other.legacy_);
    std::swap(versioned_, other.versioned_);
    return *this;
  }
  ~ManagedTensor();

  const DLTensor& tensor() const { return versioned_ ? versioned_->dl_tensor : legacy_->dl_tensor; }

 private:
  bool has_flag(std::uint64_t flag) const { return versioned_ && (versioned_->flags & flag); }

  DLManagedTensor* legacy_ = nullptr;
  DLManagedTensorVersioned* versioned_ = nullptr;
};

}  // namespace baracuda::python
