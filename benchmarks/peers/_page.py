"""How results are shown: lines on the terminal, and a page with tables and a plot."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from . import ORDER, names, peer

TIE = 0.15
"""A difference below this is a tie."""

Result = dict[str, Any]


def label(name: str) -> str:
    """Return the head of a peer's column."""
    return str(peer(name).LABEL) if name in names() else name


def is_framework(name: str) -> bool:
    """Return whether a peer counts among the frameworks."""
    return name in names() and getattr(peer(name), "FRAMEWORK", False)


def seconds(one: Result, name: str) -> float | None:
    """Return the time of a peer's step, or None if it was not timed."""
    result = one["peers"].get(name, {})
    return result["seconds"] if result.get("status") == "timed" else None


def fastest(one: Result, among: Any) -> str | None:
    """Return the fastest of the peers for which ``among`` holds."""
    timed = [name for name in one["peers"] if among(name) and seconds(one, name) is not None]
    return min(timed, key=lambda name: one["peers"][name]["seconds"], default=None)


def number(value: float) -> str:
    """Return a ratio with two or three digits."""
    if value >= 999.5:
        return f"{float(f'{value:.2g}'):,.0f}"
    if value >= 19.95:
        return f"{value:.0f}"
    if value >= 9.995:
        return f"{value:.1f}"
    if value >= 0.095:
        return f"{value:.2f}".removeprefix("0")
    return f"{value:.5f}"[1:] if value < 0.001 else f"{value:.2g}"[1:]


def digits(value: float) -> str:
    """Return three digits."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"


UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def unit_of(value: float) -> str:
    """Return the unit in which a time reads well."""
    return next((unit for unit, scale in UNITS.items() if value >= scale), "ns")


def duration(value: float) -> str:
    """Return a time with its unit."""
    unit = unit_of(value)
    return f"{digits(value / UNITS[unit])} {unit}"


def micro(value: float) -> str:
    """Return microseconds."""
    return digits(value * 1e6)


def noisy(result: Result) -> bool:
    """Return whether the turns of a peer were far apart."""
    low, high = result["quartiles"]
    return high > (1 + 2 * TIE) * low


# ---------------------------------------------------------------------------------------------------------
# The terminal


def measured_text(threads: int, measured: Result) -> str:
    """Return what the machine does."""
    rates = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in measured["sgemm"].items())
    widths = ", ".join(f"{name} {what['rate'] / 1e9:.0f}" for name, what in measured["bandwidths"].items())
    plural = "" if threads == 1 else "s"
    return f"{threads} thread{plural}: sgemm, best, GFLOP/s: {rates}; bandwidth GB/s: {widths}"


def workload_text(one: Result) -> str:
    """Return the lines of a workload."""
    eager, best = seconds(one, "torch_eager"), fastest(one, is_framework)
    least = one["floor"]["seconds"]
    lines = [
        f"\n{one['title']}   floor {duration(least)} ({one['floor']['by']})",
        f"  {'':24} {'a step':>9} {'quartiles':>17} {'to eager':>9} {'to fastest framework':>21} {'to floor':>9}",
    ]
    for name, result in one["peers"].items():
        time = seconds(one, name)
        if time is None:
            lines.append(f"  {label(name):24} {result['status']}: {result['reason']}")
            continue
        low, high = (digits(q / UNITS[unit_of(time)]) for q in result["quartiles"])
        to_eager = number(time / eager) if eager else ""
        to_best = against(time, one["peers"][best]["seconds"]) if best else ""
        lines.append(
            f"  {label(name):24} {duration(time):>9} {f'{low} .. {high}':>17} {to_eager:>9} {to_best:>21}"
            f" {number(time / least):>9}"
            + (f"   compiled in {compiled:.1f} s" if (compiled := result.get("compile_seconds")) else "")
        )
    return "\n".join(lines)


def against(time: float, other: float) -> str:
    """Return a ratio, and that it is a tie if it is."""
    return f"{number(time / other)}{' tie' if tied(time, other) and time != other else ''}"


def tied(time: float, other: float) -> bool:
    """Return whether two times differ by less than noise may."""
    return max(time, other) / min(time, other) < 1 + TIE


# ---------------------------------------------------------------------------------------------------------
# The page


def mark(one: Result, name: str) -> str:
    """Return a sign after what is noisy."""
    return " ~" if noisy(one["peers"][name]) else ""


def columns(part: Result) -> list[str]:
    """Return the peers that were timed somewhere."""
    found = {name for one in part["workloads"].values() for name in one["peers"] if seconds(one, name) is not None}
    return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def table(part: Result) -> list[str]:
    """Return the table of one number of threads."""
    heads = [name for name in columns(part) if name != "torch_eager"]
    lines = [
        "| " + " | ".join(["network", "floor, us", "PyTorch eager, us", *map(label, heads)]) + " |",
        "| --- " * (3 + len(heads)) + "|",
    ]
    for one in part["workloads"].values():
        eager, least = seconds(one, "torch_eager"), one["floor"]["seconds"]
        first = fastest(one, lambda name: True)
        best = one["peers"][first]["seconds"] if first else 0.0
        cells = [one["title"], micro(least)]
        if eager is not None:
            shown = f"{micro(eager)} ({number(eager / least)}){mark(one, 'torch_eager')}"
            cells.append(f"**{shown}**" if tied(eager, best) else shown)
        else:
            cells.append("-")
        for name in heads:
            time = seconds(one, name)
            if time is None:
                cells.append({"wrong": "wrong", "failed": "failed"}.get(one["peers"].get(name, {}).get("status"), "-"))
                continue
            shown = f"{number(time / (eager or least))} ({number(time / least)}){mark(one, name)}"
            cells.append(f"**{shown}**" if tied(time, best) else shown)
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def times_table(part: Result) -> list[str]:
    """Return the table of absolute times."""
    heads = columns(part)
    lines = [
        "| " + " | ".join(["network", *map(label, heads)]) + " |",
        "| --- " * (1 + len(heads)) + "|",
    ]
    for one in part["workloads"].values():
        times = [seconds(one, name) for name in heads]
        lines.append("| " + " | ".join([one["title"], *("-" if t is None else micro(t) for t in times)]) + " |")
    return lines


def verdicts(part: Result) -> list[str]:
    """Return, for each workload, how the fastest code of symbp stands to the fastest framework."""
    lines = ["| network | fastest of symbp | fastest framework | ratio |", "| --- | --- | --- | --- |"]
    for one in part["workloads"].values():
        ours, theirs = fastest(one, lambda name: name.startswith("symbp")), fastest(one, is_framework)
        if ours and theirs:
            times = [one["peers"][name]["seconds"] for name in (ours, theirs)]
            cells = [f"{label(name)}, {duration(t)}" for name, t in zip((ours, theirs), times, strict=True)]
            lines.append("| " + " | ".join([one["title"], *cells, against(*times)]) + " |")
    return lines if len(lines) > 2 else []


def serial(part: Result) -> list[str]:
    """Return the peers in the table that have one thread."""
    return [label(name) for name in columns(part) if getattr(peer(name), "SERIAL", False)]


def not_timed(report: Result) -> list[str]:
    """Return a line for each peer and reason that keep it out of a table."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for threads, part in report["threads"].items():
        for one in part["workloads"].values():
            for name, result in one["peers"].items():
                if result["status"] != "timed":
                    reason = f"{result['status']}, {brief(result['reason'])}"
                    found.setdefault((name, reason), {}).setdefault(threads, []).append(one["title"])
    return [f"- {label(name)}: {reason}{where(report, places)}" for (name, reason), places in found.items()]


def brief(reason: str) -> str:
    """Return the first sentence of an error; what frameworks add to it fills pages."""
    return re.split(r"\s+(?:Explanation|Hint|Developer debug context):|\n", reason)[0]


def where(report: Result, places: dict[str, list[str]]) -> str:
    """Return for which networks and numbers of threads something holds; nothing if for all."""
    said = []
    for threads, titles in places.items():
        whole = len(titles) == len(report["threads"][threads]["workloads"])
        said.append(f"{threads} thread{'' if threads == '1' else 's'}{'' if whole else ': ' + '; '.join(titles)}")
    lists = list(places.values())
    if len(places) < len(report["threads"]) or any(titles != lists[0] for titles in lists):
        return f" ({' / '.join(said)})"
    everywhere = all(len(titles) == len(report["threads"][threads]["workloads"]) for threads, titles in places.items())
    return "" if everywhere else f" ({'; '.join(lists[0])})"


def how_compiled(report: Result) -> list[str]:
    """Return a line for each peer: what runs, and the flags with which it was compiled."""
    found: dict[str, dict[str, None]] = {}
    longest: dict[str, float] = {}
    for part in report["threads"].values():
        for one in part["workloads"].values():
            for name, result in one["peers"].items():
                if result["status"] == "timed":
                    words = result["note"].split()
                    kept = " ".join(w for w in words if not (w.startswith("-D") and "=" in w))
                    found.setdefault(name, {})[kept] = None
                    if result.get("compile_seconds"):
                        longest[name] = max(longest.get(name, 0.0), result["compile_seconds"])
    for name, took in longest.items():
        found[name][f"compiled in {took:.1f} s at most"] = None
    return [f"- {label(name)}: {'; '.join(notes)}" for name, notes in found.items()]


def page(report: Result) -> str:
    """Return the page in Markdown."""
    machine = report["machine"]
    sizes = ", ".join(f"{level} {size >> 10} KiB" for level, size in machine["caches"].items())
    lines = [
        "# Benchmarks",
        "",
        "What a training step costs - forward, backward, and the SGD update of all parameters, in float32 on a fixed",
        "batch - in the code that symbp generates, in frameworks, and written by hand.",
        "",
        f"Made on {report['when']} by one command, which measures everything on this page in one interleaved run:",
        "",
        "```",
        report["command"],
        "```",
        "",
        f"Peers run in processes of their own, in turns of about 30 ms, shuffled in each of {report['rounds']} rounds,",
        "never two at once; the time of a step is the median over the rounds. Before the timing, gradients, and",
        "parameters after 1 and 6 steps, are compared with a float64 reference; what is wrong is not timed.",
        "Differences under 15% are ties. *Floor* is the larger of two times: the operations in the matrix products by",
        "the best measured rate of sgemm, and the bytes that must move by the bandwidth of the cache that holds them.",
        "",
        "Entries are ratios to PyTorch eager, in brackets to the floor; the fastest, and what ties with it, is bold.",
        "~ marks a noisy entry, whose quartiles are more than 30% apart.",
        "",
        "![Time of a training step, each network on a log scale of its own](benchmarks/training_step.svg)",
        "",
    ]
    for threads, part in report["threads"].items():
        plural = "" if threads == "1" else "s"
        lines += [f"## {threads} thread{plural}", "", measured_text(int(threads), part["measured"]) + ".", ""]
        lines += [*table(part), ""]
        if threads != "1":
            lines += [f"Peers that have one thread whatever they may use: {', '.join(serial(part))}.", ""]
        lines += ["Microseconds of a step:", "", *times_table(part), ""]
        if against_frameworks := verdicts(part):
            lines += [*against_frameworks, ""]
    lines += [
        "## What ran",
        "",
        f"- processor: {machine['processor']}; {machine['cores']} cores, caches {sizes}",
        f"- {machine['system']}, Python {machine['python']}, {machine['compiler']}",
        "- " + ", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
        *how_compiled(report),
        "",
    ]
    if left_out := not_timed(report):
        lines += ["Not timed:", "", *left_out, ""]
    lines += ["All numbers: [training_step.json](benchmarks/training_step.json).", ""]
    return "\n".join(lines)


STYLES = {
    "torch_eager": ("#1f4e9c", "s"),
    "torch_compile": ("#6fa8dc", "s"),
    "jax_jit": ("#38761d", "^"),
    "jax_loop": ("#93c47d", "^"),
    "hand_numpy": ("#999999", "D"),
    "hand_c": ("#222222", "D"),
    "symbp_numpy": ("#f6b26b", "o"),
    "symbp_numpy_workspace": ("#e69138", "o"),
    "symbp_c": ("#e06666", "o"),
    "symbp_c_vector": ("#cc0000", "o"),
    "symbp_c_cblas": ("#a64d79", "o"),
    "symbp_c_threads": ("#674ea7", "o"),
}


def plot(report: Result, target: Path) -> None:
    """Draw a row for each network, a column for each number of threads, each on a log scale of its own."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "symbp", "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    parts = report["threads"]
    titles = {key: one["title"] for part in parts.values() for key, one in part["workloads"].items()}
    figure, grid = plt.subplots(
        len(titles), len(parts), figsize=(1 + 5.5 * len(parts), 1 + 1.25 * len(titles)), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    handles: dict[str, Any] = {}
    for column, (threads, part) in enumerate(parts.items()):
        for row, (key, title) in enumerate(titles.items()):
            axes = grid[row, column]
            handles |= strip(axes, part["workloads"][key], columns(part))
            if column == 0:
                axes.set_ylabel(title.replace(", ", "\n"), rotation=0, ha="right", va="center")
        grid[0, column].set_title(f"{threads} thread{'' if threads == '1' else 's'}", fontweight="bold")
        grid[-1, column].set_xlabel("time of a training step, log scales; left is faster")
    order = [*(label(name) for name in ORDER), "floor"]
    chosen = sorted(handles, key=lambda text: order.index(text) if text in order else len(order))
    figure.legend([handles[text] for text in chosen], chosen, loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None)
    plt.close(figure)


def strip(axes: Any, one: Result, shown: list[str]) -> dict[str, Any]:
    """Draw one network with one number of threads, and return what the legend names."""
    from matplotlib.ticker import FixedLocator, NullLocator

    least = one["floor"]["seconds"]
    times = {name: time for name in shown if (time := seconds(one, name)) is not None}
    handles = {"floor": axes.axvline(least, color="black", lw=2)}
    for name, time in times.items():
        color, marker = STYLES.get(name, ("#777777", "x"))
        y = shown.index(name) / max(1, len(shown) - 1)
        axes.plot([least, time], [y, y], color=color, lw=0.7, alpha=0.5)
        (handles[label(name)],) = axes.plot(
            [time], [y], marker=marker, color=color, ls="", ms=6.5, mec="white", mew=0.5, zorder=3
        )
    # No scale is so fine that a tie looks like a difference.
    first, most = min([least, *times.values()]), max([4 * least, *times.values()])
    axes.set_xscale("log")
    axes.set_xlim(first / (most / first) ** 0.03, most * (most / first) ** 0.05)
    axes.set_ylim(1.15, -0.15)
    axes.xaxis.set_major_locator(FixedLocator(ticks(first, most)))
    axes.xaxis.set_major_formatter(lambda value, _: duration(value * (1 + 1e-9)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks([])
    axes.grid(axis="x", color="#e4e4e4", lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return handles


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers in a range, at most seven where that is possible."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for within in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [k * 10.0**d for d in decades for k in within if low <= k * 10.0**d <= high]
        if len(found) <= 7:
            break
    return found


def write(report: Result, folder: Path) -> None:
    """Write page, plot and numbers."""
    (folder / "benchmarks").mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.md").write_text(page(report), encoding="utf-8")
    (folder / "benchmarks" / "training_step.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    plot(report, folder / "benchmarks" / "training_step.svg")
