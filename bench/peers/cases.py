"""The cases: their buffers, ours and the peers on them, and what ours has to compute.

What baracuda gives is compared with torch's arithmetic of the same steps, bit for bit wherever the plan promises so.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import baracuda
import cublaslt
import torch
from entries import Case, Entry, Goal, Mismatch, NotApplicable, Work

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32, "u8": torch.uint8, "i8": torch.int8}
MAX_SETS = 1024

OURS, CUBLASLT, INT_MM, EAGER, COMPILED, MEMCPY = (
    "baracuda", "cuBLASLt s8→s32", "torch._int_mm", "torch", "torch.compile", "memcpy")
GEMM_ALONE, QUANTIZER_ALONE = "baracuda, GEMM alone", "baracuda, quantizer alone"


class Bench:
    """What cases are made with. `gpu` is None where they are made for the CPU, to be checked and not to be timed."""

    def __init__(self, gpu: Any = None, compiles: bool = True, most_candidates: int = 128,
                 workspace_bytes: int = 64 << 20) -> None:
        self.gpu, self.compiles = gpu, compiles
        self.most_candidates, self.workspace_bytes = most_candidates, workspace_bytes
        self.device = torch.device("cpu" if gpu is None else "cuda")
        self.l2_bytes = 0 if gpu is None else gpu.l2_bytes

    def num_sets(self, num_bytes: int) -> int:
        """So many buffers that each has left the cache when its turn comes again."""
        return min(max(2, 4 * self.l2_bytes // max(1, num_bytes) + 1), MAX_SETS)

    def sets(self, num_bytes: int, make: Callable[[int], Any]) -> list[Any]:
        return [make(index) for index in range(self.num_sets(num_bytes))]

    @functools.cached_property
    def lt(self) -> cublaslt.CublasLt:
        if self.gpu is None:
            raise NotApplicable("cuBLASLt needs a GPU")
        return cublaslt.CublasLt()

    @functools.cached_property
    def workspace(self) -> torch.Tensor:
        return self.empty(self.workspace_bytes, dtype=torch.uint8)

    def compiled(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        if not self.compiles:
            raise NotApplicable("--no-compile")
        torch._dynamo.reset()  # else the shapes of cases before make this one dynamic, or are too many
        return torch.compile(function, mode=mode, dynamic=False, fullgraph=True)

    # ---- tensors ----

    def empty(self, *shape: int, dtype: torch.dtype) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device=self.device)

    def normal(self, *shape: int, dtype: torch.dtype) -> torch.Tensor:
        return torch.randn(shape, dtype=dtype, device=self.device)

    def uniform(self, *shape: int, low: float, high: float) -> torch.Tensor:
        return torch.rand(shape, device=self.device) * (high - low) + low

    def integers(self, *shape: int, low: int, high: int, dtype: torch.dtype = torch.int8) -> torch.Tensor:
        return torch.randint(low, high + 1, shape, dtype=dtype, device=self.device)

    def random_like(self, *shape: int, dtype: torch.dtype) -> torch.Tensor:
        """Any bits of an integer type, numbers of the others."""
        if dtype.is_floating_point:
            return self.normal(*shape, dtype=dtype)
        info = torch.iinfo(dtype)
        return self.integers(*shape, low=info.min, high=info.max, dtype=dtype)


# ---- checks ---------------------------------------------------------------------------------------------------------


def check_equal(what: str, got: torch.Tensor, expected: torch.Tensor) -> None:
    if got.dtype != expected.dtype or got.shape != expected.shape:
        raise Mismatch(f"{what} is {got.dtype} of {tuple(got.shape)}, expected {expected.dtype} of "
                       f"{tuple(expected.shape)}")
    if torch.equal(got, expected):
        return
    differ = got != expected
    where = tuple(torch.nonzero(differ)[0].tolist())
    raise Mismatch(f"{int(differ.sum())} of {got.numel()} elements of {what} differ, the first at {where}: "
                   f"{got[where].item()}, expected {expected[where].item()}")


def check_close(what: str, got: torch.Tensor, expected: torch.Tensor, relative: float) -> None:
    """Each element within a part of its f64 reference."""
    error = (got.double() - expected).abs()
    if not bool((error <= relative * expected.abs() + 1e-30).all()):  # so written, NaN does not pass
        raise Mismatch(f"{what} is off by up to {error.max().item():.3g}, expected within {relative:.3g} of each")


def ends(sets: Sequence[Any]) -> list[Any]:
    """Those that are checked: the first and the last."""
    return [sets[0], sets[-1]]


def copy_entry(bench: Bench, moved: int) -> Entry:
    """The driver's copy of half as many bytes as are moved: it reads and writes each."""
    def prepare() -> Work:
        if bench.gpu is None:
            raise NotApplicable("the driver's copy needs a GPU")
        copied = max(1, moved // 2)
        pairs = bench.sets(moved, lambda _: (bench.empty(copied, dtype=torch.uint8),
                                             bench.random_like(copied, dtype=torch.uint8)))
        return Work([functools.partial(bench.gpu.copy, dest, source) for dest, source in pairs],
                    details={"copied_bytes": copied})
    return Entry(MEMCPY, prepare)


# ---- w8a8 -----------------------------------------------------------------------------------------------------------


def quantized_rows(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What QuantizedLinear's first step says: q and its scales, rounded once a step in f32."""
    x = x.float()
    # A division by a tensor on the device: by a number torch multiplies with the reciprocal.
    scale = x.abs().amax(1) / torch.full((), 127.0, device=x.device)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return torch.round(x / scale[:, None]).clamp_(-127, 127).to(torch.int8), scale


def exact_sums(q: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """q · weightᵀ in f64, which holds every such sum."""
    return (q.double() @ weight.double().t()).to(torch.int32)


def composed_linear(x: torch.Tensor, weight: torch.Tensor, weight_scale: torch.Tensor) -> torch.Tensor:
    """W8A8 as it is composed in torch."""
    scale = x.abs().amax(1, keepdim=True).float() / 127
    q = torch.round(x / scale).clamp(-127, 127).to(torch.int8)
    return (torch._int_mm(q, weight.t()).float() * scale * weight_scale).to(x.dtype)


class LinearSet:
    def __init__(self, bench: Bench, m: int, n: int, k: int, dtype: torch.dtype) -> None:
        self.x = bench.normal(m, k, dtype=dtype)
        self.weight = bench.integers(n, k, low=-127, high=127)
        self.weight_scale = bench.uniform(n, low=0.5, high=1.5).div_(127 * math.sqrt(k))
        # The plan's q, which cuBLASLt and torch then multiply too. Random, in case that the plan fails.
        self.act_q_scratch = bench.integers(m, k, low=-127, high=127)
        self.act_scale_scratch = bench.empty(m, dtype=torch.float32)
        self.y = bench.empty(m, n, dtype=dtype)
        self.sums = bench.empty(m, n, dtype=torch.int32)

    def arguments(self) -> dict[str, torch.Tensor]:
        return {name: getattr(self, name) for name in ("x", "weight", "weight_scale", "act_q_scratch",
                                                       "act_scale_scratch", "y")}

    def check_rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        q, scale = quantized_rows(self.x)
        check_equal("act_scale_scratch", self.act_scale_scratch, scale)
        check_equal("act_q_scratch", self.act_q_scratch, q)
        return q, scale

    def check_linear(self) -> None:
        q, scale = self.check_rows()
        factors = scale[:, None] * self.weight_scale
        check_equal("y", self.y, (exact_sums(q, self.weight).float() * factors).to(self.y.dtype))

    def check_sums(self) -> None:
        check_equal("the s32 sums", self.sums, exact_sums(self.act_q_scratch, self.weight))


def linear_entries(bench: Bench, m: int, n: int, k: int, element: str, compiles: bool) -> list[Entry]:
    dtype, moved = DTYPES[element], linear_bytes(m, n, k)
    sets = bench.sets(moved, lambda _: LinearSet(bench, m, n, k, dtype))
    checked = ends(sets)

    def spoil(*names: str) -> None:
        for each in checked:
            for name in names:
                tensor = getattr(each, name)
                tensor.fill_(math.nan if tensor.is_floating_point() else 77)

    def check(name: str) -> None:
        for each in checked:
            getattr(each, name)()

    def plan_calls() -> tuple[Any, list[Callable[[], object]]]:
        plan = baracuda.QuantizedLinear(m=m, c_out=n, k=k, element=element, device=bench.device)
        return plan, [plan.bind(**each.arguments()) for each in sets]

    def whole_plan() -> Work:
        plan, calls = plan_calls()
        return Work(calls, functools.partial(spoil, "y", "act_q_scratch", "act_scale_scratch"),
                    functools.partial(check, "check_linear"), details={"sku": plan.sku})

    def gemm_alone() -> Work:
        plan, calls = plan_calls()
        return Work(calls, functools.partial(spoil, "y"), functools.partial(check, "check_linear"),
                    without_first_kernel=True, details={"sku": plan.sku})

    def quantizer_alone() -> Work:
        plan = baracuda.DynamicRangeQuantize(element=element, shape=(m, k), device=bench.device)
        return Work([plan.bind(x=each.x, q=each.act_q_scratch, scale=each.act_scale_scratch) for each in sets],
                    functools.partial(spoil, "act_q_scratch", "act_scale_scratch"),
                    functools.partial(check, "check_rows"), details={"sku": plan.sku})

    def best_of_cublaslt() -> Work:
        product = cublaslt.S8Product(bench.lt, m, n, k, bench.workspace.data_ptr(), bench.workspace_bytes)
        operands = [cublaslt.Operands(each.act_q_scratch.data_ptr(), each.weight.data_ptr(), each.sums.data_ptr())
                    for each in sets]

        def calls(candidate: cublaslt.Candidate) -> list[Callable[[], object]]:
            return [functools.partial(product.enqueue, candidate, each, bench.gpu.handle) for each in operands]

        def works(candidate: cublaslt.Candidate) -> bool:
            return product.runs(candidate, operands[0], bench.gpu.handle)

        def seconds(candidate: cublaslt.Candidate) -> float:
            return bench.gpu.time_calls(calls(candidate))

        found = cublaslt.search(product.candidates(bench.most_candidates), works, seconds)
        return Work(calls(found.best),
                    functools.partial(spoil, "sums"), functools.partial(check, "check_sums"),
                    details={"candidates": found.offered, "refused": found.refused,
                             "workspace_bytes": found.best.workspace_bytes,
                             "heuristics_first_over_best": round(found.first_over_best, 4)})

    def int_mm() -> Work:
        require_int_mm(bench, m)
        return Work([functools.partial(torch._int_mm, each.act_q_scratch, each.weight.t(), out=each.sums)
                     for each in sets], functools.partial(spoil, "sums"), functools.partial(check, "check_sums"))

    def composed(function: Callable[[], Callable[..., torch.Tensor]]) -> Work:
        require_int_mm(bench, m)
        run = function()
        return Work([functools.partial(run, each.x, each.weight, each.weight_scale) for each in sets])

    products = (CUBLASLT, INT_MM)
    others = (EAGER, *[COMPILED] * compiles, *[MEMCPY] * (m <= 64))
    entries = [Entry(OURS, whole_plan, (*products, *others)), Entry(GEMM_ALONE, gemm_alone, products),
               Entry(QUANTIZER_ALONE, quantizer_alone, is_part=True), Entry(CUBLASLT, best_of_cublaslt),
               Entry(INT_MM, int_mm), Entry(EAGER, lambda: composed(lambda: composed_linear))]
    if compiles:
        # Its best mode, without graphs of its own: these calls are captured in ours.
        entries.append(Entry(COMPILED, lambda: composed(
            lambda: bench.compiled(composed_linear, "max-autotune-no-cudagraphs")), extra_seconds=45))
    if MEMCPY in others:
        entries.append(copy_entry(bench, moved))
    return entries


def require_int_mm(bench: Bench, m: int) -> None:
    if m <= 16 and bench.gpu is not None:
        raise NotApplicable("torch._int_mm takes more than 16 rows")


def linear_bytes(m: int, n: int, k: int) -> int:
    """x and weight are read and y is written, once: what any way to compute it has to move."""
    return 2 * m * k + n * k + 2 * m * n


def linear_case(element: str, m: int, n: int, k: int, goals: Sequence[Goal] = ()) -> Case:
    compiles = any(goal.peer == COMPILED for goal in goals)  # slow, so only where it is asked for
    entries = functools.partial(linear_entries, m=m, n=n, k=k, element=element, compiles=compiles)
    return Case(f"w8a8-{element}-{m}x{n}x{k}", "w8a8", linear_bytes(m, n, k), 2 * m * n * k, entries, tuple(goals))


# ---- write_slice and kv_cache_append --------------------------------------------------------------------------------


def slice_case(name: str, element: str, shape: Sequence[int], start: Sequence[int], end: Sequence[int], *,
               is_contiguous: bool = False, **goal: float) -> Case:
    dtype, extents = DTYPES[element], [b - a for a, b in zip(start, end)]
    moved = 2 * math.prod(extents) * dtype.itemsize
    window = tuple(slice(a, b) for a, b in zip(start, end))

    def entries(bench: Bench) -> list[Entry]:
        sets = bench.sets(moved, lambda _: (bench.random_like(*shape, dtype=dtype),
                                            bench.random_like(*extents, dtype=dtype)))
        before = [dest.clone() for dest, _ in ends(sets)]

        def restore() -> None:
            for original, (dest, _) in zip(before, ends(sets)):
                dest.copy_(original)

        def check() -> None:
            for original, (dest, source) in zip(before, ends(sets)):
                expected = original.clone()
                expected[window] = source
                check_equal("dest", dest, expected)

        def ours() -> Work:
            plan = baracuda.WriteSlice(element=element, dest=shape, start=start, end=end, device=bench.device)
            return Work([plan.bind(dest=dest, source=source) for dest, source in sets], restore, check,
                        details={"sku": plan.sku})

        def theirs() -> Work:
            return Work([functools.partial(dest[window].copy_, source) for dest, source in sets])

        def driver() -> Work:
            if bench.gpu is None:
                raise NotApplicable("the driver's copy needs a GPU")
            return Work([functools.partial(bench.gpu.copy, dest[window], source) for dest, source in sets])

        copy = Entry(MEMCPY, driver) if is_contiguous else copy_entry(bench, moved)
        return [Entry(OURS, ours, (EAGER, MEMCPY)), Entry(EAGER, theirs), copy]

    goals = (Goal(OURS, MEMCPY if is_contiguous else "", **goal),)
    return Case(f"write_slice-{name}", "write_slice", moved, 0, entries, goals)


def append_case(num_sequences: int, num_heads: int, max_seq_len: int, head_dim: int) -> Case:
    """One token's keys and values to caches whose heads lie outside their tokens."""
    moved = 2 * 2 * num_sequences * num_heads * head_dim * 2

    def entries(bench: Bench) -> list[Entry]:
        dtype = torch.bfloat16

        def cache() -> torch.Tensor:
            return bench.normal(num_sequences, num_heads, max_seq_len, head_dim, dtype=dtype).transpose(1, 2)

        def token() -> torch.Tensor:
            return bench.normal(num_sequences, 1, num_heads, head_dim, dtype=dtype)

        k_cache, v_cache = cache(), cache()
        sets = [(token(), token(), index * 7 % max_seq_len) for index in range(min(bench.num_sets(moved), max_seq_len))]
        positions = [torch.full((num_sequences,), at, dtype=torch.int64, device=bench.device) for _, _, at in sets]
        rows = torch.arange(num_sequences, device=bench.device)
        before = k_cache.clone(), v_cache.clone()

        def restore() -> None:
            k_cache.copy_(before[0])
            v_cache.copy_(before[1])

        def check() -> None:
            expected_k, expected_v = before[0].clone(), before[1].clone()
            for k, v, at in sets:
                expected_k[:, at : at + 1], expected_v[:, at : at + 1] = k, v
            check_equal("k_cache", k_cache, expected_k)
            check_equal("v_cache", v_cache, expected_v)

        def ours() -> Work:
            plan = baracuda.KvCacheAppend(
                element="bf16", num_tokens=1, num_kv_heads=num_heads, k_head_dim=head_dim, v_head_dim=head_dim,
                num_sequences=num_sequences, max_seq_len=max_seq_len, device=bench.device)
            return Work([plan.bind(k=k, v=v, k_cache=k_cache, v_cache=v_cache, positions=each)
                         for (k, v, _), each in zip(sets, positions)], restore, check, details={"sku": plan.sku})

        def put(k: torch.Tensor, v: torch.Tensor, each: torch.Tensor) -> None:
            k_cache.index_put_((rows, each), k[:, 0])
            v_cache.index_put_((rows, each), v[:, 0])

        def assign(k: torch.Tensor, v: torch.Tensor, at: int) -> None:
            k_cache[:, at : at + 1] = k
            v_cache[:, at : at + 1] = v

        return [
            Entry(OURS, ours, ("torch, index_put", "torch, assignment", MEMCPY)),
            Entry("torch, index_put", lambda: Work([functools.partial(put, k, v, each)
                                                    for (k, v, _), each in zip(sets, positions)])),
            Entry("torch, assignment", lambda: Work([functools.partial(assign, *each) for each in sets])),
            copy_entry(bench, moved),
        ]

    return Case("kv_append-one_token", "kv_append", moved, 0, entries, (Goal(OURS, max_us=3.0),))


# ---- quantizers and elementwise -------------------------------------------------------------------------------------


def map_case(name: str, group: str, moved: int, make_set: Callable[[Bench], Any], bind: Callable[..., Any],
             check: Callable[..., None], eager: Callable[..., Any] | None, compiles: bool,
             goals: Sequence[Goal]) -> Case:
    """What reads and writes memory once. A set has what `bind` makes a call of, `check` compares and `eager` takes."""
    def entries(bench: Bench) -> list[Entry]:
        sets = bench.sets(moved, lambda _: make_set(bench))

        def spoil() -> None:
            for each in ends(sets):
                each["out"].fill_(math.nan if each["out"].is_floating_point() else 77)

        def check_ends() -> None:
            for each in ends(sets):
                check(each)

        def ours() -> Work:
            plan, bound = bind(bench, sets)
            return Work(bound, spoil, check_ends, details={"sku": plan.sku})

        made = [Entry(OURS, ours)]
        if eager is not None:
            made.append(Entry(EAGER, lambda: Work([functools.partial(eager, each) for each in sets])))
        if eager is not None and compiles:
            def compiled() -> Work:
                run = bench.compiled(eager, "default")
                return Work([functools.partial(run, each) for each in sets])
            made.append(Entry(COMPILED, compiled, extra_seconds=20))
        made.append(copy_entry(bench, moved))
        made[0].peers = tuple(each.name for each in made[1:])
        return made

    return Case(name, group, moved, 0, entries, tuple(goals))


NEAR_COPY = (Goal(OURS, MEMCPY, max_ratio=1 / 0.88),)
GROUP_SIZE = 128


def quantization_shape(granularity: str, shape: tuple[int, int]) -> tuple[dict[str, Any], int, Callable[..., Any]]:
    """The plan's fields, how many scales there are, and how they are spread over x."""
    rows, columns = shape
    kinds: dict[str, tuple[dict[str, Any], int, Callable[..., Any]]] = {
        "per_tensor": ({}, 1, lambda scale: scale),
        "per_channel": ({"axis": 0}, rows, lambda scale: scale[:, None]),
        "per_group": ({"group_size": GROUP_SIZE}, rows * columns // GROUP_SIZE,
                      lambda scale: scale.view(rows, -1).repeat_interleave(GROUP_SIZE, 1)),
    }
    fields, num_scales, spread = kinds[granularity]
    return {"granularity": granularity, **fields}, num_scales, spread


def unpacked(pairs: torch.Tensor) -> torch.Tensor:
    """The s4 of bytes, the even index in the low half."""
    nibbles = torch.stack((pairs & 15, pairs >> 4), -1).flatten(-2).to(torch.int8)
    return (nibbles ^ 8) - 8


def quantize_case(element: str, q_element: str, granularity: str, shape: tuple[int, int]) -> Case:
    dtype, is_packed, count = DTYPES[element], q_element == "s4", math.prod(shape)
    fields, num_scales, spread = quantization_shape(granularity, shape)
    low, high = (-8, 7) if is_packed else (-128, 127)
    moved = count * dtype.itemsize + count // (2 if is_packed else 1) + 4 * num_scales

    def make_set(bench: Bench) -> dict[str, torch.Tensor]:
        out = (bench.empty(shape[0], shape[1] // 2, dtype=torch.uint8) if is_packed
               else bench.empty(*shape, dtype=torch.int8))
        # Some values are clamped.
        return {"x": bench.normal(*shape, dtype=dtype), "out": out,
                "scale": bench.uniform(num_scales, low=2.5 / high, high=3.5 / high)}

    def quantized(each: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.round(each["x"] / spread(each["scale"])).clamp(low, high).to(torch.int8)

    def bind(bench: Bench, sets: list[dict[str, torch.Tensor]]) -> tuple[Any, list[Any]]:
        plan = baracuda.Quantize(element=element, shape=shape, q_element=q_element, device=bench.device, **fields)
        return plan, [plan.bind(x=each["x"], scale=each["scale"],
                                q=baracuda.view(each["out"], "s4") if is_packed else each["out"]) for each in sets]

    def check(each: dict[str, torch.Tensor]) -> None:
        check_equal("q", unpacked(each["out"]) if is_packed else each["out"], quantized(each))

    return map_case(f"quantize-{element}-{q_element}-{granularity}", "quantize", moved, make_set, bind, check,
                    None if is_packed else quantized, True, NEAR_COPY)


def dequantize_case(element: str, q_element: str, granularity: str, shape: tuple[int, int]) -> Case:
    dtype, is_packed, count = DTYPES[element], q_element == "s4", math.prod(shape)
    fields, num_scales, spread = quantization_shape(granularity, shape)
    moved = count * dtype.itemsize + count // (2 if is_packed else 1) + 4 * num_scales

    def make_set(bench: Bench) -> dict[str, torch.Tensor]:
        q = (bench.random_like(shape[0], shape[1] // 2, dtype=torch.uint8) if is_packed
             else bench.random_like(*shape, dtype=torch.int8))
        return {"q": q, "out": bench.empty(*shape, dtype=dtype),
                "scale": bench.uniform(num_scales, low=0.01, high=0.03)}

    def dequantized(each: dict[str, torch.Tensor]) -> torch.Tensor:
        q = unpacked(each["q"]) if is_packed else each["q"]
        return (q.float() * spread(each["scale"])).to(dtype)

    def bind(bench: Bench, sets: list[dict[str, torch.Tensor]]) -> tuple[Any, list[Any]]:
        plan = baracuda.Dequantize(element=element, shape=shape, q_element=q_element, device=bench.device, **fields)
        return plan, [plan.bind(q=baracuda.view(each["q"], "s4") if is_packed else each["q"], scale=each["scale"],
                                x=each["out"]) for each in sets]

    def check(each: dict[str, torch.Tensor]) -> None:
        check_equal("x", each["out"], dequantized(each))

    return map_case(f"dequantize-{q_element}-{element}-{granularity}", "quantize", moved, make_set, bind, check,
                    None if is_packed else dequantized, True, NEAR_COPY)


def dynamic_case(element: str, shape: tuple[int, int]) -> Case:
    dtype, count = DTYPES[element], math.prod(shape)
    moved = count * (dtype.itemsize + 1) + 4 * shape[0]

    def make_set(bench: Bench) -> dict[str, torch.Tensor]:
        return {"x": bench.normal(*shape, dtype=dtype), "out": bench.empty(*shape, dtype=torch.int8),
                "scale": bench.empty(shape[0], dtype=torch.float32)}

    def bind(bench: Bench, sets: list[dict[str, torch.Tensor]]) -> tuple[Any, list[Any]]:
        plan = baracuda.DynamicRangeQuantize(element=element, shape=shape, device=bench.device)
        return plan, [plan.bind(x=each["x"], q=each["out"], scale=each["scale"]) for each in sets]

    def check(each: dict[str, torch.Tensor]) -> None:
        q, scale = quantized_rows(each["x"])
        check_equal("scale", each["scale"], scale)
        check_equal("q", each["out"], q)

    return map_case(f"dynamic_range_quantize-{element}", "quantize", moved, make_set, bind, check,
                    lambda each: quantized_rows(each["x"]), True, NEAR_COPY)


def elementwise_case(op: Any, element: str, shape: tuple[int, int], theirs: Callable[..., Any],
                     reference: Callable[..., torch.Tensor], *, num_inputs: int = 1, output: str | None = None,
                     relative: float = 0) -> Case:
    """`relative` is what an element may be off by; 0: no bit."""
    dtype, out_dtype = DTYPES[element], DTYPES[output or element]
    moved = math.prod(shape) * (num_inputs * dtype.itemsize + out_dtype.itemsize)
    names = ("x", "y")[:num_inputs]

    def make_set(bench: Bench) -> dict[str, torch.Tensor]:
        inputs = {name: bench.normal(*shape, dtype=dtype) for name in names}
        return {**inputs, "out": bench.empty(*shape, dtype=out_dtype)}

    def bind(bench: Bench, sets: list[dict[str, torch.Tensor]]) -> tuple[Any, list[Any]]:
        plan = baracuda.Elementwise(op=op, element=element, output=output, shape=shape, device=bench.device)
        return plan, [plan.bind(output=each["out"], x=each["x"], y=each.get("y")) for each in sets]

    def check(each: dict[str, torch.Tensor]) -> None:
        inputs = [each[name] for name in names]
        if relative:
            check_close("output", each["out"], reference(*(tensor.double() for tensor in inputs)), relative)
        else:
            check_equal("output", each["out"], reference(*inputs))

    return map_case(f"elementwise-{op}-{element}{f'-{output}' if output else ''}", "elementwise", moved, make_set, bind,
                    check, lambda each: theirs(*(each[name] for name in names), each["out"]), False, ())


# ---- all ------------------------------------------------------------------------------------------------------------

BF16_ROUNDING = 0.52 * 2.0**-7  # of the value, at most: an element is rounded once, and what is rounded is almost exact


def all_cases() -> list[Case]:
    def plan(most: float) -> Goal:
        return Goal(OURS, CUBLASLT, max_ratio=most)

    def speedup(least: float) -> Goal:
        return Goal(OURS, COMPILED, max_ratio=1 / least)

    gemm = Goal(GEMM_ALONE, CUBLASLT, max_ratio=0.94)
    linear = [linear_case(element, *shape, goals) for element in ("bf16", "f16") for shape, goals in (
        ((4096, 8192, 8192), (gemm, plan(1.00), speedup(1.9))),
        ((1024, 8192, 8192), (gemm, plan(0.90))),
        ((4096, 4096, 4096), (gemm, plan(1.05))),
        ((64, 4096, 4096), (plan(0.95),)),
        ((64, 8192, 8192), (plan(0.95),)),
        ((64, 28672, 8192), (plan(0.95),)),
        ((32, 4096, 4096), (speedup(2.0),)),
        ((16, 8192, 8192), ()),
        ((1, 8192, 8192), ()),
    )]
    cache, plane = (32, 8, 8192, 128), (8192, 16384)
    slices = [
        slice_case("contiguous", "f32", plane, (1000, 0), (7000, 16384), is_contiguous=True, max_ratio=1 / 0.97),
        slice_case("kv_prefill", "bf16", cache, (0, 0, 777, 0), (32, 8, 2825, 128), min_gb_per_s=3800),
        slice_case("window_f32", "f32", plane, (1001, 1003), (7001, 15003), min_gb_per_s=3400),
        slice_case("window_u8", "u8", plane, (1001, 1003), (7001, 15003), min_gb_per_s=3400),
    ]
    narrow, wide = (16384, 8192), (8192, 8192)  # 256 MiB of 2 and of 4 bytes
    quantizers = [
        quantize_case("bf16", "i8", "per_channel", narrow),
        quantize_case("f32", "i8", "per_tensor", wide),
        quantize_case("bf16", "s4", "per_group", narrow),
        dequantize_case("bf16", "i8", "per_channel", narrow),
        dequantize_case("f32", "i8", "per_tensor", wide),
        dequantize_case("bf16", "s4", "per_group", narrow),
        dynamic_case("bf16", narrow),
        dynamic_case("f16", narrow),
    ]
    gelu, silu = torch.nn.functional.gelu, torch.nn.functional.silu
    elementwise = [
        elementwise_case("gelu", "bf16", narrow, lambda x, out: torch.ops.aten.gelu.out(x, out=out), gelu,
                         relative=BF16_ROUNDING),
        elementwise_case("silu", "bf16", narrow, lambda x, out: torch.ops.aten.silu.out(x, out=out), silu,
                         relative=BF16_ROUNDING),
        elementwise_case("add", "bf16", narrow, lambda x, y, out: torch.add(x, y, out=out), torch.add, num_inputs=2),
        elementwise_case("add", "f32", wide, lambda x, y, out: torch.add(x, y, out=out), torch.add, num_inputs=2),
        elementwise_case("cast", "f32", wide, lambda x, out: out.copy_(x), lambda x: x.to(torch.bfloat16),
                         output="bf16"),
    ]
    return [*linear, *slices, append_case(*cache), *quantizers, *elementwise]
