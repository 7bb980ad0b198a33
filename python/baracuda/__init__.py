"""Operators for ML frameworks and inference engines, on the tensors at hand: numpy's, torch's, cupy's, jax's, and
those of whatever else lends its memory through DLPack, on the CPU and on NVIDIA GPUs.

Each op is a class. Its object is a plan, a kernel for one exact problem, to be called as often as wanted:

    plan = baracuda.Quantize(shape=(4, 1024), q_element="i8", granularity="per_channel")
    plan(x=x, scale=scale, q=q)
    call = plan.bind(x=x, scale=scale, q=q)  # converts and checks the tensors once
    call()
"""

from . import _native, _ops
from ._errors import (
    Backend,
    BufferTooSmall,
    Error,
    InvalidProblem,
    Io,
    MalformedFile,
    MisalignedOperand,
    Unsupported,
    WorkspaceTooSmall,
)
from ._ops import *
from ._plan import Call, Plan, Tensor
from ._view import view

__version__: str = _native.version
num_cuda_devices = _native.num_cuda_devices

__all__ = [
    "Backend",
    "BufferTooSmall",
    "Call",
    "Error",
    "InvalidProblem",
    "Io",
    "MalformedFile",
    "MisalignedOperand",
    "Plan",
    "Tensor",
    "Unsupported",
    "WorkspaceTooSmall",
    "num_cuda_devices",
    "view",
]
__all__ += _ops.__all__
