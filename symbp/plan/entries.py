"""The functions of a generated module as plans: forward, backward, both, the training step, the prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import sympy as sp

from symbp.derivation import Derivation
from symbp.expr import Zero, refs
from symbp.plan.fields import Fields, Sizes
from symbp.plan.ir import Buffer, Kernel, Loop, Nest, Number, Plan, Put, Read, Role, product, total
from symbp.plan.selection import select
from symbp.program import Loop as ProgramLoop
from symbp.program import Program, Statement

RATE = sp.Symbol("rate", positive=True)
"""The learning rate of a training step, which its caller gives."""

Optimizer = Literal["sgd", "momentum", "adam"]

MINUS = Number(sp.S.NegativeOne)


@dataclass(frozen=True)
class Entries:
    """What is planned for one module.

    derivation: the forward and the backward pass.
    fields:     the buffers of its variables.
    plans:      by name: ``forward``, ``backward``, ``loss_and_gradients``, ``train_step`` and, where something can be
                computed without targets, ``predict``.
    gradients:  gradient buffer by the buffer of what it is the gradient of, in order.
    cached:     the values that ``forward`` keeps for ``backward``.
    predicted:  what ``predict`` returns.
    """

    derivation: Derivation
    fields: Fields
    plans: Mapping[str, Plan] = field(default_factory=dict)
    gradients: Mapping[str, str] = field(default_factory=dict)
    cached: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()


def entries(
    derivation: Derivation, numbers: Mapping[str, Any] | None = None, predicted: Sequence[str] = (),
) -> Entries:
    """Return the first plans of a module's functions.

    derivation: the forward and the backward pass.
    numbers:    sizes as numbers (a family: a mapping from index to number); the rest stay symbols.
    predicted:  the values that ``predict`` returns.

    Raises ``PlanError`` where a program cannot be planned.
    """
    program, output = derivation.program, derivation.output
    forward, backward = derivation.forward.body, derivation.backward
    computed = {s.target.name for s in derivation.forward.sites}
    read = {r.name for s in _sites(backward) for r in refs(s.value)}
    cached = tuple(n for n in program.variables if n in computed & read and n != output)
    bars = dict(derivation.gradients)
    kept: dict[str, Role] = {output: "value", **{n: "value" for n in (*cached, *predicted)}}
    kept |= {bar: "gradient" for bar in bars.values()}
    fields = Fields(program, Sizes(numbers or {}), kept)

    plans: dict[str, Plan] = {}
    given = {"backward": cached}
    plans["forward"] = select("forward", program, forward, [output, *cached], fields)
    plans["backward"] = select("backward", program, backward, list(bars.values()), fields, given=cached)
    both = (*forward, *backward)
    plans["loss_and_gradients"] = select("loss_and_gradients", program, both, [output, *bars.values()], fields)
    whole = plans["loss_and_gradients"]
    pairs = _pairs(derivation, fields, whole)
    plans["train_step"] = _with_update(whole, derivation, fields, pairs)
    if predicted:
        body = _needed(program, forward, predicted)
        plans["predict"] = select("predict", program, body, predicted, fields)
    own = {name: _own(plan, given.get(name, ())) for name, plan in plans.items()}
    return Entries(derivation, fields, own, pairs, cached, tuple(predicted))


def _own(plan: Plan, given: Sequence[str]) -> Plan:
    """Return the plan with what its caller neither brings nor gets as temporaries."""
    def role(buffer: Buffer) -> Buffer:
        outside = buffer.role in ("param", "input", "const") or buffer.name in plan.outputs or buffer.of in given
        return buffer if outside else replace(buffer, role="scratch")

    return replace(plan, buffers={n: role(b) for n, b in plan.buffers.items()})


def _pairs(derivation: Derivation, fields: Fields, plan: Plan) -> dict[str, str]:
    """Return the gradient buffer of each declared buffer that gradients were asked for."""
    found = {}
    for name, bar in derivation.gradients.items():
        for known in fields.fields_of(name):
            for where, buffer in known.buffers.items():
                var = fields.program.variables[bar]
                split = dict(zip(known.free, where, strict=False))
                member = tuple(
                    split.get(k, i if k in known.free else lo)
                    for k, (i, (lo, _)) in enumerate(zip(known.var.indices, known.ends, strict=True))
                )
                gradient, _ = fields.view(var.name, member)
                if gradient.name in plan.buffers:
                    found[buffer.name] = gradient.name
    return found


def _with_update(whole: Plan, derivation: Derivation, fields: Fields, pairs: Mapping[str, str]) -> Plan:
    """Return the plan with a step of gradient descent behind it: each parameter minus rate times its gradient."""
    declared = {b.name: b for f in fields.declared for b in f.buffers.values()}
    updates: list[Kernel] = []
    changed = []
    for name, bar in pairs.items():
        buffer, gradient = declared[name], whole.buffers[bar]
        if buffer.role != "param":
            continue
        changed.append(buffer)
        target = buffer.whole(*buffer.indices)
        where = target.where if len(gradient.indices) == len(buffer.indices) else _fixed(fields, buffer, gradient)
        moved = product(MINUS, Number(RATE), Read(gradient.whole(*where)))
        kernel: Kernel = Nest((Put(target, total(Read(target), moved)),))
        for index, low, high in reversed(list(zip(buffer.indices, buffer.lows, buffer.highs, strict=True))):
            kernel = Loop(index, low, high, (kernel,))
        updates.append(kernel)
    outputs = (derivation.output, *(b.name for b in changed))
    plan = Plan("train_step", whole.buffers, (*whole.body, *updates), outputs, whole.history)
    return plan.with_buffers(*changed)


def _fixed(fields: Fields, buffer: Buffer, gradient: Buffer) -> tuple[sp.Expr, ...]:
    """Return the member of a gradient family that belongs to a field whose index is fixed."""
    known = next(f for f in fields.declared if buffer in f.buffers.values())
    free = dict(zip((known.var.indices[k] for k in known.free), buffer.indices, strict=False))
    own = len(known.var.indices) - len(gradient.indices)
    ends = list(zip(known.var.indices, known.ends, strict=True))[own:]
    return tuple(free.get(i, lo) for i, (lo, _) in ends)


def _sites(body: Sequence[Statement]) -> Iterable[Any]:
    for statement in body:
        if isinstance(statement, ProgramLoop):
            yield from _sites(statement.body)
        else:
            yield statement


def _needed(program: Program, body: Sequence[Statement], names: Iterable[str]) -> tuple[Statement, ...]:
    """Return the statements that the given variables need."""
    wanted = set(names)
    while True:
        more = {r.name for s in _sites(body) if s.target.name in wanted for r in refs(s.value)} - wanted
        if not more:
            break
        wanted |= more

    def only(statements: Sequence[Statement]) -> tuple[Statement, ...]:
        out: list[Statement] = []
        for statement in statements:
            if isinstance(statement, ProgramLoop):
                inner = only(statement.body)
                if inner:
                    out.append(statement.with_body(inner))
            elif statement.target.name in wanted and not isinstance(statement.value, Zero):
                out.append(statement)
        return tuple(out)

    return only(body)
