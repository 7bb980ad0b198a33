"""Tensors of packages that lack an element kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from . import _native


class SupportsDLPack(Protocol):
    """A tensor of any package that lends its memory: numpy, torch, cupy, jax and others."""

    def __dlpack__(self, *args: Any, **keywords: Any) -> Any: ...

    def __dlpack_device__(self) -> Any: ...


# DLPack's type code and bits.
_DLPACK = {
    "i8": (0, 8),
    "i16": (0, 16),
    "i32": (0, 32),
    "i64": (0, 64),
    "s4": (0, 4),
    "u8": (1, 8),
    "u16": (1, 16),
    "u32": (1, 32),
    "u64": (1, 64),
    "u4": (1, 4),
    "f16": (2, 16),
    "f32": (2, 32),
    "f64": (2, 64),
    "bf16": (4, 16),
    "complex64": (5, 64),
    "complex128": (5, 128),
    "bool": (6, 8),
    "f8e4m3": (10, 8),
    "f8e5m2": (12, 8),
}


def view(tensor: SupportsDLPack, element: str, shape: Sequence[int] | None = None) -> _native.View:
    """`tensor`, read as elements of another kind of the same size: for a package that lacks that kind, such as numpy.

    `view(x, "bf16")` of 16-bit integers, `view(x, "f8e4m3")` of bytes. Bytes are also pairs of 4-bit integers, the even
    index in the low half: `view(x, "s4")` has twice the extent of `x` along the last axis, whose bytes must be neighbours,
    and `view(x, "s4", shape)` is row-major, of a shape that takes as many bytes as `x` has.
    """
    if element not in _DLPACK:
        raise ValueError(f"view: element is {element!r}, expected one of {', '.join(_DLPACK)}")
    code, bits = _DLPACK[element]
    return _native.View(tensor, code, bits, None if shape is None else list(shape))
