#!/usr/bin/env python3
"""The Python package on a GPU, with torch: its current stream, captured graphs, managed memory, what a call costs, and
what docs/python.md shows. Where cupy or jax is installed, their arrays too.

Where the wheel is built, with the Python of the machine with the GPU (3.12 and newer share a wheel):

    PYTHON -m pip wheel --no-deps -w build/gpu-python .

There, with torch and a libnvrtc (tests/gpu/gpu_suite.py tells of that):

    PYTHON tests/gpu/python_suite.py build/gpu-python/*.whl
"""

import ctypes
import importlib
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zipfile

if __name__ == "__main__" and len(sys.argv) > 1 and sys.argv[1].endswith(".whl"):
    folder = tempfile.TemporaryDirectory(prefix="baracuda-python-suite-")
    zipfile.ZipFile(sys.argv.pop(1)).extractall(folder.name)  # as good as installed, and pip need not be there
    sys.path.insert(0, folder.name)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path += [str(ROOT / "python/tests"), str(ROOT / "bench/peers")]

import libraries

# The wheel is not beside NVIDIA's, where it would find theirs.
for library in libraries.paths("nvrtc")[:1]:
    os.environ.setdefault("BARACUDA_NVRTC_LIBRARY", library)
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # jax would take most of the GPU's memory

import baracuda
import torch
from producer import CUDA_MANAGED, Producer

CYCLES = 200_000_000  # about a tenth of a second of a GPU's


def random(*shape, dtype=torch.float32):
    return torch.randn(*shape, device="cuda").to(dtype)


def silu(x, y, **options):
    plan = baracuda.Elementwise(op="silu", element=x.dtype, shape=x.shape, device=x.device)
    return plan.bind(x=x, output=y, **options)


def expected_silu(x):
    """By the CPU's plan, which gives the same bits."""
    y = torch.empty_like(x, device="cpu")
    silu(x.cpu(), y)()
    return y


class Streams(unittest.TestCase):
    def setUp(self):
        self.x, self.y = random(64, 4096), torch.zeros(64, 4096, device="cuda")
        self.call = silu(self.x, self.y)
        self.call()
        torch.cuda.synchronize()
        self.new = random(64, 4096)
        self.expected = expected_silu(self.new)
        self.stream = torch.cuda.Stream()

    def check(self):
        self.assertTrue(torch.equal(self.y.cpu(), self.expected))

    def test_the_default_stream(self):
        torch.cuda._sleep(CYCLES)
        self.x.copy_(self.new)
        self.call()
        self.check()

    def test_the_current_stream_is_that_of_the_call(self):
        """It is not done before what the stream was given before it, and it does not wait for other streams."""
        result = torch.empty_like(self.y, device="cpu", pin_memory=True)
        busy = torch.cuda.Event()
        torch.cuda._sleep(20 * CYCLES)
        busy.record()
        with torch.cuda.stream(self.stream):
            torch.cuda._sleep(CYCLES)
            self.x.copy_(self.new)
            self.call()
            result.copy_(self.y, non_blocking=True)
        self.stream.synchronize()
        self.assertFalse(busy.query(), "the default stream should be busy still")
        self.assertTrue(torch.equal(result, self.expected))

    def test_a_stream_that_is_given(self):
        for stream in (self.stream, self.stream.cuda_stream):
            self.y.zero_()
            torch.cuda.synchronize()
            call = silu(self.x, self.y, stream=stream)
            with torch.cuda.stream(self.stream):
                torch.cuda._sleep(CYCLES)
                self.x.copy_(self.new)
            call()
            self.stream.synchronize()
            self.check()
            self.x.zero_()

    def test_a_given_stream_waits_for_the_tensors(self):
        """Bound while the current stream still makes x: DLPack's producer orders the given stream behind it."""
        torch.cuda._sleep(CYCLES)
        self.x.copy_(self.new)
        silu(self.x, self.y, stream=self.stream)()
        self.stream.synchronize()
        self.check()

    def test_threads_with_streams_of_their_own(self):
        failures = []

        def run(seed):
            with torch.cuda.stream(torch.cuda.Stream()):
                x = torch.full((1000,), float(seed), device="cuda")
                y = torch.empty_like(x)
                call = silu(x, y)
                for _ in range(200):
                    x.add_(1)
                    call()
                if not torch.equal(y.cpu(), expected_silu(x)):
                    failures.append(seed)

        threads = [threading.Thread(target=run, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures)


class Graphs(unittest.TestCase):
    def test_a_captured_call(self):
        x, y = random(32, 1000, dtype=torch.bfloat16), torch.zeros(32, 1000, dtype=torch.bfloat16, device="cuda")
        call = silu(x, y)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            x.mul_(2)
            call()
        torch.cuda.synchronize()
        self.assertFalse(y.any())  # recorded, not done
        for _ in range(3):
            before = x.clone()
            graph.replay()
            self.assertTrue(torch.equal(x, before * 2))
            self.assertTrue(torch.equal(y.cpu(), expected_silu(x)))

    def test_plan_and_tensors_are_bound_while_capturing(self):
        """As a framework's op would: the plan is there, all else happens in the capture."""
        x, y = random(32, 1000), torch.zeros(32, 1000, device="cuda")
        plan = baracuda.Elementwise(op="silu", shape=x.shape, device="cuda")
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            plan(x=x, output=y)
        graph.replay()
        self.assertTrue(torch.equal(y.cpu(), expected_silu(x)))

    def test_a_plan_is_not_compiled_while_capturing(self):
        graph, x = torch.cuda.CUDAGraph(), torch.zeros(4, device="cuda")
        with torch.cuda.graph(graph):
            x.add_(1)
            with self.assertRaisesRegex(baracuda.Error, "captur"):
                baracuda.Elementwise(op="tanhshrink", element="f64", shape=(77, 3), device="cuda")
        graph.replay()
        self.assertEqual([1.0] * 4, x.tolist())

    def test_a_moving_position(self):
        cache, token = torch.zeros(16, 8, device="cuda"), random(1, 8)
        position = torch.zeros(2, dtype=torch.int64, device="cuda")
        call = baracuda.WriteSlice(element="f32", dest=(16, 8), start=(0, 0), end=(1, 8), device_starts=True,
                                   device="cuda").bind(dest=cache, source=token, device_starts=position)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
            position[0] += 1
        for _ in range(5):
            graph.replay()
        self.assertTrue(torch.equal(cache[:5], token.expand(5, 8)) and not cache[5:].any())


class Ops(unittest.TestCase):
    """On the GPU the bits of the CPU's plan."""

    def compare(self, op, fields, inputs, outputs):
        results = {}
        for device in ("cpu", "cuda"):
            tensors = {name: tensor.to(device) for name, tensor in inputs.items()}
            made = {name: tensor.to(device).clone() for name, tensor in outputs.items()}
            plan = getattr(baracuda, op)(**fields, device=device)
            self.assertIn("sm" if device == "cuda" else "cpu", plan.sku)
            plan(**tensors, **made)
            results[device] = {name: tensor.cpu() for name, tensor in made.items()}
        for name, tensor in results["cpu"].items():
            self.assertTrue(torch.equal(tensor, results["cuda"][name]), (op, name))
            self.assertFalse(torch.equal(tensor, outputs[name].cpu()), f"{op} left {name} as it was")

    def test_all(self):
        x = random(6, 64)
        per_channel = dict(shape=(6, 64), granularity="per_channel", zero_point_element="i32")
        scale, zero_point = torch.rand(6) / 32 + 0.01, torch.arange(-3, 3, dtype=torch.int32)
        q = torch.zeros(6, 64, dtype=torch.int8)
        self.compare("Quantize", per_channel, dict(x=x, scale=scale, zero_point=zero_point), dict(q=q))
        self.compare("Dequantize", per_channel, dict(q=q + 5, scale=scale, zero_point=zero_point),
                     dict(x=torch.zeros(6, 64)))
        self.compare("FakeQuantize", per_channel, dict(x=x, scale=scale, zero_point=zero_point),
                     dict(y=torch.zeros(6, 64)))
        self.compare("FakeQuantizeBackward", per_channel, dict(x=x, dy=x, scale=scale, zero_point=zero_point),
                     dict(dx=torch.zeros(6, 64)))
        self.compare("DynamicRangeQuantize", dict(shape=(6, 64), symmetric=False), dict(x=x),
                     dict(q=q, scale=torch.zeros(6), zero_point=torch.full((6,), 99, dtype=torch.int32)))
        self.compare("QuantizedLinear", dict(m=6, c_out=5, k=64, element="bf16", activation="gelu"),
                     dict(x=x.bfloat16(), weight=torch.randint(-128, 128, (5, 64), dtype=torch.int8),
                          weight_scale=torch.rand(5) / 64),
                     dict(y=torch.zeros(6, 5, dtype=torch.bfloat16), act_q_scratch=q, act_scale_scratch=torch.zeros(6)))
        self.compare("KvCacheAppend", dict(element="bf16", num_tokens=2, num_kv_heads=2, k_head_dim=8, v_head_dim=8,
                                           num_sequences=2, max_seq_len=5),
                     dict(k=random(2, 2, 2, 8).bfloat16(), v=random(2, 2, 2, 8).bfloat16(),
                          positions=torch.tensor([3, 0])),
                     dict(k_cache=torch.zeros(2, 5, 2, 8).bfloat16(), v_cache=torch.zeros(2, 5, 2, 8).bfloat16()))
        self.compare("WriteSlice", dict(element="bf16", dest=(8, 64), start=(1, 0), end=(7, 64)),
                     dict(source=x.bfloat16()), dict(dest=torch.zeros(8, 64).bfloat16()))
        self.compare("Elementwise", dict(op="add", shape=(6, 64)), dict(x=x, y=x[0]), dict(output=torch.zeros(6, 64)))

    def test_views(self):
        packed = {device: torch.zeros(6, 32, dtype=torch.uint8, device=device) for device in ("cpu", "cuda")}
        x = random(6, 64)
        for device, dest in packed.items():
            plan = baracuda.Quantize(shape=(6, 64), q_element="s4", device=device)
            plan(x=x.to(device), scale=torch.full((1,), 0.5, device=device), q=baracuda.view(dest, "s4"))
        self.assertTrue(packed["cpu"].any() and torch.equal(packed["cpu"], packed["cuda"].cpu()))

        fp8 = torch.zeros(6, 64, dtype=torch.float8_e4m3fn, device="cuda")
        plan = baracuda.Elementwise(op="cast", output=fp8.dtype, shape=(6, 64), device="cuda")
        plan(x=x, output=baracuda.view(fp8.view(torch.uint8), "f8e4m3"))
        self.assertTrue(torch.equal(fp8.float(), x.to(torch.float8_e4m3fn).float()))

    def test_strides(self):
        x, y = random(64, 32).t(), torch.zeros(32, 128, device="cuda")[:, ::2]
        silu(x, y)()
        self.assertTrue(torch.equal(y.cpu(), expected_silu(x.contiguous())))


class Misuse(unittest.TestCase):
    def test_errors(self):
        x, y = random(4), torch.zeros(4, device="cuda")
        plan = baracuda.Elementwise(op="silu", shape=(4,), device="cuda")
        for wrong in (dict(x=x.cpu()), dict(output=y.cpu()), dict(x=x[:3])):
            with self.assertRaises(baracuda.InvalidProblem):
                plan(**{"x": x, "output": y, **wrong})
        with self.assertRaises(baracuda.Unsupported):
            plan(x=x.half(), output=y)
        with self.assertRaises(baracuda.InvalidProblem):
            baracuda.Elementwise(op="silu", shape=(4,))(x=x, output=y)
        with self.assertRaises(BufferError):
            plan(x=x.clone().requires_grad_(), output=y)
        with self.assertRaises(baracuda.Error):
            baracuda.Elementwise(op="silu", shape=(4,), device=f"cuda:{torch.cuda.device_count()}")
        torch.cuda.synchronize()
        self.assertFalse(y.any())

    def test_memory_goes_back_to_torch(self):
        before = torch.cuda.memory_allocated()
        x = random(1 << 20)
        call = silu(x, torch.empty_like(x))
        del x
        self.assertLess(before, torch.cuda.memory_allocated())
        call()
        torch.cuda.synchronize()
        del call
        self.assertEqual(before, torch.cuda.memory_allocated())


class ManagedMemory(unittest.TestCase):
    def test_the_cpu_waits_for_it(self):
        """As far as its producer makes the legacy default stream wait, which this one works on anyway."""
        driver, pointer = ctypes.CDLL("libcuda.so.1"), ctypes.c_uint64()
        x = random(1 << 20)
        torch.cuda.synchronize()
        self.assertEqual(0, driver.cuMemAllocManaged(ctypes.byref(pointer), ctypes.c_size_t(4 << 20), 1))
        self.addCleanup(driver.cuMemFree_v2, pointer)
        expected, copy = x.cpu(), torch.zeros(1 << 20)
        plan = baracuda.WriteSlice(element="f32", dest=(1 << 20,), start=(0,), end=(1 << 20,))
        managed = Producer(pointer.value, (1 << 20,), device=(CUDA_MANAGED, 0))
        torch.cuda._sleep(CYCLES)
        default = ctypes.c_void_p(torch.cuda.default_stream().cuda_stream)
        status = driver.cuMemcpyDtoDAsync_v2(pointer, ctypes.c_uint64(x.data_ptr()), ctypes.c_size_t(4 << 20), default)
        self.assertEqual(0, status)
        plan(dest=copy, source=managed)
        self.assertEqual(1, managed.asked["stream"])
        self.assertTrue(torch.equal(copy, expected))


class OtherGpus(unittest.TestCase):
    @unittest.skipUnless(torch.cuda.device_count() > 1, "one GPU here")
    def test_cuda_is_the_current_one(self):
        with torch.cuda.device(1):
            x = torch.arange(4.0, device="cuda")
            y = torch.zeros_like(x)
            baracuda.Elementwise(op="neg", shape=(4,), device="cuda")(x=x, output=y)
            self.assertTrue(torch.equal(y, -x))
        on_first = baracuda.Elementwise(op="neg", shape=(4,), device="cuda:0")
        with self.assertRaisesRegex(baracuda.InvalidProblem, "is on cuda:1, expected cuda:0"):
            on_first(x=x, output=torch.zeros(4, device="cuda:0"))


class Documents(unittest.TestCase):
    def test_what_they_show_of_torch_runs(self):
        """The other blocks run in tests/python_test.py. One block, one program, as a reader would."""
        blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/python.md").read_text(), re.MULTILINE | re.DOTALL)
        blocks = [block for block in blocks if "import torch" in block]
        self.assertTrue(blocks)
        paths = os.pathsep.join(filter(None, sys.path))
        for block in blocks:
            block += "\nassert torch.allclose(y.float(), torch.nn.functional.silu(x.float()), 0.02)\n"
            done = subprocess.run([sys.executable, "-c", block], env={**os.environ, "PYTHONPATH": paths}, timeout=300,
                                  capture_output=True, text=True)
            self.assertEqual(0, done.returncode, done.stderr)


class Times(unittest.TestCase):
    def test_a_call_that_is_bound(self):
        """Microseconds of the host until it returns: medians over batches that the GPU's queue holds."""
        x, y = random(256), torch.empty(256, device="cuda")
        plan = baracuda.Elementwise(op="silu", shape=(256,), device="cuda")
        call, times = plan.bind(x=x, output=y), {"call()": [], "plan(...)": [], "torch.silu": []}
        runs = {"call()": call, "plan(...)": lambda: plan(x=x, output=y),
                "torch.silu": lambda: torch.ops.aten.silu.out(x, out=y)}
        for _ in range(30):
            for name, run in runs.items():
                torch.cuda.synchronize()
                start = time.perf_counter()
                for _ in range(200):
                    run()
                times[name].append((time.perf_counter() - start) / 200 * 1e6)
        medians = {name: sorted(samples)[len(samples) // 2] for name, samples in times.items()}
        print("\nmicroseconds of the host:", ", ".join(f"{name} {median:.2f}" for name, median in medians.items()))


class OtherPackages(unittest.TestCase):
    @unittest.skipUnless(importlib.util.find_spec("cupy"), "no cupy here")
    def test_cupy(self):
        import cupy

        x, y = cupy.arange(100, dtype="float32"), cupy.zeros(100, "float32")
        call = baracuda.Elementwise(op="neg", shape=(100,), device="cuda").bind(x=x, output=y)
        with cupy.cuda.Stream(non_blocking=True) as stream:
            call()
            stream.synchronize()
        self.assertTrue((y == -x).all())

    @unittest.skipUnless(importlib.util.find_spec("cuda") and importlib.util.find_spec("cuda.core"), "no cuda.core")
    def test_a_stream_of_cuda_core(self):
        import cuda.core

        device = getattr(cuda.core, "Device", None) or importlib.import_module("cuda.core.experimental").Device
        gpu = device(0)
        gpu.set_current()
        x, y = torch.arange(100.0, device="cuda"), torch.zeros(100, device="cuda")
        stream = gpu.create_stream()
        baracuda.Elementwise(op="neg", shape=(100,), device="cuda").bind(x=x, output=y, stream=stream)()
        stream.sync()
        self.assertTrue(torch.equal(y, -x))

    @unittest.skipUnless(importlib.util.find_spec("jax"), "no jax here")
    def test_jax(self):
        import jax

        x, y = jax.numpy.arange(100, dtype="float32"), torch.zeros(100, device="cuda")
        baracuda.Elementwise(op="neg", shape=(100,), device="cuda")(x=x, output=y)
        self.assertEqual((-torch.arange(100.0)).tolist(), y.tolist())

    @unittest.skipUnless(importlib.util.find_spec("numpy"), "no numpy here")
    def test_numpy(self):
        import numpy

        y = numpy.zeros(4, numpy.float32)
        baracuda.Elementwise(op="neg", shape=(4,))(x=torch.arange(4.0), output=y)
        self.assertEqual([0, -1, -2, -3], y.tolist())


if __name__ == "__main__":
    unittest.main(verbosity=2)
