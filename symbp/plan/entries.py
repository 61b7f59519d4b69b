"""The functions of a generated module as plans: forward, backward, both, the training step, the prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import sympy as sp

from symbp.derivation import Derivation
from symbp.expr import Function, Zero, add, is_one, refs, scaled
from symbp.plan.fields import Fields, Sizes
from symbp.plan.ir import (
    ONE, ZERO, Apply, Buffer, Expr, Kernel, Loop, Nest, Number, Plan, Put, Read, Role, Source, View, product, total,
)
from symbp.plan.selection import select
from symbp.plan.shards import Choice, SampleSum, cheapest, divisible, sharded
from symbp.program import Loop as ProgramLoop
from symbp.program import Equation, Program, Running, Statement, Var, fresh_name

RATE = sp.Symbol("rate", positive=True)
"""The learning rate of a training step, which its caller gives."""

MAX_NORM = sp.Symbol("max_norm", positive=True)
"""The largest norm of all gradients together that a training step lets pass, which its caller gives."""

Optimizer = Literal["sgd", "momentum", "adam"]

MINUS = Number(sp.S.NegativeOne)


@dataclass(frozen=True)
class Entries:
    """What is planned for one module.

    derivation: the forward and the backward pass.
    fields:     the buffers of its variables.
    plans:      by name: ``forward``, ``backward``, ``loss_and_gradients``, ``train_step``; where there are running
                statistics, ``update_state``; where something can be computed without targets, ``predict``.
    gradients:  gradient buffer by the buffer of what it is the gradient of, in order.
    cached:     the values that ``forward`` keeps for ``backward``.
    predicted:  what ``predict`` returns.
    inference:  the network that predicts, if it is not the one that is trained.
    choice:     how many samples a training step takes at a time, where that was a question.
    """

    derivation: Derivation
    fields: Fields
    plans: Mapping[str, Plan] = field(default_factory=dict)
    gradients: Mapping[str, str] = field(default_factory=dict)
    cached: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()
    inference: Derivation | None = None
    choice: Choice | None = None


def entries(
    derivation: Derivation, numbers: Mapping[str, Any] | None = None, predicted: Sequence[str] = (),
    optimizer: Optimizer = "sgd", inference: Derivation | None = None, clip: bool = False,
    apart: SampleSum | None = None,
) -> Entries:
    """Return the first plans of a module's functions.

    derivation: the forward and the backward pass.
    numbers:    sizes as numbers (a family: a mapping from index to number); the rest stay symbols.
    predicted:  the values that ``predict`` returns.
    optimizer:  how a training step moves the parameters.
    inference:  the network that predicts, if it is not the one that is trained.
    clip:       whether it scales the gradients down to a largest norm.
    apart:      the loss as a sum over samples, if it is one: a training step may then go through them in shards.

    Raises ``PlanError`` where a program cannot be planned.
    """
    program, output = derivation.program, derivation.output
    forward, backward = derivation.forward.body, derivation.backward
    computed = {s.target.name for s in derivation.forward.sites}
    read = {r.name for s in _sites(backward) for r in refs(s.value)}
    followed = {r.statistic for r in program.running}
    cached = tuple(n for n in program.variables if n in computed & (read | followed) and n != output)
    bars = dict(derivation.gradients)
    kept: dict[str, Role] = {output: "value", **dict.fromkeys((*cached, *predicted), "value")}
    kept |= dict.fromkeys(bars.values(), "gradient")
    fields = Fields(program, Sizes(numbers or {}), kept)

    plans: dict[str, Plan] = {}
    given = {"backward": cached}
    plans["forward"] = select("forward", program, forward, [output, *cached], fields)
    plans["backward"] = select("backward", program, backward, list(bars.values()), fields, given=cached)
    both = (*forward, *backward)
    plans["loss_and_gradients"] = select("loss_and_gradients", program, both, [output, *bars.values()], fields)
    whole = plans["loss_and_gradients"]
    pairs = _pairs(derivation, fields, whole)
    choice = None
    if apart is not None:
        whole, choice = _in_shards(whole, derivation, fields, apart)
    plans["train_step"] = _with_update(whole, derivation, fields, pairs, optimizer, clip)
    if program.running:
        plans["train_step"] = _moving(plans["train_step"], program, fields)
        held = {n: plans["forward"].buffers[n] for n in plans["forward"].outputs}
        plans["update_state"] = _moving(Plan("update_state", held, (), ()), program, fields).used()
        given["update_state"] = tuple(followed)
    if predicted and inference is not None:
        own = Fields(inference.program, fields.sizes, kept)
        body = _needed(inference.program, inference.forward.body, predicted)
        plans["predict"] = select("predict", inference.program, body, predicted, own)
    elif predicted:
        body = _needed(program, forward, predicted)
        plans["predict"] = select("predict", program, body, predicted, fields)
    plans = {name: _own(plan, given.get(name, ())) for name, plan in plans.items()}
    return Entries(derivation, fields, plans, pairs, cached, tuple(predicted), inference, choice)


def _in_shards(
    whole: Plan, derivation: Derivation, fields: Fields, apart: SampleSum
) -> tuple[Plan, Choice | None]:
    """Return forward and backward pass with the samples in shards, where they are numbers and that costs less."""
    program, numbers = derivation.program, fields.sizes.numbers
    samples = program.samples
    total = numbers.get(str(samples))
    if not divisible(program) or not isinstance(total, int):
        return whole, None
    known = apart.with_number(fields.sizes)
    body = (*known.forward.body, *known.backward)
    declared = {b.name: b for f in fields.declared for b in f.buffers.values()}
    shown = {s.target: s for s in _sites((*derivation.forward.body, *derivation.backward))}

    def shard(size: int) -> Plan:
        own = Fields(known.program, Sizes({**numbers, str(samples): size}), fields.roles)
        return select(whole.name, known.program, body, [known.output, *known.gradients.values()], own)

    def plan(size: int) -> Plan:
        return sharded(whole, shard, declared, samples=total, size=size, equations=shown)

    return cheapest(whole, plan, total)


def _own(plan: Plan, given: Sequence[str]) -> Plan:
    """Return the plan with what its caller neither brings nor gets as temporaries."""
    def role(buffer: Buffer) -> Buffer:
        declared = buffer.role in ("param", "state", "input", "const", "moment")
        outside = declared or buffer.name in plan.outputs or buffer.of in given
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


def _with_update(
    whole: Plan, derivation: Derivation, fields: Fields, pairs: Mapping[str, str], optimizer: Optimizer, clip: bool
) -> Plan:
    """Return the plan with a step of the optimizer behind it, for each parameter."""
    declared = {b.name: b for f in fields.declared for b in f.buffers.values()}
    updates: list[Kernel] = []
    changed: list[Buffer] = []
    squares: list[Kernel] = []
    taken = {*whole.buffers, *fields.program.variables}
    norm, shrink = (Buffer(fresh_name(word, taken), sp.S.One, sp.S.One) for word in ("norm", "shrink"))
    for name, bar in pairs.items():
        buffer, gradient = declared[name], whole.buffers[bar]
        if buffer.role != "param":
            continue
        target = buffer.whole(*buffer.indices)
        where = target.where if len(gradient.indices) == len(buffer.indices) else _fixed(fields, buffer, gradient)
        moments = [
            replace(buffer, name=f"{name}_{word}", role="moment", of=name) for word in MOMENTS[optimizer]
        ]
        changed += [buffer, *moments]
        slope: Expr = Read(gradient.whole(*where))
        if clip:
            sides = tuple(axis for axis, side in enumerate(target.shape) if not is_one(side))
            square = Put(norm.whole(), product(slope, slope), over=sides, accumulate=True)
            squares.append(_for_each_member(buffer, Nest((square,))))
            slope = product(Read(shrink.whole()), slope)
        updates += [_for_each_member(buffer, Nest((put,))) for put in _moved(optimizer, target, slope, moments)]
    outputs = (derivation.output, *(b.name for b in changed))
    if squares:
        updates = [Nest((Put(norm.whole(), ZERO),)), *squares, *_shrunk(norm, shrink), *updates]
        changed += [norm, shrink]
    plan = Plan("train_step", whole.buffers, (*whole.body, *updates), outputs, whole.history)
    return plan.with_buffers(*changed)


def _for_each_member(buffer: Buffer, kernel: Kernel) -> Kernel:
    """Return the kernel in loops over the members of a buffer."""
    for index, low, high in reversed(list(zip(buffer.indices, buffer.lows, buffer.highs, strict=True))):
        kernel = Loop(index, low, high, (kernel,))
    return kernel


def _moving(plan: Plan, program: Program, fields: Fields) -> Plan:
    """Return the plan with each state moved behind it towards the statistic that it follows."""
    kernels: list[Kernel] = []
    states: list[Buffer] = []
    for running in program.running:
        keep, take = Number(1 - running.momentum), Number(running.momentum)
        for known in fields.fields_of(running.state):
            for where, state in known.buffers.items():
                split = dict(zip(known.free, where, strict=False))
                member = tuple(split.get(k, i) for k, i in enumerate(known.var.indices))
                _, statistic = fields.view(running.statistic, member)
                target = state.whole(*state.indices)
                moved = total(product(keep, Read(target)), product(take, Read(statistic)))
                put = Put(target, moved, source=Source(_update_of(running, known.var, program.variables)))
                kernels.append(_for_each_member(state, Nest((put,))))
                states.append(state)
    outputs = (*plan.outputs, *(s.name for s in states))
    return replace(plan, body=(*plan.body, *kernels), outputs=outputs).with_buffers(*states)


def _update_of(running: Running, state: Var, variables: Mapping[str, Var]) -> Equation:
    """Return how a state moves, as an equation to be read: the state on its right side is the old one."""
    old, new = state(*state.indices), variables[running.statistic](*state.indices)
    return Equation(old, add(scaled(1 - running.momentum, old), scaled(running.momentum, new)))
def _shrunk(norm: Buffer, shrink: Buffer) -> list[Kernel]:
    """Return what makes of a sum of squares its root, and the factor at most 1 that brings it down to the largest."""
    root, most = Read(norm.whole()), Number(MAX_NORM)
    factor = product(most, Apply(Function("recip"), (root,)))
    return [
        Nest((Put(norm.whole(), Apply(Function("sqrt"), (root,))),)),
        Nest((Put(shrink.whole(), Apply("where", (Apply(">", (root, most)), factor, ONE))),)),
    ]


MOMENTS: dict[Optimizer, tuple[str, ...]] = {"sgd": (), "momentum": ("mean",), "adam": ("mean", "square")}
"""What an optimizer remembers of each parameter."""

MOMENTUM, DECAY = sp.Symbol("momentum", positive=True), sp.Symbol("decay", positive=True)
FIRST, SECOND = sp.Symbol("mean_weight", positive=True), sp.Symbol("square_weight", positive=True)
"""Adam's corrections of the first steps: 1 - momentum^step and 1 - decay^step."""

EPSILON = sp.Symbol("epsilon", positive=True)


def _moved(optimizer: Optimizer, target: View, gradient: Expr, moments: Sequence[Buffer]) -> list[Put]:
    """Return the statements by which an optimizer moves a parameter, as the NumPy module does."""
    kept = [m.whole(*target.where) for m in moments]
    rate = Number(RATE)
    if optimizer == "sgd":
        return [Put(target, total(Read(target), product(MINUS, rate, gradient)))]
    mean = Read(kept[0])
    if optimizer == "momentum":
        return [
            Put(kept[0], total(product(Number(MOMENTUM), mean), gradient)),
            Put(target, total(Read(target), product(MINUS, rate, mean))),
        ]
    square = Read(kept[1])
    step = product(rate, mean, Number(1 / FIRST))
    root = Apply(Function("sqrt"), (product(square, Number(1 / SECOND)),))
    return [
        Put(kept[0], total(mean, product(Number(1 - MOMENTUM), total(gradient, product(MINUS, mean))))),
        Put(
            kept[1],
            total(square, product(Number(1 - DECAY), total(product(gradient, gradient), product(MINUS, square)))),
        ),
        Put(
            target,
            total(Read(target), product(MINUS, step, Apply(Function("recip"), (total(root, Number(EPSILON)),)))),
        ),
    ]


def _fixed(fields: Fields, buffer: Buffer, gradient: Buffer) -> tuple[sp.Expr, ...]:
    """Return the member of a gradient family that belongs to a field whose index is fixed."""
    known = next(f for f in fields.declared if buffer in f.buffers.values())
    free = dict(zip((known.var.indices[k] for k in known.free), buffer.indices, strict=False))
    own = len(known.var.indices) - len(gradient.indices)
    ends = list(zip(known.var.indices, known.ends, strict=True))[own:]
    return tuple(free.get(i, lo) for i, (lo, _) in ends)


def _sites(body: Sequence[Statement]) -> Iterable[Equation]:
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


def predictions(derivation: Derivation) -> tuple[str, ...]:
    """Return the values that need no target, and that the output or what needs a target reads."""
    program = derivation.source
    computed = {s.target.name for s in derivation.forward.sites}

    def dependent(names: set[str]) -> set[str]:
        found = set(names)
        while True:
            readers = [s for s in program.sites if any(r.name in found for r in refs(s.equation.value))]
            more = {s.target.name for s in readers} - found
            if not more:
                return found
            found |= more

    late = dependent({v.name for v in program.declared("target")}) | {derivation.output}
    fed = dependent({v.name for v in program.declared("input", "const")})
    read = {r.name for s in program.sites if s.target.name in late for r in refs(s.equation.value)}
    wanted = read | set(derivation.source.outputs)
    return tuple(
        v.name for v in program.variables.values() if v.name in computed & (fed - late) and v.name in wanted
    )
