"""A plan as text: one line per statement, for people who want to see what a pass did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from symbp.expr import Function, is_one
from symbp.plan.ir import (
    Apply, Buffer, Call, Expr, Gemm, Kernel, Loop, Nest, Number, Pick, Plan, Position, Put, Read, View,
)


def plan_text(plan: Plan) -> str:
    """Return the plan: its kernels in order, then its buffers."""
    lines = [f"plan {plan.name}   after {plan.history[-1] if plan.history else 'nothing'}"]
    lines += [f"  {line}" for line in _body(plan.body)]
    lines.append("buffers")
    widths = max((len(name) for name in plan.buffers), default=0)
    lines += [f"  {b.name:<{widths}}  {_buffer(b, plan)}" for b in plan.buffers.values()]
    return "\n".join(lines)


def history_text(plans: Sequence[Plan]) -> str:
    """Return the plans after each of several passes, those that changed something; then the buffers of the last one."""
    parts: list[str] = []
    before, idle = "", []
    for plan in plans:
        body = "\n".join(f"  {line}" for line in _body(plan.body))
        if body == before:
            idle.append(plan.history[-1])
            continue
        if idle:
            parts.append(f"nothing to do for: {', '.join(idle)}")
        parts.append(f"after {plan.history[-1]}\n{body}")
        before, idle = body, []
    if idle:
        parts.append(f"nothing to do for: {', '.join(idle)}")
    return "\n\n".join([*parts, plan_text(plans[-1]).partition("\nbuffers\n")[2].join(("buffers\n", ""))])


def _buffer(buffer: Buffer, plan: Plan) -> str:
    ends = "".join(
        f"  {i} = {lo}..{hi}" for i, lo, hi in zip(buffer.indices, buffer.lows, buffer.highs, strict=True)
    )
    order = "" if is_one(buffer.rows) or is_one(buffer.cols) else "  by rows" if buffer.order == "C" else "  by columns"
    place = f"  at {plan.storage[buffer.name]}" if buffer.name in plan.storage else ""
    return f"{buffer.rows} x {buffer.cols}  {buffer.role}{order}{ends}{place}"


def _body(body: Sequence[Kernel]) -> Iterator[str]:
    for kernel in body:
        if isinstance(kernel, Loop):
            first, last = (kernel.high, kernel.low) if kernel.down else (kernel.low, kernel.high)
            yield f"loop {kernel.index} = {first}..{last}"
            yield from (f"  {line}" for line in _body(kernel.body))
        elif isinstance(kernel, Gemm):
            yield _gemm(kernel)
            if kernel.epilogue is not None:
                yield from (f"  {line}" for line in _nest(kernel.epilogue))
        elif isinstance(kernel, Nest):
            yield from _nest(kernel)
        else:
            yield _call(kernel)


def _gemm(kernel: Gemm) -> str:
    stack = "".join(f" sum({i} = {lo}..{hi})" for i, lo, hi in kernel.stacked)
    alpha = "" if kernel.alpha == 1 else f"{kernel.alpha} * "
    sign = "+=" if kernel.accumulate else "="
    return f"gemm {_view(kernel.out)} {sign}{stack} {alpha}{_view(kernel.left)} @ {_view(kernel.right)}"


def _nest(nest: Nest) -> Iterator[str]:
    if nest.axis is None:
        yield from (f"nest {_put(p)}" for p in nest.puts)
        return
    yield f"nest over {('rows', 'columns')[nest.axis]}, {nest.extent} steps"
    yield from (f"  {_put(p)}" for p in nest.puts)


def _put(put: Put) -> str:
    value = expression_text(put.value)
    if put.over:
        axes = {(0,): "rows", (1,): "columns", (0, 1): "entries"}[tuple(sorted(put.over))]
        value = f"{put.op} over {axes} of {value}"
    return f"{_view(put.target)} {'+=' if put.accumulate else '='} {value}"


def _call(kernel: Call) -> str:
    routine = {"gather": "name", "scatter": "back"}.get(kernel.routine)
    name = getattr(kernel.map, routine) if routine else kernel.routine
    return f"call {name}: {', '.join(map(_view, kernel.writes))} from {', '.join(map(_view, kernel.reads))}"


def _view(view: View) -> str:
    member = f"[{', '.join(map(str, view.where))}]" if view.where else ""
    block = "" if view.row == 0 and view.col == 0 else f"(from {view.row}, {view.col})"
    return f"{view.buffer}{member}{block}{'^T' if view.turned else ''}"


def expression_text(e: Expr, inside: bool = False) -> str:
    """Return an entrywise expression; ``inside`` a product, sums are in parentheses."""
    if isinstance(e, Read):
        return _view(e.view)
    if isinstance(e, Number):
        text = str(e.value)
        return f"({text})" if inside and (" " in text or "/" in text or text.startswith("-")) else text
    if isinstance(e, Position):
        return ("row", "column")[e.axis]
    if isinstance(e, Pick):
        return f"{e.kind}({_view(e.view)})"
    assert isinstance(e, Apply)
    if e.op == "+":
        text = ""
        for k, a in enumerate(e.args):
            negative, term = _sign(a)
            sign = (" - " if negative else " + ") if k else ("-" if negative else "")
            text += sign + expression_text(term, negative and isinstance(term, Apply) and term.op == "+")
        return f"({text})" if inside else text
    if e.op == "*":
        return " * ".join(expression_text(a, True) for a in e.args)
    if isinstance(e.op, Function):
        return f"{e.op}({', '.join(expression_text(a) for a in e.args)})"
    if e.op == "where":
        return f"where({', '.join(expression_text(a) for a in e.args)})"
    return f"[{f' {e.op} '.join(expression_text(a, True) for a in e.args)}]"


def _sign(e: Expr) -> tuple[bool, Expr]:
    """Return whether a term begins with a minus sign, and the term without it."""
    if isinstance(e, Apply) and e.op == "*" and isinstance(e.args[0], Number):
        number = e.args[0].value
        if number.could_extract_minus_sign():
            rest = e.args[1:] if number == -1 else (Number(-number), *e.args[1:])
            return True, rest[0] if len(rest) == 1 else Apply("*", rest)
    return False, e
