#!/usr/bin/env python3
"""Runs the test suites. The last line is `N passed, M failed` over all of them, and the exit status 0 if M is 0.

The suites: unit (the gtest binary), examples (each prints what examples/NAME.txt says), every tests/NAME_test.py, and
asan and tsan, which build the gtest binary under the CMake preset of that name and run it on the CPU. One that crashes,
runs out of time or holds no test has failed, whatever it counted before. Arguments that are not listed here, as --full
or --gtest_filter=..., go to the gtest binary of unit.
"""

import argparse
import collections
import os
import re
import subprocess
import sys
import time

import support
from processes import execute, execute_gtest

TIME_LIMITS = collections.defaultdict(lambda: 300, unit=1200, install=1200, python=600, asan=1200, tsan=1200)  # seconds

# Two instruction sets are enough; NVRTC, which is not instrumented, compiles all kernels in unit; and what compares the
# bits of instruction sets runs the code of other tests.
NOT_UNDER_SANITIZERS = ("*avx512*:Kernels.CompileWithoutSpills:*TheOpListsWhatPlansCompile:"
                        "*GivesTheBitsOfTheScalarCpu*")

Count = collections.namedtuple("Count", "passed failed skipped")


def count_gtest(output):
    """Of a log of gtest's. A test that began and has no result is the one that crashed."""
    passed = failed = skipped = 0
    for test in output.split("[ RUN      ] ")[1:]:
        if "[       OK ] " in test:
            passed += 1
        elif re.search(r"\[  SKIPPED \] .* ms\)", test):
            skipped += 1
        else:
            failed += 1
            print("FAILED", test)
    return Count(passed, failed, skipped)


def count_unittest(output):
    """Of a log of Python's unittest."""
    if "\nOK" not in output:
        print(output)
    ran = re.search(r"^Ran (\d+) test", output, re.MULTILINE)
    if not ran:
        return Count(0, 1, 0)
    number = collections.Counter({word: int(n) for word, n in re.findall(r"(\w+)=(\d+)", output[ran.end():])})
    failed, skipped = number["failures"] + number["errors"], number["skipped"]
    return Count(max(int(ran[1]) - failed - skipped, 0), failed, skipped)  # parts of a test can fail one by one


def run_gtest(binary, arguments, options, seconds, environment={}):
    """Status, output and count of a binary whose tests are shared by as many processes as there are cores."""
    command = [binary, *arguments, *["--require_nvrtc"] * options.require_nvrtc]
    runs = execute_gtest(lambda _: command, os.cpu_count() or 1, seconds, environment)
    output = "".join(output for _, output in runs)
    return next((status for status, _ in runs if status != 0), 0), output, count_gtest(output)


def unit(options):
    arguments = [*options.gtest_arguments, *[f"--device={options.device}"] * bool(options.device)]
    return run_gtest(support.BUILD / "bin" / "unit_tests", arguments, options, TIME_LIMITS["unit"])


def examples(options):
    passed = failed = 0
    log = ""
    for name in support.build_info()["examples"]:
        status, output = execute([support.BUILD / "bin" / f"example_{name}"], TIME_LIMITS["examples"])
        log += output
        if status == 0 and output == (support.ROOT / "examples" / f"{name}.txt").read_text():
            passed += 1
        else:
            failed += 1
            print(f"FAILED examples/{name}.cc: status {status}, not the output of examples/{name}.txt:\n{output}")
    return 0, log, Count(passed, failed, 0)


def can_detect_leaks(binary):
    """LeakSanitizer stops the program's threads with ptrace, which containers and debuggers may forbid."""
    said = subprocess.run([binary, "--gtest_list_tests"], capture_output=True, text=True).stderr
    return "LeakSanitizer has encountered a fatal error" not in said


def sanitizer_suite(preset):
    def suite(options):
        log = ""
        compiler = f"-DCMAKE_CXX_COMPILER={support.build_info()['compiler']}"
        for command in (["cmake", "--preset", preset, compiler], ["cmake", "--build", "--preset", preset]):
            status, output = execute(command, TIME_LIMITS[preset])
            log += output
            if status != 0:
                return status, log, Count(0, 0, 0)
        binary = support.ROOT / "build" / preset / "bin" / "unit_tests"
        environment = {}
        if preset == "asan" and not can_detect_leaks(binary):
            print("asan: leaks are not looked for, since ptrace is forbidden here")
            environment["ASAN_OPTIONS"] = "detect_leaks=0"
        arguments = ["--device=cpu", f"--gtest_filter=-{NOT_UNDER_SANITIZERS}"]
        return run_gtest(binary, arguments, options, TIME_LIMITS[preset], environment)
    return suite


def python_suite(path):
    def suite(options):
        status, output = execute([sys.executable, path], TIME_LIMITS[path.stem.removesuffix("_test")])
        return status, output, count_unittest(output)
    return suite


def main():
    suites = {"unit": unit, "examples": examples}
    for path in sorted((support.ROOT / "tests").glob("*_test.py")):
        suites[path.stem.removesuffix("_test")] = python_suite(path)
    for preset in ("asan", "tsan"):
        suites[preset] = sanitizer_suite(preset)

    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", action="append", choices=suites, help="only this one; may be repeated")
    parser.add_argument("--device", metavar="cpu|cuda[:i]", help="only this one, and fail where it is absent")
    parser.add_argument("--require-nvrtc", action="store_true", help="fail where kernels cannot be compiled")
    options, options.gtest_arguments = parser.parse_known_args()
    if options.device:
        os.environ["BARACUDA_TEST_DEVICE"] = options.device  # support.py reads it in the Python suites

    total = Count(0, 0, 0)
    for name in options.suite or suites:
        start = time.monotonic()
        status, output, count = suites[name](options)
        if count.failed == 0 and (status != 0 or sum(count) == 0):
            print(f"FAILED {name}: status {status} after {sum(count)} tests\n{output[-4000:]}")
            count = count._replace(failed=1)
        if status not in (0, 1):
            print(f"{name} crashed or was ended: status {status}")
        total = Count(*map(sum, zip(total, count)))
        seconds = time.monotonic() - start
        print(f"{name}: {count.passed} passed, {count.failed} failed, {count.skipped} skipped in {seconds:.1f} s",
              flush=True)
    print(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
