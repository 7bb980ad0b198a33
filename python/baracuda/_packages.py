"""Other packages, as far as the program has imported them: whose a tensor is, the current GPU and its stream."""

from __future__ import annotations

import operator
import sys
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from . import _native

CurrentStream = Callable[[int], int]
"""Gives the handle of the current stream of a GPU."""


def _torch_current_stream(torch: Any) -> CurrentStream:
    raw: CurrentStream | None = getattr(torch._C, "_cuda_getCurrentRawStream", None)
    return raw or (lambda ordinal: operator.index(torch.cuda.current_stream(ordinal).cuda_stream))


def _cupy_current_stream(cupy: Any) -> CurrentStream:
    return lambda ordinal: operator.index(cupy.cuda.get_current_stream(ordinal).ptr)


_CURRENT_STREAM = {"torch": _torch_current_stream, "cupy": _cupy_current_stream}
_IMMUTABLE = ("jax", "jaxlib")

# By type, as far as they have been asked for.
_packages: weakref.WeakKeyDictionary[type, str | None] = weakref.WeakKeyDictionary()


def _package(tensor: Any) -> str | None:
    """Which of the packages named above a tensor's class is from, or one that it derives from."""
    if isinstance(tensor, _native.View):
        tensor = tensor.tensor
    if type(tensor) not in _packages:
        modules = (getattr(base, "__module__", None) for base in type(tensor).__mro__)
        origins = (module.partition(".")[0] for module in modules if isinstance(module, str))
        known = (package for package in origins if package in _CURRENT_STREAM or package in _IMMUTABLE)
        _packages[type(tensor)] = next(known, None)
    return _packages[type(tensor)]


def is_immutable(tensor: Any) -> bool:
    """Whether it must not be written, though its package does not tell so."""
    return _package(tensor) in _IMMUTABLE


def _with_cuda(package: str) -> Any:
    """The module, once it is imported whole: None in sys.modules forbids the import."""
    module = sys.modules.get(package)
    return module if hasattr(module, "cuda") else None


def _legacy_default_stream(ordinal: int) -> int:
    return 0


def current_stream_of(tensors: Iterable[Any]) -> CurrentStream:
    """That of the package which the first tensor that is torch's or cupy's is from, else the legacy default stream."""
    package = next((package for package in map(_package, tensors) if package in _CURRENT_STREAM), None)
    module = _with_cuda(package) if package else None
    return _CURRENT_STREAM[package](module) if package and module is not None else _legacy_default_stream


def _in_use() -> tuple[str, Any] | None:
    """torch, where the program uses CUDA through torch, else cupy, where it uses that."""
    torch = _with_cuda("torch")
    if torch is not None and torch.cuda.is_initialized():
        return "torch", torch
    cupy = _with_cuda("cupy")
    return None if cupy is None else ("cupy", cupy)


def current_stream(ordinal: int) -> int:
    """The handle of a GPU's current stream, in the package in use; 0 without one, and for a GPU that is not there."""
    used = _in_use()
    return _CURRENT_STREAM[used[0]](used[1])(ordinal) if used and ordinal < _native.num_cuda_devices() else 0


def current_ordinal() -> int:
    """The current GPU, in the package in use; 0 without one."""
    used = _in_use()
    if not used:
        return 0
    package, module = used
    return operator.index(module.cuda.current_device() if package == "torch" else module.cuda.Device().id)
