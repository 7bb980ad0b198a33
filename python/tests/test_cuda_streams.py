"""Which CUDA stream a plan's work is given to, and which one its tensors are asked to be ready on; without a GPU.

The driver is the stand-in of tests/doubles: memory is the host's, and work on a stream that is being captured is not
done. So what has been done tells which stream it was given to.
"""

import ctypes
import gc
import os
import pathlib
import sys
import threading
import types
import unittest
import weakref

DOUBLES = os.environ.get("BARACUDA_TEST_DOUBLES")
if not DOUBLES:
    raise unittest.SkipTest("BARACUDA_TEST_DOUBLES does not say where the stand-in for the driver is")
os.environ.update(BARACUDA_NVRTC_LIBRARY=str(pathlib.Path(DOUBLES) / "libfake_nvrtc.so"), BARACUDA_CACHE_MAX_BYTES="0",
                  BARACUDA_KERNEL_PACK="", BARACUDA_VERBOSE="0")
# By its SONAME the loader gives this one to whoever asks for libcuda.so.1 later.
driver = ctypes.CDLL(str(pathlib.Path(DOUBLES) / "libfake_cuda.so"))

import baracuda
from producer import CPU, CUDA, CUDA_HOST, CUDA_MANAGED, Producer

NUM_BYTES = 64


def checked(status):
    assert status == 0, status


class Driver:
    """The stand-in, for this test."""

    def __init__(self):
        context = ctypes.c_void_p()
        checked(driver.cuInit(0))
        checked(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
        checked(driver.cuCtxPushCurrent_v2(context))

    def stream(self):
        stream = ctypes.c_void_p()
        checked(driver.cuStreamCreate(ctypes.byref(stream), 0))
        return stream.value

    def capture(self, stream):
        checked(driver.cuStreamBeginCapture_v2(ctypes.c_void_p(stream), 0))

    def end_capture(self, stream):
        checked(driver.cuStreamEndCapture(ctypes.c_void_p(stream), ctypes.byref(ctypes.c_void_p())))

    def memory(self, value):
        pointer = ctypes.c_uint64()
        checked(driver.cuMemAllocAsync(ctypes.byref(pointer), ctypes.c_size_t(NUM_BYTES), None))
        ctypes.memset(pointer.value, value, NUM_BYTES)
        return pointer.value


cuda = Driver()


def tensor(value=0, device=(CUDA, 0), **what):
    return Producer(cuda.memory(value), (NUM_BYTES,), code=1, bits=8, device=device, **what)


def package_tensor(module, value=0):
    """One of a class that derives from a package's."""
    made, theirs = tensor(value), type("Tensor", (Producer,), {"__module__": module})
    made.__class__ = type("Mine", (theirs,), {"__module__": "model"})
    return made


class Streams(unittest.TestCase):
    def setUp(self):
        self.plan = baracuda.WriteSlice(element="u8", dest=(NUM_BYTES,), start=(0,), end=(NUM_BYTES,), device="cuda")
        self.stream = cuda.stream()

    def was_given(self, stream, run, dest):
        """Whether `run` does its work while `stream` is not captured, and does not while it is."""
        ctypes.memset(dest.data, 0, NUM_BYTES)
        if stream:
            cuda.capture(stream)
            run()
            cuda.end_capture(stream)
            self.assertEqual(b"\0" * NUM_BYTES, ctypes.string_at(dest.data, NUM_BYTES))
        run()
        self.assertEqual(b"\x05" * NUM_BYTES, ctypes.string_at(dest.data, NUM_BYTES))

    def test_the_plan_is_one_for_the_gpu(self):
        self.assertIn("/driver", self.plan.sku)
        self.assertEqual("cuda:0", self.plan.device)

    def test_a_handle(self):
        dest, source = tensor(), tensor(5)
        call = self.plan.bind(dest=dest, source=source, stream=self.stream)
        self.assertEqual([self.stream] * 2, [dest.asked["stream"], source.asked["stream"]])
        self.was_given(self.stream, call, dest)
        self.was_given(self.stream, lambda: self.plan(dest=dest, source=source, stream=self.stream), dest)

    def test_objects(self):
        dest, source = tensor(), tensor(5)
        for made in (types.SimpleNamespace(cuda_stream=self.stream), types.SimpleNamespace(ptr=self.stream),
                     types.SimpleNamespace(__cuda_stream__=lambda: (0, self.stream))):
            self.was_given(self.stream, self.plan.bind(dest=dest, source=source, stream=made), dest)
        for stream in ("0", 1.5, types.SimpleNamespace(cuda_stream="a")):
            with self.assertRaisesRegex(TypeError, "expected a handle, or an object with __cuda_stream__"):
                self.plan.bind(dest=dest, source=source, stream=stream)
        for stream in (-1, 2**63):
            with self.assertRaisesRegex(ValueError, "which is no handle"):
                self.plan.bind(dest=dest, source=source, stream=stream)

    def test_without_a_package_it_is_the_legacy_default_stream(self):
        dest, source = tensor(), tensor(5)
        call = self.plan.bind(dest=dest, source=source)
        self.assertEqual(1, source.asked["stream"])  # DLPack's number for it
        self.was_given(None, call, dest)

    def test_the_current_stream_of_torch(self):
        current = {"handle": self.stream}
        sys.modules["torch"] = torch = types.ModuleType("torch")
        self.addCleanup(sys.modules.pop, "torch")
        torch._C = types.SimpleNamespace(_cuda_getCurrentRawStream=lambda ordinal: current["handle"])
        torch.cuda = types.SimpleNamespace(is_initialized=lambda: True)
        self.follows_the_current_stream("torch.nn.parameter", current)

        # A version without that function.
        del torch._C._cuda_getCurrentRawStream
        torch.cuda.current_stream = lambda ordinal: types.SimpleNamespace(cuda_stream=current["handle"])
        self.follows_the_current_stream("torch", current)

    def test_the_current_stream_of_cupy(self):
        current = {"handle": self.stream}
        sys.modules["cupy"] = cupy = types.ModuleType("cupy")
        self.addCleanup(sys.modules.pop, "cupy")
        get_current_stream = lambda ordinal: types.SimpleNamespace(ptr=current["handle"])
        cupy.cuda = types.SimpleNamespace(get_current_stream=get_current_stream)
        self.follows_the_current_stream("cupy", current)

    def follows_the_current_stream(self, module, current):
        current["handle"] = self.stream
        # One tensor of the package's suffices, behind others and behind a view.
        dest, source = tensor(), package_tensor(module, 5)
        call = self.plan.bind(dest=dest, source=baracuda.view(source, "u8"))
        self.assertEqual([self.stream] * 2, [dest.asked["stream"], source.asked["stream"]])
        self.was_given(self.stream, call, dest)
        current["handle"] = other = cuda.stream()
        self.was_given(other, call, dest)
        self.was_given(other, lambda: self.plan(dest=dest, source=source), dest)
        current["handle"] = 0
        self.was_given(None, call, dest)
        # A stream that is given wins, and stays.
        call = self.plan.bind(dest=dest, source=source, stream=self.stream)
        current["handle"] = other
        self.was_given(self.stream, call, dest)

        current["handle"] = self.stream
        call = self.plan.bind(dest=dest, source=source)
        current["handle"] = "not a number"
        with self.assertRaises(TypeError):
            call()

    def test_a_plan_is_selected_on_the_current_stream(self):
        """It is not while that is captured: its kernels would have to be compiled and loaded."""
        sys.modules["torch"] = torch = types.ModuleType("torch")
        self.addCleanup(sys.modules.pop, "torch")
        torch._C = types.SimpleNamespace(_cuda_getCurrentRawStream=lambda ordinal: self.stream)
        torch.cuda = types.SimpleNamespace(is_initialized=lambda: True)
        fields = dict(element="complex128", dest=(9, 9), start=(1, 1), end=(9, 9), device="cuda:0")
        cuda.capture(self.stream)
        with self.assertRaisesRegex(baracuda.Error, "captur"):
            baracuda.WriteSlice(**fields)
        torch.cuda.is_initialized = lambda: False
        baracuda.WriteSlice(**fields)
        cuda.end_capture(self.stream)

    def test_two_threads_on_two_streams(self):
        local = threading.local()
        sys.modules["torch"] = torch = types.ModuleType("torch")
        self.addCleanup(sys.modules.pop, "torch")
        torch._C = types.SimpleNamespace(_cuda_getCurrentRawStream=lambda ordinal: local.handle)
        torch.cuda = types.SimpleNamespace(is_initialized=lambda: False)
        dest, captured = tensor(), self.stream
        local.handle = captured
        call = self.plan.bind(dest=dest, source=package_tensor("torch", 5))
        cuda.capture(captured)
        go_on = threading.Event()

        def run(handle):
            local.handle = handle
            while not go_on.is_set():
                call()

        threads = [threading.Thread(target=run, args=(captured,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        local.handle = cuda.stream()
        for _ in range(200):
            ctypes.memset(dest.data, 0, NUM_BYTES)
            call()
            self.assertEqual(b"\x05" * NUM_BYTES, ctypes.string_at(dest.data, NUM_BYTES))
        go_on.set()
        for thread in threads:
            thread.join()
        cuda.end_capture(captured)

    def test_tensors_on_other_devices(self):
        dest = tensor()
        with self.assertRaisesRegex(baracuda.InvalidProblem, "source"):
            self.plan.bind(dest=dest, source=tensor(device=(CPU, 0)))
        other = tensor(device=(CUDA, 1))
        with self.assertRaisesRegex(baracuda.InvalidProblem, "WriteSlice: source is on cuda:1, expected cuda:0"):
            self.plan.bind(dest=dest, source=other, stream=self.stream)
        self.assertIsNone(other.asked)  # it would have been given a stream of cuda:0
        pinned = tensor(5, device=(CUDA_HOST, 0))
        self.was_given(self.stream, self.plan.bind(dest=dest, source=pinned, stream=self.stream), dest)
        self.assertNotIn("stream", pinned.asked)
        with self.assertRaisesRegex(baracuda.InvalidProblem, "workspace is on another device"):
            self.plan.bind(dest=dest, source=pinned, workspace=tensor(device=(CPU, 0)))
        for device in ((CUDA, 0), (CUDA_HOST, 0), (CUDA_MANAGED, 0)):
            self.plan.bind(dest=dest, source=pinned, workspace=tensor(device=device))()

    def test_managed_memory(self):
        dest, managed = tensor(), tensor(5, device=(CUDA_MANAGED, 0))
        self.was_given(self.stream, self.plan.bind(dest=dest, source=managed, stream=self.stream), dest)
        self.assertEqual(self.stream, managed.asked["stream"])

        # The CPU waits for the legacy default stream, which the producer makes wait; on a GPU python_suite looks at it.
        on_cpu = baracuda.WriteSlice(element="u8", dest=(NUM_BYTES,), start=(0,), end=(NUM_BYTES,))
        dest = Producer(cuda.memory(0), (NUM_BYTES,), code=1, bits=8)
        on_cpu(dest=dest, source=managed)
        self.assertEqual(1, managed.asked["stream"])
        self.assertEqual(b"\x05" * NUM_BYTES, ctypes.string_at(dest.data, NUM_BYTES))
        with self.assertRaises(baracuda.Error):  # no GPU to wait for
            on_cpu(dest=dest, source=tensor(5, device=(CUDA_MANAGED, 1)))
        self.assertEqual(0, managed.lent)

    def import_as(self, name, module):
        sys.modules[name] = module
        self.addCleanup(sys.modules.pop, name, None)
        return module

    def test_cuda_is_the_current_gpu(self):
        fields = dict(element="u8", dest=(4,), start=(0,), end=(4,))
        missing = "cuda:1"  # what the plan is then asked for, on a machine of one
        cupy = self.import_as("cupy", types.ModuleType("cupy"))
        cupy.cuda = types.SimpleNamespace(Device=lambda: types.SimpleNamespace(id=1),
                                          get_current_stream=lambda ordinal: types.SimpleNamespace(ptr=0))
        with self.assertRaisesRegex(baracuda.Error, missing):
            baracuda.WriteSlice(**fields, device="cuda")
        self.assertEqual("cuda:0", baracuda.WriteSlice(**fields, device="cuda:0").device)

        torch = self.import_as("torch", types.ModuleType("torch"))
        torch._C = types.SimpleNamespace(_cuda_getCurrentRawStream=lambda ordinal: 0)
        torch.cuda = types.SimpleNamespace(is_initialized=lambda: True, current_device=lambda: 0)
        self.assertEqual("cuda:0", baracuda.WriteSlice(**fields, device="cuda").device)
        torch.cuda.current_device = lambda: 1
        with self.assertRaisesRegex(baracuda.Error, missing):
            baracuda.WriteSlice(**fields, device="cuda")

    def test_imports_that_are_forbidden_or_not_done_yet(self):
        for name in ("torch", "cupy"):
            for module in (None, types.ModuleType(name)):
                self.import_as(name, module)
                plan = baracuda.WriteSlice(element="u8", dest=(NUM_BYTES,), start=(0,), end=(NUM_BYTES,), device="cuda")
                dest = tensor()
                self.was_given(None, plan.bind(dest=dest, source=package_tensor(name, 5)), dest)

    def test_a_class_of_no_module(self):
        source = tensor(5)
        source.__class__ = type("Homeless", (Producer,), {"__module__": None})
        dest = tensor()
        self.was_given(None, self.plan.bind(dest=dest, source=source), dest)

    def test_what_python_refers_to_is_collected(self):
        class CurrentStream:
            def __call__(self, ordinal):
                return 0

        torch = self.import_as("torch", types.ModuleType("torch"))
        current = CurrentStream()
        torch.cuda = types.SimpleNamespace(is_initialized=lambda: False)
        torch._C = types.SimpleNamespace(_cuda_getCurrentRawStream=current)
        current.call = self.plan.bind(dest=tensor(), source=package_tensor("torch", 5))
        alive = weakref.ref(current)
        del torch._C, current
        gc.collect()
        self.assertIsNone(alive())

    def test_a_gpu_that_is_not_there(self):
        self.assertEqual(1, baracuda.num_cuda_devices())
        fields = dict(element="u8", dest=(4,), start=(0,), end=(4,), device="cuda:1")
        with self.assertRaises(baracuda.Error):
            baracuda.WriteSlice(**fields)

        def no_such_gpu(ordinal):
            raise RuntimeError(f"Device index value {ordinal} is out of index range")

        torch = self.import_as("torch", types.ModuleType("torch"))
        torch._C = types.SimpleNamespace(_cuda_getCurrentRawStream=no_such_gpu)
        torch.cuda = types.SimpleNamespace(is_initialized=lambda: True)
        with self.assertRaises(baracuda.Error):
            baracuda.WriteSlice(**fields)


if __name__ == "__main__":
    unittest.main()
