"""The figures: those that are held against a bar, and ratios that are only told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple


class Bar(NamedTuple):
    """What a figure must reach: at most or at least `value`; `said` tells a person what is compared."""

    at_most: bool
    value: float
    said: str

    def kept(self, value: float) -> bool:
        """Whether a value reaches the bar."""
        return value <= self.value if self.at_most else value >= self.value

    def __str__(self) -> str:
        """As in the table of the issue."""
        return f"{'<=' if self.at_most else '>='} {self.value:g}"


BARS: Final[Mapping[str, Bar]] = {
    "exact_one_limit_vs_rustworkx_unlimited": Bar(True, 1.0, "ours, one limit / rustworkx, no limits"),
    "exact_eu_vs_rustworkx_callback": Bar(True, 0.5, "ours, EU, one limit / rustworkx, predicate in Python"),
    "networkx_unlimited_vs_exact": Bar(False, 8, "networkx, no limits / ours, one limit"),
    "cspy_vs_exact": Bar(False, 300, "cspy / ours, EU, one limit, smallest graph"),
    "two_limits_p95_vs_rustworkx_100k": Bar(True, 12, "ours, two limits, p95 / rustworkx, no limits, median"),
    "warm_vs_cold": Bar(True, 0.35, "ours, warm / cold, one limit"),
    "exact_5m_vs_scipy": Bar(True, 1.2, "ours, one limit / scipy one-to-all, at 5M arcs"),
    "reprice_1000_vs_query_100k": Bar(True, 0.1, "1,000 price changes / one question, one limit"),
}


class Figures:
    """Values as they are measured; where a figure has one per graph, the worst counts."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, float]] = {name: {} for name in BARS}

    def note(self, name: str, graph: str, value: float) -> None:
        """A value of a figure on one graph."""
        self._values[name][graph] = value

    def worst(self, name: str) -> float | None:
        """The value that counts; None where nothing was measured."""
        values = self._values[name].values()
        if not values:
            return None
        return max(values) if BARS[name].at_most else min(values)

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Every figure by name; `ok` is False for one that was not measured."""
        return {name: self._figure(name, bar) for name, bar in BARS.items()}

    def lines(self) -> list[tuple[str, ...]]:
        """Rows for a person, the head first."""
        rows: list[tuple[str, ...]] = [("figure", "value", "bar", "", "per graph")]
        for name, figure in self.as_json().items():
            value = "not measured" if figure["value"] is None else f"{figure['value']:.3g}"
            each = ", ".join(f"{graph} {v:.3g}" for graph, v in self._values[name].items())
            rows.append((name, value, figure["bar"], "ok" if figure["ok"] else "MISSED", each))
        return rows

    def _figure(self, name: str, bar: Bar) -> dict[str, Any]:
        value = self.worst(name)
        return {
            "value": value,
            "unit": "ratio",
            "bar": str(bar),
            "ok": value is not None and bar.kept(value),
            "compares": bar.said,
            "graphs": self._values[name],
        }


def worst_ratios(rows: Iterable[tuple[str, str, float]]) -> dict[str, dict[str, Any]]:
    """Figures without a bar, of name, graph and ratio: per graph, and the worst of them."""
    figures: dict[str, dict[str, Any]] = {}
    for name, graph, ratio in rows:
        figure = figures.setdefault(name, {"unit": "ratio", "bar": None, "graphs": {}})
        figure["graphs"][graph] = ratio
        figure["value"] = max(figure["graphs"].values())
    return figures
