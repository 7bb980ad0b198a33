#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "baracuda/core/dims.h"
#include "baracuda/core/element.h"
#include "baracuda/core/export.h"
#include "baracuda/core/hash.h"
#include "baracuda/core/view.h"
#include "baracuda/ops/elementwise/elementwise_op.h"
#include "baracuda/plan/plan.h"

namespace baracuda {

/// "leaky_relu"; "invalid" for a value outside the enumeration.
BARACUDA_API std::string_view name_of(ElementwiseOp op);

/// output[i] = op(x[i], y[i], z[i]) for every index i of `shape`: one operator of the table in
/// docs/ops/elementwise.md, which gives each one's formula, inputs, elements, scalars and tolerance.
///
///   output    shape                  any strides that name each element once, negative ones too
///   x, y, z   as many as the operator takes. Each broadcasts to `shape`: aligned at the last axis, an extent is the
///             output's, or 1 or missing, which repeats the element along it. Any strides, zero ones too
///
/// Rank 0 to 8. The inputs have the descriptor's element, nothing is promoted: cast first. `where` selects y where x,
/// a bool, is true, else z. The output has that element too; predicates (eq, isnan, logical_and …) give bool, and cast
/// what `output` says, which is required there. A bool is read as "not 0" and written as 0 or 1.
///
/// Floats of 16 and 8 bits are computed in f32 and rounded once, to nearest even, past the greatest number to infinity
/// (f8e4m3 has none: NaN). Subnormals are kept. NaN passes through wherever a formula uses it; its sign and payload are
/// unspecified, but where moves bits. Integers wrap; a quotient by 0 is 0, and so is a
/// remainder; a shift by a negative count or by the width and more moves all bits out. A cast rounds once; from a float
/// to an integer it cuts to a whole number and saturates, NaN gives 0; to a narrower integer it keeps the low bits; to
/// bool it is "not 0".
///
/// An input may be the output itself: the same pointer, element size, shape and strides. Any other overlap with the
/// output is refused; inputs may overlap each other. An empty output succeeds without a launch. Workspace 0.
/// Deterministic, bit-stable, the same bits on CPU and GPU but for NaN.
///
/// Errors of select: InvalidProblem (a negative extent, 2^63 bytes or more, cast without an output element),
/// Unsupported (no such operator, an element that it does not take, an output element other than its own, rank over 8,
/// a preference that cannot be met), Backend.
/// Errors of run, nothing written: InvalidProblem (an input that is missing or forbidden, a scalar that the operator
/// does not have, or that is no whole number where it computes in integers, a view's device, a shape that does not
/// broadcast, a null pointer, a reach before the buffer or outside the address space, an output that overlaps itself
/// or, other than in place, an input), Unsupported (a view's element), MisalignedOperand, BufferTooSmall.
/// Source: torch, numpy and jax.numpy; where they differ the table follows torch, but for NaN, −0 and division by 0.
struct ElementwiseDescriptor {
  ElementwiseOp op = {};
  Element element = Element::F32;      ///< of the inputs, `where`'s condition apart
  std::optional<Element> output = {};  ///< absent: what the operator gives
  Dims shape = {};                     ///< of the output

  friend bool operator==(const ElementwiseDescriptor&, const ElementwiseDescriptor&) = default;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, ElementwiseDescriptor>
void visit_fields(Self& descriptor, Visit&& visit) {
  visit("op", descriptor.op);
  visit("element", descriptor.element);
  visit("output", descriptor.output);
  visit("shape", descriptor.shape);
}

/// The views and scalars of one run.
struct ElementwiseArgs {
  TensorMut output;
  TensorRef x;
  std::optional<TensorRef> y = {};
  std::optional<TensorRef> z = {};
  /// The operator's s0 and s1, where it has them; absent: the table's default. Rounded to the float that is computed
  /// in; for integers a whole number, which saturates, so that infinity is the greatest.
  std::array<std::optional<double>, 2> scalars = {};
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, ElementwiseArgs>
void visit_fields(Self& args, Visit&& visit) {
  visit("output", args.output);
  visit("x", args.x);
  visit("y", args.y);
  visit("z", args.z);
  visit("s0", args.scalars[0]);
  visit("s1", args.scalars[1]);
}

/// One elementwise operator over tensors that broadcast. See ElementwiseDescriptor.
class BARACUDA_API ElementwisePlan {
 public:
  using Descriptor = ElementwiseDescriptor;
  using Args = ElementwiseArgs;
  static constexpr std::string_view kName = "elementwise";

  static Result<ElementwisePlan> select(const Stream& stream, const Descriptor& descriptor,
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
  explicit ElementwisePlan(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace baracuda

template <>
struct std::hash<baracuda::ElementwiseDescriptor> {
  std::size_t operator()(const baracuda::ElementwiseDescriptor& descriptor) const {
    return baracuda::hash_of(descriptor);
  }
};

static_assert(baracuda::Plan<baracuda::ElementwisePlan>);
