"""What a call from Python costs: nanoseconds on the CPU, by one thread, the median of 15 batches of CALLS.

    python bench/python_call.py [CALLS]

"nothing" is a call of a builtin that does nothing; over no elements a plan does nothing but check where it runs.
"""

import sys
import time

import baracuda
import numpy as np


def nanoseconds(run, calls):
    batches = []
    for _ in range(15):
        start = time.perf_counter_ns()
        for _ in range(calls):
            run()
        batches.append((time.perf_counter_ns() - start) / calls)
    return sorted(batches)[len(batches) // 2]


def main():
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    rows = {"nothing": int}
    for elements in (0, 4, 4096):
        x, output = np.ones(elements, np.float32), np.empty(elements, np.float32)
        plan = baracuda.Elementwise(op="neg", shape=(elements,), num_threads=1)
        rows[f"call(), {elements} floats"] = plan.bind(x=x, output=output)
        rows[f"plan(...), {elements} floats"] = lambda plan=plan, x=x, output=output: plan(x=x, output=output)
    for name, run in rows.items():
        print(f"{name:24}{nanoseconds(run, calls):8.0f} ns")


if __name__ == "__main__":
    main()
