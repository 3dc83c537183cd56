"""Tables and a plot of the results; run as a program, of results that were kept."""

# ruff: noqa: RUF001 - dashes and times signs, for people to read

from __future__ import annotations

import argparse
import json
import statistics

from pathlib import Path
from typing import Any

from targets import TARGETS, Results, Target
from works import WORKS


BEGIN, END = "<!-- begin table -->", "<!-- end table -->"
PLOTTED = {"text": "200,000 texts", "runs-50": "2,000 runs, 50 at once"}
FIGURES = (
    ("per_stream", "memory of a stream", 1e3, " KB"),
    ("per_byte", "peak over size", 1, " ×"),
    ("delay_ms", "delay", 1, " ms"),
)


def spread(values: list[float], unit: str = "", digits: int = 2) -> str:
    """The median, and the least and the most."""
    if not values:
        return "–"
    middle = f"{statistics.median(values):.{digits}f}{unit}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def table(head: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def verdict(target: Target, values: list[float]) -> str:
    """Whether the median is good enough."""
    if not values:
        return "not measured"
    middle = statistics.median(values)
    if not target.meets(middle, target.required):
        return "**not met**"
    goal = target.meets(middle, target.goal)
    return "met" if goal is None else "goal met" if goal else "met, goal not"


def targets_table(results: Results) -> str:
    """What is required, and what was measured."""
    lines = []
    for target in TARGETS:
        values, sign = target.values(results), "≥" if target.at_least else "≤"
        bounds = [
            "–" if bound is None else f"{sign} {bound:g}{target.unit}"
            for bound in (target.required, target.goal)
        ]
        measured = spread(values, target.unit)
        lines.append([target.what, *bounds, measured, verdict(target, values)])
    return table(["", "required", "goal", "measured", ""], lines)


def notes(rows: list[dict[str, Any]]) -> str:
    """What went wrong, the first time for each kind."""
    return "; ".join(dict.fromkeys(r["problem"] for r in rows if r["problem"]))


def work_table(results: Results, name: str) -> str:
    """What each contender needed for a work."""
    names = results.contenders(name)
    extra = [
        figure
        for figure in FIGURES
        if any(results.values(name, who, figure[0]) for who in names)
    ]
    head = ["", "CPU s", "× floor", "× this", "wall s", "peak MB"]
    lines = []
    for who in names:
        rows = [r for r in results.of(name, who) if "cpu" in r]
        line = [
            who,
            spread([r["cpu"] for r in rows]),
            spread(results.ratios(name, who, "floor")),
            spread(results.ratios(name, who, "this")),
            spread([r["wall"] for r in rows]),
            spread([r["peak"] / 1e6 for r in rows if "peak" in r], digits=0),
        ]
        for key, _, scale, unit in extra:
            values = results.values(name, who, key).values()
            line.append(spread([v / scale for v in values], unit))
        lines.append([*line, notes(results.of(name, who))])
    head += [figure[1] for figure in extra]
    return table([*head, "found wrong"], lines)


def report(kept: dict[str, Any]) -> str:
    """All tables, in Markdown."""
    results = Results(kept["rows"])
    versions = ", ".join(f"{k} {v}" for k, v in kept["versions"].items())
    parts = [
        f"{kept['machine']}; {versions}.",
        f"{kept['rounds']} rounds: medians, with the least and the most.",
        "A figure without those was measured once.",
        targets_table(results),
    ]
    titles = {name: work.title for name, work in WORKS.items()}
    for name in [*titles, "import"]:
        if results.contenders(name):
            title = titles.get(name, "import; *floor* is what is imported anyway")
            scaled = kept.get("scaled", {}).get(name)
            note = f" (here: {scaled:,})" if scaled else ""
            parts += [f"**{title}**{note}", work_table(results, name)]
    return "\n\n".join(parts)


def into_page(page: Path, text: str) -> None:
    """Put the tables between the page's markers."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        msg = f"{page} has no {BEGIN} … {END}"
        raise SystemExit(msg)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def plot(results: Results, path: Path) -> None:
    """Draw the CPU seconds of all contenders."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"  # the same results, the same file
    from matplotlib import pyplot as plt

    works = [name for name in PLOTTED if results.contenders(name)]
    if not works:
        return
    figure, axes = plt.subplots(
        1, len(works), figsize=(5 * len(works), 3), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[0], works, strict=True):
        costs = {
            who: statistics.median(results.values(name, who, "cpu").values())
            for who in reversed(results.contenders(name))
            if results.values(name, who, "cpu")
        }
        colours = {"floor": "#999999", "this": "#2a7f62"}
        bars = axis.barh(
            list(costs),
            list(costs.values()),
            color=[colours.get(who, "#c8a24a") for who in costs],
        )
        axis.bar_label(bars, fmt="%.1f", padding=3)
        axis.set_xscale("log")
        axis.margins(x=0.2)
        axis.set_title(PLOTTED[name])
        axis.set_xlabel("CPU seconds, median (logarithmic)")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def publish(kept: dict[str, Any], page: Path | None, picture: Path | None) -> None:
    """Print the tables, and write the page and the plot if there are any."""
    text = report(kept)
    print(text)
    if page is not None:
        into_page(page, text)
    if picture is not None:
        plot(Results(kept["rows"]), picture)


def main() -> None:
    """Report results that were kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    publish(json.loads(args.results.read_text()), args.page, args.plot)


if __name__ == "__main__":
    main()
