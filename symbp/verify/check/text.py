"""A judgement as it is printed: what is wrong, where, the mend, why, what else is wrong through it, how it is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from symbp.verify.check.verdict import Fault, Judgement
from symbp.verify.check.work import Line

WIDEST = 100
"""Characters of a source line that are shown; of a longer one a window around the caret."""


def text_of(judgement: Judgement, *, hint: bool = False, reveal: bool = True) -> str:
    """Return the text of a judgement; its last line is one sentence for a mark.

    hint:   say where to look and ask a question, in place of nature and mend.
    reveal: with the mends.
    """
    out = [headline(judgement)]
    for fault in judgement.faults:
        out += list(_hint(judgement, fault) if hint else _fault(judgement, fault, reveal))
    if not hint or judgement.good:
        out += [f"  note  {remark}" for remark in judgement.remarks]
    if judgement.verdict != "not checked":
        out.append(f"  how   {how(judgement)}")
    out.append(sentence(judgement, hint))
    return "\n".join(out) + "\n"


def headline(judgement: Judgement) -> str:
    """Return the verdict with what it is about."""
    j = judgement
    if j.verdict == "not checked":
        return f"not checked   {j.reason}"
    if j.verdict == "right up to a constant":
        return f"{j.verdict}   every gradient is {j.constant} times the truth ({', '.join(j.outputs)})"
    if j.verdict == "wrong":
        where = _places(j)
        count = f"{len(j.affected)} gradient{'s' if len(j.affected) != 1 else ''} of {len(j.outputs)}"
        are = "are" if len(j.affected) != 1 else "is"
        told = f"{count} {are} affected: {', '.join(j.affected)}" if j.affected else ""
        return "; ".join(part for part in (f"wrong   {where}".rstrip(), told) if part)
    return f"{j.verdict}   {_gradients(len(j.outputs))}: {', '.join(j.outputs)}"


def _places(judgement: Judgement) -> str:
    rows = sorted({judgement.lines[f.line].line for f in judgement.faults if len(f.slice) <= 1})
    slices = [f for f in judgement.faults if len(f.slice) > 1]
    parts = [f"at {_numbered(rows)}"] if rows else []
    for f in slices:
        inside = sorted(judgement.lines[k].line for k in f.slice)
        parts.append(f"in lines {inside[0]} to {inside[-1]}")
    return ", ".join(parts)


def _gradients(count: int) -> str:
    return "the gradient is right" if count == 1 else f"all {count} gradients are right"


def _numbered(rows: Sequence[int]) -> str:
    return f"line{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows))}"


# ---------------------------------------------------------------------------------------------------------
# One mistake


def _fault(judgement: Judgement, fault: Fault, reveal: bool) -> Iterator[str]:
    line = judgement.lines[fault.line]
    margin = " " * (len(str(fault.row)) + 1)
    yield f"error[{fault.code}]: {fault.title}"
    yield from _place(line, fault, fault.label)
    if reveal and fault.mend:
        yield f"{margin}  = mend: {fault.mend}" + (f"          {fault.then}" if fault.then else "")
        if fault.nature in ("1/m missing", "1/m extra") and judgement.verdict == "right up to a constant":
            yield f"{margin}  = note: once, here; or in every gradient of a parameter, not both"
            if fault.nature == "1/m missing":
                yield f"{margin}  = note: or is your loss a sum over the samples? then check with --loss sum"
        for other in fault.equivalently:
            yield f"{margin}  = equivalently, {other}"
    if fault.help:
        yield f"{margin}  = help: {fault.help}"
    if fault.why:
        yield f"{margin}  = why:  {fault.why}"
    if len(fault.slice) > 1:
        yield f"{margin}  = help: say what the names in between mean: `# of: Z1` behind a line"
    yield from _caused(judgement, fault)


def _place(line: Line, fault: Fault, label: str) -> Iterator[str]:
    margin = " " * (len(str(fault.row)) + 1)
    yield f"{margin}--> {line.file}:{fault.row}:{fault.column}"
    if fault.row != line.line:
        return
    source = line.source.expandtabs(1).rstrip()
    start = 0 if fault.column <= WIDEST - 20 else fault.column - 40
    shown = source[start : start + WIDEST]
    caret = "^" * max(1, min(fault.length, len(shown) - (fault.column - 1 - start)))
    yield f" {fault.row} | {shown}"
    yield f"{margin} | {' ' * (fault.column - 1 - start)}{caret} {label}".rstrip()


def _caused(judgement: Judgement, fault: Fault) -> Iterator[str]:
    lines = judgement.lines
    if fault.caused:
        rows = [lines[k].line for k in fault.caused]
        names = ", ".join(dict.fromkeys(lines[k].targets[0] for k in fault.caused))
        are = "are" if len(rows) > 1 else "is"
        yield f"  {_numbered(rows)} ({names}) {are} wrong only because of line {lines[fault.line].line}"
    before = [lines[k].line for k in range(min(fault.slice)) if not _blamed(judgement, k)]
    if before and fault is judgement.faults[0] and len(before) == min(fault.slice):
        yield f"  lines {before[0]} to {before[-1]} are right" if len(before) > 1 else f"  line {before[0]} is right"


def _blamed(judgement: Judgement, line: int) -> bool:
    return any(line in f.slice or line in f.caused for f in judgement.faults)


def _hint(judgement: Judgement, fault: Fault) -> Iterator[str]:
    line = judgement.lines[fault.line]
    rows = sorted(judgement.lines[k].line for k in fault.slice)
    where = f"line {rows[0]}" if len(rows) == 1 else f"lines {rows[0]} to {rows[-1]}"
    yield f"look at {where}"
    yield from _place(line, fault, "")
    yield f"  {fault.question or 'What is this the gradient of, and through which operations does it come?'}"


# ---------------------------------------------------------------------------------------------------------
# How it is known


def how(judgement: Judgement) -> str:
    """Return draws, sizes, witnesses, differences and tolerance."""
    j = judgement
    draws = "1 draw" if len(j.sizes) == 1 else f"{len(j.sizes)} draws"
    parts = [f"{draws}, sizes {'; '.join(dict.fromkeys(j.sizes))}", ", ".join(j.witnesses)]
    off = [f"line {j.lines[f.line].line} differs by {f.error:.2g}" for f in j.faults if f.error]
    parts.append(", ".join([*off, f"tolerance {j.tolerance:.0e}".replace("e-0", "e-")]))
    if j.good:
        parts.insert(2, f"largest difference {j.worst:.0e}")
    return "; ".join(parts)


def sentence(judgement: Judgement, hint: bool = False) -> str:
    """Return one sentence for a mark."""
    j = judgement
    if j.verdict == "not checked":
        return f"Not checked: {j.reason}."
    if j.verdict == "gradient right, training stuck":
        return f"The gradient is right ({', '.join(j.outputs)}), but training is stuck: it is seen above in which way."
    if j.good:
        layout = " in the other layout" if j.verdict == "right (other layout)" else ""
        return f"Right{layout}: {_gradients(len(j.outputs))} ({', '.join(j.outputs)})."
    if j.verdict == "right up to a constant":
        return f"Right up to a constant: every gradient is {j.constant} times the truth{_first(j, hint)}."
    return f"Wrong{_first(j, hint)}: {_spoiled(j)}."


def _first(judgement: Judgement, hint: bool) -> str:
    if not judgement.faults:
        return ""
    fault = judgement.faults[0]
    rows = sorted(judgement.lines[k].line for k in fault.slice)
    where = f"line {rows[0]}" if len(rows) == 1 else f"lines {rows[0]} to {rows[-1]}"
    more = len(judgement.faults) - 1
    also = f" and {more} more mistake{'s' if more > 1 else ''}" if more else ""
    return f", first in {where}{also}" if hint else f", first in {where} ({fault.title}){also}"


def _spoiled(judgement: Judgement) -> str:
    count, names = len(judgement.affected), ", ".join(judgement.affected)
    if not count:
        return "the gradients are not what they should be"
    return f"{count} of {len(judgement.outputs)} gradients {'are' if count > 1 else 'is'} not right ({names})"


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as aligned columns."""
    known = [list(map(str, row)) for row in rows]
    widths = [max(len(row[k]) for row in known) for k in range(len(known[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in known)
