"""cuBLASLt's product of 8-bit integers, s8 · s8 → s32, by the fastest of all algorithms that its heuristic offers.

Through ctypes: torch._int_mm takes the first offer, with the workspace that torch gives it.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int32, c_int64, c_size_t, c_uint64, c_void_p

import libraries
from entries import NotApplicable

NOT_SUPPORTED = 15  # cublasStatus_t
COMPUTE_32I = 72  # cublasComputeType_t
R_8I, R_32I = 3, 10  # cudaDataType_t
OP_T = 1  # cublasOperation_t
DESC_TRANSA = 3  # cublasLtMatmulDescAttributes_t
PREF_MAX_WORKSPACE_BYTES = 1  # cublasLtMatmulPreferenceAttributes_t


class Algo(ctypes.Structure):
    _fields_ = [("data", c_uint64 * 8)]


class HeuristicResult(ctypes.Structure):
    _fields_ = [("algo", Algo), ("workspaceSize", c_size_t), ("state", c_int), ("wavesCount", c_float),
                ("reserved", c_int * 4)]


SIGNATURES = {
    "cublasLtCreate": [POINTER(c_void_p)],
    "cublasLtMatmulDescCreate": [POINTER(c_void_p), c_int, c_int],
    "cublasLtMatmulDescDestroy": [c_void_p],
    "cublasLtMatmulDescSetAttribute": [c_void_p, c_int, c_void_p, c_size_t],
    "cublasLtMatrixLayoutCreate": [POINTER(c_void_p), c_int, c_uint64, c_uint64, c_int64],
    "cublasLtMatrixLayoutDestroy": [c_void_p],
    "cublasLtMatmulPreferenceCreate": [POINTER(c_void_p)],
    "cublasLtMatmulPreferenceDestroy": [c_void_p],
    "cublasLtMatmulPreferenceSetAttribute": [c_void_p, c_int, c_void_p, c_size_t],
    "cublasLtMatmulAlgoGetHeuristic": [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_int,
                                       POINTER(HeuristicResult), POINTER(c_int)],
    "cublasLtMatmul": [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p,
                       c_void_p, c_void_p, c_void_p, POINTER(Algo), c_void_p, c_size_t, c_void_p],
}


def _open() -> ctypes.CDLL:
    """The library that torch has loaded, else another."""
    names = ("libcublasLt.so.13", "libcublasLt.so.12")
    errors = []
    for name, mode in (*((name, os.RTLD_NOW | os.RTLD_NOLOAD) for name in names),
                       *((name, os.RTLD_NOW) for name in (*names, *libraries.paths("cublasLt")))):
        try:
            return ctypes.CDLL(name, mode)
        except OSError as error:
            errors.append(str(error))
    raise OSError("there is no cuBLASLt: " + "; ".join(errors))


class CublasLt:
    """The library, with a handle of its own for the current device."""

    def __init__(self) -> None:
        self._library = _open()
        for name, arguments in SIGNATURES.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = arguments, c_int
        self._library.cublasLtGetVersion.restype = c_size_t
        self._library.cublasLtGetStatusString.argtypes = [c_int]
        self._library.cublasLtGetStatusString.restype = c_char_p
        self._handle = c_void_p()
        self.call("cublasLtCreate", byref(self._handle))

    @property
    def handle(self) -> c_void_p:
        return self._handle

    @property
    def version(self) -> str:
        number = self._library.cublasLtGetVersion()
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"

    def status(self, name: str, *arguments: object) -> int:
        return getattr(self._library, name)(*arguments)

    def call(self, name: str, *arguments: object) -> None:
        self.check(name, self.status(name, *arguments))

    def check(self, name: str, status: int) -> None:
        if status != 0:
            raise RuntimeError(f"{name}: {self._library.cublasLtGetStatusString(status).decode()} ({status})")


@dataclasses.dataclass(frozen=True)
class Operands:
    """Addresses of one set of buffers, row-major: q [m, k] and weight [n, k] in s8, sums [m, n] in s32."""

    q: int
    weight: int
    sums: int


@dataclasses.dataclass(frozen=True)
class Candidate:
    algo: Algo
    workspace_bytes: int


class S8Product:
    """sums = q · weightᵀ for one shape, and the algorithms that cuBLASLt's heuristic offers for it."""

    def __init__(self, lt: CublasLt, m: int, n: int, k: int, workspace: int, workspace_bytes: int) -> None:
        self._lt, self._workspace, self._workspace_bytes = lt, workspace, workspace_bytes
        self._one, self._zero = c_int32(1), c_int32(0)
        self._made: list[tuple[str, c_void_p]] = []
        # cuBLASLt is column-major: sumsᵀ = weight · qᵀ, of weight and q that lie transposed, as its s8 kernels want it.
        self._operation = self._create("MatmulDesc", COMPUTE_32I, R_32I)
        self._set("cublasLtMatmulDescSetAttribute", self._operation, DESC_TRANSA, c_int32(OP_T))
        self._weight_layout = self._create("MatrixLayout", R_8I, k, n, k)
        self._q_layout = self._create("MatrixLayout", R_8I, k, m, k)
        self._sums_layout = self._create("MatrixLayout", R_32I, n, m, n)

    def _create(self, kind: str, *arguments: int) -> c_void_p:
        made = c_void_p()
        self._lt.call(f"cublasLt{kind}Create", byref(made), *arguments)
        self._made.append((kind, made))
        return made

    def _set(self, name: str, owner: c_void_p, attribute: int, value: c_int32 | c_uint64) -> None:
        self._lt.call(name, owner, attribute, byref(value), ctypes.sizeof(value))

    def __del__(self) -> None:
        for kind, made in self._made:
            self._lt.call(f"cublasLt{kind}Destroy", made)

    def candidates(self, most: int) -> list[Candidate]:
        preference = self._create("MatmulPreference")
        self._set("cublasLtMatmulPreferenceSetAttribute", preference, PREF_MAX_WORKSPACE_BYTES,
                  c_uint64(self._workspace_bytes))
        results, offered = (HeuristicResult * most)(), c_int(0)
        status = self._lt.status(
            "cublasLtMatmulAlgoGetHeuristic", self._lt.handle, self._operation, self._weight_layout, self._q_layout,
            self._sums_layout, self._sums_layout, preference, most, results, byref(offered))
        if status == NOT_SUPPORTED:
            raise NotApplicable("cuBLASLt has no s8 product of this shape")
        self._lt.check("cublasLtMatmulAlgoGetHeuristic", status)
        return [Candidate(Algo.from_buffer_copy(result.algo), result.workspaceSize)
                for result in results[: offered.value] if result.state == 0]

    def runs(self, candidate: Candidate, operands: Operands, stream: int) -> bool:
        """Whether cuBLASLt takes its own offer, which it need not. Enqueues it, if so."""
        return self._enqueue(candidate, operands, stream) == 0

    def enqueue(self, candidate: Candidate, operands: Operands, stream: int) -> None:
        self._lt.check("cublasLtMatmul", self._enqueue(candidate, operands, stream))

    def _enqueue(self, candidate: Candidate, operands: Operands, stream: int) -> int:
        return self._lt.status(
            "cublasLtMatmul", self._lt.handle, self._operation, byref(self._one), operands.weight, self._weight_layout,
            operands.q, self._q_layout, byref(self._zero), operands.sums, self._sums_layout, operands.sums,
            self._sums_layout, byref(candidate.algo), self._workspace, self._workspace_bytes, stream)


@dataclasses.dataclass(frozen=True)
class Search:
    """What a search found, and among how many."""

    best: Candidate
    offered: int
    refused: int  # those that cuBLASLt offered and then did not run
    first_over_best: float  # what the heuristic's first choice takes, over what the best takes


def search(candidates: list[Candidate], works: Callable[[Candidate], bool], seconds: Callable[[Candidate], float],
           finalists: int = 6, final_rounds: int = 5) -> Search:
    """Times every candidate, then the fastest few again in turns, and keeps the one with the least median."""
    working = [candidate for candidate in candidates if works(candidate)]
    if not working:
        raise RuntimeError(f"none of the {len(candidates)} algorithms that cuBLASLt's heuristic offers runs")
    order = sorted(range(len(working)), key=[seconds(candidate) for candidate in working].__getitem__)
    chosen = list(dict.fromkeys([*order[:finalists], 0]))  # and the first choice, to compare with
    samples: dict[int, list[float]] = {index: [] for index in chosen}
    for _ in range(final_rounds):
        for index in chosen:
            samples[index].append(seconds(working[index]))
    medians = {index: sorted(values)[len(values) // 2] for index, values in samples.items()}
    best = min(chosen, key=medians.__getitem__)
    return Search(working[best], len(candidates), len(candidates) - len(working), medians[0] / medians[best])
