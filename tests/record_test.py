"""The GPU record is believed only while what it tested is unchanged, complete and passed."""

import argparse
import copy
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest
import unittest.mock
from contextlib import redirect_stdout

import support

sys.path.insert(0, str(support.ROOT / "tests/gpu"))
import gpu_suite
import record

MACHINE = {"device": "NVIDIA H200", "driver": "580.1", "nvrtc": "13.0", "date": "2026-11-21"}
KEYS = {"ops": {"add": {"sm80": [{"kernel": "add.rows", "key": "11"}], "sm90a": [{"kernel": "add.rows", "key": "22"}]},
                "mul": {"sm80": [{"kernel": "mul.rows", "key": "33"}]}}}
SOURCES = {
    "baracuda/core/view.h": "struct View {};\n",
    "baracuda/jit/load.cc": 'const char* url = "https://x";  // a comment\n',
    "baracuda/cpu/loop.cc": "void loop();\n",
    "baracuda/ops/add/add.cc": "int add(int a, int b) {\n  return a + b;\n}\n",
    "baracuda/ops/add/add_test.cc": "TEST(Add, Adds) {}\n",
    "baracuda/ops/add/add_cpu.cc": "void add_cpu();\n",
    "baracuda/ops/mul/mul.cc": "int mul();\n",
}


def passed(ops=("add", "mul")):
    """The results of a run in which all is well."""
    parts = {part: {op: {"passed": 5, "failed": 0} for op in ops} for part in record.PER_OP + record.OVERALL}
    parts["tests"][None] = {"passed": 9, "failed": 0}
    return parts


class Digests(unittest.TestCase):
    def digests(self, changes=None, keys=KEYS):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in {**SOURCES, **(changes or {})}.items():
                file = pathlib.Path(folder) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            return record.current_digests(keys, pathlib.Path(folder))

    def test_what_cannot_matter_changes_nothing(self):
        for path, text in [("baracuda/ops/add/add_test.cc", "TEST(Add, Other) {}\n"),
                           ("baracuda/ops/add/add_case.cc", "int x;\n"),
                           ("baracuda/ops/add/add_oracle.h", "int x;\n"),
                           ("baracuda/ops/add/add_cpu.cc", "void other();\n"),
                           ("baracuda/cpu/loop.cc", "void other();\n"),
                           ("baracuda/jit/load.cc", 'const char* url =   "https://x"; /* another\n comment */\n'),
                           ("baracuda/ops/add/add.cc", "// why\nint add(int a, int b) {\n\n    return a + b;\n}\n")]:
            self.assertEqual(self.digests(), self.digests({path: text}), path)

    def test_what_can_matter_changes_its_digest_alone(self):
        old = self.digests()
        for path, text, changed in [("baracuda/core/view.h", "struct View { int x; };\n", ("runtime",)),
                                    ("baracuda/plan/new.h", "int x;\n", ("runtime",)),
                                    ("baracuda/jit/load.cc", 'const char* url = "https://y";\n', ("runtime",)),
                                    ("baracuda/ops/add/add.cc", "int add();\n", ("ops", "add", "sources")),
                                    ("baracuda/ops/add/more.h", "int x;\n", ("ops", "add", "sources"))]:
            new, expected = self.digests({path: text}), copy.deepcopy(old)
            at_new, at_expected = new, expected
            for key in changed[:-1]:
                at_new, at_expected = at_new[key], at_expected[key]
            self.assertNotEqual(at_expected[changed[-1]], at_new[changed[-1]], path)
            at_expected[changed[-1]] = at_new[changed[-1]]
            self.assertEqual(expected, new, path)

    def test_a_family_shares_its_folder(self):
        family = {"baracuda/ops/add/mul.h": "int mul();\n"}
        old = self.digests(family)["ops"]
        new = self.digests({**family, "baracuda/ops/add/add.cc": "int add();\n"})["ops"]
        for op in ("add", "mul"):
            self.assertNotEqual(old[op]["sources"], new[op]["sources"], op)

    def test_keys_count_and_names_of_kernels_do_not(self):
        def with_key(**change):
            keys = copy.deepcopy(KEYS)
            keys["ops"]["add"]["sm90a"][0].update(change)
            return self.digests(keys=keys)["ops"]
        self.assertNotEqual(self.digests()["ops"]["add"], with_key(key="23")["add"])
        self.assertEqual(self.digests()["ops"]["mul"], with_key(key="23")["mul"])
        self.assertEqual(self.digests()["ops"], with_key(kernel="add.columns"))


class Problems(unittest.TestCase):
    digests = {"runtime": "r", "ops": {"add": {"kernels": "k1", "sources": "s1"}, "mul": {"kernels": "k2", "sources": "s2"}}}

    def setUp(self):
        self.record = record.merge(None, MACHINE, self.digests, passed())

    def assert_problems(self, *expected, digests=None):
        found = record.problems(self.record, digests or self.digests)
        self.assertEqual(len(expected), len(found), found)
        for words, line in zip(expected, found):
            for word in words.split():
                self.assertIn(word, line)

    def changed(self, op, **change):
        digests = copy.deepcopy(self.digests)
        digests["ops"][op].update(change)
        return digests

    def test_a_sound_record_has_none(self):
        self.assert_problems()

    def test_stale(self):
        self.assert_problems("add: stale kernels", digests=self.changed("add", kernels="k9"))
        self.assert_problems("mul: stale host", digests=self.changed("mul", sources="s9"))
        self.assert_problems("add: stale runtime", "mul: stale runtime", digests={**self.digests, "runtime": "r9"})

    def test_missing(self):
        self.record = None
        self.assert_problems("add: no record", "mul: no record")
        self.setUp()
        del self.record["ops"]["mul"]
        self.assert_problems("mul: no record")

    def test_an_op_that_is_gone(self):
        digests = copy.deepcopy(self.digests)
        del digests["ops"]["mul"]
        self.assert_problems("mul: no such op", digests=digests)

    def test_failed(self):
        self.record["ops"]["add"]["parts"]["racecheck"]["failed"] = 2
        self.record["shared"]["tests"]["failed"] = 1
        self.assert_problems("add: failed, 2 in racecheck", "no single op: failed, 1 in tests")

    def test_incomplete(self):
        del self.record["ops"]["add"]["parts"]["memcheck"]
        self.record["ops"]["mul"]["parts"]["verify"]["passed"] = 0
        for op in self.record["ops"].values():
            del op["parts"]["graphs"]
        self.assert_problems("add: nothing memcheck", "mul: nothing verify", "all nothing graphs")


class Merge(unittest.TestCase):
    digests = Problems.digests

    def setUp(self):
        self.old = record.merge(None, MACHINE, self.digests, passed())

    def merge(self, results, machine=MACHINE, **change):
        digests = copy.deepcopy(self.digests)
        digests["ops"]["add"].update(change)
        return record.merge(self.old, machine, digests, results), digests

    def test_a_part_that_is_run_again_replaces_its_counts_alone(self):
        results = {"verify": {"add": {"passed": 1, "failed": 1}, "mul": {"passed": 2, "failed": 0}}}
        new, _ = self.merge(results, {**MACHINE, "date": "2026-12-01"})
        self.assertEqual({"passed": 1, "failed": 1}, new["ops"]["add"]["parts"]["verify"])
        self.assertEqual({"passed": 5, "failed": 0}, new["ops"]["add"]["parts"]["tests"])
        self.assertEqual({"passed": 9, "failed": 0}, new["shared"]["tests"])
        self.assertEqual("2026-12-01", new["date"])

    def test_a_part_that_ran_nothing_leaves_nothing(self):
        new, digests = self.merge({"memcheck": {}})
        self.assertEqual(["add: nothing passed in memcheck", "mul: nothing passed in memcheck"],
                         record.problems(new, digests))

    def test_a_skipped_op_keeps_its_results(self):
        new = record.merge(self.old, MACHINE, self.digests, {"tests": {"add": {"passed": 1, "failed": 0}}}, ["mul"])
        self.assertEqual({"passed": 1, "failed": 0}, new["ops"]["add"]["parts"]["tests"])
        self.assertEqual(self.old["ops"]["mul"]["parts"]["tests"], new["ops"]["mul"]["parts"]["tests"])

    def test_a_changed_op_starts_afresh(self):
        new, _ = self.merge({"verify": {"add": {"passed": 1, "failed": 0}}}, kernels="k9")
        self.assertEqual({"verify": {"passed": 1, "failed": 0}}, new["ops"]["add"]["parts"])
        self.assertIn("tests", new["ops"]["mul"]["parts"])

    def test_another_machine_or_runtime_starts_afresh(self):
        for machine, runtime in (({**MACHINE, "driver": "590"}, "r"), ({**MACHINE, "nvrtc": "13.1"}, "r"), (MACHINE, "r9")):
            new = record.merge(self.old, machine, {**self.digests, "runtime": runtime}, {})
            self.assertEqual({}, new["ops"]["mul"]["parts"])
            self.assertEqual({}, new["shared"])


class Counting(unittest.TestCase):
    ops = ["write_slice", "write_slice_rows", "kv_cache_append"]

    def test_suites_belong_to_ops_by_name(self):
        for suite, op in [("Devices/WriteSliceTest", "write_slice"), ("WriteSlice", "write_slice"),
                          ("All/WriteSliceRowsTest", "write_slice_rows"), ("KvCacheAppendGraph", "kv_cache_append"),
                          ("Devices/GuardedBufferTest", None), ("Slice", None)]:
            self.assertEqual(op, gpu_suite.op_of_suite(suite, self.ops), suite)

    def test_gtest(self):
        def test(name, **more):
            return {"name": name, "status": "RUN", "result": "COMPLETED", **more}
        report = {"testsuites": [
            {"name": "Devices/WriteSliceTest", "testsuite": [test("a"), test("b", failures=[{"failure": "x"}]),
                                                             test("c", result="SKIPPED"), test("d", status="NOTRUN")]},
            {"name": "Sku", "testsuite": [test("a")]}]}
        counts, failures = gpu_suite.count_gtest(report, self.ops)
        self.assertEqual({"write_slice": {"passed": 1, "failed": 1}, None: {"passed": 1, "failed": 0}}, counts)
        self.assertEqual(["Devices/WriteSliceTest.b"], failures)

    def test_verify(self):
        report = {"ops": [{"op": "write_slice", "passed": 7, "failures": [{"repeat": "baracuda verify …"}]}]}
        self.assertEqual(({"write_slice": {"passed": 7, "failed": 1}}, ["baracuda verify …"]),
                         gpu_suite.count_verify(report))

    def test_what_runs_out_of_time_has_failed(self):
        status, output = gpu_suite.execute([sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"], 1)
        self.assertIsNone(status)
        self.assertIn("ended after 1 s", output)


FAKE_TOOL = """#!/usr/bin/env python3
import json, sys
library = dict(version="13.0", problem="")
print("a notice", file=sys.stderr)
print(json.dumps({
    "info": dict(gpus=[dict(name="NVIDIA H200")], libraries=[dict(library, name="libcuda"), dict(library, name="libnvrtc")]),
    "keys": dict(ops=dict(add=dict(sm80=[dict(key="11")]))),
    "verify": dict(ops=[dict(op="add", passed=3, failures=[])]),
}[sys.argv[1]]))
"""
FAKE_TESTS = """#!/usr/bin/env python3
import json, os, pathlib, sys, time
if "--gtest_list_tests" in sys.argv:
    sys.exit(print("Devices/AddTest.  # TypeParam = int\\n  a\\nAddMulTest.\\n  a\\nOther.\\n  a"))
(pathlib.Path(os.environ["BARACUDA_CACHE_DIR"]) / "kernel").touch()
arguments = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
assert arguments["--device"] == "cuda"
if "Stream" in arguments.get("--gtest_filter", ""):
    print("[ RUN      ] Add.a\\n[       OK ] Add.a (1 ms)\\n[ RUN      ] Add.b", flush=True)
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    sys.exit("crashed")
suites = [dict(name=name, testsuite=[dict(name="a", status="RUN", result="COMPLETED")]) for name in ("Add", "Other")]
json.dump(dict(testsuites=suites), open(arguments["--gtest_output"].removeprefix("json:"), "w"))
"""
FAKE_SANITIZER = """#!/bin/sh
# --tool TOOL --error-exitcode STATUS COMMAND...
tool=$2; status=$4; shift 4; "$@" && [ $tool != racecheck ] || exit $status
"""


class Skipping(unittest.TestCase):
    def test_only_the_suites_of_an_op(self):
        with tempfile.TemporaryDirectory() as folder:
            tests = pathlib.Path(folder) / "unit_tests"
            tests.write_text(FAKE_TESTS)
            tests.chmod(0o755)
            options = argparse.Namespace(bin=tests.parent, skip=["add"])
            self.assertEqual(["Devices/AddTest.*"], gpu_suite.Suite(options, [], ["add", "add_mul"]).skipped_suites)


class Run(unittest.TestCase):
    """The whole suite on a machine that is made up: one part crashes, one sanitizer finds something."""

    def run_suite(self, *arguments, change=lambda folder: None):
        with tempfile.TemporaryDirectory() as parent:
            folder = pathlib.Path(parent) / "bin"
            folder.mkdir()
            for name, text in (("baracuda", FAKE_TOOL), ("unit_tests", FAKE_TESTS), ("compute-sanitizer", FAKE_SANITIZER),
                               ("nvidia-smi", "#!/bin/sh\necho 580.1\n")):
                (folder / name).write_text(text)
                (folder / name).chmod(0o755)
            change(folder.parent)
            out = folder / "record.json"
            result = subprocess.run([sys.executable, support.ROOT / "tests/gpu/gpu_suite.py", "run", "--bin", folder,
                                     "--out", out, "--logs", folder / "logs", "--jobs", "1", *arguments],
                                    capture_output=True, text=True,
                                    env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
            return result, json.loads(out.read_text()) if out.exists() else None

    def test_a_cache_stays(self):
        with tempfile.TemporaryDirectory() as parent:
            cache = pathlib.Path(parent) / "cache"
            self.run_suite("--parts", "tests", "--cache", cache)
            self.assertTrue((cache / "kernel").exists())

    def test_jobs_add_up(self):
        _, written = self.run_suite("--parts", "tests", "--jobs", "3")  # each of the fakes runs all tests, of 4 shares a job
        self.assertEqual({"passed": 12, "failed": 0}, written["ops"]["add"]["parts"]["tests"])

    def test_all_parts(self):
        result, written = self.run_suite()
        self.assertEqual(1, result.returncode, result.stdout + result.stderr)
        good, bad = {"passed": 1, "failed": 0}, {"passed": 1, "failed": 1}
        of_shares = {"passed": 4, "failed": 0}
        self.assertEqual({"tests": of_shares, "compile": good, "graphs": good, "streams": {"passed": 0, "failed": 1},
                          "verify": {"passed": 3, "failed": 0}, "memcheck": good, "racecheck": bad, "initcheck": good,
                          "synccheck": good}, written["ops"]["add"]["parts"])
        self.assertEqual(of_shares, written["shared"]["tests"])
        self.assertEqual(("NVIDIA H200", "580.1", "13.0"), tuple(written[key] for key in ("device", "driver", "nvrtc")))
        self.assertIn("add: failed, ", result.stdout)
        self.assertIn("status 1 in Add.b", result.stdout)

    def test_a_part_has_a_limit(self):
        with unittest.mock.patch.dict(os.environ, FAKE_SECONDS="60"):
            result, _ = self.run_suite("--parts", "streams", "--limit", "1")
        self.assertIn("status None in Add.b", result.stdout)

    def test_parts_can_be_picked(self):
        result, written = self.run_suite("--parts", "tests,verify")
        self.assertEqual(0, result.returncode, result.stdout + result.stderr)
        self.assertEqual({"tests", "verify"}, set(written["ops"]["add"]["parts"]))
        self.assertEqual(2, self.run_suite("--parts", "tests,nothing")[0].returncode)

    def test_binaries_of_other_sources_are_refused(self):
        for change in (lambda folder: os.utime(folder / "bin/unit_tests", (0, 0)),
                       lambda folder: (folder / "digests.json").write_text('{"runtime": "0"}')):
            result, written = self.run_suite("--parts", "tests", change=change)
            self.assertEqual((1, None), (result.returncode, written))
            self.assertRegex(result.stderr, "build it first|pack again")

    def test_quick_writes_no_record(self):
        result, written = self.run_suite("--parts", "tests", "--quick")
        self.assertEqual((0, None), (result.returncode, written), result.stderr)


class Check(unittest.TestCase):
    """The command, with the tool's true keys."""

    def check(self, text):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "record.json"
            if text is not None:
                file.write_text(text)
            output = io.StringIO()
            with redirect_stdout(output):
                status = record.check(types.SimpleNamespace(record=file, tool=support.TOOL))
            return status, output.getvalue()

    def test_it_tells_sound_from_stale(self):
        digests = record.current_digests(record.read_keys(support.TOOL, MACHINE["nvrtc"]))
        sound = record.merge(None, MACHINE, digests, passed(digests["ops"]))
        status, output = self.check(json.dumps(sound))
        self.assertEqual(0, status, output)
        for op, entry in sound["ops"].items():
            entry["kernels"] = "0" * 64
            status, output = self.check(json.dumps(sound))
            self.assertEqual(1, status)
            self.assertIn(f"{op}: stale, its kernels changed since {MACHINE['date']}", output)

    def test_without_a_record_it_fails(self):
        self.assertEqual(1, self.check(None)[0])

    def test_keys_are_the_same_on_every_run_and_differ_by_compiler(self):
        keys = [subprocess.run([support.TOOL, "keys", "--nvrtc", version, "--json"], check=True, capture_output=True).stdout
                for version in ("13.0", "13.0", "13.1")]
        self.assertEqual(keys[0], keys[1])
        self.assertNotEqual(json.loads(keys[0])["ops"], json.loads(keys[2])["ops"])


if __name__ == "__main__":
    unittest.main()
