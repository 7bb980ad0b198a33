#pragma once

#include <nanobind/nanobind.h>

#include <utility>

#include "baracuda/capi/dlpack/dlpack.h"

namespace baracuda::python {

/// What messages call an argument: "WriteSlice: dest".
struct ArgName {
  const char* plan;
  const char* arg;
};

/// A tensor that its producer lent, by either form of DLPack's capsule, and that is given back when this goes. With the
/// GIL, always.
class ManagedTensor {
 public:
  /// Asks `object` for its memory, through __dlpack__. Where the plan runs `on_cuda`, work on the tensor is enqueued on
  /// `cuda_stream`: the
  /// producer makes that stream wait for its own. Raises TypeError where `object` is no tensor, InvalidProblem where it
  /// is read-only and `written`, and what the producer raises.
  static ManagedTensor borrow(ArgName name, nanobind::handle object, bool written, bool on_cuda,
                              std::uintptr_t cuda_stream);

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
