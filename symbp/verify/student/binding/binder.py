"""One way to call the functions of a task: what each parameter is bound to, and what is drawn.

Arguments of the backward pass are bound by the output of the forward pass, by names, by how they are unpacked, and by
what the user says.  What stays unbound is an error that asks for it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student.binding.arguments import Arguments, Form
from symbp.verify.student.binding.draws import Align, Drawn, Draws
from symbp.verify.student.binding.execution import Execution
from symbp.verify.student.binding.fitting import fitted
from symbp.verify.student.binding.functions import Task
from symbp.verify.student.binding.halves import forward_half
from symbp.verify.student.binding.hints import gradients_from, is_loss_name, is_number, multiples
from symbp.verify.student.binding.outputs import find_outputs, is_laid, leaves, with_parameters
from symbp.verify.student.binding.session import Case, Outcome, Plan, Session
from symbp.verify.student.binding.usage import free_names, parameters, returns, unpackings, usage
from symbp.verify.student.language import names as nm
from symbp.verify.student.language.errors import Located, is_limit
from symbp.verify.student.language.reading import Reading, reached
from symbp.verify.student.language.values import Array, Instance, attributes_of

@dataclass(frozen=True)
class Wishes:
    """What the user says about a task.

    binds: what parameters are bound to: ``cache`` to ``(A0, W1, b1)``.
    kinds: how arguments are drawn: ``y`` as ``labels``.
    loss:  the loss as an expression in the names of the forward pass.
    runs:  CPython runs the code, in place of the interpreter.
    seed:  of the draws.
    """

    binds: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    loss: str = ""
    runs: bool = False
    seed: int = 0


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

    def drawn(self, path: str) -> Any:
        """Return an array of the first draw."""
        case = self.case(0)
        return case.sources[path] if path in case.sources else case.names[path]

    def case(self, turn: int) -> Case:
        """Return the values of a draw: what is drawn, and new values for all that the setup makes."""
        if turn not in self._cases:
            case = self.draws.case(turn)
            self._cases[turn] = with_parameters(self.session, case, turn, self.draws.seed)
        return self._cases[turn]

    def __post_init__(self) -> None:
        self._cases: dict[int, Case] = {}


class Unbound(Exception):
    """A parameter that could not be bound."""

    def __init__(self, mistake: Mistake, node: ast.AST) -> None:
        super().__init__(str(mistake))
        self.mistake, self.node = mistake, node


ODD = 2.5
"""What a way to call counts less at which a target has no axis of samples, or a parameter no gradient."""
VANISHES = 1e-9
"""A slope is zero that is so small beside the loss: differences of order 6 tell no more."""

UNKNOWN_RATE = "1.0"
"""The rate of a training step that names none."""

Choice = tuple[dict[str, Form], dict[str, str], Align]
"""The form of each array whose text leaves it open, the words, and how a bias is aligned."""


class Binder:
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
        self.arguments.draws.seed = wishes.seed
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
            given = {p for p, _ in parameters(start)} if start is not None else set()
            arguments.draws.early |= given & arguments.draws.arrays.keys()
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
            name = getattr(value, "id", "") or _gradient_in(value, taken | set(found)) or f"out{k}"
            while name in taken or name in found:
                name += "_out"
            found.append(name)
        return found

    def _held(self) -> tuple[str, ...]:
        """Return the names of the file that hold what is computed outside of functions, and that functions read."""
        made = {
            name.id for s in self.reading.module.body
            if isinstance(s, ast.Assign) and isinstance(s.value, (ast.Call, ast.BinOp))
            for target in s.targets for name in ast.walk(target) if isinstance(name, ast.Name)
        }
        return tuple(sorted(made & free_names(self.functions)))

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
        half = forward_half(task.forward) if task.backward is None and not self.wishes.runs else None
        plan = Plan(tuple(self.setup), tuple(self.forward), "", (), half=half, module=self._held())
        session = (Execution if self.wishes.runs else Session)(self.reading, plan)
        first = self._fit(session, draws)
        loss = "" if self._free(first) and not self.wishes.loss else self._loss(first)
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
        session = replace(session, plan=plan)
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
            outputs, rate = self._updates(session, case, ran), self._rate(ran)
        bound.session = replace(session, plan=replace(plan, outputs=outputs, rate=rate))
        seen, there = ran, outputs
        if ran.failure is not None:
            # What breaks off has gradients in its scope by then.
            seen = replace(ran, scope=dict(ran.failure.scope))
            there = tuple(find_outputs(seen, case, list(seen.scope), ""))
        if self._join_loose(bound, there, seen):
            bound = Bound(task, bound.session, draws, self.remarks)
            case = bound.case(0)
        return self._score(bound, case) - (ODD if self._is_odd(draws) else 0.0), bound

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
            path in ran.outputs and is_laid(ran.outputs[path].shape, np.shape(case.sources[of])) for path, of in outputs
        )
        empty = sum(self._says_nothing(bound.session, case, ran, of) for _, of in outputs)
        return (fit - empty) / len(outputs) - (0.5 if ran.failure is not None else 0.0) - (ODD if empty else 0.0)

    def _says_nothing(self, session: Session, case: Case, ran: Outcome, of: str) -> bool:
        """Tell whether one number for a parameter has no gradient at all: what adds it to all scores of a softmax.

        Then any zero would be right; it is not the shape that was meant.
        """
        if np.size(case.sources[of]) != 1 or ran.failure is not None:
            return False
        slope = session.slope(case, of, np.ones(np.shape(case.sources[of])), complex_step=False)
        return abs(slope) <= VANISHES * max(1.0, float(np.max(np.abs(np.asarray(ran.loss)), initial=0.0)))

    def _is_odd(self, draws: Draws) -> bool:
        """Tell whether a target has no axis of samples though the data have one: it is broadcast over them; or a bias
        has one, with an entry for each sample."""
        if any(
            {"data", "target"} <= draws.roles(a) and "parameter" not in draws.roles(a)
            for d in draws.arrays.values() if d.role == "bias" for a in d.axes
        ):
            return True
        samples = {draws.root(a) for d in draws.arrays.values() if d.role == "data" for a in d.axes}
        samples = {a for a in samples if draws.is_open(a) and "parameter" not in draws.roles(a)}
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
            written = ast.parse(self.wishes.loss, mode="eval")
            for node in ast.walk(written):
                if isinstance(node, ast.Name) and nm.TARGET.fullmatch(node.id) and node.id not in outcome.scope:
                    self.arguments.give(node.id, "target")
                elif isinstance(node, ast.Name) and f"{node.id}_out" in self.outputs_of_forward:
                    node.id = f"{node.id}_out"  # what the forward pass returns under the name of an argument
            return ast.unparse(written)
        for name in self.outputs_of_forward:
            value = outcome.scope.get(name)
            reduced = any(ast.unparse(r).count(w) for r in returns(self.task.forward) for w in ("sum(", "mean("))
            takes_targets = any(nm.TARGET.fullmatch(p) for p in self._parameters_of_forward())
            alone = takes_targets and len(self.outputs_of_forward) == 1 and getattr(value, "ndim", 0) == 0
            is_told = is_loss_name(name) or self.task.backward is None or alone or (
                name.startswith("out") and reduced)
            if is_number(value) and is_told and (self.task.loss is None or is_loss_name(name)):
                return name
        if self.task.loss is None:
            return ""
        loss = self.task.loss
        given = {p: self._argument(p, d, loss, outcome) for p, d in parameters(loss)}
        callee = f"{self.receiver}.{loss.name}" if self._is_method(loss) else loss.name
        call = self.arguments.call(loss, callee, {p: g for p, g in given.items() if g})
        parts = returns(loss)
        if len(parts) > 1:
            at = next((k for k, p in enumerate(parts) if isinstance(p, ast.Name) and is_loss_name(p.id)), 0)
            return f"{call}[{at}]"
        return call

    def _is_method(self, function: ast.FunctionDef) -> bool:
        return self.task.owner is not None and function in ast.walk(self.task.owner)

    def _main(self, outcome: Outcome) -> str:
        """Return the name of what the forward pass is for: its first result that is an array, or what it stores."""
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
        if self.receiver and not self.outputs_of_forward:
            held = attributes_of(outcome.scope.get(self.receiver))
            return next((f"{self.receiver}.{n}" for n, v in held.items()
                         if nm.OUTPUT.fullmatch(n) and isinstance(v, np.ndarray)), "")
        return ""

    def _free(self, outcome: Outcome) -> list[str]:
        """Return the parameters of the backward pass that are called like a gradient from above."""
        backward = self.task.backward
        return [] if backward is None else [
            p for p, d in parameters(backward)
            if d is None and p not in outcome.scope and p not in self.wishes.binds and nm.UPSTREAM.fullmatch(p)
            and not nm.TARGET.fullmatch(p)
        ]

    def _upstream(self, outcome: Outcome) -> str:
        """Return the loss of a layer: the inner product of its output and of a gradient that comes from above."""
        backward = self.task.backward
        if backward is None:
            return ""
        main = self._main(outcome)
        free = self._free(outcome)
        if not main or not free:
            held = attributes_of(outcome.scope.get(self.receiver)) if self.receiver else {}
            known = [*(p for p, _ in parameters(backward)), *held]
            given = next((f"net.{p}" if p in held else p for p in known if nm.TARGET.fullmatch(nm.tail(p))), "Y")
            help = (
                "write a function `loss(...)`, or give it in the names of the forward pass: "
                f"--loss 'np.sum(({main.removesuffix('_out') or 'A2'} - {given})**2) / 2'"
            )
            raise Unbound(Mistake("C131", "no loss is found whose gradient this would be", help), backward)
        shape = next((v.shape for p, v in self._leaves(outcome) if p == main), ())
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
        """Return what a parameter of the loss or of the backward pass is bound to; nothing if its default holds."""
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
            axes = np.ndim(outcome.scope.get(self._main(outcome), 0.0))
            drawn = self.arguments.draws.arrays.get(name)
            if axes > 2 and drawn is not None and drawn.fill != "labels" and name not in self.forms:
                self.arguments.form(name, ("target", axes, ""))
                self.arguments.choices.forms.pop(name, None)
            return name
        held = [
            n for n in self.outputs_of_forward
            if isinstance(pool.get(n), (dict, tuple, list, Instance)) or attributes_of(pool.get(n))
        ]
        if nm.CACHE.fullmatch(name) and held:
            return held[-1]
        for holder in held:
            if isinstance(pool[holder], dict) and name in pool[holder]:
                return f"{holder}[{name!r}]"
        unpacked = unpackings(function).get(name, [])
        if unpacked and held and len(held) == 1 and _length(pool[held[0]]) == len(unpacked):
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
        if main and nm.OUTPUT.fullmatch(name):
            return main
        if nm.RATE.fullmatch(name) or nm.PENALTY.fullmatch(name) or nm.FRACTION.fullmatch(name) or name in nm.COUNTS:
            self.arguments.give(name)
            return name
        if name in ("m", "N", "n", "batch_size", "m_samples"):
            every = self.arguments.draws.arrays.items()
            data = next((p for p, d in every if d.role == "data" and p.isidentifier()), "")
            samples = [
                k for k, a in enumerate(self.arguments.draws.arrays[data].axes)
                if "parameter" not in self.arguments.draws.roles(a)
            ] if data else []
            if samples:
                return f"{data}.shape[{samples[0]}]"
        inputs = [p for p, d in self.arguments.draws.arrays.items() if d.role == "data" and p.isidentifier()]
        if nm.INPUT.fullmatch(name) and len(inputs) == 1 and inputs[0] in self._parameters_of_forward():
            return inputs[0]
        if main and (self.task.backward is None or main.startswith("out")) and len(self.outputs_of_forward) == 1:
            return main
        raise Unbound(
            Mistake(
                "C130", f"what is `{name}`?",
                f"say what `{function.name}` is given: --bind {name}=...  "
                f"(there are {', '.join([*self.outputs_of_forward, *self._drawn()][:8])})",
            ), function,
        )

    def _parameters_of_forward(self) -> set[str]:
        return {p for p, _ in parameters(self.task.forward)}

    def _updates(self, session: Session, case: Case, ran: Outcome) -> tuple[tuple[str, str], ...]:
        """Return the parameters that a training step changes: what it takes away, over the rate, is the gradient."""
        found = []
        before = session.run(case, upto="loss", keeps=False) if session.plan.backward else None
        for path, old in case.sources.items():
            if before is not None and self._is_changed(session, before, path, old):
                continue  # the forward pass stores it
            stem = re.match(r"\w*", path)
            assert stem is not None
            for written in (path, f"{stem[0]}_out{path[stem.end():]}"):
                try:
                    new = session.value(ran, written)
                except Located:
                    continue
                if isinstance(new, (np.ndarray, float)) and np.shape(new) == np.shape(old) and np.any(new != old):
                    found.append((written, path))
                    break
        return tuple(found)

    def _is_changed(self, session: Session, outcome: Outcome, path: str, old: Any) -> bool:
        try:
            return not np.array_equal(session.value(outcome, path), old)
        except Located:
            return False

    def _rate(self, ran: Outcome) -> str:
        """Return the rate of a training step as it is written: an argument, an attribute, a default; else 1."""
        last = self.task.backward or self.task.forward
        defaults = [ast.unparse(d) for p, d in parameters(last) if d is not None and nm.RATE.fullmatch(p)]
        held = [p for p, _ in leaves(self.receiver, ran.scope.get(self.receiver)) if nm.RATE.fullmatch(nm.tail(p))]
        return next((n for n in [*self.arguments.draws.names, *defaults, *held] if _is_rate(n)), UNKNOWN_RATE)


def _gradient_in(value: ast.expr, taken: set[str]) -> str:
    """Return what a returned expression may be called: an attribute, or the one gradient in it, as in ``dW / m``."""
    if isinstance(value, ast.Attribute) and value.attr != "T":
        return value.attr
    names = {n.id for n in ast.walk(value) if isinstance(n, ast.Name) and nm.gradient_of(n.id)} - taken
    return names.pop() if len(names) == 1 else ""


def _length(value: Any) -> int:
    """Return the number of items that a value unpacks into; 0 of an object."""
    return len(value) if isinstance(value, (dict, tuple, list)) else 0


def _is_rate(text: str) -> bool:
    """Tell whether a text is that of a rate: a number, or a name that says so."""
    return bool(nm.RATE.fullmatch(nm.tail(text))) or text.replace(".", "", 1).replace("e-", "", 1).isdigit()
