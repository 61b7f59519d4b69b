"""The cost report that goes with a generated module: operations and bytes per equation, memory, saved activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy as sp

from symbp.plan.cost import by_equation, total
from symbp.plan.cost import entries as entries_of
from symbp.plan.entries import Entries
from symbp.plan.ir import Buffer, Plan, Source
from symbp.plan.liveness import bound
from symbp.plan.shards import CACHE, Choice
from symbp.plan.sweeps import registers


def cost_text(
    entries: Entries, note: Callable[[Source], str], *, title: str, itemsize: int, entry: str = "train_step",
) -> str:
    """Return the cost of one call of a function of a module, as text.

    entries:  the plans of the module.
    note:     the text of an equation with its number.
    title:    the first line.
    itemsize: bytes of a number.
    entry:    the function.

    Sizes that are no numbers stay symbols; a size that is known at run time only counts as its largest value where
    memory is concerned.
    """
    plan = entries.plans[entry]
    flop, moved = total(plan)
    lines = [title, "", f"one call of {entry}", *_table(plan, note, itemsize), ""]
    lines += [f"in total {_size(flop)} FLOP", f"         {_size(moved * itemsize)} bytes read and written"]
    lines += ["", *_memory(entries, plan, itemsize)]
    if entries.choice and entry == "train_step":
        lines += ["", *_shards(entries.choice, itemsize)]
    lines += ["", "Each addition, multiplication, division, comparison and call of a function counts as one operation."]
    return "\n".join(lines) + "\n"


def _table(plan: Plan, note: Callable[[Source], str], itemsize: int) -> list[str]:
    rows = [("FLOP", "bytes", "equations")]
    for sources, cost in by_equation(plan).items():
        notes = list(dict.fromkeys(filter(None, map(note, sources)))) or ["parameters after the step"]
        rows.append((_size(cost.flop), _size(cost.moved * itemsize), notes[0]))
        rows += [("", "", text) for text in notes[1:]]
    return _aligned(rows)


def _memory(entries: Entries, plan: Plan, itemsize: int) -> list[str]:
    whole = entries.plans["loss_and_gradients"]
    params = [b for f in entries.fields.declared for b in f.buffers.values() if b.role == "param"]
    gradients = [whole.buffers[n] for n in whole.outputs if whole.buffers[n].role == "gradient"]
    saved = [b for b in entries.plans["forward"].buffers.values() if b.of in entries.cached and b.role == "value"]
    rows = [
        ("parameters", _count(params), _bytes(params, itemsize), _names(params)),
        ("gradients", _count(gradients), _bytes(gradients, itemsize), "only where they are asked for"),
        ("saved activations", _count(saved), _bytes(saved, itemsize), _names(saved)),
    ]
    if plan.storage:
        least = bound(plan, registers(plan))
        rows.append((
            "temporaries", str(plan.block), f"{plan.block * itemsize} bytes",
            f"at most {least * itemsize} bytes are alive at once",
        ))
    return ["memory", *_aligned(rows, left=(0,))]


def _shards(choice: Choice, itemsize: int) -> list[str]:
    """Return why a training step takes so many samples at a time."""
    (all_set, some_set), (all_effort, some_effort) = choice.sets, choice.efforts
    some = f"at most {CACHE * itemsize} bytes at once" if choice.size == choice.samples else f"{choice.size} at a time"
    rows = [
        ("samples", "bytes gone through", "effort"),
        (f"all {choice.samples} at once", str(all_set * itemsize), _size(all_effort)),
        (some, str(some_set * itemsize), _size(some_effort)),
    ]
    way = "all at once" if choice.size == choice.samples else f"in shards of {choice.size}"
    return [f"a training step takes the samples {way}", *_aligned(rows, left=(0,))]


def _aligned(rows: Sequence[tuple[str, ...]], left: tuple[int, ...] = ()) -> list[str]:
    """Return rows with aligned columns: to the right, but for the last one and those that are named."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    last = len(widths) - 1
    return [
        ("  " + "  ".join(c if k == last else c.ljust(w) if k in left else c.rjust(w)
                          for k, (c, w) in enumerate(zip(row, widths, strict=True)))).rstrip()
        for row in rows
    ]


def _count(buffers: Sequence[Buffer]) -> str:
    return _size(sp.Add(*map(entries_of, buffers)))


def _bytes(buffers: Sequence[Buffer], itemsize: int) -> str:
    return f"{_size(itemsize * sp.Add(*map(entries_of, buffers)))} bytes"


def _names(buffers: Sequence[Buffer]) -> str:
    return ", ".join(dict.fromkeys(b.name for b in buffers))


def _size(value: sp.Expr) -> str:
    return str(sp.expand(value))
