"""Runs cases: prepares their entries, checks them, times them in turns. One that fails does not stop the others."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from entries import Case, Entry, Mismatch, NotApplicable
from timing import REGIMES, Method, Spread, Timed, interleave

FOLDER = pathlib.Path(__file__).parent


@dataclasses.dataclass
class EntryResult:
    name: str
    peers: tuple[str, ...] = ()
    is_part: bool = False
    absent: str = ""  # why it is not there, where that is no failure
    error: str = ""
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    sets: int = 0  # of buffers
    graph_calls: int = 0
    spreads: dict[str, Spread] = dataclasses.field(default_factory=dict)  # by regime
    clocks_mhz: dict[str, int | None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Ratio:
    entry: str
    peer: str
    by_regime: dict[str, float]  # time of the entry over the peer's


@dataclasses.dataclass(frozen=True)
class Judged:
    """A goal, and what came out, by regime."""

    text: str
    values: dict[str, float]
    met: dict[str, bool]


@dataclasses.dataclass
class CaseResult:
    case: Case
    entries: list[EntryResult] = dataclasses.field(default_factory=list)
    error: str = ""
    seconds: float = 0

    def entry(self, name: str) -> EntryResult | None:
        return next((entry for entry in self.entries if entry.name == name), None)

    def median(self, name: str, regime: str) -> float | None:
        entry = self.entry(name)
        found = entry.spreads.get(regime) if entry else None
        return found.median if found else None

    def failures(self) -> list[str]:
        failed = [f"{self.case.name}: {self.error}"] if self.error else []
        return failed + [f"{self.case.name}: {entry.name}: {entry.error}" for entry in self.entries if entry.error]

    def _ratio(self, name: str, peer: str) -> dict[str, float]:
        pairs = {regime: (self.median(name, regime), self.median(peer, regime)) for regime in REGIMES}
        return {regime: ours / theirs for regime, (ours, theirs) in pairs.items() if ours and theirs}

    def ratios(self) -> list[Ratio]:
        made = [Ratio(entry.name, peer, self._ratio(entry.name, peer))
                for entry in self.entries for peer in entry.peers]
        return [ratio for ratio in made if ratio.by_regime]

    def judged(self) -> list[Judged]:
        """Only of goals whose entries were timed."""
        made = []
        for goal in self.case.goals:
            medians = {regime: self.median(goal.entry, regime) for regime in REGIMES}
            known = {regime: seconds for regime, seconds in medians.items() if seconds}
            if goal.max_ratio:
                text = f"{goal.entry} / {goal.peer} ≤ {goal.max_ratio:.3f}"
                values = self._ratio(goal.entry, goal.peer)
                met = {regime: value <= goal.max_ratio for regime, value in values.items()}
            elif goal.min_gb_per_s:
                text = f"{goal.entry} ≥ {goal.min_gb_per_s:.0f} GB/s"
                values = {regime: self.case.bytes / seconds / 1e9 for regime, seconds in known.items()}
                met = {regime: value >= goal.min_gb_per_s for regime, value in values.items()}
            else:
                text = f"{goal.entry} ≤ {goal.max_us:.2f} µs"
                values = {regime: seconds * 1e6 for regime, seconds in known.items()}
                met = {regime: value <= goal.max_us for regime, value in values.items()}
            if values:
                made.append(Judged(text, values, met))
        return made


def describe(error: BaseException) -> str:
    """One line, with the line of these files that it came through last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
    frames = [(pathlib.Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    places = [f"{path.name}:{line}" for path, line in frames if path.parent == FOLDER]
    return f"{text} [{places[-1]}]" if places and not isinstance(error, Mismatch) else text


@contextlib.contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Raises TimeoutError in the body when its time is over; a call that does not come back to Python is not ended."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("time_limit works in the main thread alone")

    def ring(number: int, frame: Any) -> None:
        raise TimeoutError(f"{what} took over {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def prepare(gpu: Any, entry: Entry, method: Method, result: EntryResult) -> Timed:
    """Runs an entry's calls, checks what they gave in a graph, and captures as many as a sample takes."""
    work = entry.prepare()
    result.details, result.sets = work.details, len(work.calls)
    for call in work.calls:
        call()
    gpu.synchronize()
    capture: Callable[[Sequence[Any], int], Any] = (
        gpu.capture_without_first_kernel if work.without_first_kernel else gpu.capture)
    if work.poison:
        work.poison()
    once = capture(work.calls, 1)
    gpu.replay(once, 1)
    gpu.synchronize()
    if work.check:
        work.check()
    seconds = min(gpu.time_replay(once) for _ in range(2)) / once.calls
    repeats = method.graph_repeats(seconds, len(work.calls))
    graph = once if repeats == 1 else capture(work.calls, repeats)
    result.graph_calls = graph.calls
    return Timed(entry.name, graph, graph.calls)


def run_case(case: Case, bench: Any, gpu: Any, method: Method, seconds: float) -> CaseResult:
    """`seconds`: when they are over no more rounds begin, and an entry that is being prepared is given up."""
    result, begin = CaseResult(case), time.monotonic()
    end = begin + seconds

    def remaining() -> float:
        return max(1.0, end - time.monotonic())

    timed: list[tuple[EntryResult, Timed]] = []
    try:
        with time_limit(remaining(), "making the buffers"):
            entries = case.entries(bench)
        for entry in entries:
            made = EntryResult(entry.name, entry.peers, entry.is_part)
            result.entries.append(made)
            started = time.monotonic()
            try:
                with time_limit(remaining() + entry.extra_seconds, "preparing"):
                    timed.append((made, prepare(gpu, entry, method, made)))
            except NotApplicable as reason:
                made.absent = str(reason)
            except Exception as error:
                made.error = describe(error)
                gpu.synchronize()  # raises where the GPU is lost to this process
            end += min(time.monotonic() - started, entry.extra_seconds)
        interleave(gpu, [each for _, each in timed], method, lambda: time.monotonic() > end, describe)
        for made, each in timed:
            made.error = each.error
            made.spreads = {regime: found for regime in REGIMES if (found := each.spread(regime))}
            made.clocks_mhz = {regime: each.clock_mhz(regime) for regime in REGIMES}
        gpu.synchronize()
    except Exception as error:
        result.error = describe(error)
    result.seconds = time.monotonic() - begin
    return result


def is_usable(gpu: Any) -> bool:
    """Whether the GPU still takes work: an illegal access, for one, ends that for the whole process."""
    try:
        gpu.synchronize()
    except Exception:
        return False
    return True


def run_cases(cases: Sequence[Case], bench: Any, gpu: Any, method: Method, seconds: float, budget: float,
              done: Callable[[CaseResult], None]) -> list[CaseResult]:
    """All of them, in order. Those that the budget does not reach, and those behind a lost GPU, have an error."""
    results, begin = [], time.monotonic()
    for case in cases:
        if not is_usable(gpu):
            result = CaseResult(case, error="not run: the GPU takes no more work from this process")
        elif time.monotonic() - begin > budget:
            result = CaseResult(case, error=f"not run: the budget of {budget:.0f} s is spent")
        else:
            result = run_case(case, bench, gpu, method, seconds)
            gpu.release()
        results.append(result)
        done(result)
    return results
