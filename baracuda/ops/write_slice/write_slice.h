#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "baracuda/core/dims.h"
#include "baracuda/core/element.h"
#include "baracuda/core/export.h"
#include "baracuda/core/hash.h"
#include "baracuda/core/view.h"
#include "baracuda/plan/plan.h"

namespace baracuda {

/// dest[start:end, …] = source, in place: the window of `dest` takes the elements of `source`, every other byte of
/// `dest` keeps its value. Assignment, not accumulation; bits are moved, nothing is computed.
///
///   dest[start[0] + i0, start[1] + i1, …] = source[i0, i1, …]      for 0 ≤ i < end − start
///
/// dest      dest_shape       element   any strides that name each element once, negative ones too
/// source    end − start      element   any strides, zero ones too (broadcast)
///
/// Rank 1 to 8. Elements: every byte-wide kind, and S4, U4, whose strides and bounds count nibbles: rows are not padded
/// to bytes, the pointer is nibble 0, and a byte that the window only half covers keeps its other half. An empty window
/// succeeds without a launch. Workspace 0. Deterministic, bit-stable, the same bytes on CPU and GPU. Not
/// differentiable.
///
/// With `device_starts` the window's position is read, when the work runs, from an i64 array [rank] on the device, so
/// that a captured CUDA graph can write at a moving position; the extents are still end − start. If a position is
/// negative, or position + extent exceeds dest_shape, nothing at all is written to dest. The optional status is set to
/// 1 then and to 0 otherwise.
///
/// Errors of select: InvalidProblem (rank 0, ranks that differ, not 0 ≤ start ≤ end ≤ dest_shape, 2^63 bytes or
/// more), Unsupported (rank over 8, B1 and GGUF elements, a preference that cannot be met), Backend.
/// Errors of run, nothing written: InvalidProblem (a view's device or shape, a null pointer, a reach before the buffer
/// or outside the address space), Unsupported (a view's element), MisalignedOperand, BufferTooSmall; InvalidProblem
/// where dest overlaps itself, or any other view, by the byte ranges that the views reach (dest's is that of the whole
/// view, not of the window), and where device_starts or status is missing or forbidden; Unsupported (strides that need
/// a variant which the preference excludes).
/// Source: torch.Tensor.__setitem__, jax.lax.dynamic_update_slice (which clamps a position that does not fit; this
/// refuses it).
struct WriteSliceDescriptor {
  Element element = Element::F32;
  Dims dest_shape;
  Dims start;  ///< first index of the window per axis
  Dims end;    ///< one past the last index of the window per axis
  bool device_starts = false;

  friend bool operator==(const WriteSliceDescriptor&, const WriteSliceDescriptor&) = default;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, WriteSliceDescriptor>
void visit_fields(Self& descriptor, Visit&& visit) {
  visit("element", descriptor.element);
  visit("dest", descriptor.dest_shape);
  visit("start", descriptor.start);
  visit("end", descriptor.end);
  visit("device_starts", descriptor.device_starts);
}

/// The views of one run.
struct WriteSliceArgs {
  TensorMut dest;
  TensorRef source;
  std::optional<VectorRef> device_starts = {};  ///< i64 [rank]; present exactly if the descriptor says so
  std::optional<VectorMut> status = {};         ///< i32 [1]; only with device_starts
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, WriteSliceArgs>
void visit_fields(Self& args, Visit&& visit) {
  visit("dest", args.dest);
  visit("source", args.source);
  visit("device_starts", args.device_starts);
  visit("status", args.status);
}

/// Writes a source tensor into a window of a destination. See WriteSliceDescriptor.
class BARACUDA_API WriteSlicePlan {
 public:
  using Descriptor = WriteSliceDescriptor;
  using Args = WriteSliceArgs;
  static constexpr std::string_view kName = "write_slice";

  static Result<WriteSlicePlan> select(const Stream& stream, const Descriptor& descriptor,
                                       const PlanPreference& preference = {}) noexcept;
  static Result<PlanChoice> choose(const Descriptor& descriptor, const PlanPreference& preference,
                                   const DeviceInfo& device) noexcept;
  static Result<Explanation> explain(const Descriptor& descriptor, const PlanPreference& preference,
                                     const DeviceInfo& device) noexcept;
  static Result<Explanation> explain(const Stream& stream, const Descriptor& descriptor,
                                     const PlanPreference& preference = {}) noexcept;
  /// Compiles the kernels for `device`, which need not be present.
  static Result<CompileReport> compile(const Descriptor& descriptor, const PlanPreference& preference,
                                       const DeviceInfo& device) noexcept;

  const Descriptor& descriptor() const;
  Result<void> can_implement(const Args& args) const noexcept;
  std::int64_t workspace_size() const { return 0; }
  bool workspace_must_be_zero() const { return false; }
  /// The kernel for contiguous tensors.
  const KernelSku& sku() const;
  /// The kernel that these args run on.
  Result<KernelSku> sku(const Args& args) const noexcept;
  const PrecisionGuarantee& precision_guarantee() const { return sku().guarantee; }

  Result<void> run(const Stream& stream, const Workspace& workspace, const Args& args) const noexcept;

 private:
  struct BARACUDA_HIDDEN State;
  explicit WriteSlicePlan(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace baracuda

template <>
struct std::hash<baracuda::WriteSliceDescriptor> {
  std::size_t operator()(const baracuda::WriteSliceDescriptor& descriptor) const {
    return baracuda::hash_of(descriptor);
  }
};

static_assert(baracuda::Plan<baracuda::WriteSlicePlan>);
