#!/usr/bin/env python3
"""Tests on a GPU, and writes the record of it.

    gpu_suite.py pack      copies the built tool and tests, with the libraries that they need, to build/gpu
    gpu_suite.py run       runs them on this machine's GPU and updates tests/gpu/record.json

Where the machine with the GPU is another one, it needs this tree with build/gpu in it, python3, NVIDIA's driver and a
libnvrtc; compute-sanitizer comes with the CUDA toolkit. See CONTRIBUTING.md.
"""

import argparse
import collections
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import record

sys.path.insert(0, str(record.ROOT / "tests"))
from processes import execute, execute_gtest

ROOT = record.ROOT
PACK = ROOT / "build/gpu"

# Of the machine that a pack goes to: glibc, the loader, and GCC's libraries, which must not be older than those here.
SYSTEM_LIBRARIES = re.compile(r"(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s|linux-vdso|ld-linux-x86-64)\.so")

# In testing/ and beside the library, but not in the tool.
ONLY_FOR_TESTS = re.compile(r"_test\.cc$|^(gtest_main|call_counter|property|fields|sanitizer_options)\.")

# Seconds after which a part is ended and has failed. verify is first: it compiles most kernels, on all cores, into the
# cache that the other parts read.
TIME_LIMITS = {"verify": 400, "tests": 500, "compile": 500, "graphs": 60, "streams": 60, "memcheck": 240,
               "racecheck": 240, "initcheck": 240, "synccheck": 240, "bench": 300}
# Compiles every kernel for every architecture, on all cores and without a GPU: its part is compile, not tests.
COMPILING = "Kernels.CompileWithoutSpills"
SANITIZER_ERRORS = 86  # the exit status that tells errors found from tests failed


def current_digests(tool, nvrtc):
    return record.current_digests(record.read_keys(tool, nvrtc))


def sources_of(binary, ops, root=ROOT):
    """What a binary is linked anew for: the library, the cases and the harness, and what only the tool or the tests have."""
    folders = [f"baracuda/ops/{op}" for op in ops] + [f"baracuda/{folder}" for folder in ("cpu", *record.RUNTIME_FOLDERS)]
    folders += ["testing", "bench", "tests" if binary == "unit_tests" else "tools"]
    files = [path for folder in folders for path in (root / folder).rglob("*") if path.suffix in (".h", ".cc", ".cuh")]
    return [path for path in files if binary == "unit_tests" or not ONLY_FOR_TESTS.search(path.name)]


def check_built(folder, ops):
    """Ends the program where a binary is not of these sources: the record would tell of what was not tested."""
    for name in ("baracuda", "unit_tests"):
        newest = max(sources_of(name, ops), key=lambda path: path.stat().st_mtime)
        if (folder / name).stat().st_mtime < newest.stat().st_mtime:
            raise SystemExit(f"gpu_suite: {folder / name} is older than {newest.relative_to(ROOT)}: build it first")


# --- pack ---

def needed_libraries(binary):
    output = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True).stdout
    if "not found" in output:
        raise SystemExit(f"gpu_suite: {binary} lacks a library:\n{output}")
    return [pathlib.Path(path) for path in re.findall(r"=> (/\S+)", output)
            if not SYSTEM_LIBRARIES.match(pathlib.Path(path).name)]


def pack(options):
    digests = current_digests(options.bin / "baracuda", nvrtc="13.0")
    check_built(options.bin, digests["ops"])
    shutil.rmtree(PACK, ignore_errors=True)
    for folder in ("bin", "lib"):
        (PACK / folder).mkdir(parents=True)
    binaries = [options.bin / name for name in ("baracuda", "unit_tests")]
    for binary in binaries:
        dynamic = subprocess.run(["readelf", "-d", binary], check=True, capture_output=True, text=True).stdout
        if "$ORIGIN/../lib" not in dynamic:
            raise SystemExit(f"gpu_suite: {binary} does not look for libraries in $ORIGIN/../lib")
        subprocess.run(["strip", "-o", PACK / "bin" / binary.name, binary], check=True)
    shutil.copytree(options.bin.parent / "doubles", PACK / "doubles")  # of NVIDIA's libraries, for the tests of errors
    for library in sorted({library for binary in binaries for library in needed_libraries(binary)}):
        shutil.copy(library, PACK / "lib" / library.name)
    (PACK / "digests.json").write_text(json.dumps(digests))
    size = sum(path.stat().st_size for path in PACK.rglob("*") if path.is_file())
    print(f"gpu_suite: {PACK.relative_to(ROOT)} holds {size / 1e6:.1f} MB: "
          + ", ".join(sorted(path.name for path in PACK.rglob("*") if path.is_file())))


# --- run ---

def camel_case(op):
    return "".join(word.capitalize() for word in op.split("_"))


def op_of_suite(suite, ops):
    """The op that a gtest suite is named after: Devices/WriteSliceTest is write_slice's; None where it is no op's."""
    for op in sorted(ops, key=len, reverse=True):
        if any(part.startswith(camel_case(op)) for part in suite.split("/")):
            return op
    return None


def count_gtest(report, ops):
    """{op or None: {passed, failed}} of gtest's JSON report, and the names of the tests that failed."""
    counts = collections.defaultdict(lambda: {"passed": 0, "failed": 0})
    failures = []
    for suite in report["testsuites"]:
        for test in suite["testsuite"]:
            if test["status"] != "RUN" or test.get("result") == "SKIPPED":
                continue
            failed = bool(test.get("failures"))
            counts[op_of_suite(suite["name"], ops)]["failed" if failed else "passed"] += 1
            if failed:
                failures.append(f"{suite['name']}.{test['name']}")
    return dict(counts), failures


def running_test(output):
    """The last test that a gtest's output says it began."""
    return (re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE) or ["no test"])[-1]


def add_counts(total, counts):
    for op, count in counts.items():
        sums = total.setdefault(op, {"passed": 0, "failed": 0})
        for what, number in count.items():
            sums[what] += number


def count_verify(report):
    counts = {entry["op"]: {"passed": entry["passed"], "failed": len(entry["failures"])} for entry in report["ops"]}
    return counts, [failure["repeat"] for entry in report["ops"] for failure in entry["failures"]]


def failed_part(ops):
    """Where a part broke off nothing is known of any op."""
    return {op: {"passed": 0, "failed": 1} for op in ops}


class Suite:
    def __init__(self, options, ops, all_ops):
        self.options = options
        self.ops = ops
        self.skipped_suites = [f"{suite}.*" for suite in self.suites() if op_of_suite(suite, all_ops) in options.skip]

    def suites(self):
        command = [self.options.bin / "unit_tests", "--device=cuda", "--gtest_list_tests"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return re.findall(r"^(\S+)\.(?:  #.*)?$", output, re.MULTILINE)

    def gtest(self, seconds, pattern="*", without=(), arguments=(), prefix=(), shares=None):
        """The tests of the pattern in so many shares, unless given one for each of --jobs processes."""
        left_out = ":".join([*without, *self.skipped_suites])
        with tempfile.TemporaryDirectory() as folder:
            reports = [pathlib.Path(folder) / f"{i}.json" for i in range(shares or self.options.jobs)]
            command = [*prefix, self.options.bin / "unit_tests", "--device=cuda", *arguments,
                       f"--cache={os.environ['BARACUDA_CACHE_DIR']}", f"--gtest_filter={pattern}-{left_out}"]
            runs = execute_gtest(lambda i: [*command, f"--gtest_output=json:{reports[i]}"], len(reports), seconds,
                                 jobs=self.options.jobs)
            log = "".join(output for _, output in runs)
            unfinished = [f"status {status} in {running_test(output)}" for (status, output), report in zip(runs, reports)
                          if status is None or not report.exists()]
            if unfinished:
                return failed_part(self.ops), unfinished, log
            counts, failures = {}, []
            for (status, output), report in zip(runs, reports):
                shard_counts, shard_failures = count_gtest(json.loads(report.read_text()), self.ops)
                if status != 0 and not shard_failures:
                    # What a sanitizer found is not told apart by test: it counts against every op that was run.
                    for count in shard_counts.values():
                        count["failed"] += 1
                    shard_failures = [f"status {status}"]
                add_counts(counts, shard_counts)
                failures += shard_failures
        return counts, failures, log

    def tests(self, seconds):
        # More shares than processes: some tests take a minute, and shares of one size would not end together.
        return self.gtest(seconds, without=[COMPILING], arguments=[] if self.options.quick else ["--full"],
                          shares=4 * self.options.jobs)

    def compile(self, seconds):
        return self.gtest(seconds, COMPILING, arguments=[] if self.options.quick else ["--full"], shares=1)

    def graphs(self, seconds):
        return self.gtest(seconds, "*Graph*")

    def streams(self, seconds):
        return self.gtest(seconds, "*Stream*")

    def verify(self, seconds):
        command = [self.options.bin / "baracuda", "verify", "--device", "cuda", "--json", *self.ops]
        # Beside the JSON it says on stderr what it compiles.
        status, output = execute(command + ["--quick"] * self.options.quick, seconds, errors=None)
        try:
            counts, failures = count_verify(json.loads(output))
        except (json.JSONDecodeError, KeyError):
            return failed_part(self.ops), [f"status {status}"], output
        return counts, failures, "" if status == 0 else output

    def sanitizer(self, tool):
        prefix = ["compute-sanitizer", "--tool", tool, "--error-exitcode", SANITIZER_ERRORS]
        return lambda seconds: self.gtest(seconds, "*Sanitizer*", prefix=prefix)

    def bench(self, seconds):
        """Counts for no op: the record is of what is right, not of how fast. Its JSON goes to the logs."""
        command = [self.options.bin / "baracuda", "bench", "--device", "cuda"]
        if self.options.logs:
            command += ["--json", self.options.logs / "bench.json"]
        status, output = execute(command, seconds)
        print(output)
        return {}, [] if status == 0 else [f"status {status}"], output

    def part(self, name):
        return self.sanitizer(name) if name in record.SANITIZERS else getattr(self, name)


def driver_version():
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def describe_machine(tool):
    """The record's head. Ends the program where there is nothing to test on."""
    info = json.loads(subprocess.run([tool, "info", "--json"], check=True, capture_output=True, text=True).stdout)
    library = {entry["name"]: entry for entry in info["libraries"]}
    problem = library["libcuda"]["problem"] or library["libnvrtc"]["problem"]
    if problem or not info["gpus"]:
        raise SystemExit(f"gpu_suite: there is no usable GPU here: {problem or 'the driver finds none'}")
    return {"device": info["gpus"][0]["name"], "driver": driver_version() or library["libcuda"]["version"],
            "nvrtc": library["libnvrtc"]["version"],
            "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat()}


def run(options):
    with tempfile.TemporaryDirectory(prefix="baracuda-cache-of-tests-") as folder:
        cache = options.cache or pathlib.Path(folder)  # not the user's
        cache.mkdir(parents=True, exist_ok=True)
        os.environ["BARACUDA_CACHE_DIR"] = str(cache)
        return run_parts(options)


def run_parts(options):
    tool = options.bin / "baracuda"
    if not tool.exists():
        raise SystemExit(f"gpu_suite: there is no {tool}: make build, or pack")
    machine = describe_machine(tool)
    print("gpu_suite:", ", ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
    digests = current_digests(tool, machine["nvrtc"])
    packed = options.bin.parent / "digests.json"
    if not packed.exists():
        check_built(options.bin, digests["ops"])
    elif json.loads(packed.read_text()) != current_digests(tool, nvrtc="13.0"):
        raise SystemExit(f"gpu_suite: the host sources have changed since {options.bin} was packed: build and pack again")
    suite = Suite(options, [op for op in digests["ops"] if op not in options.skip], digests["ops"])
    old = json.loads(record.RECORD.read_text()) if record.RECORD.exists() else None
    results, all_failures = {}, []
    if options.logs:
        options.logs.mkdir(parents=True, exist_ok=True)
    for name in options.parts:
        start = time.monotonic()
        try:
            counts, failures, output = suite.part(name)(min(TIME_LIMITS[name], options.limit))
        except OSError as error:  # compute-sanitizer is not installed
            counts, failures, output = failed_part(suite.ops), [str(error)], ""
        passed = sum(count["passed"] for count in counts.values())
        print(f"{name}: {passed} passed, {sum(count['failed'] for count in counts.values())} failed "
              f"in {time.monotonic() - start:.1f} s", flush=True)
        if failures:
            print(output[-2000:], *failures[:20], sep="\n  ", flush=True)
        all_failures += failures
        results[name] = counts
        if options.logs:
            (options.logs / f"{name}.log").write_text(output)
        if not options.quick:  # at once, so that what follows can be ended
            merged = record.merge(old, machine, digests, results, options.skip)
            options.out.write_text(json.dumps(merged, indent=2) + "\n")
    if options.quick:
        print("gpu_suite: --quick leaves the record as it is")
    else:
        print(f"gpu_suite: wrote {options.out}")
        for line in record.problems(merged, digests):
            print("gpu_suite:", line)
    return 1 if all_failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", help="what was built")
    running = commands.add_parser("run")
    running.add_argument("--bin", type=pathlib.Path, help="unless given build/gpu/bin, or build/release/bin without it")
    running.add_argument("--parts", type=lambda text: text.split(","), default=list(TIME_LIMITS),
                         help="of " + ",".join(TIME_LIMITS) + "; all unless given")
    running.add_argument("--skip", type=lambda text: text.split(","), default=[], metavar="OP,OP",
                         help="ops that are not tested now, whose results stay where nothing changed")
    # The GPU is given to one process at a time: 15 of them slowed down some tests 18 times.
    running.add_argument("--jobs", type=int, default=4, help="processes that share the tests; %(default)s unless given")
    running.add_argument("--limit", type=float, default=float("inf"), metavar="SECONDS",
                         help="of each part, where that is less than its own")
    running.add_argument("--cache", type=pathlib.Path,
                         help="a folder whose compiled kernels stay for the next run; a temporary one unless given")
    running.add_argument("--quick", action="store_true", help="fewer cases, and no record")
    running.add_argument("--out", type=pathlib.Path, default=record.RECORD, help="the record that is written")
    running.add_argument("--logs", type=pathlib.Path, help="a folder for the output of each part")
    options = parser.parse_args()
    if options.command == "pack":
        return pack(options)
    if unknown := set(options.parts) - set(TIME_LIMITS):
        parser.error(f"--parts: there is no {', '.join(sorted(unknown))}, expected some of {', '.join(TIME_LIMITS)}")
    if not options.bin:
        options.bin = PACK / "bin" if PACK.exists() else ROOT / "build/release/bin"
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
