"""The rate of a training step moved to where error signals begin: gradients come out as ``rate`` times themselves.

``W = W - rate W_bar`` needs a product with a number for each entry of each parameter.  Gradients are linear in the
error signals, and those in the first one, ``(P - Y)/m``; with ``rate/m`` there instead, the update is a subtraction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import sympy as sp

from symbp.plan.entries import RATE
from symbp.plan.ir import (
    Apply, Call, Expr, Gemm, Kernel, Nest, Number, Pick, Plan, Put, Read, map_kernels, product, puts, total, views,
    walk,
)

MINUS = Number(sp.S.NegativeOne)


def fold_rate(plan: Plan, signals: Collection[str]) -> Plan:
    """Return the plan of a training step with the rate where error signals begin.

    signals: the variables that are adjoints or messages: they and their temporaries may carry the rate.

    Gradients become ``rate`` times what they were, also those that the caller gets; where a gradient is not linear in
    the error signals, its update keeps the rate.
    """
    updates = {id(k): g for k in walk(plan.body) for g in [_update(plan, k)] if g}
    if not updates:
        return plan
    carried = _carried(plan, updates, signals)
    if not carried:
        return plan

    def change(kernel: Kernel) -> tuple[Kernel, ...]:
        if isinstance(kernel, Gemm) and kernel.out.buffer in carried:
            through = {kernel.left.buffer, kernel.right.buffer} & carried
            return (kernel if through else replace(kernel, alpha=RATE * kernel.alpha),)
        if isinstance(kernel, Nest):
            return (replace(kernel, puts=tuple(map(put, kernel.puts))),)
        return (kernel,)

    def put(p: Put) -> Put:
        if p.target.buffer in carried:
            return replace(p, value=_scaled(p.value, carried))
        read = next((v.buffer for v in views(p.value) if v.buffer in carried), None)
        if read is None:
            return p
        assert isinstance(p.value, Apply)
        return replace(p, value=total(p.value.args[0], product(MINUS, p.value.args[1].args[1])))

    return plan.with_body(map_kernels(plan.body, change))


def _update(plan: Plan, kernel: Kernel) -> str:
    """Return the gradient by which a statement moves a parameter, ``W = W + (-rate) * G``; empty for any other."""
    if not isinstance(kernel, Nest) or len(kernel.puts) != 1:
        return ""
    (put,) = kernel.puts
    if plan.buffers[put.target.buffer].role != "param" or put.over or put.accumulate:
        return ""
    if not (isinstance(put.value, Apply) and put.value.op == "+" and len(put.value.args) == 2):
        return ""
    old, move = put.value.args
    if old != Read(put.target) or not (isinstance(move, Apply) and move.op == "*" and len(move.args) == 2):
        return ""
    number, gradient = move.args
    return gradient.view.buffer if number == Number(-RATE) and isinstance(gradient, Read) else ""


def _carried(plan: Plan, updates: Mapping[int, str], signals: Collection[str]) -> set[str]:
    """Return the buffers that may hold ``rate`` times what they held: what is computed from them is linear in them."""
    gradients = {n for n in plan.outputs if plan.buffers[n].role == "gradient"} | set(updates.values())
    kept = set(plan.outputs) - gradients
    found: set[str] = set()
    for kernel in walk(plan.body):
        if isinstance(kernel, (Gemm, Nest)):
            made = [(kernel.out, kernel.source)] if isinstance(kernel, Gemm) else []
            made += [(p.target, p.source) for p in puts(kernel)]
            for view, source in made:
                of = plan.buffers[view.buffer].of or (source.equation.target.name if source else "")
                if of in signals and plan.buffers[view.buffer].role not in ("param", "state", "moment"):
                    found.add(view.buffer)
    found -= kept | {v.buffer for k in walk(plan.body) if isinstance(k, Call) for v in (*k.reads, *k.writes)}
    while True:
        wrong = _nonlinear(plan, updates, found)
        if not wrong:
            # Of two factors, one carries the rate: the error signal.
            pair = next(_pairs(plan, found), None)
            if pair is None:
                return found
            wrong = {next((n for n in reversed(pair) if plan.buffers[n].of not in signals), pair[-1])}
        found = found - wrong


def _nonlinear(plan: Plan, updates: Mapping[int, str], found: set[str]) -> set[str]:
    """Return the buffers of a set that something reads otherwise than linearly, or for something outside of the set."""
    wrong: set[str] = set()
    for kernel in walk(plan.body):
        if id(kernel) in updates:
            continue
        if isinstance(kernel, Gemm) and kernel.out.buffer not in found:
            wrong |= {kernel.left.buffer, kernel.right.buffer} & found
        for put in puts(kernel):
            read = {v.buffer for v in views(put.value)} & found
            wrong |= read if put.target.buffer not in found or put.op != "sum" else _bent(put.value, found)
    return wrong


def _bent(e: Expr, found: set[str]) -> set[str]:
    """Return the buffers of a set that an expression is not linear in."""
    if not isinstance(e, Apply):
        return set()
    if e.op in ("+", "*"):
        return {n for a in e.args for n in _bent(a, found)}
    if e.op == "where":
        return {v.buffer for v in views(e.args[0])} & found | {n for a in e.args[1:] for n in _bent(a, found)}
    return {v.buffer for v in views(e)} & found


def _pairs(plan: Plan, found: set[str]) -> Iterator[tuple[str, ...]]:
    """Yield the buffers of a set that are multiplied with each other."""
    for kernel in walk(plan.body):
        if isinstance(kernel, Gemm) and {kernel.left.buffer, kernel.right.buffer} <= found:
            yield kernel.left.buffer, kernel.right.buffer
        for put in puts(kernel):
            yield from _multiplied(put.value, found)


def _multiplied(e: Expr, found: set[str]) -> Iterator[tuple[str, ...]]:
    if isinstance(e, Apply):
        factors = [names for a in e.args for names in [[v.buffer for v in views(a) if v.buffer in found]] if names]
        if e.op == "*" and len(factors) > 1:
            yield tuple(n for names in factors for n in names)
        for a in e.args:
            yield from _multiplied(a, found)


def _scaled(e: Expr, found: set[str]) -> Expr:
    """Return ``rate`` times an expression, where the buffers of a set hold ``rate`` times what they held."""
    if not any(v.buffer in found for v in views(e)):
        return product(Number(RATE), e)
    if isinstance(e, (Read, Pick)):
        return e
    assert isinstance(e, Apply)
    if e.op == "+":
        return total(*(_scaled(a, found) for a in e.args))
    if e.op == "where":
        return Apply("where", (e.args[0], *(_scaled(a, found) for a in e.args[1:])))
    assert e.op == "*"
    return product(*(_scaled(a, found) if any(v.buffer in found for v in views(a)) else a for a in e.args))


__all__ = ["fold_rate"]
