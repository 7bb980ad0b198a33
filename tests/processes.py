"""Runs programs with a time limit."""

import concurrent.futures
import os
import signal
import subprocess
import time

import support


def execute(command, seconds, environment={}, errors=subprocess.STDOUT):
    """Exit status (None: out of time) and output of a command. `environment` comes on top; `errors`: as stderr of Popen,
    unless given a part of the output."""
    process = subprocess.Popen([str(word) for word in command], cwd=support.ROOT, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=errors, text=True, errors="replace",
                               start_new_session=True, env={**os.environ, **environment})
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return None, f"{output}\nended after {seconds} s: {' '.join(map(str, command))}\n"


def execute_gtest(command_of, num_shards, seconds, environment={}, jobs=None):
    """`execute` of command_of(i) for each of so many processes, which share the tests and the seconds: `jobs` at a time,
    all at once unless given."""
    end = time.monotonic() + seconds

    def shard(i):
        return execute(command_of(i), max(0, end - time.monotonic()),
                       {"GTEST_TOTAL_SHARDS": str(num_shards), "GTEST_SHARD_INDEX": str(i), **environment})
    with concurrent.futures.ThreadPoolExecutor(jobs or num_shards) as pool:
        return list(pool.map(shard, range(num_shards)))
