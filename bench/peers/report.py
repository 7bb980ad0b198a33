"""Results as text and as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from runner import CaseResult, EntryResult
from timing import REGIMES, Method, Spread


def _rates(result: CaseResult, entry: EntryResult, seconds: float) -> str:
    if entry.is_part:
        return f"{'':14}"
    tops = f"{result.case.ops / seconds / 1e12:7.0f}" if result.case.ops else f"{'':7}"
    return f"{tops} {result.case.bytes / seconds / 1e9:6.0f}"


def _timed_row(result: CaseResult, entry: EntryResult) -> str:
    row = f"  {entry.name:26}"
    for regime in REGIMES:
        found, mhz = entry.spreads.get(regime), entry.clocks_mhz.get(regime)
        if found is None:
            row += f" | {'-':>9}"
            continue
        row += (f" | {found.median * 1e6:9.2f} {f'[{found.p10 * 1e6:.1f}-{found.p90 * 1e6:.1f}]':17}"
                f"{_rates(result, entry, found.median)} {mhz or '-':>5}")
    return row.rstrip()


def _details(entry: EntryResult) -> str:
    return ", ".join(f"{name} {value}" for name, value in entry.details.items())


def _by_regime(values: dict[str, float], digits: int) -> str:
    return ", ".join(f"{regime} {value:.{digits}f}" for regime, value in values.items())


def case_text(result: CaseResult) -> str:
    """A table of an entry a line, then the ratios and the goals."""
    sets = max((entry.sets for entry in result.entries), default=0)
    lines = [f"{result.case.name}: {result.case.bytes / 1e6:.1f} MB, {sets} sets of buffers, {result.seconds:.1f} s"]
    if result.error:
        lines.append(f"  FAILED: {result.error}")
    if any(entry.spreads for entry in result.entries):
        head = f"{'µs':>9} {'[p10-p90]':17}{'TOP/s':>7} {'GB/s':>6} {'MHz':>5}"
        lines.append(f"  {'':26}" + "".join(f" | {regime + ' ' + head.lstrip():>{len(head)}}" for regime in REGIMES))
    for entry in result.entries:
        if entry.error:
            lines.append(f"  {entry.name:26} | FAILED: {entry.error}")
        elif entry.absent:
            lines.append(f"  {entry.name:26} | absent: {entry.absent}")
        else:
            lines.append(_timed_row(result, entry))
    lines += [f"  {entry.name}: {_details(entry)}" for entry in result.entries if entry.details]
    lines += [f"  {ratio.entry} / {ratio.peer}: {_by_regime(ratio.by_regime, 3)}" for ratio in result.ratios()]
    for judged in result.judged():
        verdict = ", ".join(f"{regime} {'met' if met else 'MISSED'}" for regime, met in judged.met.items())
        lines.append(f"  goal {judged.text}: {verdict} ({_by_regime(judged.values, 3)})")
    return "\n".join(lines)


def goals_text(results: Sequence[CaseResult]) -> str:
    """All goals of all cases, one a line."""
    rows = [(judged.text, result.case.name, judged) for result in results for judged in result.judged()]
    lines = ["goals"] * bool(rows)
    for text, name, judged in rows:
        values = " ".join(f"{regime} {judged.values[regime]:9.3f} {'met' if judged.met[regime] else 'MISSED':6}"
                          for regime in judged.values)
        lines.append(f"  {name:32} {text:45} {values}".rstrip())
    return "\n".join(lines)


def _spread_json(spread: Spread, mhz: int | None) -> dict[str, Any]:
    return {"median_us": spread.median * 1e6, "min_us": spread.min * 1e6, "p10_us": spread.p10 * 1e6,
            "p90_us": spread.p90 * 1e6, "samples": spread.samples, "sm_mhz": mhz}


def _entry_json(result: CaseResult, entry: EntryResult) -> dict[str, Any]:
    if entry.error or entry.absent:
        return {"name": entry.name, **({"error": entry.error} if entry.error else {"absent": entry.absent}),
                **entry.details}
    data: dict[str, Any] = {"name": entry.name, **entry.details, "sets": entry.sets, "graph_calls": entry.graph_calls}
    for regime, spread in entry.spreads.items():
        data[regime] = _spread_json(spread, entry.clocks_mhz.get(regime))
        if entry.is_part:
            continue
        data[regime]["gb_per_s"] = result.case.bytes / spread.median / 1e9
        if result.case.ops:
            data[regime]["top_per_s"] = result.case.ops / spread.median / 1e12
    return data


def case_json(result: CaseResult) -> dict[str, Any]:
    data: dict[str, Any] = {"case": result.case.name, "bytes": result.case.bytes, "ops": result.case.ops,
                            "seconds": result.seconds}
    if result.error:
        data["error"] = result.error
    data["entries"] = [_entry_json(result, entry) for entry in result.entries]
    data["ratios"] = [{"entry": ratio.entry, "peer": ratio.peer, **ratio.by_regime} for ratio in result.ratios()]
    data["goals"] = [{"goal": judged.text, "values": judged.values, "met": judged.met} for judged in result.judged()]
    return data


def run_json(head: dict[str, Any], method: Method, results: Sequence[CaseResult]) -> dict[str, Any]:
    """`head` says what ran where: command, date, versions."""
    return {**head, "method": dataclasses.asdict(method), "cases": [case_json(result) for result in results],
            "failures": [failure for result in results for failure in result.failures()]}


def write_json(path: pathlib.Path, data: dict[str, Any]) -> None:
    """Whole or not at all: it is written anew after every case."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    beside.replace(path)
