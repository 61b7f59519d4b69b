"""How the functions of a task are called: what each parameter is bound to, and what the backward pass gives.

Arguments of the backward pass are bound by the output of the forward pass, by names, by how they are unpacked, and by
what the user says.  What stays unbound is an error that asks for it.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student import arithmetic as ar
from symbp.verify.student import names as nm
from symbp.verify.student.arguments import Arguments, Form
from symbp.verify.student.draws import Align, Drawn, Draws, filled
from symbp.verify.student.expressions import Located
from symbp.verify.student.fitting import Clash, fitted
from symbp.verify.student.functions import Task
from symbp.verify.student.interpreter import Interpreter
from symbp.verify.student.reading import Reading, reached
from symbp.verify.student.session import Case, Outcome, Plan, Session, expression, statement
from symbp.verify.student.usage import own_nodes, parameters, returns, unpackings, usage
from symbp.verify.student.values import Array, Instance

MOST_CANDIDATES = 120
"""How many assignments of ranks are tried."""


@dataclass(frozen=True)
class Wishes:
    """What the user says about a task.

    binds: what parameters are bound to: ``cache`` to ``(A0, W1, b1)``.
    kinds: how arguments are drawn: ``y`` as ``labels``.
    loss:  the loss as an expression in the names of the forward pass.
    """

    binds: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    loss: str = ""


@dataclass
class Bound:
    """A task that can be run.

    session: the file and how its functions are called.
    draws:   what is drawn.
    remarks: what was chosen and may surprise.
    """

    task: Task
    session: Session
    draws: Draws
    remarks: list[str] = field(default_factory=list)
    loose: bool = False

    def case(self, turn: int) -> Case:
        """Return the values of a draw: what is drawn, and new values for all that the setup makes."""
        if turn not in self._cases:
            case = self.draws.case(turn)
            self._cases[turn] = with_parameters(self.session, case, turn)
        return self._cases[turn]

    def __post_init__(self) -> None:
        self._cases: dict[int, Case] = {}


class Unbound(Exception):
    """A parameter that could not be bound."""

    def __init__(self, mistake: Mistake, node: ast.AST) -> None:
        super().__init__(str(mistake))
        self.mistake, self.node = mistake, node


def bind(reading: Reading, task: Task, wishes: Wishes | None = None) -> Bound:
    """Return a task with everything that its functions are given.

    Where the text leaves the shapes open, those are taken at which every gradient has the shape of its parameter, and
    among them those at which the work is right, if there are such: nobody is blamed for shapes that were guessed.

    Raises ``Unbound`` where a parameter stays unbound, and ``Located`` where the forward pass cannot be run.
    """
    wishes = wishes or Wishes()
    best: tuple[float, Bound] | None = None
    failure: Exception | None = None
    seen: set[tuple[tuple[str, tuple[int, ...]], ...]] = set()
    for choice in _candidates(reading, task, wishes):
        try:
            score, bound = _Binder(reading, task, wishes, *choice).bind()
        except Clash as clash:
            failure = failure or clash.outcome.failure
            if is_limit(clash.outcome.failure):
                break
            continue
        except Mistake as mistake:
            raise Unbound(mistake, task.forward) from None
        except (Unbound, Located) as error:
            if is_limit(error):
                raise
            failure = failure if isinstance(failure, Unbound) else error
            continue
        shapes = tuple((p, np.shape(v)) for p, v in bound.case(0).sources.items())
        if shapes in seen:
            continue
        seen.add(shapes)
        # A sample of its own is the last resort.
        fewer = best is not None and _axes(bound) < _axes(best[1]) and best[0] >= 1
        if fewer:
            continue
        if score >= 1:
            right = _right(bound)
            if right == 1:
                return bound
            score += right
        if best is None or score > best[0]:
            best = score, bound
    if best is None:
        raise failure or Unbound(Mistake("C107", "nothing to check is found"), task.forward)
    return best[1]


def is_limit(error: Exception | None) -> bool:
    """Tell whether a run ended at a budget: other shapes would not help."""
    return isinstance(error, Located) and "C120" <= error.mistake.code <= "C124"


def _axes(bound: Bound) -> int:
    return sum(len(d.axes) for d in bound.draws.arrays.values() if d.role == "data")


def _right(bound: Bound) -> float:
    """Return the share of gradients that agree with the slope of the loss along a random direction."""
    count = 0
    case, session = bound.case(0), bound.session
    outputs = session.run(case).outputs
    rng = np.random.default_rng(5)
    for path, of in session.plan.outputs:
        direction = rng.normal(size=np.shape(case.sources[of]))
        try:
            slope = session.slope(case, of, direction)
        except (ar.NotAnalytic, Located):
            try:
                slope = session.slope(case, of, direction, complex_step=False)
            except Located:
                return 0.0
        mine = outputs[path]
        if mine.shape == direction.shape:
            size = max(abs(slope), float(np.abs(mine * direction).sum()), 1e-300)
            count += abs(float((mine * direction).sum()) - slope) <= 1e-7 * size
    return count / max(len(outputs), 1)


Choice = tuple[dict[str, Form], dict[str, str], Align]
"""The form of each array whose text leaves it open, the words, and how a bias is aligned."""


def _candidates(reading: Reading, task: Task, wishes: Wishes) -> Iterator[Choice]:
    """Yield choices of what the text leaves open, the likeliest first."""
    probe = _Binder(reading, task, wishes, {}, {}, "features")
    try:
        probe.bind()
    except Mistake as mistake:
        raise Unbound(mistake, task.forward) from None
    except (Unbound, Located, Clash) as error:
        failure = error.outcome.failure if isinstance(error, Clash) else error
        if is_limit(failure):
            raise failure from None
    forms, words = probe.arguments.choices.forms, probe.arguments.choices.words
    # Arrays that are called alike have the same form.
    groups: dict[str, list[str]] = {}
    for path in forms:
        groups.setdefault(nm.tail(path).rstrip("0123456789[]"), []).append(path)
    lists = [forms[paths[0]] for paths in groups.values()]
    # All in their likeliest form first, then those with one other choice, then two.
    combos = sorted(itertools.islice(itertools.product(*(range(len(c)) for c in lists)), 4096), key=sum)
    aligns: list[Align] = ["features", "last", "first", *(["single"] if is_binary(probe.functions) else [])]
    tried = itertools.product(itertools.product(*words.values()), combos, aligns)
    for chosen, combo, align in itertools.islice(tried, MOST_CANDIDATES):
        yield (
            {p: lists[k][c] for k, (c, paths) in enumerate(zip(combo, groups.values(), strict=True)) for p in paths},
            dict(zip(words, chosen, strict=True)), align,
        )


class _Binder:
    """Binds one task with one choice of ranks."""

    def __init__(
        self, reading: Reading, task: Task, wishes: Wishes, forms: Mapping[str, Form], words: Mapping[str, str],
        align: Align,
    ) -> None:
        self.reading, self.task, self.wishes = reading, task, wishes
        self.forms, self.words = forms, words
        names = [f.name for f in (task.forward, task.backward, task.loss, task.start, task.owner) if f is not None]
        near = [f for f in (task.forward, task.backward, task.loss, task.start, task.owner) if f is not None]
        self.functions = list(dict.fromkeys([*reached(reading.module, names), *near]))
        self.arguments = Arguments(self.functions, dict(wishes.kinds))
        self.arguments.draws.align = align
        self.arguments.draws.multiples = multiples(self.functions)
        if task.backward is None:
            self.arguments.draws.gradients_from = gradients_from(task.forward)
        self.setup: list[str] = []
        self.forward: list[str] = []
        self.outputs_of_forward: list[str] = []
        self.receiver = ""
        self._chosen: set[str] = set()
        self.remarks: list[str] = []

    # -- the forward pass

    def prepare(self) -> None:
        """Choose what the setup and the forward pass are given."""
        task, arguments = self.task, self.arguments
        if task.owner is not None:
            self.receiver = "net"
            start = next((s for s in task.owner.body if isinstance(s, ast.FunctionDef) and s.name == "__init__"), None)
            made = arguments.call(start, task.owner.name) if start is not None else f"{task.owner.name}()"
            self.setup.append(f"{self.receiver} = {made}")
        elif task.start is not None:
            self._start(task.start)
        callee = f"{self.receiver}.{task.forward.name}" if self.receiver else task.forward.name
        call = arguments.call(task.forward, callee, self._said(task.forward))
        self.outputs_of_forward = self._names_of(task.forward)
        if self.outputs_of_forward:
            self.forward.append(f"{', '.join(self.outputs_of_forward)} = {call}")
        else:
            self.forward.append(call)
        self._choose()

    def _start(self, start: ast.FunctionDef) -> None:
        given = returns(start)
        wanted = {p for p, _ in parameters(self.task.forward)}
        names = [n.id if isinstance(n, ast.Name) else "" for n in given]
        if len(given) == 1:
            # What makes the parameters may call them otherwise than what takes them.
            use = next((p for p in wanted if p == names[0]), None) or next(
                (p for p, _ in parameters(self.task.forward)
                 if usage(p, self.functions).keys or usage(p, self.functions).patterns
                 or p in ("params", "parameters", "weights", "theta", "model", "net", "network")), None)
            names = [use or names[0]]
        if not all(names) or not set(names) & wanted:
            return
        self.setup.append(f"{', '.join(names)} = {self.arguments.call(start, start.name)}")
        for name in names:
            self.arguments.draws.names.setdefault(name, None)

    def _said(self, function: ast.FunctionDef) -> dict[str, str]:
        return {p: self.wishes.binds[p] for p, _ in parameters(function) if p in self.wishes.binds}

    def _names_of(self, function: ast.FunctionDef) -> list[str]:
        """Return the names that hold what a function returns."""
        taken = {p for p, _ in parameters(function)} | {"net"}
        found: list[str] = []
        for k, value in enumerate(returns(function)):
            name = value.id if isinstance(value, ast.Name) else value.attr if isinstance(value, ast.Attribute) else f"out{k}"
            while name in taken or name in found:
                name += "_out"
            found.append(name)
        return found

    def _choose(self) -> None:
        draws = self.arguments.draws
        for path, form in self.forms.items():
            if path in draws.arrays and path not in self._chosen:
                self._chosen.add(path)
                self.arguments.form(path, form)
        for name, word in self.words.items():
            if name in draws.names:
                draws.names[name] = word

    # -- all of it

    def bind(self) -> tuple[float, Bound]:
        """Return the task as bound, and how well it fits: 1 if every gradient has the shape of its parameter."""
        task = self.task
        self.prepare()
        draws = self.arguments.draws
        plan = Plan(tuple(self.setup), tuple(self.forward), "", ())
        session = Session(self.reading, plan)
        first = self._fit(session, draws)
        loss = self._loss(first)
        backward: list[str] = []
        names: list[str] = []
        if task.backward is not None:
            if not loss:
                loss = self._upstream(first)
            callee = f"{self.receiver}.{task.backward.name}" if self.receiver else task.backward.name
            given = {p: self._argument(p, d, task.backward, first) for p, d in parameters(task.backward)}
            call = self.arguments.call(task.backward, callee, {p: g for p, g in given.items() if g})
            names = [f"{n}_" if n in self._pool(first) else n for n in self._names_of(task.backward)]
            backward.append(f"{', '.join(names)} = {call}" if names else call)
        plan = replace(plan, loss=loss, backward=tuple(backward))
        session = Session(self.reading, plan)
        self._choose()
        self._fit(session, draws)
        bound = Bound(task, session, draws, self.remarks)
        case = bound.case(0)
        ran = session.run(case)
        if ran.failure is not None and (ran.phase in ("setup", "forward", "loss") or is_limit(ran.failure)):
            raise ran.failure
        outputs = tuple(find_outputs(ran, case, names or self.outputs_of_forward, self.receiver))
        rate = ""
        if not outputs and ran.failure is None:
            outputs, rate = self._updates(case, ran), self._rate()
        bound.session = Session(self.reading, replace(plan, outputs=outputs, rate=rate))
        if self._join_loose(bound, outputs, ran):
            bound = Bound(task, bound.session, draws, self.remarks)
            case = bound.case(0)
        return self._score(bound, case) - (0.6 if self._is_odd(draws) else 0.0), bound

    def _fit(self, session: Session, draws: Draws) -> Outcome:
        return fitted(session, draws)

    def _join_loose(self, bound: Bound, outputs: Sequence[tuple[str, str]], ran: Outcome) -> bool:
        """Give a bias that is read entry by entry the length of its gradient; tell whether there was one."""
        draws, joined = bound.draws, False
        for path, of in outputs:
            drawn = draws.arrays.get(of)
            found = next((v for p, v in self._leaves(ran) if p == path), None)
            if drawn is None or found is None or found.ndim != len(drawn.axes):
                continue
            for axis, number in zip(drawn.axes, found.shape, strict=True):
                if draws.is_open(axis) and draws.occurrences(axis) == 1 and draws.roles(axis) == {"bias"}:
                    draws.fix(axis, number)
                    joined = True
        return joined

    def _leaves(self, ran: Outcome) -> Iterator[tuple[str, Array]]:
        for name, value in ran.scope.items():
            yield from leaves(name, value)

    def _score(self, bound: Bound, case: Case) -> float:
        outputs = bound.session.plan.outputs
        if not outputs:
            return 0.0
        ran = bound.session.run(case)
        fit = sum(
            path in ran.outputs and ran.outputs[path].shape == np.shape(case.sources[of]) for path, of in outputs
        )
        return fit / len(outputs) - (0.5 if ran.failure is not None else 0.0)

    def _is_odd(self, draws: Draws) -> bool:
        """Tell whether a target has no axis of samples though the data have one: it is broadcast over them."""
        samples = {draws.root(a) for d in draws.arrays.values() if d.role == "data" for a in d.axes}
        samples = {a for a in samples if draws.is_open(a) and not draws.roles(a) & {"parameter", "bias"}}
        targets = [d for d in draws.arrays.values() if d.role == "target" and d.fill != "labels"]
        return bool(samples) and any(not {draws.root(a) for a in d.axes} & samples for d in targets)

    # -- the loss

    def _pool(self, outcome: Outcome) -> dict[str, Any]:
        return {n: v for n, v in outcome.scope.items() if n in {*self.outputs_of_forward, *self._drawn()}}

    def _drawn(self) -> list[str]:
        d = self.arguments.draws
        return [*(p for p in d.arrays if p.isidentifier()), *d.names, *d.sizes, *d.size_lists]

    def _loss(self, outcome: Outcome) -> str:
        if self.wishes.loss:
            for node in ast.walk(ast.parse(self.wishes.loss, mode="eval")):
                if isinstance(node, ast.Name) and nm.TARGET.fullmatch(node.id) and node.id not in outcome.scope:
                    self.arguments.give(node.id, "target")
            return self.wishes.loss
        for name in self.outputs_of_forward:
            value = outcome.scope.get(name)
            if is_number(value) and (self.task.loss is None or nm_is_loss(name)):
                return name
        if self.task.loss is None:
            return ""
        loss = self.task.loss
        given = {p: self._argument(p, d, loss, outcome) for p, d in parameters(loss)}
        callee = f"{self.receiver}.{loss.name}" if self._is_method(loss) else loss.name
        call = self.arguments.call(loss, callee, {p: g for p, g in given.items() if g})
        parts = returns(loss)
        if len(parts) > 1:
            at = next((k for k, p in enumerate(parts) if isinstance(p, ast.Name) and nm_is_loss(p.id)), 0)
            return f"{call}[{at}]"
        return call

    def _is_method(self, function: ast.FunctionDef) -> bool:
        return self.task.owner is not None and function in ast.walk(self.task.owner)

    def _main(self, outcome: Outcome) -> str:
        """Return the name of what the forward pass is for: its first result that is an array."""
        for name in self.outputs_of_forward:
            if isinstance(outcome.scope.get(name), np.ndarray):
                return name
        for name in self.outputs_of_forward:
            value = outcome.scope.get(name)
            if isinstance(value, list) and value and isinstance(value[-1], np.ndarray):
                return f"{name}[-1]"
            if isinstance(value, dict):
                for key in reversed([k for k, v in value.items() if isinstance(v, np.ndarray)]):
                    return f"{name}[{key!r}]"
        return ""

    def _upstream(self, outcome: Outcome) -> str:
        """Return the loss of a layer: the inner product of its output and of a gradient that comes from above."""
        backward = self.task.backward
        if backward is None:
            return ""
        main = self._main(outcome)
        free = [
            p for p, d in parameters(backward)
            if d is None and p not in outcome.scope and p not in self.wishes.binds and nm.UPSTREAM.fullmatch(p)
            and not nm.TARGET.fullmatch(p)
        ]
        if not main or not free:
            raise Unbound(
                Mistake(
                    "C131", "no loss is found whose gradient this would be",
                    "write a function `loss(...)`, or give it: --loss 'np.sum((A2 - Y)**2) / 2'",
                ), backward,
            )
        value = outcome.scope[main] if main in outcome.scope else None
        shape = np.shape(value) if value is not None else ()
        axes = []
        for number in shape:
            axis = self.arguments.draws.of_value(int(number), 0)
            if axis is None or self.arguments.draws.roles(axis) == {"bias"}:
                axis = self.arguments.draws.axis()
                self.arguments.draws.fix(axis, int(number))
            axes.append(axis)
        self.arguments.draws.arrays[free[0]] = Drawn(axes, "upstream")
        return f"({main} * {free[0]}).sum()"

    # -- arguments

    def _argument(self, name: str, default: ast.expr | None, function: ast.FunctionDef, outcome: Outcome) -> str:
        """Return what a parameter of the loss or of the backward pass is bound to; nothing if it is drawn or default."""
        if name in self.wishes.binds:
            return self.wishes.binds[name]
        pool = self._pool(outcome)
        if name in pool or self.arguments.is_given(name):
            return name
        alike = [n for n in pool if nm.bare(n) == nm.bare(name)]
        if alike and not (nm.TARGET.fullmatch(name) and alike[0].swapcase() == name):
            return alike[0]
        is_target = bool(nm.TARGET.fullmatch(name))
        if default is not None and not is_target:
            return ""
        if is_target:
            known = [p for p, d in self.arguments.draws.arrays.items() if d.role == "target"]
            if known:
                return known[0]
            self.arguments.give(name, "target")
            axes = np.ndim(outcome.scope.get(self._main(outcome)))
            drawn = self.arguments.draws.arrays.get(name)
            if axes > 2 and drawn is not None and drawn.fill != "labels" and name not in self.forms:
                self.arguments.form(name, ("target", axes, ""))
                self.arguments.choices.forms.pop(name, None)
            return name
        held = [n for n in self.outputs_of_forward if isinstance(pool.get(n), (dict, tuple, list, Instance))]
        if nm.CACHE.fullmatch(name) and held:
            return held[-1]
        for holder in held:
            if isinstance(pool[holder], dict) and name in pool[holder]:
                return f"{holder}[{name!r}]"
        unpacked = unpackings(function).get(name, [])
        if unpacked and held and len(held) == 1 and len(pool[held[0]]) == len(unpacked):
            return held[0]
        if unpacked and all(n in pool for n in unpacked):
            return f"({', '.join(unpacked)},)"
        main = self._main(outcome)
        if function is self.task.loss and main:
            return main
        dicts = [n for n in self._drawn() if isinstance(outcome.scope.get(n), dict)]
        if len(dicts) == 1 and (usage(name, [function]).keys or name in ("params", "parameters", "weights", "model")):
            return dicts[0]
        if len(self.outputs_of_forward) == 1 and held and usage(name, [function]).keys:
            return held[0]
        if main and name in ("output", "out", "y_hat", "yhat", "y_pred", "y_hats", "probs", "pred", "preds", "AL", "scores", "o"):
            return main
        if nm.RATE.fullmatch(name) or nm.PENALTY.fullmatch(name) or nm.FRACTION.fullmatch(name) or name in nm.COUNTS:
            self.arguments.give(name)
            return name
        if name in ("m", "N", "n", "batch_size", "m_samples"):
            data = next((p for p, d in self.arguments.draws.arrays.items() if d.role == "data" and p.isidentifier()), "")
            samples = [
                k for k, a in enumerate(self.arguments.draws.arrays[data].axes)
                if "parameter" not in self.arguments.draws.roles(a)
            ] if data else []
            if samples:
                return f"{data}.shape[{samples[0]}]"
        if main and (self.task.backward is None or main.startswith("out")) and len(self.outputs_of_forward) == 1:
            return main
        raise Unbound(
            Mistake(
                "C130", f"what is `{name}`?",
                f"say what `{function.name}` is given: --bind {name}=...  "
                f"(there are {', '.join([*self.outputs_of_forward, *self._drawn()][:8])})",
            ), function,
        )

    def _updates(self, case: Case, ran: Outcome) -> tuple[tuple[str, str], ...]:
        """Return the parameters that a training step changes: what it takes away, over the rate, is the gradient."""
        run = Interpreter(self.reading.module)
        run.scope.names.update(ran.scope)
        found = []
        for path, old in case.sources.items():
            for written in (path, f"{path}_out"):
                try:
                    new = run.expression(expression(written))
                except Located:
                    continue
                if isinstance(new, (np.ndarray, float)) and np.shape(new) == np.shape(old) and np.any(new != old):
                    found.append((written, path))
                    break
        return tuple(found)

    def _rate(self) -> str:
        """Return the name of the rate of a training step, or 1."""
        return next((n for n in self.arguments.draws.names if nm.RATE.fullmatch(n)), "1.0")


def gradients_from(function: ast.FunctionDef) -> int:
    """Return the first line of a function that assigns something called like the gradient of a name before it."""
    known = {p for p, _ in parameters(function)}
    for node in sorted((n for n in own_nodes(function) if isinstance(n, ast.stmt)), key=lambda n: n.lineno):
        targets = [
            n for t in getattr(node, "targets", []) for n in ast.walk(t)
            if isinstance(n, (ast.Name, ast.Attribute)) and isinstance(n.ctx, ast.Store)
        ]
        words = [nm.tail(ast.unparse(n)) for n in targets]
        if any(w in ("grads", "gradients", "grad") or any(of in known for of in nm.gradient_of(w)) for w in words):
            return node.lineno
        known |= set(words)
    return 0


def multiples(functions: Sequence[ast.AST]) -> tuple[int, ...]:
    """Return the whole numbers from 2 to 4 by which names are multiplied, or into as many parts something is split."""
    found = set()
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
                for a, b in ((node.left, node.right), (node.right, node.left)):
                    if isinstance(a, ast.Constant) and a.value in (2, 3, 4) and type(a.value) is int and isinstance(b, ast.Name):
                        found.add(a.value)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("split") and len(node.args) > 1:
                parts = node.args[1]
                if isinstance(parts, ast.Constant) and parts.value in (2, 3, 4):
                    found.add(parts.value)
    return tuple(sorted(found, reverse=True))


def is_binary(functions: Sequence[ast.AST]) -> bool:
    """Tell whether the loss is that of one yes or no: ``1 - y`` stands in it."""
    return any(
        isinstance(n, ast.BinOp) and isinstance(n.op, ast.Sub) and isinstance(n.left, ast.Constant) and n.left.value == 1
        and isinstance(n.right, ast.Name) and nm.TARGET.fullmatch(n.right.id)
        for f in functions for n in ast.walk(f)
    )


def nm_is_loss(name: str) -> bool:
    """Tell whether a name is that of a loss."""
    return name.lower() in ("loss", "cost", "j", "l", "e", "error", "total_loss", "data_loss", "c", "objective", "loss_out")


def is_number(value: Any) -> bool:
    """Tell whether a value is one number that may be a loss."""
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return False
    return isinstance(value, (float, complex, np.generic)) or (isinstance(value, np.ndarray) and value.size == 1)


def with_parameters(session: Session, case: Case, turn: int) -> Case:
    """Return a case with new values for every array that the setup makes: start values hide mistakes."""
    if not session.plan.setup:
        return case
    run = Interpreter(session.reading.module)
    run.scope.names.update(case.names)
    made: dict[str, Any] = {}
    with np.errstate(all="ignore"):
        for line in session.plan.setup:
            written = statement(line)
            run.statement(written)
            targets = [n.id for n in ast.walk(written) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
            made |= {n: run.scope.names[n] for n in targets}
    rng = np.random.default_rng((17, turn))
    sources: dict[str, Any] = {}
    for name, value in made.items():
        for path, array in leaves(name, value):
            if array.dtype.kind != "f" or not array.size or is_buffer(path, {p for p, _ in leaves(name, value)}):
                continue
            word = nm.tail(path)
            is_positive = bool((array > 0).all()) and array.size > 1
            drawn = Drawn([], "bias" if nm.BIAS.fullmatch(word) else "parameter", "positive" if is_positive else "real")
            sources[path] = filled(drawn, array.shape, rng)
    return replace(case, sources={**sources, **case.sources})


def is_buffer(path: str, paths: set[str]) -> bool:
    """Tell whether a path is that of a gradient or of a moment: ``net.dW1`` beside ``net.W1``."""
    word = nm.tail(path)
    stem = path[: len(path) - len(word)]
    others = {f"{stem}{of}" for of in (*nm.gradient_of(word), word[1:], word[2:], word.split("_", 1)[-1])} - {path}
    return bool(others & paths)


def leaves(path: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Array]]:
    """Go through the arrays and real numbers that a value holds, each with its path."""
    if depth > 6:
        return
    if isinstance(value, np.ndarray):
        yield path, value
    elif isinstance(value, (float, np.floating)):
        yield path, np.asarray(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, (str, int)):
                yield from leaves(f"{path}[{key!r}]", item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for k, item in enumerate(value):
            yield from leaves(f"{path}[{k}]", item, depth + 1)
    elif isinstance(value, Instance):
        for name, item in value.attributes.items():
            yield from leaves(f"{path}.{name}", item, depth + 1)


def find_outputs(ran: Outcome, case: Case, names: Sequence[str], receiver: str) -> Iterator[tuple[str, str]]:
    """Find what a backward pass gives: each array that is called like the gradient of something drawn."""
    taken: set[str] = set()
    sources = {p: v for p, v in case.sources.items() if np.asarray(v).dtype.kind == "f"}
    for name in [*names, *([receiver] if receiver else [])]:
        for path, _ in leaves(name, ran.scope.get(name)):
            if path in sources:
                continue
            of = source_of(path, sources)
            if of is not None and of not in taken:
                taken.add(of)
                yield path, of


def source_of(path: str, sources: Mapping[str, Any]) -> str | None:
    """Return the drawn array of which a path is the gradient by its name."""
    word = nm.tail(path)
    is_object = "." in path
    stem = path[: len(path) - len(word)] if is_object else ""
    for of in [*nm.gradient_of(word), *([] if is_object else [word])]:
        for known in sources:
            if is_object and known == f"{stem}{of}":
                return known
        if is_object:
            continue
        for known in sources:
            if nm.bare(nm.tail(known)) == nm.bare(of):
                return known
    base, bracket, index = word.partition("[")
    if bracket:
        for of in nm.gradient_of(base):
            for known in sources:
                if known.endswith(f"[{index}") and nm.tail(known).lower().startswith(of.lower()[:1]):
                    return known
    return None


__all__ = ["Bound", "Unbound", "Wishes", "bind", "own_nodes"]
