"""What the classes of all ops share."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from . import _native
from ._errors import InvalidProblem
from ._packages import current_stream, current_stream_of
from ._streams import StreamLike, cuda_ordinal, stream_handle
from ._view import SupportsDLPack

Tensor: TypeAlias = SupportsDLPack | _native.View
Call: TypeAlias = _native.Call

# How numpy, torch, jax and ml_dtypes name element kinds that have other names here.
_DTYPES = {
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "uint16": "u16",
    "uint32": "u32",
    "uint64": "u64",
    "float8_e4m3fn": "f8e4m3",
    "float8_e5m2": "f8e5m2",
}


def _enumerator(owner: str, values: Mapping[str, int], name: Any) -> int:
    if isinstance(name, str) and name in values:
        return values[name]
    raise InvalidProblem(f"{owner} is {name!r}, expected one of {', '.join(values)}")


def enum_number(owner: str, values: Mapping[str, int], name: Any) -> int | None:
    """The C ABI's number for an enumerator's name."""
    return None if name is None else _enumerator(owner, values, name)


def element_number(owner: str, values: Mapping[str, int], kind: Any) -> int | None:
    """The same for an element kind, which may be a dtype of numpy's or torch's, too."""
    if not isinstance(kind, str) and kind is not None:
        # numpy.dtype has a name, numpy's and jax's scalar types a __name__, and torch.dtype prints as torch.NAME.
        name = getattr(kind, "name", None) or getattr(kind, "__name__", None) or str(kind)
        kind = name.rpartition(".")[2].removesuffix("_") if isinstance(name, str) else kind
    return enum_number(owner, values, _DTYPES.get(kind, kind) if isinstance(kind, str) else kind)


def set_bits(owner: str, values: Mapping[str, int], names: Collection[str] | None) -> int | None:
    """The C ABI's number for a set of enumerators."""
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Collection):
        raise TypeError(f"{owner} must be a collection of names, not {names!r}")
    return sum({1 << _enumerator(owner, values, name) for name in names})


def thread_count(owner: str, num_threads: Any) -> int:
    """What the C ABI has 32 bits for."""
    try:
        count = operator.index(num_threads)
    except TypeError:
        raise TypeError(f"{owner}: num_threads must be an integer, not {num_threads!r}") from None
    if not -(2**31) <= count < 2**31:
        raise InvalidProblem(f"{owner}: num_threads is {count}, expected one of 32 bits")
    return count


class Plan:
    """An op for one exact problem on one device, ready to run: immutable, and to be used by any thread.

    Making one validates the problem, picks a kernel and compiles it, which may take long; running one does not. The
    keywords that all plans have:

    device       "cpu", "cuda:1", torch.device or "cuda": the current GPU of torch or cupy, if in use, else the first
    num_threads  of a plan for the CPU; 0: as many as the machine has
    preference   a Preference: what is demanded of the choice of the kernel
    """

    __slots__ = ("_handle", "_ordinal")

    def _select(
        self, op: str, fields: tuple[Any, ...], device: Any, num_threads: int, preference: tuple[Any, ...]
    ) -> None:
        num_threads = thread_count(type(self).__name__, num_threads)
        self._ordinal = ordinal = cuda_ordinal(device)
        # The current stream, because it is the one that tells whether a graph is being captured.
        stream = 0 if ordinal is None else current_stream(ordinal)
        self._handle = _native.Plan(op, fields, preference, num_threads, ordinal, stream)

    def _bind(self, values: tuple[Any, ...], workspace: Tensor | None, stream: StreamLike | None) -> Call:
        source: Any = None
        if self._ordinal is not None:
            source = current_stream_of(values) if stream is None else stream_handle(stream)
        elif stream is not None:
            raise InvalidProblem(
                f"{type(self).__name__}: stream is given, but a plan for the CPU takes none: its calls return when they "
                "are done"
            )
        return self._handle.bind(values, workspace, source)

    def explain(self) -> str:
        """Which kernel was picked, why no other candidate was, and what the work costs."""
        return self._handle.explain()

    @property
    def sku(self) -> str:
        """The kernel for contiguous tensors, "op/element/layout/epilogue/variant/arch/backend"."""
        return self._handle.sku

    @property
    def guarantee(self) -> str:
        """What is promised about the numbers."""
        return self._handle.guarantee

    @property
    def device(self) -> str:
        return "cpu" if self._ordinal is None else f"cuda:{self._ordinal}"

    @property
    def workspace_size(self) -> int:
        """Bytes of workspace that every call needs, on the plan's device, aligned to 256."""
        return self._handle.workspace_size

    @property
    def workspace_must_be_zero(self) -> bool:
        """Whether the workspace has to hold zeros before a call; it does after it, too."""
        return self._handle.workspace_must_be_zero

    def __repr__(self) -> str:
        return f"<baracuda.{type(self).__name__} {self.sku} on {self.device}>"
