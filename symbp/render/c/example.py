"""The example of a C module: which column of a table is which entry of an input, and how answers are counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from symbp.expr import Map, refs, same_size, walk
from symbp.plan.ir import Buffer
from symbp.program import Var
from symbp.render.c.module import Module
from symbp.render.c.selfcheck import calls, predicted_buffers
from symbp.render.facts import facts_text

LOGISTIC = frozenset({"sigmoid", "softplus"})
"""Functions whose argument is a number of any size where a binary answer is a sign."""


@dataclass(frozen=True)
class Layout:
    """How one sample of a variable stands in a flat array: members, the entries of each, and how far they are apart."""

    label: str
    start: int
    members: int
    count: int
    member_step: int
    entry_step: int
    sample_step: int


def _layout(module: Module, var: Var, part: dict[str, Any]) -> Layout | None:
    """Return how the samples of a flat part stand in it; None if it has none."""
    rows, cols, members, start = part["rows"], part["cols"], part["members"], part["start"]
    m = module.program.samples
    label = str(part["label"])
    if m is None:
        return Layout(label, start, members, rows * cols, rows * cols, 1, 0)
    if var.cols == m:
        return Layout(label, start, members, rows, rows * cols, cols, 1)
    if var.rows == m:
        return Layout(label, start, members, cols, rows * cols, 1, cols)
    sides = [box.sides[0] for box in var.boxes if box.sides]
    if len(sides) == 1 and same_size(sides[0].highs[0] - sides[0].lows[0] + 1, m):
        # The first index counts samples: each is a stretch of its own.
        count = rows * cols * members // int(module.entries.fields.sizes.value(m))
        return Layout(label, start, 1, count, count, 1, count)
    return None


def example(module: Module) -> dict[str, object]:
    """Return what the template of the example is given."""
    inputs = module.held("input")
    columns: list[Layout] = []
    fixed: list[dict[str, object]] = []
    texts: list[str] = []
    reached = 0
    targets: list[tuple[Buffer, Layout]] = []
    for buffer, part in zip(inputs, module.flat(inputs), strict=True):
        var = module.program.variables[buffer.of]
        layout = None if var.kind == "const" else _layout(module, var, part)
        if layout is None:
            fixed.append({
                **part, "value": _usual(module, var), "text": f"{part['rows']} x {part['cols']}"
                + (f", {facts_text(var)}" if var.facts else ""),
            })
            continue
        width = layout.members * layout.count
        steps = f", {layout.members} members of {layout.count}, one after the other" if layout.members > 1 else ""
        texts.append(f"{_range(reached, width)}: {layout.label}{steps}{f' ({facts_text(var)})' if var.facts else ''}")
        reached += width
        columns.append(layout)
        if var.kind == "target":
            targets.append((buffer, layout))
    m = module.program.samples
    batch = 1
    if m is not None:
        batch = next((n for s, n in module.capacity.items() if s == m), 0) or int(module.entries.fields.sizes.value(m))
    return {
        "columns": columns, "column_texts": texts, "column_count": max(reached, 1), "fixed": fixed, "batch": batch,
        "open_batch": m in module.capacity, "samples": str(m), "answers": _answers(module, targets),
        "input_count": max(sum(module.entries_of(b) for b in inputs), 1),
        "param_count": max(sum(module.entries_of(b) for b in module.held("param")), 1),
        "state_count": sum(module.entries_of(b) for b in module.held("state")),
        "prediction_count": max(
            sum(module.entries_of(b) for b in predicted_buffers(module)) if "predict" in module.plans else 0, 1
        ),
        "calls": calls(module),
    }


def _range(first: int, width: int) -> str:
    return f"column {first + 1}" if width == 1 else f"columns {first + 1} to {first + width}"


def _usual(module: Module, var: Var) -> str:
    """Return a harmless number for an input that belongs to no sample."""
    if var.facts & {"mask", "signs"}:
        return "1"
    return f"0.001{module.real.suffix}" if "positive" in var.facts else "0"


def _answers(module: Module, targets: list[tuple[Buffer, Layout]]) -> dict[str, object] | None:
    """Return how answers are counted: by the largest entry, or by the side of a number; None if they are no choice."""
    if "predict" not in module.plans:
        return None
    predicted = predicted_buffers(module)
    for buffer, target in targets:
        var = module.program.variables[buffer.of]
        kind = "binary" if "binary" in var.facts else ""
        if var.facts & {"one_hot_columns", "one_hot_rows"}:
            kind = "one_hot"
        for own, part in reversed(list(zip(predicted, module.flat(predicted), strict=True))):
            if not kind or own.shape != buffer.shape or module.entries_of(own) < module.entries_of(buffer):
                continue
            # Of a family with more members, such as layers, the last ones count.
            found = _layout(module, module.program.variables[own.of], dict(part))
            if found is None:
                continue
            start = found.start + (found.members - target.members) * found.member_step
            return {
                "kind": kind, "target": target, "label": found.label, "start": start,
                "threshold": "0" if _is_logit(module, own.of) else f"0.5{module.real.suffix}",
            }
    return None


def _is_logit(module: Module, name: str) -> bool:
    values = [s.equation.value for s in module.derivation.source.sites]
    return any(
        isinstance(node, Map) and node.function.name in LOGISTIC and any(r.name == name for r in refs(node))
        for value in values for node in walk(value)
    )


__all__ = ["example"]
