"""A class for each op. Printed by tools/bindings/python.py, for `make bindings`."""

# fmt: off

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, Literal, TypeAlias

from ._plan import Call, Plan, Tensor, element_number, enum_number, set_bits
from ._streams import StreamLike

__all__ = [
    "Preference",
    "Dequantize",
    "DynamicRangeQuantize",
    "Elementwise",
    "FakeQuantize",
    "FakeQuantizeBackward",
    "KvCacheAppend",
    "Quantize",
    "QuantizedLinear",
    "WriteSlice",
]

Determinism: TypeAlias = Literal[
    "any", "run_to_run", "batch_invariant", "matches_cpu"
]

Backend: TypeAlias = Literal[
    "bespoke", "cublas", "cudnn", "onednn", "driver"
]

Arch: TypeAlias = Literal[
    "cpu", "sm80", "sm89", "sm90a"
]

CpuTarget: TypeAlias = Literal[
    "scalar", "avx2", "avx512", "avx512_vnni"
]

Element: TypeAlias = Literal[
    "f16", "bf16", "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "bool", "f8e4m3", "f8e5m2",
    "complex64", "complex128", "s4", "u4", "b1", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k",
    "q6_k", "q8_k", "iq4_nl", "iq4_xs", "mxfp4"
]

QuantizationGranularity: TypeAlias = Literal[
    "per_tensor", "per_channel", "per_token", "per_group"
]

KvCacheLayout: TypeAlias = Literal[
    "contiguous", "paged"
]

Activation: TypeAlias = Literal[
    "identity", "relu", "gelu", "silu"
]

ElementLike: TypeAlias = Element | Any  # a dtype, too

ElementwiseOp: TypeAlias = Literal[
    "abs", "neg", "sign", "square", "reciprocal", "sqrt", "rsqrt", "floor", "ceil", "trunc", "round", "frac",
    "bitwise_not", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "isnan", "isinf", "isposinf", "isneginf",
    "isfinite", "signbit", "logical_not", "relu", "relu6", "hardsigmoid", "hardswish", "softsign", "sigmoid",
    "log_sigmoid", "silu", "gelu", "gelu_tanh", "mish", "selu", "tanhshrink", "elu", "celu", "softplus", "leaky_relu",
    "hardtanh", "hardshrink", "softshrink", "threshold", "clamp", "affine", "add", "sub", "mul", "div", "floor_divide",
    "remainder", "fmod", "minimum", "maximum", "fmin", "fmax", "squared_difference", "pow", "atan2", "hypot",
    "logaddexp", "xlogy", "copysign", "heaviside", "bitwise_and", "bitwise_or", "bitwise_xor", "shift_left",
    "shift_right", "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "where", "lerp",
    "addcmul", "cast"
]

DETERMINISM = {
    "any": 0,
    "run_to_run": 1,
    "batch_invariant": 2,
    "matches_cpu": 3,
}

BACKEND = {
    "bespoke": 0,
    "cublas": 1,
    "cudnn": 2,
    "onednn": 3,
    "driver": 4,
}

ARCH = {
    "cpu": 0,
    "sm80": 1,
    "sm89": 2,
    "sm90a": 3,
}

CPU_TARGET = {
    "scalar": 0,
    "avx2": 1,
    "avx512": 2,
    "avx512_vnni": 3,
}

ELEMENT = {
    "f16": 0,
    "bf16": 1,
    "f32": 2,
    "f64": 3,
    "i8": 4,
    "i16": 5,
    "i32": 6,
    "i64": 7,
    "u8": 8,
    "u16": 9,
    "u32": 10,
    "u64": 11,
    "bool": 12,
    "f8e4m3": 13,
    "f8e5m2": 14,
    "complex64": 15,
    "complex128": 16,
    "s4": 17,
    "u4": 18,
    "b1": 19,
    "q4_0": 32,
    "q4_1": 33,
    "q5_0": 34,
    "q5_1": 35,
    "q8_0": 36,
    "q2_k": 37,
    "q3_k": 38,
    "q4_k": 39,
    "q5_k": 40,
    "q6_k": 41,
    "q8_k": 42,
    "iq4_nl": 43,
    "iq4_xs": 44,
    "mxfp4": 45,
}

QUANTIZATION_GRANULARITY = {
    "per_tensor": 0,
    "per_channel": 1,
    "per_token": 2,
    "per_group": 3,
}

KV_CACHE_LAYOUT = {
    "contiguous": 0,
    "paged": 1,
}

ACTIVATION = {
    "identity": 0,
    "relu": 1,
    "gelu": 2,
    "silu": 3,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preference:
    """What a caller demands of the choice. What cannot be met is an Unsupported error, never a silent fall-back.

    - max_workspace_bytes: unset: the plan's own default
    - force_arch: an older class than the device's runs on it too
    - exclude_archs: the newest class left is taken
    - autotune: Time the candidates that qualify and keep the fastest; a single one is taken untimed. Unsupported by
      plans that cannot.
    """

    determinism: Determinism = "any"
    max_workspace_bytes: int | None = None
    force_backend: Backend | None = None
    exclude_backends: Collection[Backend] = ()
    force_arch: Arch | None = None
    exclude_archs: Collection[Arch] = ()
    force_cpu_target: CpuTarget | None = None
    autotune: bool = False

    def _members(self) -> tuple[Any, ...]:
        return (
            enum_number("Preference: determinism", DETERMINISM, self.determinism),
            self.max_workspace_bytes,
            enum_number("Preference: force_backend", BACKEND, self.force_backend),
            set_bits("Preference: exclude_backends", BACKEND, self.exclude_backends),
            enum_number("Preference: force_arch", ARCH, self.force_arch),
            set_bits("Preference: exclude_archs", ARCH, self.exclude_archs),
            enum_number("Preference: force_cpu_target", CPU_TARGET, self.force_cpu_target),
            self.autotune,
        )


def demands(owner: str, preference: Preference | None) -> tuple[Any, ...]:
    """The values of a preference's members."""
    if not isinstance(preference, Preference | None):
        raise TypeError(f"{owner}: preference must be a Preference, not {preference!r}")
    return (preference or Preference())._members()


class Dequantize(Plan):
    """Integers of 8 or 4 bits to floating point.

      x = f32(q − zero_point) · scale

    q           shape                 i8 | u8 | s4 | u4           any strides, zero and negative ones too
    scale       as granularity says   f32 (f64 for f64)           stride 1
    zero_point  as scale              i32 | i8 | u8               stride 1, only with zero_point_element
    x           shape                 f32 | f64 | f16 | bf16      any strides that name each element once

    The difference is exact and then rounded to f32 (f64 for f64), where it is not exact only past 2^24. The product is
    rounded in f32 (f64), and once more to an x of f16 or bf16. Scales are taken as they are, NaN and negative ones too.

    Rank 1 to 8. S4 and U4 are packed: strides count nibbles, rows are not padded to bytes, the pointer is nibble 0.
    Without elements nothing is launched. Workspace 0. Deterministic, bit-stable, the same bits on CPU and GPU, but for
    a NaN's sign and payload.

    Errors of select: InvalidProblem (rank 0, a negative extent, 2^63 bytes or more, an axis that there is none of, a
    group_size that does not divide the last axis, axis or group_size where the granularity has none),
    Unsupported (rank over 8, elements, a preference that cannot be met), Backend.
    Errors of run, nothing written: InvalidProblem (a view's device, shape or length, a null pointer, a reach before the
    buffer, a zero_point missing or forbidden, an output that overlaps itself or, by the byte ranges that the views
    reach, an input), Unsupported (a view's element; strides that need a variant which the preference excludes),
    MisalignedOperand, BufferTooSmall.
    Source: torch.dequantize, ONNX DequantizeLinear.

    Fields. Unset is None, and an enumerator its name: PerChannel is "per_channel", I8 is "i8".
    - element: x's
    - q_element: I8, U8, S4 or U4
    - axis: PerChannel: 0 … rank − 1; else 0
    - group_size: PerGroup: elements; else 0
    - zero_point_element: I32, or I8 or U8; unset: symmetric, there is no zero_point, it is 0.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        element: ElementLike = "f32",
        shape: Sequence[int],
        q_element: ElementLike = "i8",
        granularity: QuantizationGranularity = "per_tensor",
        axis: int = 0,
        group_size: int = 0,
        zero_point_element: ElementLike | None = None,
        device: Any = "cpu",
        num_threads: int = 0,
        preference: Preference | None = None,
    ) -> None:
        fields = (
            element_number("Dequantize: element", ELEMENT, element),
            shape,
            element_number("Dequantize: q_element", ELEMENT, q_element),
            enum_number("Dequantize: granularity", QUANTIZATION_GRANULARITY, granularity),
            axis,
            group_size,
            element_number("Dequantize: zero_point_element", ELEMENT, zero_point_element),
        )
        self._select("dequantize", fields, device, num_threads, demands("Dequantize", preference))

    def bind(
        self,
        *,
        q: Tensor,
        scale: Tensor,
        x: Tensor,
        zero_point: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> Call:
        """The plan with its tensors, to be called as often as wanted. Written: x.

        - zero_point: present exactly if the descriptor says so
        """
        return self._bind((q, scale, zero_point, x), workspace, stream)

    def __call__(
        self,
        *,
        q: Tensor,
        scale: Tensor,
        x: Tensor,
        zero_point: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> None:
        """One run of it. The arguments are those of `bind`."""
        self._bind((q, scale, zero_point, x), workspace, stream)()


class DynamicRangeQuantize(Plan):
    """Quantizes each row of x to 8-bit integers, with a scale, and a zero point where asymmetric, that fit the row's
    values. The rows run along the last axis; rows are counted over all axes before it, in row-major order.

      symmetric    scale = max|x| / q_max                                          zero_point = 0
      asymmetric   scale = (max(x, 0) − min(x, 0)) / (q_max − q_min)               with the row's greatest and least x
                   zero_point = clamp(q_min − round(min(x, 0) / scale), q_min, q_max)
      both         scale = 1 where the quotient is 0
                   q = clamp(round(x / scale) + zero_point, q_min, q_max)

    x             shape                      f32 | f64 | f16 | bf16   any strides, zero and negative ones too
    q             shape                      s8 | u8                  any strides that name each element once
    scale         [product of all axes       f32 (f64 for f64)
                  but the last]
    zero_point    as scale                   i32                      required where asymmetric, else optional

    Rank 1 to 8. Each step is rounded once, in the stated order, in f32 (f64 for f64); division is true division, round
    goes half to even, subnormals are not flushed. A row with NaN or ±inf gets scale NaN and 0, clamped to q_min …
    q_max, for every q and for the asymmetric zero point, so that it dequantizes to NaN; it touches no other row. A
    finite row whose range passes the greatest number of the format has an infinite asymmetric scale. Rows without
    elements have scale 1. Without rows nothing is launched. Workspace 0. Deterministic, bit-stable, the same bits on
    CPU and GPU.

    Errors of select: InvalidProblem (rank 0, a negative extent, 2^63 bytes or more, a range that is not within q's
    element, symmetric: not q_max > 0 and q_min ≤ q_max, asymmetric: not q_min < q_max), Unsupported (rank over 8,
    elements, a preference that cannot be met), Backend.
    Errors of run, nothing written: InvalidProblem (a view's device, shape or length, a null pointer, a reach before the
    buffer, a missing zero_point, a q that overlaps itself, an output that overlaps any other view by the byte ranges
    that the views reach), Unsupported (a view's element), MisalignedOperand, BufferTooSmall; Unsupported (strides that
    need a variant which the preference excludes).
    Source: torch.ao.quantization's dynamic qparams (per row), ONNX DynamicQuantizeLinear (per tensor).

    Fields. Unset is None, and an enumerator its name: PerChannel is "per_channel", I8 is "i8".
    - element: x's
    - output_element: q's: I8 or U8
    - q_min: unset: s8 −127 where symmetric, −128 where not; u8 0
    - q_max: unset: s8 127, u8 255
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        element: ElementLike = "f32",
        shape: Sequence[int],
        output_element: ElementLike = "i8",
        symmetric: bool = True,
        q_min: int | None = None,
        q_max: int | None = None,
        device: Any = "cpu",
        num_threads: int = 0,
        preference: Preference | None = None,
    ) -> None:
        fields = (
            element_number("DynamicRangeQuantize: element", ELEMENT, element),
            shape,
            element_number("DynamicRangeQuantize: output_element", ELEMENT, output_element),
            symmetric,
            q_min,
            q_max,
        )
        self._select("dynamic_range_quantize", fields, device, num_threads, demands("DynamicRangeQuantize", preference))

    def bind(
        self,
        *,
        x: Tensor,
        q: Tensor,
        scale: Tensor,
        zero_point: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> Call:
        """The plan with its tensors, to be called as often as wanted. Written: q, scale, zero_point.
        """
        return self._bind((x, q, scale, zero_point), workspace, stream)

    def __call__(
        self,
        *,
        x: Tensor,
        q: Tensor,
        scale: Tensor,
        zero_point: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> None:
        """One run of it. The arguments are those of `bind`."""
        self._bind((x, q, scale, zero_point), workspace, stream)()


class Elementwise(Plan):
    """output[i] = op(x[i], y[i], z[i]) for every index i of `shape`: one operator of the table in
    docs/ops/elementwise.md, which gives each one's formula, inputs, elements, scalars and tolerance.

      output    shape                  any strides that name each element once, negative ones too
      x, y, z   as many as the operator takes. Each broadcasts to `shape`: aligned at the last axis, an extent is the
                output's, or 1 or missing, which repeats the element along it. Any strides, zero ones too

    Rank 0 to 8. The inputs have the descriptor's element, nothing is promoted: cast first. `where` selects y where x,
    a bool, is true, else z. The output has that element too; predicates (eq, isnan, logical_and …) give bool, and cast
    what `output` says, which is required there. A bool is read as "not 0" and written as 0 or 1.

    Floats of 16 and 8 bits are computed in f32 and rounded once, to nearest even, past the greatest number to infinity
    (f8e4m3 has none: NaN). Subnormals are kept. NaN passes through wherever a formula uses it; its sign and payload are
    unspecified, but where moves bits. Integers wrap; a quotient by 0 is 0, and so is a
    remainder; a shift by a negative count or by the width and more moves all bits out. A cast rounds once; from a float
    to an integer it cuts to a whole number and saturates, NaN gives 0; to a narrower integer it keeps the low bits; to
    bool it is "not 0".

    An input may be the output itself: the same pointer, element size, shape and strides. Any other overlap with the
    output is refused; inputs may overlap each other. An empty output succeeds without a launch. Workspace 0.
    Deterministic, bit-stable, the same bits on CPU and GPU but for NaN.

    Errors of select: InvalidProblem (a negative extent, 2^63 bytes or more, cast without an output element),
    Unsupported (no such operator, an element that it does not take, an output element other than its own, rank over 8,
    a preference that cannot be met), Backend.
    Errors of run, nothing written: InvalidProblem (an input that is missing or forbidden, a scalar that the operator
    does not have, or that is no whole number where it computes in integers, a view's device, a shape that does not
    broadcast, a null pointer, a reach before the buffer or outside the address space, an output that overlaps itself
    or, other than in place, an input), Unsupported (a view's element), MisalignedOperand, BufferTooSmall.
    Source: torch, numpy and jax.numpy; where they differ the table follows torch, but for NaN, −0 and division by 0.

    Fields. Unset is None, and an enumerator its name: PerChannel is "per_channel", I8 is "i8".
    - element: of the inputs, `where`'s condition apart
    - output: absent: what the operator gives
    - shape: of the output
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        op: ElementwiseOp,
        element: ElementLike = "f32",
        output: ElementLike | None = None,
        shape: Sequence[int],
        device: Any = "cpu",
        num_threads: int = 0,
        preference: Preference | None = None,
    ) -> None:
        fields = (
            op,
            element_number("Elementwise: element", ELEMENT, element),
            element_number("Elementwise: output", ELEMENT, output),
            shape,
        )
        self._select("elementwise", fields, device, num_threads, demands("Elementwise", preference))

    def bind(
        self,
        *,
        output: Tensor,
        x: Tensor,
        y: Tensor | None = None,
        z: Tensor | None = None,
        s0: float | None = None,
        s1: float | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> Call:
        """The plan with its tensors, to be called as often as wanted. Written: output.
        """
        return self._bind((output, x, y, z, s0, s1), workspace, stream)

    def __call__(
        self,
        *,
        output: Tensor,
        x: Tensor,
        y: Tensor | None = None,
        z: Tensor | None = None,
        s0: float | None = None,
        s1: float | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> None:
        """One run of it. The arguments are those of `bind`."""
        self._bind((output, x, y, z, s0, s1), workspace, stream)()


class FakeQuantize(Plan):
    """What QuantizePlan and DequantizePlan make of x one after the other, without the integers: for training with the
    error that quantization will bring.

      q = clamp(round_half_even(x / scale) + zero_point, q_min, q_max)
      y = f32(q − zero_point) · scale

    x           shape                 f32 | f64 | f16 | bf16      any strides, zero and negative ones too
    scale       as granularity says   f32 (f64 for f64)           stride 1
    zero_point  as scale              i32 | i8 | u8               stride 1, only with zero_point_element
    y           shape                 as x                        any strides that name each element once

    Every rule of the two plans holds: NaN gives what the zero point stands for, 0 where that is in the range.

    Rank 1 to 8. S4 and U4 give the range alone; no view is packed.
    Without elements nothing is launched. Workspace 0. Deterministic, bit-stable, the same bits on CPU and GPU, but for
    a NaN's sign and payload.

    Errors of select: InvalidProblem (rank 0, a negative extent, 2^63 bytes or more, an axis that there is none of, a
    group_size that does not divide the last axis, axis or group_size where the granularity has none, a range that
    is not q_min ≤ q_max within q_element),
    Unsupported (rank over 8, elements, a preference that cannot be met), Backend.
    Errors of run, nothing written: InvalidProblem (a view's device, shape or length, a null pointer, a reach before the
    buffer, a zero_point missing or forbidden, an output that overlaps itself or, by the byte ranges that the views
    reach, an input), Unsupported (a view's element; strides that need a variant which the preference excludes),
    MisalignedOperand, BufferTooSmall.
    Source: torch.fake_quantize_per_tensor_affine, torch.fake_quantize_per_channel_affine.

    Fields. Unset is None, and an enumerator its name: PerChannel is "per_channel", I8 is "i8".
    - element: x's
    - q_element: I8, U8, S4 or U4
    - axis: PerChannel: 0 … rank − 1; else 0
    - group_size: PerGroup: elements; else 0
    - zero_point_element: I32, or I8 or U8; unset: symmetric, there is no zero_point, it is 0.
    - q_min: unset: the least value of q_element, −128, 0, −8 or 0
    - q_max: unset: the greatest, 127, 255, 7 or 15
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        element: ElementLike = "f32",
        shape: Sequence[int],
        q_element: ElementLike = "i8",
        granularity: QuantizationGranularity = "per_tensor",
        axis: int = 0,
        group_size: int = 0,
        zero_point_element: ElementLike | None = None,
        q_min: int | None = None,
        q_max: int | None = None,
        device: Any = "cpu",
        num_threads: int = 0,
        preference: Preference | None = None,
    ) -> None:
        fields = (
            element_number("FakeQuantize: element", ELEMENT, element),
            shape,
            element_number("FakeQuantize: q_element", ELEMENT, q_element),
            enum_number("FakeQuantize: granularity", QUANTIZATION_GRANULARITY, granularity),
            axis,
            group_size,
            element_number("FakeQuantize: zero_point_element", ELEMENT, zero_point_element),
            q_min,
            q_max,
        )
        self._select("fake_quantize", fields, device, num_threads, demands("FakeQuantize", preference))

    def bind(
        self,
        *,
        x: Tensor,
        scale: Tensor,
        y: Tensor,
        zero_point: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> Call:
        """The plan with its tensors, to be called as often as wanted. Written: y.

        - zero_point: present exactly if the descriptor says so
        """
        return self._bind((x, scale, zero_point, y), workspace, stream)

    def __call__(
        self,
        *,
        x: Tensor,
        scale: Tensor,
        y: Tensor,
        zero_point: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> None:
        """One run of it. The arguments are those of `bind`."""
        self._bind((x, scale, zero_point, y), workspace, stream)()


class FakeQuantizeBackward(Plan):
    """The gradient of FakeQuantizePlan by the straight-through estimator: passed where x was not clamped.

      dx = dy   where q_min ≤ round_half_even(x / scale) + zero_point ≤ q_max
           0    elsewhere

    x, dy       shape                 f32 | f64 | f16 | bf16      any strides, zero and negative ones too
    scale       as granularity says   f32 (f64 for f64)           stride 1
    zero_point  as scale              i32 | i8 | u8               stride 1, only with zero_point_element
    dx          shape                 as x                        any strides that name each element once

    The sum is as in QuantizePlan, but scales are taken as they are: a quotient that is NaN lies in no range. dy is
    moved, not multiplied: its NaN and infinities do not reach a dx that is 0.

    Rank 1 to 8. S4 and U4 give the range alone; no view is packed.
    Without elements nothing is launched. Workspace 0. Deterministic, bit-stable, the same bits on CPU and GPU, but for
    a NaN's sign and payload.

    Errors of select: InvalidProblem (rank 0, a negative extent, 2^63 bytes or more, an axis that there is none of, a
    group_size that does not divide the last axis, axis or group_size where the granularity has none, a range that
    is not q_min ≤ q_max within q_element),
    Unsupported (rank over 8, elements, a preference that cannot be met), Backend.
    Errors of run, nothing written: InvalidProblem (a view's device, shape or length, a null pointer, a reach before the
    buffer, a zero_point missing or forbidden, an output that overlaps itself or, by the byte ranges that the views
    reach, an input), Unsupported (a view's element; strides that need a variant which the preference excludes),
    MisalignedOperand, BufferTooSmall.
    Source: torch.fake_quantize_per_tensor_affine_cachemask and its backward.

    Fields. Unset is None, and an enumerator its name: PerChannel is "per_channel", I8 is "i8".
    - element: x's
    - q_element: I8, U8, S4 or U4
    - axis: PerChannel: 0 … rank − 1; else 0
    - group_size: PerGroup: elements; else 0
    - zero_point_element: I32, or I8 or U8; unset: symmetric, there is no zero_point, it is 0.
    - q_min: unset: the least value of q_element, −128, 0, −8 or 0
    - q_max: unset: the greatest, 127, 255, 7 or 15
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        element: ElementLike = "f32",
        shape: Sequence[int],
        q_element: ElementLike = "i8",
        granularity: QuantizationGranularity = "per_tensor",
        axis: int = 0,
        group_size: int = 0,
        zero_point_element: ElementLike | None = None,
        q_min: int | None = None,
        q_max: int | None = None,
        device: Any = "cpu",
        num_threads: int = 0,
        preference: Preference | None = None,
    ) -> None:
        fields = (
            element_number("FakeQuantizeBackward: element", ELEMENT, element),
            shape,
            element_number("FakeQuantizeBackward: q_element", ELEMENT, q_element),
            enum_number("FakeQuantizeBackward: granularity", QUANTIZATION_GRANULARITY, granularity),
            axis,
            group_size,
            element_number("FakeQuantizeBackward: zero_point_element", ELEMENT, zero_point_element),
            q_min,
            q_max,
        )
        self._select("fake_quantize_backward", fields, device, num_threads, demands("FakeQuantizeBackward", preference))

    def bind(
        self,
        *,
        x: Tensor,
        dy: Tensor,
        scale: Tensor,
        dx: Tensor,
        zero_point: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> Call:
        """The plan with its tensors, to be called as often as wanted. Written: dx.

        - zero_point: present exactly if the descriptor says so
        """
        return self._bind((x, dy, scale, zero_point, dx), workspace, stream)

    def __call__(
        self,
        *,
        x: Tensor,
        dy: Tensor,
        scale: Tensor,
        dx: Tensor,
        zero_point: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> None:
        """One run of it. The arguments are those of `bind`."""
        self._bind((x, dy, scale, zero_point, dx), workspace, stream)()


class KvCacheAppend(Plan):
    """Appends the keys and values of new tokens, all heads, to their caches in one launch. Bits are moved, nothing is
    computed.

    Contiguous, for each sequence b, token t < num_tokens, head h:
      k_cache[b, positions[b] + t, h, :] = k[b, t, h, :]            v likewise
      k, v               [num_sequences, num_tokens, num_kv_heads, head_dim]
      k_cache, v_cache   [num_sequences, max_seq_len, num_kv_heads, head_dim]
      positions          [num_sequences]  i64

    Paged, for each token t and head h:
      k_cache[slot / page_size, slot % page_size, h, :] = k[t, h, :]  with slot = slot_mapping[t]; v likewise
      k, v               [num_tokens, num_kv_heads, head_dim]
      k_cache, v_cache   [num_pages, page_size, num_kv_heads, head_dim]
      slot_mapping       [num_tokens]     i64

    These are logical shapes: strides are free but for the innermost, which is 1, so heads may lie outside tokens or
    pages. head_dim is k_head_dim for k and v_head_dim for v. Elements: every byte-wide kind, the same for all four.
    The two caches may interleave in one allocation where they have the same shape and strides.

    Positions and slots are read on the device when the work runs, so a captured CUDA graph appends where they then say.
    −1 skips the sequence or token. Another position that does not fit (position + num_tokens > max_seq_len), or another
    slot outside the cache, is skipped too, and the optional status is set to 1; it is 0 otherwise. Two tokens with the
    same slot leave a mix of both there. Workspace 0. For
    distinct slots, what the guarantee claims holds: deterministic, bit-stable, the same bytes on CPU and GPU.

    Errors of select: InvalidProblem (a negative size, num_tokens > max_seq_len, sizes of the other layout that are not
    0, 2^63 bytes or slots), Unsupported (packed and GGUF elements, a preference that cannot be met), Backend.
    Errors of run, nothing written: InvalidProblem (a view's device or shape, a null pointer, a reach before the buffer
    or outside the address space), Unsupported (a view's element), MisalignedOperand, BufferTooSmall; Unsupported (an
    innermost stride other than 1); InvalidProblem (overlap).
    Source: Kwon et al., PagedAttention, arXiv:2309.06180 (slot mapping).

    Fields. Unset is None, and an enumerator its name: PerChannel is "per_channel", I8 is "i8".
    - num_tokens: Contiguous: new tokens of each sequence; Paged: of all sequences together
    - num_sequences: Contiguous
    - max_seq_len: Contiguous
    - num_pages: Paged
    - page_size: Paged: tokens a page
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        element: ElementLike = "f16",
        layout: KvCacheLayout = "contiguous",
        num_tokens: int = 0,
        num_kv_heads: int = 0,
        k_head_dim: int = 0,
        v_head_dim: int = 0,
        num_sequences: int = 0,
        max_seq_len: int = 0,
        num_pages: int = 0,
        page_size: int = 0,
        device: Any = "cpu",
        num_threads: int = 0,
        preference: Preference | None = None,
    ) -> None:
        fields = (
            element_number("KvCacheAppend: element", ELEMENT, element),
            enum_number("KvCacheAppend: layout", KV_CACHE_LAYOUT, layout),
            num_tokens,
            num_kv_heads,
            k_head_dim,
            v_head_dim,
            num_sequences,
            max_seq_len,
            num_pages,
            page_size,
        )
        self._select("kv_cache_append", fields, device, num_threads, demands("KvCacheAppend", preference))

    def bind(
        self,
        *,
        k: Tensor,
        v: Tensor,
        k_cache: Tensor,
        v_cache: Tensor,
        positions: Tensor,
        status: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> Call:
        """The plan with its tensors, to be called as often as wanted. Written: k_cache, v_cache, status.

        - positions: i64: `positions` or `slot_mapping`
        - status: i32 [1]
        """
        return self._bind((k, v, k_cache, v_cache, positions, status), workspace, stream)

    def __call__(
        self,
        *,
        k: Tensor,
        v: Tensor,
        k_cache: Tensor,
        v_cache: Tensor,
        positions: Tensor,
        status: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> None:
        """One run of it. The arguments are those of `bind`."""
        self._bind((k, v, k_cache, v_cache, positions, status), workspace, stream)()


class Quantize(Plan):
    """Floating point to integers of 8 or 4 bits, with scales that are given.

      q = clamp(round_half_even(x / scale) + zero_point, q_min, q_max)

    x           shape                 f32 | f64 | f16 | bf16      any strides, zero and negative ones too
    scale       as granularity says   f32 (f64 for f64)           stride 1
    zero_point  as scale              i32 | i8 | u8               stride 1, only with zero_point_element
    q           shape                 i8 | u8 | s4 | u4           any strides that name each element once

    x / scale is a true division, rounded once in f32 (f64 for f64); the sum is exact, whatever the zero point. NaN is
    quantized as 0 is, to the zero point, clamped into the range; so is all that has a scale which is not positive and
    finite.

    Rank 1 to 8. S4 and U4 are packed: strides count nibbles, rows are not padded to bytes, the pointer is nibble 0, and
    a byte that q only half covers keeps its other half.
    Without elements nothing is launched. Workspace 0. Deterministic, bit-stable, the same bits on CPU and GPU, but for
    a NaN's sign and payload.

    Errors of select: InvalidProblem (rank 0, a negative extent, 2^63 bytes or more, an axis that there is none of, a
    group_size that does not divide the last axis, axis or group_size where the granularity has none, a range that
    is not q_min ≤ q_max within q_element),
    Unsupported (rank over 8, elements, a preference that cannot be met), Backend.
    Errors of run, nothing written: InvalidProblem (a view's device, shape or length, a null pointer, a reach before the
    buffer, a zero_point missing or forbidden, an output that overlaps itself or, by the byte ranges that the views
    reach, an input), Unsupported (a view's element; strides that need a variant which the preference excludes),
    MisalignedOperand, BufferTooSmall.
    Source: torch.quantize_per_tensor, torch.quantize_per_channel, ONNX QuantizeLinear (which has no rule for NaN).

    Fields. Unset is None, and an enumerator its name: PerChannel is "per_channel", I8 is "i8".
    - element: x's
    - q_element: I8, U8, S4 or U4
    - axis: PerChannel: 0 … rank − 1; else 0
    - group_size: PerGroup: elements; else 0
    - zero_point_element: I32, or I8 or U8; unset: symmetric, there is no zero_point, it is 0.
    - q_min: unset: the least value of q_element, −128, 0, −8 or 0
    - q_max: unset: the greatest, 127, 255, 7 or 15
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        element: ElementLike = "f32",
        shape: Sequence[int],
        q_element: ElementLike = "i8",
        granularity: QuantizationGranularity = "per_tensor",
        axis: int = 0,
        group_size: int = 0,
        zero_point_element: ElementLike | None = None,
        q_min: int | None = None,
        q_max: int | None = None,
        device: Any = "cpu",
        num_threads: int = 0,
        preference: Preference | None = None,
    ) -> None:
        fields = (
            element_number("Quantize: element", ELEMENT, element),
            shape,
            element_number("Quantize: q_element", ELEMENT, q_element),
            enum_number("Quantize: granularity", QUANTIZATION_GRANULARITY, granularity),
            axis,
            group_size,
            element_number("Quantize: zero_point_element", ELEMENT, zero_point_element),
            q_min,
            q_max,
        )
        self._select("quantize", fields, device, num_threads, demands("Quantize", preference))

    def bind(
        self,
        *,
        x: Tensor,
        scale: Tensor,
        q: Tensor,
        zero_point: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> Call:
        """The plan with its tensors, to be called as often as wanted. Written: q.

        - zero_point: present exactly if the descriptor says so
        """
        return self._bind((x, scale, zero_point, q), workspace, stream)

    def __call__(
        self,
        *,
        x: Tensor,
        scale: Tensor,
        q: Tensor,
        zero_point: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> None:
        """One run of it. The arguments are those of `bind`."""
        self._bind((x, scale, zero_point, q), workspace, stream)()


class QuantizedLinear(Plan):
    """y = act(x · Wᵀ + bias) with 8-bit weights, for x that is quantized to 8 bits row by row on the way (W8A8).

      1. per row i:  scale_a[i] = max|x[i]| / q_max, 1 where that is 0
                     q[i, p]    = clamp(round_half_even(x[i, p] / scale_a[i]), q_min, q_max)
      2. acc[i, n] = Σ_p q[i, p] · (weight[n, p] − weight_zero_point[n])          in s32, exact; no zero point for s8
      3. y[i, n]   = act(f32(acc[i, n]) · (scale_a[i] · weight_scale[n]) + bias[n])

    x                   [m, k]       element            row stride ≥ k
    weight              [c_out, k]   s8 | u8            row stride ≥ k; a row per output channel, as nn.Linear's weight
    weight_scale        [c_out]      f32 | element
    weight_zero_point   [c_out]      u8                 exactly with u8 weights
    bias                [c_out]      f32 | element      exactly where bias_element is set
    act_q_scratch       [m, k]       s8                 contiguous, any address; holds q after the run
    act_scale_scratch   [m] or more  f32 (f64 for f64)  holds scale_a after the run
    y                   [m, c_out]   output_element     row stride ≥ c_out

    Elements: x f32, f16 or bf16 with y any of them; x f64 with y f64. Every step is rounded once, in the stated order,
    in f32 (all in f64 for f64), and y once more to its element; division is true division, subnormals are not flushed.
    GELU is the exact erf form, exp and erf are within 2 ulp. A row of x with NaN or ±inf has scale NaN and q clamp(0),
    so that its outputs are NaN, and touches no other row.

    With k = 0 the scales are 1 and the outputs act(bias), or act(0); with c_out = 0 the rows are still quantized; with
    m = 0 nothing is launched. Workspace 0. Deterministic, bit-stable, batch-invariant, the same bits on CPU and GPU.

    Errors of select: InvalidProblem (a negative size, 2^63 bytes or more, not q_max > 0, q_min ≤ q_max ≤ 127 and
    q_min ≥ −128), Unsupported (elements; a k for which acc could pass s32: with the default range over 132104 for s8
    weights, 66311 for u8; a preference that cannot be met), Backend.
    Errors of run, nothing written: InvalidProblem (a view's device, shape or length, a null pointer, a missing or
    forbidden weight_zero_point or bias, a y whose rows overlap, an output or scratch that overlaps any other view),
    Unsupported (a view's element, an inner stride other than 1, a row stride of x or weight smaller than a row, a
    negative one, a scratch that is not contiguous),
    MisalignedOperand, BufferTooSmall (also an act_scale_scratch that is too short).
    Source: Dettmers et al., LLM.int8(), arXiv:2208.07339 (per-row absmax); Xiao et al., SmoothQuant, arXiv:2211.10438.

    Fields. Unset is None, and an enumerator its name: PerChannel is "per_channel", I8 is "i8".
    - m: rows of x, such as tokens
    - c_out: output channels
    - k: input channels
    - element: x's
    - output_element: y's; unset: x's
    - weight_element: I8 or U8
    - weight_scale_element: F32 or x's
    - bias_element: F32 or x's; unset: no bias
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        m: int = 0,
        c_out: int = 0,
        k: int = 0,
        element: ElementLike = "f32",
        output_element: ElementLike | None = None,
        weight_element: ElementLike = "i8",
        weight_scale_element: ElementLike = "f32",
        bias_element: ElementLike | None = None,
        activation: Activation = "identity",
        q_min: int = -127,
        q_max: int = 127,
        device: Any = "cpu",
        num_threads: int = 0,
        preference: Preference | None = None,
    ) -> None:
        fields = (
            m,
            c_out,
            k,
            element_number("QuantizedLinear: element", ELEMENT, element),
            element_number("QuantizedLinear: output_element", ELEMENT, output_element),
            element_number("QuantizedLinear: weight_element", ELEMENT, weight_element),
            element_number("QuantizedLinear: weight_scale_element", ELEMENT, weight_scale_element),
            element_number("QuantizedLinear: bias_element", ELEMENT, bias_element),
            enum_number("QuantizedLinear: activation", ACTIVATION, activation),
            q_min,
            q_max,
        )
        self._select("quantized_linear", fields, device, num_threads, demands("QuantizedLinear", preference))

    def bind(
        self,
        *,
        x: Tensor,
        weight: Tensor,
        weight_scale: Tensor,
        y: Tensor,
        act_q_scratch: Tensor,
        act_scale_scratch: Tensor,
        weight_zero_point: Tensor | None = None,
        bias: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> Call:
        """The plan with its tensors, to be called as often as wanted. Written: y, act_q_scratch, act_scale_scratch.
        """
        return self._bind((x, weight, weight_scale, weight_zero_point, bias, y, act_q_scratch, act_scale_scratch), workspace, stream)

    def __call__(
        self,
        *,
        x: Tensor,
        weight: Tensor,
        weight_scale: Tensor,
        y: Tensor,
        act_q_scratch: Tensor,
        act_scale_scratch: Tensor,
        weight_zero_point: Tensor | None = None,
        bias: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> None:
        """One run of it. The arguments are those of `bind`."""
        self._bind((x, weight, weight_scale, weight_zero_point, bias, y, act_q_scratch, act_scale_scratch), workspace, stream)()


class WriteSlice(Plan):
    """dest[start:end, …] = source, in place: the window of `dest` takes the elements of `source`, every other byte of
    `dest` keeps its value. Assignment, not accumulation; bits are moved, nothing is computed.

      dest[start[0] + i0, start[1] + i1, …] = source[i0, i1, …]      for 0 ≤ i < end − start

    dest      dest_shape       element   any strides that name each element once, negative ones too
    source    end − start      element   any strides, zero ones too (broadcast)

    Rank 1 to 8. Elements: every byte-wide kind, and S4, U4, whose strides and bounds count nibbles: rows are not padded
    to bytes, the pointer is nibble 0, and a byte that the window only half covers keeps its other half. An empty window
    succeeds without a launch. Workspace 0. Deterministic, bit-stable, the same bytes on CPU and GPU. Not
    differentiable.

    With `device_starts` the window's position is read, when the work runs, from an i64 array [rank] on the device, so
    that a captured CUDA graph can write at a moving position; the extents are still end − start. If a position is
    negative, or position + extent exceeds dest_shape, nothing at all is written to dest. The optional status is set to
    1 then and to 0 otherwise.

    Errors of select: InvalidProblem (rank 0, ranks that differ, not 0 ≤ start ≤ end ≤ dest_shape, 2^63 bytes or
    more), Unsupported (rank over 8, B1 and GGUF elements, a preference that cannot be met), Backend.
    Errors of run, nothing written: InvalidProblem (a view's device or shape, a null pointer, a reach before the buffer
    or outside the address space), Unsupported (a view's element), MisalignedOperand, BufferTooSmall; InvalidProblem
    where dest overlaps itself, or any other view, by the byte ranges that the views reach (dest's is that of the whole
    view, not of the window), and where device_starts or status is missing or forbidden; Unsupported (strides that need
    a variant which the preference excludes).
    Source: torch.Tensor.__setitem__, jax.lax.dynamic_update_slice (which clamps a position that does not fit; this
    refuses it).

    Fields. Unset is None, and an enumerator its name: PerChannel is "per_channel", I8 is "i8".
    - start: first index of the window per axis
    - end: one past the last index of the window per axis
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        element: ElementLike = "f32",
        dest: Sequence[int],
        start: Sequence[int],
        end: Sequence[int],
        device_starts: bool = False,
        device: Any = "cpu",
        num_threads: int = 0,
        preference: Preference | None = None,
    ) -> None:
        fields = (
            element_number("WriteSlice: element", ELEMENT, element),
            dest,
            start,
            end,
            device_starts,
        )
        self._select("write_slice", fields, device, num_threads, demands("WriteSlice", preference))

    def bind(
        self,
        *,
        dest: Tensor,
        source: Tensor,
        device_starts: Tensor | None = None,
        status: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> Call:
        """The plan with its tensors, to be called as often as wanted. Written: dest, status.

        - device_starts: i64 [rank]; present exactly if the descriptor says so
        - status: i32 [1]; only with device_starts
        """
        return self._bind((dest, source, device_starts, status), workspace, stream)

    def __call__(
        self,
        *,
        dest: Tensor,
        source: Tensor,
        device_starts: Tensor | None = None,
        status: Tensor | None = None,
        workspace: Tensor | None = None,
        stream: StreamLike | None = None,
    ) -> None:
        """One run of it. The arguments are those of `bind`."""
        self._bind((dest, source, device_starts, status), workspace, stream)()
