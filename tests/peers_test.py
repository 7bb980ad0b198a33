"""bench/peers without a GPU: selection, method, statistics, failures, JSON and tables on a device that makes up its
times, and the C structs and constants that it spells out."""

import ast
import contextlib
import ctypes
import importlib.util
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest
import unittest.mock

import support

FOLDER = support.ROOT / "bench/peers"
sys.path.insert(0, str(FOLDER))

import cublaslt
import libraries
import report
import runner
import timing
from entries import Case, Entry, Goal, Mismatch, NotApplicable, Work, select

CUDA = pathlib.Path("/usr/local/cuda/include")
METHOD = timing.Method()


class FakeGpu:
    """A replay takes as long as its calls, which move a clock of its own. What is done to it is in `log`."""

    def __init__(self):
        self.now, self.log, self.lost, self.released = 0.0, [], False, 0

    def call(self, seconds, name="call"):
        def run():
            self.now += seconds
            self.log.append(name)
        return run

    def capture(self, calls, repeats):
        return types.SimpleNamespace(body=list(calls) * repeats, calls=len(calls) * repeats)

    def capture_without_first_kernel(self, calls, repeats):
        self.log.append("without first kernel")
        return self.capture(calls, repeats)

    def synchronize(self):
        if self.lost:
            raise RuntimeError("an illegal memory access was encountered")

    def release(self):
        self.released += 1

    def rest(self, seconds):
        self.log.append(("rest", seconds))

    def replay(self, graph, times):
        for _ in range(times):
            for call in graph.body:
                call()

    def time_replay(self, graph):
        before = self.now
        self.replay(graph, 1)
        return self.now - before

    def time_replay_between(self, graph, after):
        self.log.append(("between", after))
        return self.time_replay(graph)

    def clock_mhz(self):
        return 1755


def entry(gpu, name, seconds, peers=(), sets=2, **more):
    return Entry(name, lambda: Work([gpu.call(seconds, name)] * sets, **more), peers)


def case(entries, name="case", goals=(), num_bytes=3_000_000, ops=0, group="group"):
    return Case(name, group, num_bytes, ops, lambda bench: entries, tuple(goals))


def fail(error):
    def prepare():
        raise error
    return prepare


def run(gpu, *cases, seconds=15, budget=600, done=lambda result: None):
    return runner.run_cases(cases, None, gpu, METHOD, seconds, budget, done)


class Statistics(unittest.TestCase):
    def test_spread(self):
        found = timing.spread([5.0, 1.0, 3.0, 2.0, 4.0])
        self.assertEqual((3.0, 1.0, 5), (found.median, found.min, found.samples))
        self.assertAlmostEqual(1.4, found.p10)
        self.assertAlmostEqual(4.6, found.p90)
        self.assertEqual(2.5, timing.spread([4.0, 1.0, 2.0, 3.0]).median)
        self.assertEqual(timing.Spread(7.0, 7.0, 7.0, 7.0, 1), timing.spread([7.0]))

    def test_a_graph_is_of_whole_rounds_and_about_as_long_as_wanted(self):
        self.assertEqual(25, METHOD.graph_repeats(10e-6, 12))
        self.assertEqual(1, METHOD.graph_repeats(2e-3, 2))  # not less than a round
        self.assertEqual(1024, METHOD.graph_repeats(1e-7, 2))  # nor more calls than a graph should have
        self.assertEqual(2, METHOD.graph_repeats(0.0, 960))


class Interleaving(unittest.TestCase):
    def timed(self, gpu, **seconds):
        return [timing.Timed(name, gpu.capture([gpu.call(each, name)], 4), 4) for name, each in seconds.items()]

    def test_entries_take_turns_in_both_regimes(self):
        gpu = FakeGpu()
        entries = self.timed(gpu, a=1e-3, b=2e-3)
        timing.interleave(gpu, entries, METHOD, lambda: False, runner.describe)
        for each, seconds in zip(entries, (1e-3, 2e-3)):
            self.assertEqual(METHOD.burst_rounds, each.spread("burst").samples)
            self.assertEqual(METHOD.sustained_rounds * METHOD.sustained_samples, each.spread("sustained").samples)
            for regime in timing.REGIMES:
                self.assertAlmostEqual(seconds, each.spread(regime).median)
            self.assertEqual(1755, each.clock_mhz("sustained"))
            self.assertIsNone(each.clock_mhz("burst"))
        turns = [name for name in gpu.log if name in ("a", "b")]
        bursts = turns[: (METHOD.burst_rounds + 1) * 8]  # the first round does not count
        self.assertEqual(["a"] * 4 + ["b"] * 4 + ["b"] * 4 + ["a"] * 4, bursts[:16])
        self.assertEqual(bursts[:16] * ((METHOD.burst_rounds + 1) // 2), bursts)
        # Sustained: a sample is behind at least 60 ms of the same work.
        behind = turns[len(bursts):]
        self.assertEqual(["a"] * (15 + 4) * 4 + ["b"] * (8 + 4) * 4, behind[: (19 + 12) * 4])
        self.assertEqual(2 * (METHOD.burst_rounds + 1), gpu.log.count(("rest", METHOD.rest_seconds)))
        self.assertEqual(2 * 4 * (METHOD.sustained_rounds + 1), gpu.log.count(("between", METHOD.samples_behind)))

    def test_late_means_one_round_that_counts(self):
        gpu = FakeGpu()
        entries = self.timed(gpu, a=1e-3)
        timing.interleave(gpu, entries, METHOD, lambda: True, runner.describe)
        self.assertEqual(1, entries[0].spread("burst").samples)
        self.assertEqual(METHOD.sustained_samples, entries[0].spread("sustained").samples)

    def test_one_that_fails_is_left_out(self):
        gpu = FakeGpu()
        left = []

        def breaks():
            left.append(None)
            if len(left) == 3:
                raise RuntimeError("broken\nand more")

        entries = self.timed(gpu, a=1e-3, b=1e-3)
        entries[0].graph.body = [breaks]
        timing.interleave(gpu, entries, METHOD, lambda: False, runner.describe)
        self.assertRegex(entries[0].error, r"^RuntimeError: broken \[timing\.py:\d+\]$")
        self.assertEqual(3, len(left))
        self.assertIsNone(entries[0].spread("burst"))
        self.assertEqual(METHOD.burst_rounds, entries[1].spread("burst").samples)


class Selection(unittest.TestCase):
    CASES = [case([], name, group=group) for name, group in (
        ("w8a8-bf16-1x2x3", "w8a8"), ("w8a8-f16-1x2x3", "w8a8"), ("quantize-f16", "quantize"))]

    def names(self, *words):
        return [each.name for each in select(self.CASES, words)]

    def test_names_groups_patterns(self):
        everything = [each.name for each in self.CASES]
        self.assertEqual(everything, self.names())
        self.assertEqual(everything[:2], self.names("w8a8"))
        self.assertEqual(everything[1:], self.names("*f16*", "quantize")[-2:])
        self.assertEqual([everything[2], everything[0]], self.names("quantize", "w8a8-bf16-1x2x3", "quantize-*"))

    def test_what_is_unknown_is_told(self):
        with self.assertRaisesRegex(ValueError, "no case is named 'w8'.*quantize, w8a8"):
            self.names("w8a8", "w8")


class Running(unittest.TestCase):
    def test_ratios_goals_and_what_is_prepared(self):
        gpu = FakeGpu()
        goals = [Goal("ours", "theirs", max_ratio=0.6), Goal("ours", "theirs", max_ratio=0.4),
                 Goal("ours", min_gb_per_s=200), Goal("ours", max_us=9.0), Goal("ours", "nobody", max_ratio=1)]
        result, = run(gpu, case([entry(gpu, "ours", 10e-6, ("theirs", "nobody")), entry(gpu, "theirs", 20e-6),
                                 entry(gpu, "alone", 5e-6, without_first_kernel=True)], goals=goals))
        self.assertEqual([], result.failures())
        ratio, = result.ratios()
        self.assertEqual(("ours", "theirs"), (ratio.entry, ratio.peer))
        self.assertAlmostEqual(0.5, ratio.by_regime["burst"])
        self.assertAlmostEqual(0.5, ratio.by_regime["sustained"])
        self.assertEqual([True, False, True, False], [each.met["burst"] for each in result.judged()])
        self.assertEqual(["ours / theirs ≤ 0.600", "ours / theirs ≤ 0.400", "ours ≥ 200 GB/s", "ours ≤ 9.00 µs"],
                         [each.text for each in result.judged()])
        self.assertEqual([300, 150, 600], [each.graph_calls for each in result.entries])
        self.assertEqual(2, gpu.log.count("without first kernel"))  # once to check and once to time
        self.assertEqual(1, gpu.released)

    def test_what_fails_is_named_and_the_rest_goes_on(self):
        gpu = FakeGpu()

        def mismatch():
            raise Mismatch("3 of 4 elements of y differ")

        entries = [entry(gpu, "ours", 1e-5, ("right",), check=mismatch), Entry("broken", fail(OSError("no library"))),
                   Entry("away", fail(NotApplicable("needs more rows"))), entry(gpu, "right", 1e-5)]
        first, second = run(gpu, case(entries, "first"), case([entry(gpu, "right", 1e-5)], "second"))
        mismatched, broken = first.failures()
        self.assertEqual("first: ours: Mismatch: 3 of 4 elements of y differ", mismatched)
        self.assertRegex(broken, r"^first: broken: OSError: no library \[runner\.py:\d+\]$")
        self.assertEqual(("needs more rows", {}), (first.entry("away").absent, first.entry("away").spreads))
        self.assertFalse(first.entry("ours").spreads)
        self.assertTrue(first.entry("right").spreads)
        self.assertEqual(([], []), (first.ratios(), second.failures()))

    def test_outputs_are_spoilt_run_and_checked_in_this_order(self):
        gpu = FakeGpu()
        spoil, check = gpu.call(0, "spoil"), gpu.call(0, "check")
        result, = run(gpu, case([entry(gpu, "ours", 1e-5, poison=spoil, check=check)]))
        self.assertEqual([], result.failures())
        self.assertEqual(["ours", "ours", "spoil", "ours", "ours", "check"], gpu.log[:6])

    def test_buffers_that_cannot_be_made_fail_the_case(self):
        gpu = FakeGpu()
        bad = Case("bad", "group", 1, 0, lambda bench: fail(MemoryError("out of memory"))())
        results = run(gpu, bad, case([entry(gpu, "right", 1e-5)], "good"))
        self.assertRegex(results[0].failures()[0], r"^bad: MemoryError: out of memory \[")
        self.assertEqual([], results[1].failures())

    def test_a_gpu_that_is_lost_ends_the_run(self):
        gpu = FakeGpu()

        def lose():
            gpu.lost = True
            raise RuntimeError("illegal access")

        first, second = run(gpu, case([Entry("ours", lose), entry(gpu, "other", 1e-5)], "first"),
                            case([entry(gpu, "other", 1e-5)], "second"))
        self.assertEqual(2, len(first.failures()))
        self.assertIn("ours: RuntimeError: illegal access", first.failures()[1])
        self.assertRegex(second.error, "not run: the GPU")

    def test_time_limits(self):
        gpu = FakeGpu()
        slow = Entry("slow", lambda: time.sleep(60))
        begin = time.monotonic()
        result, = run(gpu, case([slow, entry(gpu, "right", 1e-5)]), seconds=0.2)
        self.assertLess(time.monotonic() - begin, 30)
        self.assertRegex(result.failures()[0], "slow: TimeoutError: preparing took over 1 s")
        self.assertEqual(1, result.entry("right").spreads["burst"].samples)
        self.assertEqual((0.0, 0.0), signal.getitimer(signal.ITIMER_REAL))

    def test_a_budget_that_is_spent(self):
        gpu = FakeGpu()
        results = run(gpu, case([entry(gpu, "right", 1e-5)]), budget=-1)
        self.assertEqual(["case: not run: the budget of -1 s is spent"], results[0].failures())


class Reports(unittest.TestCase):
    def setUp(self):
        gpu = FakeGpu()
        entries = [entry(gpu, "ours", 10e-6, ("theirs",), details={"sku": "some/sku"}), entry(gpu, "theirs", 20e-6),
                   Entry("broken", fail(OSError("no library"))), Entry("away", fail(NotApplicable("needs more")))]
        self.results = run(gpu, case(entries, goals=[Goal("ours", "theirs", max_ratio=0.4)], ops=10_000_000))

    def test_the_table(self):
        text = report.case_text(self.results[0])
        self.assertRegex(text, r"(?m)^case: 3\.0 MB, 2 sets of buffers")
        self.assertRegex(text, r"(?m)^  ours +\| +10\.00 \[10\.0-10\.0\] +1 +300     - \| +10\.00 .*  1755$")
        self.assertRegex(text, r"(?m)^  broken +\| FAILED: OSError: no library \[")
        self.assertRegex(text, r"(?m)^  away +\| absent: needs more$")
        self.assertIn("ours: sku some/sku", text)
        self.assertIn("ours / theirs: burst 0.500, sustained 0.500", text)
        self.assertIn("goal ours / theirs ≤ 0.400: burst MISSED, sustained MISSED (burst 0.500", text)
        columns = [line.index("|") for line in text.splitlines() if "|" in line]
        self.assertEqual([columns[0]] * len(columns), columns)
        self.assertRegex(report.goals_text(self.results), r"case +ours / theirs ≤ 0\.400 +burst +0\.500 MISSED")
        self.assertEqual("", report.goals_text([]))

    def test_the_json(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "peers.json"
            report.write_json(path, report.run_json({"command": "peers.py"}, METHOD, self.results))
            self.assertEqual([path], list(path.parent.iterdir()))
            data = json.loads(path.read_text())
        self.assertEqual(("peers.py", 7), (data["command"], data["method"]["burst_rounds"]))
        self.assertEqual([f"case: broken: {self.results[0].entry('broken').error}"], data["failures"])
        found, = data["cases"]
        ours, theirs, broken, away = found["entries"]
        self.assertAlmostEqual(10, ours["burst"]["median_us"])
        self.assertAlmostEqual(300, ours["burst"]["gb_per_s"])
        self.assertAlmostEqual(1, ours["sustained"]["top_per_s"])
        self.assertEqual((1755, "some/sku", 300), (ours["sustained"]["sm_mhz"], ours["sku"], ours["graph_calls"]))
        self.assertEqual({"name": "broken", "error": self.results[0].entry("broken").error}, broken)
        self.assertEqual({"name": "away", "absent": "needs more"}, away)
        self.assertEqual(("ours", "theirs"), (found["ratios"][0]["entry"], found["ratios"][0]["peer"]))
        self.assertEqual({"burst": False, "sustained": False}, found["goals"][0]["met"])


class CublasLtSearch(unittest.TestCase):
    def search(self, seconds, refused=()):
        candidates = [cublaslt.Candidate(None, index) for index in range(len(seconds))]
        calls = []

        def time_of(candidate):
            calls.append(candidate.workspace_bytes)
            each = seconds[candidate.workspace_bytes]
            return each.pop(0) if isinstance(each, list) else each

        found = cublaslt.search(candidates, lambda candidate: candidate.workspace_bytes not in refused, time_of)
        return found, calls

    def test_all_are_timed_and_the_fastest_few_again(self):
        found, calls = self.search([9.0, 5.0, 8.0, 3.0, 7.0, 6.0, 4.0, 10.0])
        self.assertEqual((3, 8, 0, 3.0), (found.best.workspace_bytes, found.offered, found.refused,
                                          found.first_over_best))
        self.assertEqual(list(range(8)), calls[:8])
        self.assertEqual({0, 1, 3, 4, 5, 6, 2} - {7}, set(calls[8:]))

    def test_the_median_decides_and_not_one_lucky_time(self):
        found, _ = self.search([5.0, [1.0, 6.0, 6.0, 6.0, 6.0, 6.0]])
        self.assertEqual(0, found.best.workspace_bytes)

    def test_those_that_are_refused(self):
        found, _ = self.search([1.0, 2.0, 3.0], refused=(0,))
        self.assertEqual((1, 3, 1, 1.0), (found.best.workspace_bytes, found.offered, found.refused,
                                          found.first_over_best))
        with self.assertRaisesRegex(RuntimeError, "none of the 1 algorithms"):
            self.search([1.0], refused=(0,))


def load_gpu():
    """The module, of which nothing is used that needs torch."""
    before = sys.modules.get("torch")
    sys.modules["torch"] = types.ModuleType("torch")
    try:
        return importlib.import_module("gpu")
    finally:
        sys.modules.pop("torch") if before is None else sys.modules.update(torch=before)


class Gpu(unittest.TestCase):
    def test_nodes_of_a_chain(self):
        in_order = load_gpu().in_order
        self.assertEqual([7, 3, 5], in_order([3, 5, 7], [(3, 5), (7, 3)]))
        self.assertEqual([4], in_order([4], []))
        for nodes, edges in (([1, 2], []), ([1, 2, 3], [(1, 2), (1, 3)]), ([1, 2], [(1, 2), (2, 1)]), ([], [])):
            with self.assertRaises(ValueError):
                in_order(nodes, edges)

    @unittest.skipUnless((CUDA / "cublasLt.h").exists() and (CUDA / "cuda.h").exists(), "no CUDA headers here")
    def test_structs_constants_and_signatures_are_those_of_the_headers(self):
        gpu = load_gpu()
        checks = []
        for struct, name in ((cublaslt.HeuristicResult, "cublasLtMatmulHeuristicResult_t"),
                             (cublaslt.Algo, "cublasLtMatmulAlgo_t"), (gpu.EdgeData, "CUgraphEdgeData"),
                             (gpu.KernelNodeParams, "CUDA_KERNEL_NODE_PARAMS_v2")):
            checks.append(f"sizeof({name}) == {ctypes.sizeof(struct)}")
            checks += [f"offsetof({name}, {field}) == {getattr(struct, field).offset}" for field, _ in struct._fields_
                       if struct is not gpu.EdgeData]
        for constant, value in (("CUBLAS_COMPUTE_32I", cublaslt.COMPUTE_32I), ("CUDA_R_8I", cublaslt.R_8I),
                                ("CUDA_R_32I", cublaslt.R_32I), ("CUBLAS_OP_T", cublaslt.OP_T),
                                ("CUBLAS_STATUS_NOT_SUPPORTED", cublaslt.NOT_SUPPORTED),
                                ("CUBLASLT_MATMUL_DESC_TRANSA", cublaslt.DESC_TRANSA),
                                ("CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES", cublaslt.PREF_MAX_WORKSPACE_BYTES),
                                ("CU_GRAPH_NODE_TYPE_KERNEL", gpu.KERNEL_NODE)):
            checks.append(f"{constant} == {value}")
        headers = ("algorithm", "cstddef", "initializer_list", "cuda.h", "cublasLt.h")
        source = "".join(f"#include <{header}>\n" for header in headers)
        source += ("using Bytes = std::initializer_list<std::size_t>;\n"
                   "template <class R, class... A> constexpr bool fits(R (*)(A...), Bytes bytes) {\n"
                   "  return std::ranges::equal(Bytes{sizeof(A)...}, bytes);\n}\n")
        for name, arguments in {**cublaslt.SIGNATURES, **gpu.SIGNATURES}.items():
            sizes = ", ".join(str(ctypes.sizeof(argument)) for argument in arguments)
            # The header maps a name to the version that is current, which the module names.
            checks.append(f"fits({name.removesuffix('_v2')}, {{{sizes}}})")
            if name.endswith("_v2"):
                source += f"#ifndef {name.removesuffix('_v2')}\n#error {name}\n#endif\n"
        source += "".join(f"static_assert({check});\n" for check in checks)
        command = [support.build_info()["compiler"], "-std=c++20", "-fsyntax-only", f"-I{CUDA}", "-xc++", "-"]
        done = subprocess.run(command, input=source, text=True, capture_output=True)
        self.assertEqual("", done.stderr)


@unittest.skipUnless(importlib.util.find_spec("torch") and importlib.util.find_spec("baracuda"), "no torch or baracuda")
class CasesOnTheCpu(unittest.TestCase):
    """What ours and torch compute is the same, and the checks see where it is not."""

    def small_cases(self):
        import cases
        import torch

        gelu, add = torch.nn.functional.gelu, torch.add
        shape = (6, 256)
        return [
            *(cases.linear_case(element, m, 48, 64) for element in ("bf16", "f16") for m in (1, 65)),
            cases.slice_case("contiguous", "f32", (40, 64), (10, 0), (30, 64), is_contiguous=True, max_ratio=1),
            cases.slice_case("window", "u8", (40, 64), (11, 3), (30, 61), min_gb_per_s=1),
            cases.append_case(4, 2, 64, 16),
            *(cases.quantize_case(*kinds, shape) for kinds in (
                ("bf16", "i8", "per_channel"), ("f32", "i8", "per_tensor"), ("bf16", "s4", "per_group"))),
            *(cases.dequantize_case(*kinds, shape) for kinds in (
                ("bf16", "i8", "per_channel"), ("f32", "i8", "per_tensor"), ("bf16", "s4", "per_group"))),
            cases.dynamic_case("f16", shape),
            cases.elementwise_case("gelu", "bf16", shape, lambda x, out: out.copy_(gelu(x)), gelu,
                                   relative=cases.BF16_ROUNDING),
            cases.elementwise_case("add", "f32", shape, lambda x, y, out: add(x, y, out=out), add, num_inputs=2),
        ]

    def test_checks(self):
        import cases
        import torch

        torch.manual_seed(1)
        for each in self.small_cases():
            for made in each.entries(cases.Bench(compiles=False)):
                with self.subTest(case=each.name, entry=made.name), contextlib.suppress(NotApplicable):
                    work = made.prepare()
                    self.assertEqual(bool(work.poison), bool(work.check))
                    if made.name in (cases.OURS, cases.GEMM_ALONE, cases.QUANTIZER_ALONE):
                        self.assertTrue(work.check)
                    for call in work.calls:
                        call()
                    if work.poison:
                        work.poison()
                        self.assertRaises(Mismatch, work.check)
                    for call in work.calls:
                        call()
                    if work.check:
                        work.check()

    def test_names_differ(self):
        import cases

        names = [each.name for each in cases.all_cases()]
        self.assertEqual(len(names), len(set(names)))


class Libraries(unittest.TestCase):
    def test_cuda_13_comes_first_in_each_folder(self):
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.object(sys, "path", [folder]):
            for name in ("cuda_nvrtc/lib/libnvrtc.so.12", "cu13/lib/libnvrtc.so.13", "cu13/lib/libnvrtc-builtins.so.13"):
                path = pathlib.Path(folder) / "nvidia" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            found = [path for path in libraries.paths("nvrtc") if path.startswith(folder)]
        self.assertEqual(["libnvrtc.so.13", "libnvrtc.so.12"], [pathlib.Path(path).name for path in found])


class CommandLine(unittest.TestCase):
    def test_all_compile(self):
        for path in FOLDER.glob("*.py"):
            ast.parse(path.read_text(), path, feature_version=(3, 11))

    def test_help_needs_no_torch(self):
        done = subprocess.run([sys.executable, FOLDER / "peers.py", "--help"], capture_output=True, text=True)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn("--json FILE", done.stdout)

    def test_what_cannot_begin_is_status_2(self):
        peers = importlib.import_module("peers")
        missing = {"cases": None, "gpu": None, "torch": None}  # None forbids the import
        before = {name: sys.modules.get(name) for name in missing}
        said = io.StringIO()
        try:
            sys.modules.update(missing)
            with contextlib.redirect_stderr(said), unittest.mock.patch.dict(os.environ):
                self.assertEqual(2, peers.main([]))
        finally:
            for name, module in before.items():
                sys.modules.pop(name) if module is None else sys.modules.update({name: module})
        self.assertRegex(said.getvalue(), r"^peers\.py: error: .*\n$")


if __name__ == "__main__":
    unittest.main()
