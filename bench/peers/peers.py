#!/usr/bin/env python3
"""Times baracuda on a GPU beside torch, cuBLASLt and the driver's copy: the same shapes, in turns, in one process.

    peers.py [CASE | PATTERN | GROUP ...]

README.md beside this tells what is timed and how. The exit status is 0 if everything ran and was right, 1 if something
failed, 2 if it could not begin. A goal that is missed is told, and is no failure.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import pathlib
import platform
import secrets
import shlex
import sys
from typing import Any

import libraries
import report
from entries import select
from runner import CaseResult, run_cases
from timing import Method


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="name, pattern as w8a8-bf16-*, or group; none: all")
    parser.add_argument("--list", action="store_true", help="print the cases' names and end")
    parser.add_argument("--device", type=int, default=0, metavar="N", help="which GPU (default: %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the results there, after every case")
    parser.add_argument("--note", default="", help="goes into the JSON")
    parser.add_argument("--seed", type=int, help="of the random data; a fresh one is drawn and printed otherwise")
    parser.add_argument("--seconds", type=float, default=15, help="of a case, compilers apart (default: %(default)s)")
    parser.add_argument("--budget", type=float, default=600, metavar="SECONDS",
                        help="of the whole run: no case begins after that (default: %(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile")
    parser.add_argument("--candidates", type=int, default=128, metavar="N",
                        help="algorithms asked of cuBLASLt's heuristic (default: %(default)s)")
    parser.add_argument("--workspace-mib", type=int, default=64, metavar="MIB",
                        help="that cuBLASLt may use (default: %(default)s)")
    return parser.parse_args(arguments)


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def versions(bench: Any) -> dict[str, str]:
    import baracuda
    import torch

    try:
        lt = bench.lt.version
    except Exception as error:
        lt = f"none: {error}"
    return {"baracuda": baracuda.__version__, "python": platform.python_version(), "torch": torch.__version__,
            "triton": version_of("triton"), "cuda": torch.version.cuda or "none", "cublaslt": lt}


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    for library in libraries.paths("nvrtc")[:1]:  # a wheel of baracuda need not be installed beside NVIDIA's
        os.environ.setdefault("BARACUDA_NVRTC_LIBRARY", library)
    try:
        import cases
        import gpu
        import torch

        chosen = select(cases.all_cases(), options.cases)
        if options.list:
            print("\n".join(case.name for case in chosen))
            return 0
        if not torch.cuda.is_available():
            raise RuntimeError("torch finds no GPU here")
        torch.set_grad_enabled(False)
        device = gpu.Gpu(options.device)
        seed = secrets.randbits(32) if options.seed is None else options.seed
        torch.manual_seed(seed)
        bench = cases.Bench(device, not options.no_compile, options.candidates, options.workspace_mib << 20)
        head = {"command": shlex.join(["bench/peers/peers.py", *arguments]), "note": options.note,
                "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
                "device": f"cuda:{options.device}", "machine": device.machine(), "seed": seed,
                "versions": versions(bench)}
        if options.json:
            report.write_json(options.json, report.run_json(head, Method(), []))  # fails now, if it will
    except Exception as error:
        print(f"peers.py: error: {error}", file=sys.stderr)
        return 2

    print(f"{head['machine']}; {', '.join(f'{name} {version}' for name, version in head['versions'].items())}; "
          f"seed {seed}\n", flush=True)
    results: list[CaseResult] = []

    def done(result: CaseResult) -> None:
        results.append(result)
        print(report.case_text(result), end="\n\n", flush=True)
        if options.json:
            report.write_json(options.json, report.run_json(head, Method(), results))

    run_cases(chosen, bench, device, Method(), options.seconds, options.budget, done)
    print(report.goals_text(results), end="\n\n")
    failures = [failure for result in results for failure in result.failures()]
    for failure in failures:
        print("FAILED", failure)
    print(f"{len(results)} cases, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
