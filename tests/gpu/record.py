#!/usr/bin/env python3
"""The GPU record, record.json: what was tested on a GPU, and digests of the sources that it was tested with.

    record.py check      needs no GPU: fails, naming the ops whose record is stale, missing, incomplete or failed

gpu_suite.py writes it. Its form:

    device, driver, nvrtc, date, runtime   runtime: digest of the host sources that all ops share
    shared: {parts}                        of tests that belong to no single op
    ops: {op: {kernels, sources, parts}}   kernels: digest of the cache keys of its kernels; sources: of its host sources
    parts: {part: {passed, failed}}
"""

import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RECORD = ROOT / "tests/gpu/record.json"

RUNTIME_FOLDERS = ("core", "plan", "cuda", "jit")
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
PER_OP = ("tests", "verify") + SANITIZERS  # parts in which every op must have passed something
OVERALL = ("graphs", "streams")            # parts in which something must have passed

COMMENT = r'(?P<keep>R"(?P<delimiter>\w*)\(.*?\)(?P=delimiter)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\')|//[^\n]*|/\*.*?\*/'


def significant(text):
    """A source without what cannot change the machine code: comments and the width of blanks."""
    text = re.sub(COMMENT, lambda match: match["keep"] or " ", text, flags=re.DOTALL)
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))


def digest_of_sources(root, paths):
    digest = hashlib.sha256()
    for path in sorted(paths):
        text = significant(path.read_text())
        digest.update(f"{path.relative_to(root)} {len(text)}\n{text}".encode())
    return digest.hexdigest()


def is_tested_on_gpu(path):
    return not re.search(r"(_test|_case|_oracle|_cpu)\.(h|cc)$", path.name)


def host_sources(folder):
    return [path for ending in ("*.h", "*.cc") for path in folder.rglob(ending) if is_tested_on_gpu(path)]


def folder_of(op, root):
    """Where the op's public header stands; a family of ops shares a folder."""
    return next(root.glob(f"baracuda/ops/*/{op}.h"), root / "baracuda/ops" / op / f"{op}.h").parent


def sources_by_digest(op_names, root=ROOT):
    """The files of each digest of host sources: those of every op, and the runtime's under None."""
    files = {op: host_sources(folder_of(op, root)) for op in op_names}
    files[None] = [path for folder in RUNTIME_FOLDERS for path in host_sources(root / "baracuda" / folder)]
    return files


def current_digests(keys, root=ROOT):
    """The record's digests as the tree has them. `keys` is what `baracuda keys --json` prints."""
    files, ops = sources_by_digest(keys["ops"], root), {}
    for op, archs in keys["ops"].items():
        lines = sorted(f"{arch} {kernel['key']}" for arch, kernels in archs.items() for kernel in kernels)
        ops[op] = {"kernels": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
                   "sources": digest_of_sources(root, files[op])}
    return {"runtime": digest_of_sources(root, files[None]), "ops": ops}


def read_keys(tool, nvrtc):
    return json.loads(subprocess.run([tool, "keys", "--nvrtc", nvrtc, "--json"], check=True, capture_output=True,
                                     text=True).stdout)


def merge(old, machine, digests, results, skipped=()):
    """The record after a run. What was not run now, parts or ops, stays where nothing that was tested has changed.

    `machine`: device, driver, nvrtc, date; `results`: {part: {op or None: {passed, failed}}}; `skipped`: ops.
    """
    same_machine = (old or {}).get("runtime") == digests["runtime"] and all(
        old.get(key) == machine[key] for key in ("device", "driver", "nvrtc"))
    old_ops = old["ops"] if same_machine else {}
    shared = dict(old["shared"]) if same_machine else {}
    record = {**machine, "runtime": digests["runtime"], "shared": shared, "ops": {}}
    for op, digest in digests["ops"].items():
        kept = old_ops.get(op, {})
        unchanged = all(kept.get(key) == value for key, value in digest.items())
        record["ops"][op] = {**digest, "parts": dict(kept["parts"]) if unchanged else {}}
    for part, counts in results.items():
        shared.pop(part, None)
        for name, op in record["ops"].items():
            if name not in skipped:
                op["parts"].pop(part, None)
        for op, count in counts.items():
            (record["ops"][op]["parts"] if op in record["ops"] else shared)[part] = count
    return record


def problems(record, digests):
    """What is wrong with a record, a line for each op or for what ops share."""
    if not record:
        return [f"{op}: no record" for op in digests["ops"]] or ["there is no record"]
    found = []
    for op, digest in digests["ops"].items():
        entry = record["ops"].get(op)
        if not entry:
            found.append(f"{op}: no record")
            continue
        stale = [what for what, changed in (("its kernels", entry["kernels"] != digest["kernels"]),
                                            ("its host sources", entry["sources"] != digest["sources"]),
                                            ("the runtime", record["runtime"] != digests["runtime"])) if changed]
        if stale:
            found.append(f"{op}: stale, {' and '.join(stale)} changed since {record['date']}")
        missing = [part for part in PER_OP if entry["parts"].get(part, {}).get("passed", 0) == 0]
        if missing:
            found.append(f"{op}: nothing passed in {', '.join(missing)}")
        failed = [f"{count['failed']} in {part}" for part, count in entry["parts"].items() if count["failed"]]
        if failed:
            found.append(f"{op}: failed, {', '.join(failed)}")
    found += [f"{op}: in the record, but there is no such op" for op in record["ops"] if op not in digests["ops"]]
    found += [f"tests of no single op: failed, {count['failed']} in {part}"
              for part, count in record["shared"].items() if count["failed"]]
    everything = [record["shared"]] + [entry["parts"] for entry in record["ops"].values()]
    found += [f"all ops: nothing passed in {part}"
              for part in OVERALL if not any(parts.get(part, {}).get("passed", 0) for parts in everything)]
    return found


def check(options):
    if not options.record.exists():
        print(f"record-check: there is no {options.record}: run tests/gpu/gpu_suite.py on a machine with a GPU")
        return 1
    record = json.loads(options.record.read_text())
    found = problems(record, current_digests(read_keys(options.tool, record["nvrtc"])))
    for line in found:
        print("record-check:", line)
    if not found:
        print(f"record-check: {len(record['ops'])} ops passed on {record['device']} on {record['date']}, "
              "and nothing has changed since")
    return 1 if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check"])
    parser.add_argument("--tool", default=ROOT / "build/release/bin/baracuda", type=pathlib.Path)
    parser.add_argument("--record", default=RECORD, type=pathlib.Path)
    return check(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
