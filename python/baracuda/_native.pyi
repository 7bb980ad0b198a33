from collections.abc import Callable
from typing import Any

version: str

def num_cuda_devices() -> int: ...

class View:
    """A tensor that is read as elements of another kind: what `view` gives."""

    def __init__(self, tensor: Any, code: int, bits: int, shape: list[int] | None) -> None: ...
    @property
    def tensor(self) -> Any: ...

class Call:
    """A plan with its tensors, converted and checked: `call()` runs it, as often as wanted.

    It keeps the tensors' memory as long as it lives. On CUDA it runs on the stream that was given to `bind`, else on
    the one that is the current stream of the tensors' package when it is called.
    """

    def __call__(self) -> None: ...
    @property
    def sku(self) -> str:
        """The kernel that these tensors run on."""

class Plan:
    def __init__(
        self,
        op: str,
        fields: tuple[Any, ...],
        preference: tuple[Any, ...],
        num_threads: int,
        ordinal: int | None,
        handle: int,
    ) -> None: ...
    def bind(
        self, values: tuple[Any, ...], workspace: Any, stream: int | Callable[[int], int] | None
    ) -> Call: ...
    def explain(self) -> str: ...
    @property
    def sku(self) -> str: ...
    @property
    def guarantee(self) -> str: ...
    @property
    def workspace_size(self) -> int: ...
    @property
    def workspace_must_be_zero(self) -> bool: ...
