"""What a case is made of, for whoever runs it: no torch, no GPU."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Sequence
from typing import Any


class NotApplicable(Exception):
    """Says why an entry is absent where that is nobody's failure."""


class Mismatch(Exception):
    """What was computed is not what the reference says."""


@dataclasses.dataclass
class Work:
    """An entry that is ready to run: a call for each set of buffers."""

    calls: list[Callable[[], object]]
    poison: Callable[[], None] | None = None  # spoils the outputs, before they are checked
    check: Callable[[], None] | None = None  # after one run of each call; raises Mismatch
    without_first_kernel: bool = False
    details: dict[str, Any] = dataclasses.field(default_factory=dict)  # for the reader: sku, algorithms, ...


@dataclasses.dataclass
class Entry:
    name: str
    prepare: Callable[[], Work]
    peers: tuple[str, ...] = ()  # of an entry of ours: those that it is compared with
    extra_seconds: float = 0  # that preparing it may take, compilers being slow
    is_part: bool = False  # of the case's work, so that its bytes and operations are not those that are counted


@dataclasses.dataclass(frozen=True)
class Goal:
    """What an entry of ours should reach: against a peer, or a rate, or a time."""

    entry: str
    peer: str = ""
    max_ratio: float = 0  # time of ours over the peer's
    min_gb_per_s: float = 0
    max_us: float = 0


@dataclasses.dataclass(frozen=True)
class Case:
    """A problem and who solves it. `bytes` is what has to be moved at least, `ops` what has to be computed."""

    name: str
    group: str
    bytes: int
    ops: int
    entries: Callable[[Any], list[Entry]]  # of the bench, which the case's buffers are made with
    goals: tuple[Goal, ...] = ()


def select(cases: Sequence[Case], words: Sequence[str]) -> list[Case]:
    """Those whose name or group a word is, or whose name matches it as a pattern; all without words."""
    chosen = []
    for word in words:
        found = [case for case in cases if word in (case.name, case.group) or fnmatch.fnmatchcase(case.name, word)]
        if not found:
            groups = sorted({case.group for case in cases})
            raise ValueError(f"no case is named {word!r}, expected a name of --list, a pattern such as 'w8a8-bf16-*', "
                             f"or a group: {', '.join(groups)}")
        chosen += [case for case in found if case not in chosen]
    return chosen if words else list(cases)
