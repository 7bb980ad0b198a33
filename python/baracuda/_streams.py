"""Devices as people name them, and the CUDA streams that other packages work on."""

from __future__ import annotations

import operator
import re
import sys
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Protocol, SupportsIndex, TypeAlias

from . import _native


class CudaStreamProtocol(Protocol):
    """What `stream=` takes apart from a handle; objects with `.cuda_stream` (torch) or `.ptr` (cupy) too."""

    def __cuda_stream__(self) -> tuple[int, int]: ...


StreamLike: TypeAlias = SupportsIndex | CudaStreamProtocol | Any


def cuda_ordinal(device: Any) -> int | None:
    """Of "cuda", "cuda:1" or an object that prints so, such as torch.device; None for "cpu"."""
    match = re.fullmatch(r"cpu|cuda(?::(\d{1,3}))?", str(device))
    if not match:
        raise ValueError(f"device is {device!r}, expected 'cpu', 'cuda' or 'cuda:N'")
    return None if match[0] == "cpu" else int(match[1] or 0)


def stream_handle(stream: StreamLike) -> int:
    """The cudaStream_t of what a caller gives as a stream."""
    if hasattr(stream, "__cuda_stream__"):
        handle = stream.__cuda_stream__()[1]
    else:
        handle = getattr(stream, "cuda_stream", getattr(stream, "ptr", stream))
    try:
        handle = operator.index(handle)
    except TypeError:
        raise TypeError(
            f"stream is a {type(stream).__name__}, expected a handle, or an object with __cuda_stream__ as cuda.core's, "
            "cuda_stream as torch's or ptr as cupy's"
        ) from None
    if not 0 <= handle < 2**63:
        raise ValueError(f"stream is {handle}, which is no handle")
    return handle


def _torch_current_stream() -> Callable[[int], int]:
    torch = sys.modules["torch"]
    raw: Callable[[int], int] | None = getattr(torch._C, "_cuda_getCurrentRawStream", None)
    return raw or (lambda ordinal: operator.index(torch.cuda.current_stream(ordinal).cuda_stream))


def _cupy_current_stream() -> Callable[[int], int]:
    cupy = sys.modules["cupy"]
    return lambda ordinal: operator.index(cupy.cuda.get_current_stream(ordinal).ptr)


_CURRENT_STREAM = {"torch": _torch_current_stream, "cupy": _cupy_current_stream}


# As far as they have been asked for.
_packages: weakref.WeakKeyDictionary[type, str | None] = weakref.WeakKeyDictionary()


def _package_with_streams(tensor_type: type) -> str | None:
    """The package that a type of tensor is from, or one that it derives from, if the package has current streams."""
    if tensor_type not in _packages:
        origins = (base.__module__.partition(".")[0] for base in tensor_type.__mro__)
        _packages[tensor_type] = next((package for package in origins if package in _CURRENT_STREAM), None)
    return _packages[tensor_type]


def _legacy_default_stream(ordinal: int) -> int:
    return 0


def package_of(tensors: Iterable[Any]) -> str | None:
    """torch or cupy, whichever the first tensor that is of either comes from."""
    for tensor in tensors:
        if isinstance(tensor, _native.View):
            tensor = tensor.tensor
        if package := _package_with_streams(type(tensor)):
            return package
    return None


def current_stream_of(tensors: Iterable[Any]) -> Callable[[int], int]:
    """What gives the handle of a device's current stream, in the package of the tensors; where that has none, the legacy
    default stream's."""
    package = package_of(tensors)
    return _CURRENT_STREAM[package]() if package else _legacy_default_stream


def imported_current_stream(ordinal: int) -> int:
    """The handle of torch's current stream, where the program uses CUDA through torch, else of cupy's, where it uses that."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return _torch_current_stream()(ordinal)
    return _cupy_current_stream()(ordinal) if "cupy" in sys.modules else 0
