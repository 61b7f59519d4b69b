"""Checking a file of student code from end to end: read it, bind its functions, judge them, in a limited child."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from symbp.language.diagnostics import DeclarationError, Diagnostic, Mistake
from symbp.language.files import file_bytes
from symbp.program import Program
from symbp.verify import child
from symbp.verify.check.text import text_of
from symbp.verify.check.verdict import GOOD, Fault, Judgement
from symbp.verify.student.binding.binder import UNKNOWN_RATE
from symbp.verify.student.binding.functions import Task, tasks
from symbp.verify.student.binding.hints import gradients_from
from symbp.verify.student.binding.scripts import script_of
from symbp.verify.student.binding.search import Bound, Unbound, Wishes, bind
from symbp.verify.student.binding.usage import parameters
from symbp.verify.student.judging import broadcasts
from symbp.verify.student.judging.gradient_judge import GradientJudge
from symbp.verify.student.judging.judge import Judge, judge
from symbp.verify.student.judging.misshapen import origin
from symbp.verify.student.judging.network import compared
from symbp.verify.student.judging.truth import Point
from symbp.verify.student.judging.work import line_of, statement_at
from symbp.verify.student.language.errors import Located, is_limit, is_unread
from symbp.verify.student.language.reading import Reading, read, read_text, span, unread

MOST_BYTES = 20_000_000
"""Bytes of a file that are read; more is told as too large."""
SECONDS = 10.0
"""Processor time that the check of one file may take; code that does not end spends its budget before, as a rule."""
SECONDS_OF_MANY = 2.0
"""Processor time for each file of a folder."""


@dataclass(frozen=True)
class Checked:
    """What is said of one task of a file.

    name:      the function that gives the gradients.
    judgement: the judgement.
    calls:     how the functions were called.
    """

    name: str
    judgement: Judgement
    calls: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default_factory=tuple)


def check_text(
    text: str, file: str = "code.py", named: Sequence[str] = (), wishes: Wishes | None = None
) -> list[Checked]:
    """Judge every task of a text.

    Raises ``DeclarationError`` where the text cannot be read, or holds no task.
    """
    return check_reading(read_text(text, file), named, wishes)


def check_reading(
    reading: Reading, named: Sequence[str] = (), wishes: Wishes | None = None, network: Program | None = None
) -> list[Checked]:
    """Judge every task of a file that has been read.

    network: what the forward pass should compute; without it the forward pass is taken at its word.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of NumPy: the mean of nothing
        return _tasks_checked(reading, named, wishes, network)


def _tasks_checked(
    reading: Reading, named: Sequence[str], wishes: Wishes | None, network: Program | None
) -> list[Checked]:
    try:
        found = tasks(reading.module, named)
    except Mistake as mistake:
        script = None if named else script_of(reading, wishes.loss if wishes is not None else "")
        if script is not None:
            return _each(script[0], [script[1]], wishes, network)
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        every = [s.name for s in reading.module.body if isinstance(s, kinds)]
        nothing = reading.diagnostic(mistake.code, str(mistake.args[0]), None, mistake.help)
        raise DeclarationError([*unread(reading, every), nothing]) from None
    if not named and all(t.backward is None and t.owner is None and not parameters(t.forward) for t in found):
        # What takes nothing makes its arrays itself: a script in a function.
        script = script_of(reading, wishes.loss if wishes is not None else "")
        reading, found = (script[0], [script[1]]) if script is not None else (reading, found)
    return _each(reading, found, wishes, network)


def _each(
    reading: Reading, found: Sequence[Task], wishes: Wishes | None, network: Program | None
) -> list[Checked]:
    names = [f.name for t in found for f in (t.forward, t.backward, t.loss, t.start, t.owner) if f is not None]
    refused = sorted(unread(reading, names), key=lambda d: (d.line, d.column))
    if wishes is not None and wishes.runs:
        return [_run(reading, task, wishes, network, refused) for task in found]
    if refused:
        raise DeclarationError(refused)
    return [_checked(reading, task, wishes, network) for task in found]


def _run(
    reading: Reading, task: Task, wishes: Wishes, network: Program | None, refused: Sequence[Diagnostic]
) -> Checked:
    """Judge a task whose code CPython runs, and say what that means."""
    found = _checked(reading, task, wishes, network)
    judgement = found.judgement
    remarks = list(judgement.remarks)
    if not judgement.good and not judgement.faults and judgement.verdict != "not checked":
        why = f"it does not read {refused[0].file}:{refused[0].line}: {refused[0].message}" if refused else (
            "leave out --run to be told, or why it cannot read the code")
        remarks.append(f"which line is wrong can be told by the interpreter only; {why}")
    remarks.append("the code was run by CPython, in a child process with limits; that is no sandbox")
    return replace(found, judgement=replace(judgement, remarks=tuple(remarks)))


def _checked(reading: Reading, task: Task, wishes: Wishes | None, network: Program | None) -> Checked:
    try:
        bound = bind(reading, task, wishes)
        astray = compared(bound, network) if network is not None else None
        kind = GradientJudge if wishes is not None and wishes.runs else Judge
        judgement = _judged(bound, kind) if astray is None else astray
    except Unbound as unbound:
        return Checked(task.name, _unchecked(reading, unbound.mistake, unbound.node))
    except Located as located:
        if _is_backward(task, located) and not is_limit(located) and not is_unread(located):
            return Checked(task.name, _broken(reading, origin(reading.module, located)))
        return Checked(task.name, _unchecked(reading, located.mistake, located.node))
    plan = bound.session.plan
    calls = (*plan.setup, *plan.forward, f"loss = {plan.loss}", *plan.backward)
    remarks = [*reading.remarks, *bound.remarks]
    if judgement.verdict in GOOD and bound.session.run(bound.case(0), keeps=False).has_drawn:
        remarks.append("random numbers are a fixed draw, the same in every run")
    called = "called as " + "; ".join(calls)
    if task.is_script:
        drawn = ", ".join(bound.case(0).sources)
        called = f"one round of the code outside of functions, at its own sizes; drawn anew: {drawn}"
        judgement = replace(judgement, sizes=tuple(_shapes(bound, turn) for turn, _ in enumerate(judgement.sizes)))
    return Checked(task.name, replace(judgement, remarks=(*judgement.remarks, *remarks, called)), calls)


def _judged(bound: Bound, kind: type[Judge]) -> Judgement:
    """Judge a task that was bound; of a training step that names no rate, whatever its length is is the rate."""
    found = judge(bound, kind)
    session = bound.session
    if found.verdict == "right up to a constant" and session.plan.rate == UNKNOWN_RATE:
        point = Point(bound, 0)
        path, of = session.plan.outputs[0]
        standing = point.stand(np.asarray(point.ran.outputs[path]), of)
        if standing is not None:
            bound.session = replace(session, plan=replace(session.plan, rate=repr(standing.constant)))
            again = judge(bound, kind)
            step = f"a step is {found.constant} times the gradient; that is taken to be the rate"
            if again.verdict in GOOD:
                return broadcasts.told(bound, replace(again, remarks=(*again.remarks, step)))
            bound.session = session
    return broadcasts.told(bound, found)


def _shapes(bound: Bound, turn: int) -> str:
    shapes = {path: np.shape(value) for path, value in bound.case(turn).sources.items()}
    return " ".join(f"{path} {'x'.join(map(str, shape)) or 'a number'}" for path, shape in shapes.items())


def _is_backward(task: Task, located: Located) -> bool:
    line = getattr(located.node, "lineno", 0)
    if task.backward is not None:
        return task.backward.lineno <= line <= (task.backward.end_lineno or 0)
    begins = gradients_from(task.forward)
    return bool(begins) and begins <= line <= (task.forward.end_lineno or 0)


def _unchecked(reading: Reading, mistake: Mistake, node: ast.AST) -> Judgement:
    """Return that a task was not checked, with the place and the way out."""
    line, _, _ = span(node, reading.lines)
    file, shown = reading.place(line)
    help = f" ({mistake.help})" if mistake.help else ""
    return Judgement("not checked", reason=f"{mistake.args[0]}, {file}:{shown}, {mistake.code}{help}")


def _broken(reading: Reading, located: Located) -> Judgement:
    """Return the judgement on a backward pass that breaks off before anything can be compared."""
    mistake = located.mistake
    line, column, length = span(located.node, reading.lines)
    statement = statement_at(reading.module, line)
    fault = Fault(
        0, (0,), of="", nature="", code=mistake.code, title=mistake.args[0], label=mistake.label,
        row=reading.place(line)[1], column=column, length=length, help=mistake.help,
    )
    return Judgement("wrong", (line_of(statement, reading),), (fault,), witnesses=("the run itself",))


# ---------------------------------------------------------------------------------------------------------
# In a child


@dataclass(frozen=True)
class Answer:
    """What a child says of a file: plain data.

    verdict: the worst verdict of its tasks, or ``unreadable``.
    text:    what is printed.
    rows:    for each task its name, verdict, line, code and source line.
    data:    the judgements as plain data.
    code:    the exit code: 0, 1 or 2.
    """

    verdict: str
    text: str
    rows: list[dict[str, Any]]
    data: list[dict[str, Any]]
    code: int


def check_file(
    path: Path, named: Sequence[str] = (), wishes: Wishes | None = None, *, network: Program | None = None,
    hint: bool = False, seconds: float = SECONDS,
) -> Answer:
    """Judge a file in a limited child."""
    try:
        data = file_bytes(path, path.name, MOST_BYTES)
    except DeclarationError as error:
        return Answer(**_unreadable(error))
    try:
        found = child.run(
            lambda: _answer(data, path.name, named, wishes, network, hint), child.Limits(seconds=seconds)
        )
    except child.Exceeded as exceeded:
        reason = f"not checked   {exceeded}\nNot checked: {exceeded}.\n"
        row = {"name": "", "verdict": "not checked", "line": 0, "code": "C125", "source": ""}
        return Answer("not checked", reason, [row], [{"verdict": "not checked", "reason": str(exceeded)}], 1)
    return Answer(**found)


def _unreadable(error: DeclarationError) -> dict[str, Any]:
    """Return what is said of a file that cannot be read."""
    first = error.diagnostics[0]
    row = {"name": "", "verdict": "unreadable", "line": first.line, "code": first.code, "source": first.source.strip()}
    return {
        "verdict": "unreadable", "text": error.render() + "\n", "rows": [row], "data": error.json(), "code": 2,
    }


def _answer(
    data: bytes, name: str, named: Sequence[str], wishes: Wishes | None, network: Program | None, hint: bool
) -> dict[str, Any]:
    try:
        found = check_reading(read(data, name), named, wishes, network)
    except DeclarationError as error:
        return _unreadable(error)
    texts, rows, facts = [], [], []
    for one in found:
        judgement = one.judgement
        head = f"{one.name}\n" if len(found) > 1 else ""
        texts.append(head + text_of(judgement, hint=hint))
        fault = judgement.faults[0] if judgement.faults else None
        line = judgement.lines[fault.line] if fault is not None and judgement.lines else None
        rows.append({
            "name": one.name, "verdict": judgement.verdict, "line": line.line if line else 0,
            "code": fault.code if fault else "", "source": line.source.strip() if line else "",
        })
        facts.append({"name": one.name, "calls": list(one.calls), **judgement.json()})
    good = all(one.judgement.good for one in found)
    verdict = next((r["verdict"] for r in rows if r["verdict"] not in GOOD), rows[0]["verdict"])
    return {"verdict": verdict, "text": "\n".join(texts), "rows": rows, "data": facts, "code": 0 if good else 1}
