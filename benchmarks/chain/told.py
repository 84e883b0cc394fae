"""What a run found: rows for the file, figures against their bars, tables for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.chain.buyer import Done
from benchmarks.chain.spread import spread
from benchmarks.figures import Bar
from benchmarks.run import say

Row = dict[str, Any]
BARS: Final[Mapping[str, Bar]] = {
    "quote_p50_vs_floor": Bar(True, 3, "intent to quote / one echo through the same number of nodes, medians"),
    "active_p50_vs_floor": Bar(True, 4, "order to ACTIVE / one echo through the same number of nodes, medians"),
    "p99_vs_p50": Bar(True, 5, "p99 / p50 of the quote and of order to ACTIVE, the worst of all"),
    "chain3_unloaded_ms": Bar(True, 25, "intent to ACTIVE over 3 operators, nothing else under way, median"),
    "chain3_conc16_per_s": Bar(False, 82, "leases a second over 3 operators, released again, 16 at once"),
    "kept_600_vs_empty": Bar(False, 0.9, "the same rate with 600 leases kept / with none, median of the pairs"),
    "wrong_labels": Bar(True, 0, "interconnects with another label on either side, at every concurrency"),
    "oversold": Bar(True, 0, "labels and capacity given twice, at every concurrency and when all want the last"),
    "overload_accepted_vs_p50": Bar(True, 3, "p50 of what is accepted at twice the load / p50 at the load"),
    "overload_refused_otherwise": Bar(True, 0, "refusals at twice the load that are not 429 with Retry-After"),
    "overload_left": Bar(True, 0, "claims at operators once all of it is over"),
}


class Told:
    """Figures as they are measured, each with the rows it was worst of."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._values: dict[str, dict[str, float]] = {name: {} for name in BARS}

    def note(self, name: str, of: str, value: float) -> None:
        """A value of a figure; `of` says of what."""
        self._values[name][of] = value

    def row(self, part: str, done: Done, ms: Mapping[str, float], **about: Any) -> Row:
        """What one job came to, kept and printed: leases a second, times by step, processor milliseconds by process."""
        count = len(done.steps.quote)
        steps = {name: spread(times).rounded() for name, times in done.steps.all().items()}
        each = {name: round(value, 2) for name, value in ms.items()}
        rate = round(count / done.seconds, 2)
        found: Row = {"part": part, **about, "per_s": rate, "steps_ms": steps}
        found |= {"processor_ms": each, "processor_ms_all": round(sum(each.values()), 2)} if each else {}
        found |= {"refused": done.refused} if done.refused else {}
        self.rows.append(found)
        _say(found)
        return found

    def figures(self) -> dict[str, dict[str, Any]]:
        """Every figure by name; `ok` is False for one that was not measured."""
        return {name: self._figure(name, bar) for name, bar in BARS.items()}

    def lines(self) -> list[tuple[str, ...]]:
        """Rows for a person, the head first."""
        found: list[tuple[str, ...]] = [("figure", "value", "bar", "", "each")]
        for name, one in self.figures().items():
            value = "not measured" if one["value"] is None else f"{one['value']:.3g}"
            each = ", ".join(f"{of}: {v:.3g}" for of, v in one["each"].items())
            found.append((name, value, one["bar"], "ok" if one["ok"] else "MISSED", each))
        return found

    def _figure(self, name: str, bar: Bar) -> dict[str, Any]:
        each = {of: round(value, 4) for of, value in self._values[name].items()}
        value = (max if bar.at_most else min)(each.values()) if each else None
        unit = "ms" if name.endswith("_ms") else "1/s" if name.endswith("_per_s") else "ratio"
        unit = "count" if bar.value == 0 else unit
        kept = value is not None and bar.kept(value)
        return {"value": value, "unit": unit, "bar": str(bar), "ok": kept, "compares": bar.said, "each": each}


def _say(row: Row) -> None:
    about = " ".join(f"{key} {value}" for key, value in row.items() if isinstance(value, str | int) and key != "part")
    each = row["steps_ms"].items()
    steps = "  ".join(f"{name} {one['p50']:.1f}/{one['p95']:.1f}/{one['p99']:.1f}" for name, one in each)
    ms = f"; processor {row['processor_ms_all']:.1f} ms each" if "processor_ms_all" in row else ""
    refused = f"; refused {row['refused']}" if "refused" in row else ""
    say(f"  {row['part']} {about}: {row['per_s']:.1f}/s  {steps} ms (p50/p95/p99){ms}{refused}")
