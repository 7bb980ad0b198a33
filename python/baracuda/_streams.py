"""Devices and CUDA streams as people name them."""

from __future__ import annotations

import operator
import re
from typing import Any, Protocol, SupportsIndex, TypeAlias

from ._packages import current_ordinal


class CudaStreamProtocol(Protocol):
    """What `stream=` takes apart from a handle; objects with `.cuda_stream` (torch) or `.ptr` (cupy) too."""

    def __cuda_stream__(self) -> tuple[int, int]: ...


StreamLike: TypeAlias = SupportsIndex | CudaStreamProtocol | Any


def cuda_ordinal(device: Any) -> int | None:
    """Of "cuda", the current GPU, "cuda:1" or an object that prints so, such as torch.device; None for "cpu"."""
    match = re.fullmatch(r"cpu|cuda(?::(\d{1,3}))?", str(device))
    if not match:
        raise ValueError(f"device is {device!r}, expected 'cpu', 'cuda' or 'cuda:N'")
    if match[0] == "cpu":
        return None
    return int(match[1]) if match[1] else current_ordinal()


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
