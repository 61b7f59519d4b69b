"""Code outside of functions as a task: what makes arrays becomes one function, what is done with them once another.

``X = np.random.randn(4, 2)`` and ``W1 = np.zeros((2, 3))`` are *made*; forward pass, loss and gradients follow.  Of a
training loop one round is taken.  The statements are the file's own, so that lines, traces and mends are, too.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symbp.verify.student.binding.functions import Task
from symbp.verify.student.binding.hints import is_loss_name
from symbp.verify.student.binding.usage import own_nodes, parameters
from symbp.verify.student.language import names as nm
from symbp.verify.student.language.errors import Located
from symbp.verify.student.language.interpreter import Interpreter
from symbp.verify.student.language.reading import Reading

MAKES, DOES = "arrays", "script"
"""What the two functions are called."""
GRADIENTS = ("grads", "grad", "gradients")
"""Names that hold several gradients."""
RANGES = ("range", "tqdm", "trange")
"""What a training loop runs over, whose values do not matter."""

Defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
Simple = (ast.Assign, ast.AnnAssign)
Loop = (ast.For, ast.While)


def script_of(reading: Reading, loss: str = "") -> tuple[Reading, Task] | None:
    """Return a file whose work lies outside of functions, or in one without parameters, as a file with a task.

    loss: the loss as the user gave it; its names are kept for it.

    Returns None where nothing in it is called like a gradient, or changes what was made.
    """
    mains = [f.body for f in reading.module.body if isinstance(f, ast.FunctionDef) and not parameters(f)]
    for body in (reading.module.body, *mains):
        script = Script(reading, list(_one_round(body, set())))
        made = script.made()
        rest = script.rest(made)
        given = script.given(made, rest, loss)
        if made and given:
            return _functions(script, made, rest, given)
    return None


# ---------------------------------------------------------------------------------------------------------
# One round


def _one_round(body: Sequence[ast.stmt], before: set[str]) -> Iterator[ast.stmt]:
    """Yield the statements that are run once: of the loop that trains one round, and nothing behind it.

    before: what was assigned before.
    """
    before = set(before)
    for statement in body:
        if isinstance(statement, Loop) and _trains(statement, body, before):
            inner = _loss_first(list(_one_round(statement.body, before)), before)
            yield from _once(statement, inner)
            return
        if isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test):
            yield from _one_round(statement.body, before)
        else:
            yield statement
        before |= set(assigned(statement))


def _once(loop: ast.For | ast.While, inner: list[ast.stmt]) -> list[ast.stmt]:
    """Return one round of a loop: of one over a range its statements, of others, or where it is left early, a loop."""
    leaves = any(isinstance(n, (ast.Break, ast.Continue)) for s in inner for n in own_nodes(s))
    counts = isinstance(loop, ast.For) and isinstance(loop.iter, ast.Call) and ast.unparse(loop.iter.func) in RANGES
    if isinstance(loop, ast.For) and isinstance(loop.iter, ast.Call) and counts:
        is_bare = ast.unparse(loop.iter.func) != "range" or len(loop.iter.args) < 2
        start = ast.Constant(0) if is_bare else loop.iter.args[0]
        first: ast.stmt = ast.Assign([loop.target], start)
        if leaves:
            first = ast.For(loop.target, ast.List([start], ast.Load()), inner, [])
        found = [first] if leaves else [first, *inner]
    else:
        ends = [*inner, ast.copy_location(ast.Break(), loop.body[-1])]
        once = ast.For(loop.target, loop.iter, ends, []) if isinstance(loop, ast.For) else None
        found = [once or ast.While(loop.test, ends, [])]  # type: ignore[union-attr]
    ast.fix_missing_locations(ast.copy_location(found[0], loop))
    return found


def _loss_first(body: list[ast.stmt], before: set[str]) -> list[ast.stmt]:
    """Return statements with a loss that is computed behind a training step put before it: it is that of this round."""
    names = [n for s in body for n in assigned(s)]
    gradients = set(gradients_in(names, {*names, *before}))
    steps = [
        k for k, s in enumerate(body)
        if any(n in before and n not in gradients and not is_loss_name(n) for n in assigned(s))
        and (read(s) & gradients if gradients else _is_step(s))
    ]
    if not steps:
        return body
    at = steps[0]
    moved: list[ast.stmt] = []
    wanted: set[str] = set()
    for s in reversed(body[at + 1:]):
        mine = set(assigned(s))
        is_loss = bool(mine) and all(map(is_loss_name, mine))
        if is_loss or (mine & wanted and not mine & (gradients | before)):
            moved.insert(0, s)
            wanted |= read(s)
    given = {n for s in (*body[:at], *moved) for n in assigned(s)}
    if not (wanted & set(names)) - before <= given:
        return body
    return [*body[:at], *moved, *(s for s in body[at:] if s not in moved)]


def _is_step(statement: ast.stmt) -> bool:
    """Tell whether a statement adds to a name, or takes away from it: ``W -= ...``, ``W = W - ...``."""
    if isinstance(statement, ast.AugAssign):
        return isinstance(statement.op, (ast.Add, ast.Sub))
    value = statement.value if isinstance(statement, ast.Assign) else None
    return isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Add, ast.Sub)) and (
        ast.unparse(value.left) in assigned(statement))


def _trains(loop: ast.For | ast.While, body: Sequence[ast.stmt], before: set[str]) -> bool:
    """Tell whether a loop trains, so that one round of it is the whole work; others add up, over time or layers.

    No gradient is computed beside it, and none is added up in it.  It has a loss, and changes what was there before or
    has the only one; or, without a loss in sight, it changes what was there before, and does not use what it counts.
    """
    names = assigned(loop)
    beside = [s for s in body if s is not loop]
    others = [n for s in beside if not _is_constant(s) for n in assigned(s)]
    every = {*names, *others, *before}
    gradients = gradients_in(names, every)
    given_outside = {n for s in beside for n in assigned(s)}
    set_inside = {
        t.id for s in own_nodes(loop) if isinstance(s, Simple)
        for t in ast.walk(s) if isinstance(t, ast.Name) and isinstance(t.ctx, ast.Store)
    }
    if gradients_in(others, every) or any(g in given_outside and g not in set_inside for g in gradients):
        return False
    changes = any(n in before and n not in gradients and not is_loss_name(n) for n in names)
    if any(map(is_loss_name, names)):
        return changes or not any(map(is_loss_name, others))
    if any(map(is_loss_name, others)) or not changes:
        return False
    counted = loop.target.id if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name) else ""
    working = [s for s in loop.body if not _only_prints(s)]
    return counted not in {n.id for s in working for n in ast.walk(s) if isinstance(n, ast.Name)}


def _only_prints(statement: ast.stmt) -> bool:
    """Tell whether a statement prints, perhaps every so many rounds, and does nothing else."""
    if isinstance(statement, ast.If):
        return all(map(_only_prints, [*statement.body, *statement.orelse]))
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func) == "print"


def _is_constant(statement: ast.stmt) -> bool:
    """Tell whether a statement gives a first value: ``loss = 0``."""
    return isinstance(statement, Simple) and (
        isinstance(statement.value, ast.Constant) or (statement.value is not None and not read(statement) - {"np"}))


def assigned(node: ast.AST) -> list[str]:
    """Return the names that are assigned in a statement, or whose items are."""
    within = {n for c in own_nodes(node) if isinstance(c, ast.comprehension) for n in ast.walk(c.target)}
    found: dict[str, None] = {}
    for part in own_nodes(node):
        at = part
        if isinstance(getattr(part, "ctx", None), ast.Store) and part not in within:
            while isinstance(at, (ast.Subscript, ast.Attribute)):
                at = at.value
            if isinstance(at, ast.Name):
                found[at.id] = None
    return list(found)


def read(node: ast.AST) -> set[str]:
    """Return the names that are read in a statement."""
    found = {n.id for n in own_nodes(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    found -= {n.id for c in own_nodes(node) if isinstance(c, ast.comprehension) for n in ast.walk(c.target)
              if isinstance(n, ast.Name)}
    return found | set(assigned(node)) if isinstance(node, ast.AugAssign) else found


def gradients_in(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return the names that hold gradients, or are called like the gradient of a known one."""
    others = set(known)
    return [n for n in names if n in GRADIENTS or any(of in others and of != n for of in nm.gradient_of(n))]


# ---------------------------------------------------------------------------------------------------------
# What is made, and what is done


@dataclass
class Script:
    """The statements of a script, each run once."""

    reading: Reading
    body: list[ast.stmt]

    def made(self) -> dict[ast.stmt, list[str]]:
        """Return the statements that make arrays out of nothing but numbers, with the names of those arrays.

        Those that give numbers are among them, with no names: they are needed on both sides.
        """
        run = Interpreter(self.reading.module)
        computed: set[str] = set()
        found: dict[ast.stmt, list[str]] = {}
        every = [n for s in self.body for n in assigned(s)]
        buffers = set(gradients_in(every, every))
        wanted = {of for n in buffers for of in nm.gradient_of(n)}
        for statement in self.body:
            names = assigned(statement)
            if isinstance(statement, Defining) or not names:
                continue
            values = self._values(run, statement, names)
            if values is None or buffers & set(names):
                computed |= set(names)
                continue
            is_bias = names[0] in wanted and (isinstance(values[0], float) or bool(nm.BIAS.fullmatch(names[0])))
            holds = any(map(_has_array, values)) or (len(names) == 1 and is_bias)
            if not holds and (all(map(_is_size, values)) or not read(statement) & computed):
                found[statement] = []
            else:
                found |= {} if read(statement) & computed else {statement: names}
                computed |= set(names)
        return found if any(found.values()) else {}

    def _values(self, run: Interpreter, statement: ast.stmt, names: Sequence[str]) -> list[Any] | None:
        """Run a statement; return what it gave its names, or None if it is no plain assignment of names."""
        if not isinstance(statement, Simple) or statement.value is None or any(
            isinstance(n, (ast.Subscript, ast.Attribute)) and isinstance(n.ctx, ast.Store) for n in ast.walk(statement)
        ):
            return None
        try:
            with np.errstate(all="ignore"):
                run.statement(statement)
        except Located:
            return None
        return [run.scope.names.get(n) for n in names]

    def rest(self, made: dict[ast.stmt, list[str]]) -> list[ast.stmt]:
        """Return what is done with the arrays, up to the last loss, gradient or change of them."""
        arrays = {n for names in made.values() for n in names}
        outside = {*numbers(self.body, made), *(s for s, names in made.items() if names)}
        kept = [
            s for s in self.body if not isinstance(s, Defining) and s not in outside
            and not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        ]
        every = {n for s in kept for n in assigned(s)} | arrays
        ends = [
            k for k, s in enumerate(kept) if any(is_loss_name(n) or n in arrays for n in assigned(s))
            or gradients_in(assigned(s), every)
        ]
        return kept[: ends[-1] + 1] if ends else []

    def given(self, made: dict[ast.stmt, list[str]], rest: Sequence[ast.stmt], loss: str) -> list[str]:
        """Return the names that the script is asked for: its loss, its gradients, else what it changes."""
        arrays = {n for names in made.values() for n in names}
        names = list(dict.fromkeys(n for s in rest for n in assigned(s)))
        asked = gradients_in(names, {*names, *arrays}) or [n for n in names if n in arrays]
        told = {n.id for n in ast.walk(ast.parse(loss or "0", mode="eval")) if isinstance(n, ast.Name)}
        first = [*[n for n in reversed(names) if is_loss_name(n)], *(n for n in names if n in told)]
        return list(dict.fromkeys([*first, *asked])) if asked else []


def numbers(body: Sequence[ast.stmt], made: dict[ast.stmt, list[str]]) -> list[ast.stmt]:
    """Return the statements that give numbers out of numbers alone, once: they hold no mistake."""
    count = Counter(n for s in body for n in assigned(s))
    computed = {n for s in body if made.get(s, ["?"]) for n in assigned(s)}
    return [
        s for s, arrays in made.items()
        if not arrays and not read(s) & computed and all(count[n] == 1 for n in assigned(s))
    ]


def _is_size(value: Any) -> bool:
    """Tell whether a value is a whole number, a word, or a list of those: what shapes are made of."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_size, value))
    return value is None or isinstance(value, (int, np.integer, str, bool))


def _has_array(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_array, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_has_array, value))
    return isinstance(value, np.ndarray)


def _functions(
    script: Script, made: dict[ast.stmt, list[str]], rest: Sequence[ast.stmt], given: Sequence[str]
) -> tuple[Reading, Task]:
    """Return the file with its script as two functions, and the task that they are."""
    reading = script.reading
    names = list(dict.fromkeys(n for made_here in made.values() for n in made_here))
    # Copies: a change of a line that is tried below must not change what was made.
    making = [copy.deepcopy(_real(s) if arrays else s) for s, arrays in made.items()]
    start = _function(MAKES, [], making, names)
    forward = _function(DOES, names, rest, given)
    body = [s for s in reading.module.body if isinstance(s, Defining)]
    sizes = [copy.deepcopy(s) for s in numbers(script.body, made)]
    task = Task(forward, None, None, start, is_script=True)
    return replace(reading, module=ast.Module([*body, *sizes, start, forward], [])), task


def _real(statement: ast.stmt) -> ast.stmt:
    """Return ``b = 0`` as ``b = 0.0``: a parameter is a real number."""
    value = statement.value if isinstance(statement, ast.Assign) else None
    if not isinstance(value, ast.Constant) or not isinstance(value.value, int):
        return statement
    assert isinstance(statement, ast.Assign)
    return ast.copy_location(
        ast.Assign(statement.targets, ast.copy_location(ast.Constant(float(value.value)), value)), statement)


def _function(name: str, parameters: Sequence[str], body: Sequence[ast.stmt], given: Sequence[str]) -> ast.FunctionDef:
    """Return statements as a function; it stands where they stand."""
    text = f"def {name}({', '.join(parameters)}):\n    return {', '.join(given)}\n"
    found = ast.parse(text).body[0]
    assert isinstance(found, ast.FunctionDef)
    for node in ast.walk(found):
        ast.copy_location(node, body[-1])
    found.body[:0] = body
    found.lineno = min(s.lineno for s in body)
    return ast.fix_missing_locations(found)
