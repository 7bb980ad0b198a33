"""What mypy accepts."""

from collections.abc import Sequence

import baracuda
import numpy as np

shape: Sequence[int] = [4, 6]
plan = baracuda.WriteSlice(element="f32", dest=shape, start=(1, 2), end=(3, 6), preference=baracuda.Preference())
dest = np.zeros((4, 6), np.float32)
plan(dest=dest, source=np.ones((2, 4), np.float32))
call: baracuda.Call = plan.bind(dest=dest, source=np.ones((2, 4), np.float32), device_starts=None)
call()
size: int = plan.workspace_size
text: str = plan.sku + plan.explain() + call.sku
baracuda.Elementwise(op="relu", element=np.float32, output=None, shape=())
baracuda.Quantize(shape=(4,), q_element="s4")(
    x=dest, scale=dest, q=baracuda.view(np.zeros(2, np.uint8), "s4", (4,)), stream=0
)
preference = baracuda.Preference(determinism="run_to_run", exclude_backends={"driver"}, max_workspace_bytes=0)
try:
    plan(dest=dest, source=dest)
except baracuda.BufferTooSmall as error:
    needed: int = error.needed
