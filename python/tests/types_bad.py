"""What mypy has to find fault with: each line with a comment behind it."""

import baracuda
import numpy as np

plan = baracuda.WriteSlice(element="f32", dest=(4,), start=(0,), end=(4,))
x = np.zeros(4, np.float32)
plan(dest=x)  # no source
plan(dest=x, source=[1.0])  # no tensor
plan(dest=x, source=x, scale=x)  # no such argument
plan(x, x)  # by keyword alone
baracuda.WriteSlice(dest=4, start=(0,), end=(4,))  # no sequence
baracuda.WriteSlice(element="f32", dest=(4,))  # no start
baracuda.Elementwise(op="gelo", shape=(4,))  # no such operator
baracuda.KvCacheAppend(layout="pagd")  # no such layout
baracuda.Preference("any")  # by keyword alone
baracuda.Preference(determinism="total")  # no such level
name: int = plan.sku  # a string
