"""What the classes of all ops share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from . import _native
from ._errors import InvalidProblem
from ._streams import StreamLike, cuda_ordinal, current_stream_of, imported_current_stream, stream_handle
from ._view import SupportsDLPack
from ._workspace import new_workspace

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


def enum_number(owner: str, values: Mapping[str, int], name: Any) -> int | None:
    """The C ABI's number for an enumerator's name."""
    if name is None or name in values:
        return None if name is None else values[name]
    raise InvalidProblem(f"{owner} is {name!r}, expected one of {', '.join(values)}")


def element_number(owner: str, values: Mapping[str, int], kind: Any) -> int | None:
    """The same for an element kind, which may be a dtype of numpy's or torch's, too."""
    if not isinstance(kind, str) and kind is not None:
        # numpy.dtype has a name, numpy's and jax's scalar types a __name__, and torch.dtype prints as torch.NAME.
        name = getattr(kind, "name", None) or getattr(kind, "__name__", None) or str(kind)
        kind = name.rpartition(".")[2].removesuffix("_") if isinstance(name, str) else kind
    return enum_number(owner, values, _DTYPES.get(kind, kind))


def set_bits(owner: str, values: Mapping[str, int], names: Collection[str]) -> int:
    """The C ABI's number for a set of enumerators."""
    return sum({1 << (enum_number(owner, values, name) or 0) for name in names})


class Plan:
    """An op for one exact problem on one device, ready to run: immutable, and to be used by any thread.

    Making one validates the problem, picks a kernel and compiles it, which may take long; running one does not. The
    keywords that all plans have:

    device       "cpu", "cuda", "cuda:1" or torch.device
    num_threads  of a plan for the CPU; 0: as many as the machine has
    preference   a Preference: what is demanded of the choice of the kernel
    """

    __slots__ = ("_handle", "_ordinal")

    def _select(
        self, op: str, fields: tuple[Any, ...], device: Any, num_threads: int, preference: tuple[Any, ...]
    ) -> None:
        self._ordinal = ordinal = cuda_ordinal(device)
        # The current stream, because it is the one that tells whether a graph is being captured.
        stream = 0 if ordinal is None else imported_current_stream(ordinal)
        self._handle = _native.Plan(op, fields, preference, num_threads, ordinal, stream)

    def _bind(self, values: tuple[Any, ...], workspace: Tensor | None, stream: StreamLike | None) -> Call:
        source: Any = None
        if self._ordinal is not None:
            source = current_stream_of(values) if stream is None else stream_handle(stream)
        elif stream is not None:
            raise TypeError("a plan for the CPU takes no stream: its calls return when they are done")
        # On a stream that its package does not know of, the memory could serve others too soon.
        if workspace is None and stream is None and self.workspace_size:
            workspace = new_workspace(values, self.workspace_size, self._ordinal)
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
