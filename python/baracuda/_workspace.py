"""Workspace from the package whose tensors a plan is given."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from ._streams import package_of

_ALIGNMENT = 256


def new_workspace(tensors: Iterable[Any], num_bytes: int, ordinal: int | None) -> Any:
    """Zeros from torch or cupy, as the tensors are, on the CPU else from numpy; None where no package is at hand."""
    package = package_of(tensors)
    size = num_bytes + _ALIGNMENT - 1
    if package == "torch":
        device = "cpu" if ordinal is None else f"cuda:{ordinal}"
        memory = sys.modules["torch"].zeros(size, dtype=sys.modules["torch"].uint8, device=device)
        begin = -memory.data_ptr() % _ALIGNMENT
    elif package == "cupy" and ordinal is not None:
        with sys.modules["cupy"].cuda.Device(ordinal):
            memory = sys.modules["cupy"].zeros(size, dtype="uint8")
        begin = -memory.data.ptr % _ALIGNMENT
    elif ordinal is None and "numpy" in sys.modules:
        memory = sys.modules["numpy"].zeros(size, dtype="uint8")
        begin = -memory.ctypes.data % _ALIGNMENT
    else:
        return None
    return memory[begin : begin + num_bytes]
