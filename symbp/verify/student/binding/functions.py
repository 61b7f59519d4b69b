"""Which functions of a file are a forward pass, a loss and a backward pass: by their names, or named by the user."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from symbp.language.diagnostics import Mistake, did_you_mean
from symbp.verify.student.binding.usage import own_nodes, parameters, returns
from symbp.verify.student.language.names import gradient_of

BACKWARD = re.compile(r"backward|backprop|back_prop|bprop|backpass|_bwd|bwd_|\Abwd|\Aback\Z|_back\Z|gradients?\Z|"
                      r"\Agrads?|_grads?\Z|compute_grad", re.I)
FORWARD = re.compile(r"forward|feedforward|feed_forward|fprop|_fwd|fwd_|\Afwd|propagate\Z|predict\Z|\Amodel\Z", re.I)
LOSS = re.compile(r"loss|cost|objective|cross_entropy|crossentropy|\Amse\Z|\Anll\Z|\Ace\Z|error\Z|criterion", re.I)
START = re.compile(r"init", re.I)
FUSED = re.compile(r"loss|cost|grad|step|objective|lossfun|train|propagate|fit|update|learn|backprop", re.I)
DERIVATIVE = re.compile(r"prime|deriv|_grad\Z|\Ad_?(relu|sigmoid|tanh|softmax)|"
                        r"(relu|sigmoid|tanh|softmax)_?(backward|grad)", re.I)
NUMERIC = re.compile(r"numeric|check|finite", re.I)


@dataclass(frozen=True)
class Task:
    """What belongs together: a forward pass, its loss, and its backward pass.

    forward:  the function, or the method.
    backward: the function, or the method; None if ``forward`` returns gradients as well.
    loss:     the function, or the method, that gives the loss.
    start:    the function that makes the parameters.
    owner:    the class, for methods.
    is_script: whether the functions were made of code that lies outside of functions.
    """

    forward: ast.FunctionDef
    backward: ast.FunctionDef | None
    loss: ast.FunctionDef | None = None
    start: ast.FunctionDef | None = None
    owner: ast.ClassDef | None = None
    is_script: bool = False

    @property
    def name(self) -> str:
        """How the task is called in messages."""
        last = self.backward or self.forward
        return f"{self.owner.name}.{last.name}" if self.owner else last.name


def tasks(module: ast.Module, named: Sequence[str] = ()) -> list[Task]:
    """Return what there is to check in a file.

    named: functions or classes that the user named, the forward pass first.

    Raises ``Mistake`` where there is nothing.
    """
    functions = {s.name: s for s in module.body if isinstance(s, ast.FunctionDef)}
    classes = {s.name: s for s in module.body if isinstance(s, ast.ClassDef)}
    for name in named:
        if name not in functions and name not in classes:
            raise Mistake("C107", f"there is no function `{name}`", did_you_mean(name, [*functions, *classes]))
    if named:
        return _named(named, functions, classes)
    found = [task for owner in _outermost(classes) for task in [_of_class(owner, classes, functions)] if task]
    if not found:
        found = [task for owner in classes.values() for task in [_of_class(owner, classes, functions)] if task]
    found += _of_functions(functions)
    if not found:
        raise Mistake(
            "C107", "no forward and backward pass is found in the file",
            "name them: --code hw.py:my_forward,my_backward",
        )
    return found


def _named(
    named: Sequence[str], functions: dict[str, ast.FunctionDef], classes: dict[str, ast.ClassDef]
) -> list[Task]:
    if named[0] in classes:
        task = _of_class(classes[named[0]], classes, functions)
        if task is None:
            raise Mistake("C107", f"class `{named[0]}` has no methods `forward` and `backward`")
        return [task]
    chosen = [functions[n] for n in named if n in functions]
    loss = chosen[1] if len(chosen) > 2 else _loss(functions, chosen)
    backward = chosen[-1] if len(chosen) > 1 else None
    return [Task(chosen[0], backward, loss if backward else None, _start(functions))]


def _outermost(classes: dict[str, ast.ClassDef]) -> list[ast.ClassDef]:
    """Return the classes that make objects of others, else those that no class makes or derives from."""
    used: dict[str, set[str]] = {
        name: {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & (classes.keys() - {name})
        for name, node in classes.items()
    }
    bases = {b.id for c in classes.values() for b in c.bases if isinstance(b, ast.Name)}
    makers = [n for n in classes if used[n] - bases]
    below = {u for name in makers for u in used[name]}
    return [classes[n] for n in classes if n not in below and n not in bases] if makers else [
        classes[n] for n in classes if n not in bases
    ]


def _of_class(
    owner: ast.ClassDef, classes: dict[str, ast.ClassDef], functions: dict[str, ast.FunctionDef]
) -> Task | None:
    methods: dict[str, ast.FunctionDef] = {}
    at: ast.ClassDef | None = owner
    while at is not None:
        methods = {**{s.name: s for s in at.body if isinstance(s, ast.FunctionDef)}, **methods}
        base = at.bases[0] if at.bases else None
        at = classes.get(base.id) if isinstance(base, ast.Name) else None
    backward = _pick(methods, BACKWARD)
    forward = _pick({n: m for n, m in methods.items() if n != "__init__"}, FORWARD) or methods.get("__call__")
    losses = {n: m for n, m in methods.items() if LOSS.search(n) and m not in (forward, backward)}
    loss = _loss(losses, [m for m in (forward, backward) if m])
    if backward is not None and forward is not None:
        return Task(forward, backward, loss or _loss(functions, []), None, owner)
    fused = next((m for n, m in methods.items() if FUSED.search(n) and _gives_gradients(m)), None)
    if fused is not None:
        return Task(fused, None, None, None, owner)
    return None


def _of_functions(functions: dict[str, ast.FunctionDef]) -> list[Task]:
    found: list[Task] = []
    backwards = [f for n, f in functions.items() if BACKWARD.search(n) and not NUMERIC.search(n)]
    pairs: list[tuple[ast.FunctionDef, ast.FunctionDef]] = []
    for backward in backwards:
        stem = BACKWARD.sub("", backward.name).strip("_")
        forwards = [f for n, f in functions.items() if FORWARD.search(n) and FORWARD.sub("", n).strip("_") == stem]
        if forwards:
            pairs.append((forwards[0], backward))
    if not pairs:
        forward = _pick(functions, FORWARD)
        main = [b for b in backwards if not DERIVATIVE.search(b.name)] or backwards
        if forward is not None and main:
            pairs = [(forward, _outer(main, functions))]
    pairs = _outer_pairs(pairs, functions)
    start = _start(functions)
    for forward, backward in pairs:
        found.append(Task(forward, backward, _loss(functions, [forward, backward]), start))
    if not found:
        fused = [f for n, f in functions.items() if FUSED.search(n) and not NUMERIC.search(n) and _gives_gradients(f)]
        if fused:
            found.append(Task(_outer(fused, functions), None, None, start))
    return found


def _outer_pairs(
    pairs: list[tuple[ast.FunctionDef, ast.FunctionDef]], functions: dict[str, ast.FunctionDef]
) -> list[tuple[ast.FunctionDef, ast.FunctionDef]]:
    """Leave out pairs whose backward pass is called by that of another pair."""
    called = {c for _, b in pairs for c in _called(b, functions) if c is not b}
    return [p for p in pairs if p[1] not in called] or pairs


def _outer(found: list[ast.FunctionDef], functions: dict[str, ast.FunctionDef]) -> ast.FunctionDef:
    called = {c for f in found for c in _called(f, functions) if c is not f}
    return next((f for f in found if f not in called), found[0])


def _called(function: ast.FunctionDef, functions: dict[str, ast.FunctionDef]) -> set[ast.FunctionDef]:
    """Return the functions that a function may call, directly or not."""
    found: set[ast.FunctionDef] = set()
    todo = [function]
    while todo:
        for node in ast.walk(todo.pop()):
            other = functions.get(node.id) if isinstance(node, ast.Name) else None
            if other is not None and other not in found:
                found.add(other)
                todo.append(other)
    return found


def _pick(functions: dict[str, ast.FunctionDef], pattern: re.Pattern[str]) -> ast.FunctionDef | None:
    known = [f for n, f in functions.items() if pattern.search(n) and not DERIVATIVE.search(n)]
    exact = [f for f in known if pattern.fullmatch(f.name)]
    return exact[0] if exact else _outer(known, functions) if known else None


def _loss(functions: dict[str, ast.FunctionDef], others: list[ast.FunctionDef]) -> ast.FunctionDef | None:
    known = [
        f for n, f in functions.items()
        if LOSS.search(n) and f not in others and not BACKWARD.search(n) and not DERIVATIVE.search(n)
        and not NUMERIC.search(n) and returns(f)
    ]
    return _outer(known, functions) if known else None


def _start(functions: dict[str, ast.FunctionDef]) -> ast.FunctionDef | None:
    return next((f for n, f in functions.items() if START.search(n) and returns(f)), None)


def _gives_gradients(function: ast.FunctionDef) -> bool:
    """Tell whether a function computes something that is called like a gradient."""
    stored = [n.id for n in own_nodes(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    attributes = [n for n in own_nodes(function) if isinstance(n, ast.Attribute)]
    stored += [ast.unparse(n) for n in attributes if isinstance(n.ctx, ast.Store)]
    stored += [k.value for n in own_nodes(function) if isinstance(n, ast.Dict) for k in n.keys
               if isinstance(k, ast.Constant) and isinstance(k.value, str)]
    known = {p for p, _ in parameters(function)} | set(stored)
    return sum(any(of in known or of.upper() in known for of in gradient_of(n)) for n in stored) >= 1 or any(
        re.fullmatch(r"grads?|gradients?", n) for n in stored
    )
