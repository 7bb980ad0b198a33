"""Times what several entries take, in turns, on a device that is given: statistics and method, without any GPU."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

BURST, SUSTAINED = REGIMES = ("burst", "sustained")


class Device(Protocol):
    """What is asked of a GPU. A graph is whatever `capture` of the entry gives."""

    def rest(self, seconds: float) -> None:
        """Leaves the device idle, so that it cools down and its clocks rise."""

    def time_replay(self, graph: Any) -> float:
        """Seconds of one replay on a device that is otherwise idle."""

    def replay(self, graph: Any, times: int) -> None:
        """Enqueues replays, and does not wait."""

    def time_replay_between(self, graph: Any, after: int) -> float:
        """Seconds of one replay behind those that are enqueued already, with `after` more behind it."""

    def clock_mhz(self) -> int | None:
        """Of the multiprocessors, now."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """Where the middle of many readings lies, and how far they scatter: seconds."""

    median: float
    min: float
    p10: float
    p90: float
    samples: int


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value. Between two values a percentile is interpolated."""
    ordered = sorted(values)

    def percentile(part: float) -> float:
        at = part * (len(ordered) - 1)
        below = math.floor(at)
        above = min(below + 1, len(ordered) - 1)
        return ordered[below] + (ordered[above] - ordered[below]) * (at - below)

    return Spread(percentile(0.5), ordered[0], percentile(0.1), percentile(0.9), len(ordered))


@dataclasses.dataclass(frozen=True)
class Method:
    """How long and how often.

    A sample is one replay of a graph. In a burst it comes after a rest: the clock is the highest there is. Sustained,
    it comes after the same work and before more of it, at the clock that the power limit leaves.
    """

    graph_seconds: float = 3e-3
    rest_seconds: float = 25e-3
    warm_seconds: float = 60e-3
    burst_rounds: int = 7
    sustained_rounds: int = 5
    sustained_samples: int = 4  # a round
    samples_behind: int = 3  # replays that are enqueued behind a sample, so that the queue never runs dry
    max_graph_calls: int = 2048

    def graph_repeats(self, seconds_per_call: float, num_sets: int) -> int:
        """How often a graph goes round the sets of buffers: whole rounds, so that each set is as cold as the others."""
        wanted = round(self.graph_seconds / (max(seconds_per_call, 1e-9) * num_sets))
        return max(1, min(wanted, self.max_graph_calls // num_sets))


@dataclasses.dataclass
class Timed:
    """An entry that is ready to be timed, and what came out so far."""

    name: str
    graph: Any
    calls: int  # in the graph
    seconds: dict[str, list[float]] = dataclasses.field(default_factory=lambda: {regime: [] for regime in REGIMES})
    clocks: dict[str, list[int]] = dataclasses.field(default_factory=lambda: {regime: [] for regime in REGIMES})
    error: str = ""

    def spread(self, regime: str) -> Spread | None:
        return spread(self.seconds[regime]) if self.seconds[regime] and not self.error else None

    def clock_mhz(self, regime: str) -> int | None:
        return round(spread(self.clocks[regime]).median) if self.clocks[regime] else None


def _burst(device: Device, timed: Timed, method: Method) -> list[float]:
    device.rest(method.rest_seconds)
    return [device.time_replay(timed.graph)]


def _sustained(device: Device, timed: Timed, method: Method) -> list[float]:
    graph_seconds = max(min(timed.seconds[BURST], default=method.graph_seconds) * timed.calls, 1e-6)
    device.replay(timed.graph, max(1, math.ceil(method.warm_seconds / graph_seconds)))
    return [device.time_replay_between(timed.graph, method.samples_behind) for _ in range(method.sustained_samples)]


def interleave(device: Device, entries: Sequence[Timed], method: Method, is_late: Callable[[], bool],
               describe: Callable[[BaseException], str]) -> None:
    """Takes a sample of each entry in turn, again and again, so that what changes meanwhile changes for all alike. Each
    round begins with the next entry: what one leaves behind, as heat, then meets all of them.

    A first round of each regime, in which caches and clocks come up, does not count. When it is late no round begins
    but the first that counts. An entry that fails keeps its error and is left out from then on.
    """
    for regime, rounds, sample in ((BURST, method.burst_rounds, _burst),
                                   (SUSTAINED, method.sustained_rounds, _sustained)):
        for number in range(-1, rounds):
            if number > 0 and is_late():
                break
            first = (number + 1) % max(1, len(entries))
            for timed in [*entries[first:], *entries[:first]]:
                if timed.error:
                    continue
                try:
                    seconds = sample(device, timed, method)
                    clock = device.clock_mhz() if regime == SUSTAINED else None  # after a burst the device is idle
                except Exception as error:
                    timed.error = describe(error)
                    continue
                if number >= 0:
                    timed.seconds[regime] += [each / timed.calls for each in seconds]
                    if clock is not None:
                        timed.clocks[regime].append(clock)
