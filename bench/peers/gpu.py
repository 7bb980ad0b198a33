"""A GPU through torch and CUDA's driver: graphs of calls, their times by events, memory copies, clocks."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import time
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

import torch
from entries import NotApplicable

Call = Callable[[], object]

KERNEL_NODE = 0  # CUgraphNodeType
MAX_COPY_BYTES = 384 << 20  # in a graph a copy of 1 GiB reached 2.76 TB/s on an H200, one of 384 MiB 4.25
MAX_CLOCK_HZ = 2.0e9  # turns a delay into cycles; at a lower clock it is longer


class KernelNodeParams(ctypes.Structure):
    """CUDA_KERNEL_NODE_PARAMS_v2"""

    _fields_ = [("func", c_void_p), *((f"{which}Dim{axis}", c_uint) for which in ("grid", "block") for axis in "XYZ"),
                ("sharedMemBytes", c_uint), ("kernelParams", c_void_p), ("extra", c_void_p), ("kern", c_void_p),
                ("ctx", c_void_p)]


class EdgeData(ctypes.Structure):
    """CUgraphEdgeData"""

    _fields_ = [("bytes", ctypes.c_ubyte * 8)]


SIGNATURES = {
    "cuGetErrorString": [c_int, POINTER(c_char_p)],
    "cuGraphCreate": [POINTER(c_void_p), c_uint],
    "cuGraphDestroy": [c_void_p],
    "cuGraphGetNodes": [c_void_p, POINTER(c_void_p), POINTER(c_size_t)],
    "cuGraphGetEdges_v2": [c_void_p, POINTER(c_void_p), POINTER(c_void_p), POINTER(EdgeData), POINTER(c_size_t)],
    "cuGraphNodeGetType": [c_void_p, POINTER(c_int)],
    "cuGraphKernelNodeGetParams_v2": [c_void_p, POINTER(KernelNodeParams)],
    "cuGraphAddKernelNode_v2": [POINTER(c_void_p), c_void_p, POINTER(c_void_p), c_size_t, POINTER(KernelNodeParams)],
    "cuGraphKernelNodeCopyAttributes": [c_void_p, c_void_p],
    "cuGraphInstantiateWithFlags": [POINTER(c_void_p), c_void_p, c_uint64],
    "cuGraphExecDestroy": [c_void_p],
    "cuGraphLaunch": [c_void_p, c_void_p],
    "cuMemcpyDtoDAsync_v2": [c_uint64, c_uint64, c_size_t, c_void_p],
}


class Driver:
    """libcuda; a status other than 0 is an exception."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libcuda.so.1")
        for name, arguments in SIGNATURES.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = arguments, c_int

    def __call__(self, name: str, *arguments: object) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            text = c_char_p()
            self._library.cuGetErrorString(status, byref(text))
            raise RuntimeError(f"{name}: {(text.value or b'unknown error').decode()} ({status})")


def in_order(nodes: Sequence[int], edges: Sequence[tuple[int, int]]) -> list[int]:
    """The nodes of a graph that is a chain, from the first to the last."""
    after = dict(edges)
    first = set(nodes) - set(after.values())
    if len(first) != 1 or len(after) != len(edges) or len(edges) != len(nodes) - 1:
        raise ValueError(f"a graph of {len(nodes)} nodes and {len(edges)} edges is no chain")
    ordered = [first.pop()]
    while ordered[-1] in after:
        ordered.append(after[ordered[-1]])
    return ordered


@dataclasses.dataclass
class Graph:
    """One that can be launched. `owner` holds what it refers to."""

    handle: c_void_p
    calls: int
    owner: Any
    delay_cycles: int = 0  # that the GPU is kept busy for while the host launches it


class DriverGraph:
    """A graph that is made here and not by torch."""

    def __init__(self, driver: Driver) -> None:
        self._driver, self._graph, self.executable = driver, c_void_p(), c_void_p()
        driver("cuGraphCreate", byref(self._graph), 0)
        self._last = c_void_p()

    def append_copy(self, node: int) -> None:
        """A kernel node of another graph, to run after all that is here."""
        params, added = KernelNodeParams(), c_void_p()
        self._driver("cuGraphKernelNodeGetParams_v2", node, byref(params))
        self._driver("cuGraphAddKernelNode_v2", byref(added), self._graph, byref(self._last), 1 if self._last else 0,
                     byref(params))
        self._driver("cuGraphKernelNodeCopyAttributes", added, node)  # clusters are one
        self._last = added

    def instantiate(self) -> None:
        self._driver("cuGraphInstantiateWithFlags", byref(self.executable), self._graph, 0)

    def __del__(self) -> None:
        if self.executable:
            self._driver("cuGraphExecDestroy", self.executable)
        if self._graph:
            self._driver("cuGraphDestroy", self._graph)


class Management:
    """NVIDIA's management library, where its Python package is; the times are good without it."""

    def __init__(self, uuid: str) -> None:
        self._library = self._handle = None
        with contextlib.suppress(Exception):
            import pynvml

            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid.removeprefix('GPU-')}")
            self._library = pynvml

    def sm_clock_mhz(self) -> int | None:
        if self._library is not None:
            with contextlib.suppress(Exception):
                return int(self._library.nvmlDeviceGetClockInfo(self._handle, self._library.NVML_CLOCK_SM))
        return None

    def driver_version(self) -> str:
        if self._library is not None:
            with contextlib.suppress(Exception):
                version = self._library.nvmlSystemGetDriverVersion()
                return version.decode() if isinstance(version, bytes) else str(version)
        return "of unknown version"


class Gpu:
    """What timing.Device asks for, and what entries are made of. All work goes to `stream`."""

    def __init__(self, ordinal: int) -> None:
        torch.cuda.init()
        torch.cuda.set_device(ordinal)
        self.driver = Driver()
        self.stream = torch.cuda.Stream()
        torch.cuda.set_stream(self.stream)  # what tensors are made by is in order with what is captured and timed
        self.properties = torch.cuda.get_device_properties(ordinal)
        self._management = Management(str(getattr(self.properties, "uuid", "")))
        self._begin, self._end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    @property
    def handle(self) -> int:
        return self.stream.cuda_stream

    @property
    def l2_bytes(self) -> int:
        return self.properties.L2_cache_size

    def machine(self) -> str:
        return (f"{self.properties.name}, {self.properties.multi_processor_count} multiprocessors, "
                f"L2 {self.l2_bytes / 2**20:.0f} MiB, driver {self._management.driver_version()}")

    def synchronize(self) -> None:
        torch.cuda.synchronize()

    def release(self) -> None:
        """Gives back the memory of a case that is over."""
        gc.collect()
        torch.cuda.empty_cache()

    def copy(self, dest: torch.Tensor, source: torch.Tensor) -> None:
        """The driver's copy, in parts that it is fast for."""
        total = source.numel() * source.element_size()
        for at in range(0, total, MAX_COPY_BYTES):
            self.driver("cuMemcpyDtoDAsync_v2", dest.data_ptr() + at, source.data_ptr() + at,
                        min(MAX_COPY_BYTES, total - at), self.handle)

    # ---- graphs ----

    def _record(self, calls: Sequence[Call], repeats: int, keep: bool) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph(keep_graph=keep)
        graph.capture_begin(capture_error_mode="thread_local")  # compilers have threads of their own
        try:
            for _ in range(repeats):
                for call in calls:
                    call()
        except BaseException:
            with contextlib.suppress(RuntimeError):  # the exception under way says why
                graph.capture_end()
            raise
        graph.capture_end()
        return graph

    def capture(self, calls: Sequence[Call], repeats: int) -> Graph:
        """All calls, `repeats` times, in one graph. They must have run before."""
        self.synchronize()
        graph = self._record(calls, repeats, keep=False)
        return self._ready(Graph(c_void_p(graph.raw_cuda_graph_exec()), len(calls) * repeats, graph))

    def capture_without_first_kernel(self, calls: Sequence[Call], repeats: int) -> Graph:
        """The same without the first kernel of each call, on what that has left in memory."""
        self.synchronize()
        made = DriverGraph(self.driver)
        recorded = [self._record([call], 1, keep=True) for call in calls]
        rest = [self._chain(c_void_p(graph.raw_cuda_graph()))[1:] for graph in recorded]
        if not all(rest):
            raise NotApplicable("the call is a single kernel")
        for _ in range(repeats):
            for nodes in rest:
                for node in nodes:
                    made.append_copy(node)
        made.instantiate()
        return self._ready(Graph(made.executable, len(calls) * repeats, made))

    def _chain(self, graph: c_void_p) -> list[int]:
        count = c_size_t(0)
        self.driver("cuGraphGetNodes", graph, None, byref(count))
        nodes = (c_void_p * count.value)()
        self.driver("cuGraphGetNodes", graph, nodes, byref(count))
        # A chain has fewer edges than nodes. Their data are asked for, because programmatic launches have some.
        sources, targets, data = (c_void_p * count.value)(), (c_void_p * count.value)(), (EdgeData * count.value)()
        self.driver("cuGraphGetEdges_v2", graph, sources, targets, data, byref(count))
        for node in nodes:
            kind = c_int(-1)
            self.driver("cuGraphNodeGetType", node, byref(kind))
            if kind.value != KERNEL_NODE:
                raise NotApplicable(f"the call is not of kernels alone, but has a node of type {kind.value}")
        return in_order(list(nodes), list(zip(sources, targets))[: count.value])

    def _ready(self, graph: Graph) -> Graph:
        """Replays it, and finds out for how long the host is at its launch."""
        self.replay(graph, 1)
        self.synchronize()
        start = time.perf_counter()
        self.replay(graph, 1)
        seconds = time.perf_counter() - start
        self.synchronize()
        graph.delay_cycles = int((2 * seconds + 100e-6) * MAX_CLOCK_HZ)
        return graph

    # ---- timing.Device ----

    def rest(self, seconds: float) -> None:
        self.synchronize()
        time.sleep(seconds)

    def replay(self, graph: Graph, times: int) -> None:
        for _ in range(times):
            self.driver("cuGraphLaunch", graph.handle, self.handle)

    def time_replay(self, graph: Graph) -> float:
        torch.cuda._sleep(graph.delay_cycles)
        return self.time_replay_between(graph, 0)

    def time_replay_between(self, graph: Graph, after: int) -> float:
        self._begin.record(self.stream)
        self.replay(graph, 1)
        self._end.record(self.stream)
        self.replay(graph, after)
        self._end.synchronize()
        return self._begin.elapsed_time(self._end) * 1e-3

    def time_calls(self, calls: Sequence[Call]) -> float:
        """Seconds of one call, the GPU kept busy while they are enqueued."""
        torch.cuda._sleep(int((20e-6 * len(calls) + 100e-6) * MAX_CLOCK_HZ))
        self._begin.record(self.stream)
        for call in calls:
            call()
        self._end.record(self.stream)
        self._end.synchronize()
        return self._begin.elapsed_time(self._end) * 1e-3 / len(calls)

    def clock_mhz(self) -> int | None:
        return self._management.sm_clock_mhz()
