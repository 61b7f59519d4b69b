"""Mutation testing: does the suite see that a line of the verifier, the rule book or the reader was changed?

    python benchmarks/mutants.py --count 400 --seed 1 --json mutants.json

A mutant is a module with one place changed: an operator, a comparison, a condition, a constant, a returned value.  A
sample is drawn from each room in proportion to its places, and each mutant meets the tests that cover its room, in a
process of its own with a time limit.  Printed are the share that was killed, and the survivors.  The mutator is our own
since tools such as mutmut run the whole suite through a configuration of the project: here a process that has imported
the libraries is forked for each mutant, and a mutant costs what its first failing test costs.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VERIFY = "tests/verify"
NORMAL_FORM = f"{VERIFY}/normal_form"

ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "normal form": (
        ("symbp/verify/normal_form",),
        tuple(
            f"{NORMAL_FORM}/test_{x}.py"
            for x in ("indices", "identities", "proofs", "text", "adjoint", "spoiled_rules", "rewrites", "premises")
        ),
    ),
    "evaluator": (
        ("symbp/verify/evaluate.py", "symbp/verify/scalars.py"),
        tuple(f"{VERIFY}/test_{x}.py" for x in ("evaluate", "rules")),
    ),
    "prime field": (
        ("symbp/verify/prime_field.py",), tuple(f"{VERIFY}/test_{x}.py" for x in ("prime_field", "witnesses", "rules")),
    ),
    "witnesses": (
        ("symbp/verify/witnesses.py", "symbp/verify/report.py"),
        tuple(f"{VERIFY}/test_{x}.py" for x in ("witnesses", "report", "rules", "random_programs")),
    ),
    "rules and steps": (
        ("symbp/verify/rules.py", "symbp/verify/steps.py"),
        tuple(f"{VERIFY}/test_{x}.py" for x in ("rules", "steps", "spoil")),
    ),
    "programs": (("symbp/verify/programs.py",), (f"{VERIFY}/test_programs.py", f"{VERIFY}/test_report.py")),
    "rule book": (("symbp/ops",), ("tests/ops", f"{VERIFY}/test_rules.py", "tests/calculus")),
    "reader": (("symbp/language",), ("tests/language",)),
}
"""Rooms: their modules, and the tests that cover them, those that kill most first."""


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, what stood there, and what stands there now."""

    room: str
    path: str
    line: int
    kind: str
    before: str
    after: str
    place: int


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: killed by a failing test or by the time limit, or survived."""

    mutant: Mutant
    verdict: str
    seconds: float


# ---------------------------------------------------------------------------------------------------------
# Places and changes

Change = tuple[str, Callable[[], ast.AST]]

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}


def changes(node: ast.AST) -> Iterator[Change]:
    """Yield the changes of one node, each with its kind and a function that makes the new node."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        other = COMPARISONS[type(node.ops[0])]
        yield "comparison", lambda: ast.Compare(node.left, [other()], node.comparators)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not _is_text(node):
        swapped = OPERATORS[type(node.op)]
        yield "operator", lambda: ast.BinOp(node.left, swapped(), node.right)
    if isinstance(node, ast.BoolOp):
        turned = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield "operator", lambda: ast.BoolOp(turned(), node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield "operator", lambda: node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", lambda: ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield "constant", lambda: ast.Constant(int(str(node.value)) + 1)
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        def negated() -> ast.AST:
            fields = {**dict(ast.iter_fields(node)), "test": ast.UnaryOp(ast.Not(), node.test)}
            return type(node)(**fields)

        yield "condition", negated
    if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "returned value", lambda: ast.Return(ast.Constant(None))


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(s, ast.JoinedStr) or (isinstance(s, ast.Constant) and isinstance(s.value, str))
        for s in (node.left, node.right)
    )


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, Change]]:
    """Yield every change of a module in a fixed order; annotations, raised errors and decorators are left alone."""
    for node in _visited(tree):
        for change in changes(node):
            yield node, change


def _visited(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or (isinstance(node, ast.Raise) and name == "exc"):
            continue
        if isinstance(node, ast.If) and name == "test" and "TYPE_CHECKING" in ast.unparse(value):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _visited(child)


class _Put(ast.NodeTransformer):
    """Puts a new node in place of one."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        if node is self.old:
            return ast.copy_location(self.new, node)
        return super().generic_visit(node)


def mutated(source: str, place: int) -> str:
    """Return the source of a module with one place changed."""
    tree = ast.parse(source)
    node, (_, make) = next(found for k, found in enumerate(places(tree)) if k == place)
    return ast.unparse(ast.fix_missing_locations(_Put(node, make()).visit(tree)))


def mutants(room: str) -> list[Mutant]:
    """Return every mutant of a room."""
    found = []
    for start in ROOMS[room][0]:
        for path in [ROOT / start] if start.endswith(".py") else sorted((ROOT / start).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            for k, (node, (kind, make)) in enumerate(places(ast.parse(source))):
                texts = [ast.unparse(ast.fix_missing_locations(x)).split("\n")[0] for x in (node, make())]
                line = getattr(node, "lineno", 0)
                found.append(Mutant(room, str(path.relative_to(ROOT)), line, kind, *texts, k))
    return found


def sample(rooms: Sequence[str], count: int, seed: int) -> list[Mutant]:
    """Return a sample of all mutants: from each room and kind in proportion, at least one."""
    rng = random.Random(seed)
    strata: dict[tuple[str, str], list[Mutant]] = {}
    for room in rooms:
        for mutant in mutants(room):
            strata.setdefault((room, mutant.kind), []).append(mutant)
    total = sum(map(len, strata.values()))
    chosen: list[Mutant] = []
    for group in strata.values():
        wanted = max(1, round(count * len(group) / total))
        chosen += rng.sample(group, min(wanted, len(group)))
    rng.shuffle(chosen)
    return chosen


# ---------------------------------------------------------------------------------------------------------
# Running


class _Mutated(importlib.abc.MetaPathFinder):
    """Finds the mutated module in place of the one on disk."""

    def __init__(self, mutant: Mutant) -> None:
        self.name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self.path = ROOT / mutant.path
        self.text = mutated(self.path.read_text(encoding="utf-8"), mutant.place)

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        loader = _Loader(name, str(self.path), self.text)
        package = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            name, self.path, loader=loader, submodule_search_locations=package
        )


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self.text = text

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self.text.encode(), self.path)


def run(tests: Sequence[str], mutant: Mutant | None, seconds: float) -> tuple[str, float]:
    """Run tests in a forked process, the first failure ends them; return the verdict and the seconds it took.

    The limit counts seconds of the processor, so that a busy machine kills nothing; what sleeps has ten times as long.
    """
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        _child(tests, mutant, seconds)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        took = time.perf_counter() - start
        if done:
            code = os.waitstatus_to_exitcode(status)
            return ("survived" if code == 0 else OVER_TIME if code == -signal.SIGXCPU else "killed"), took
        if took > 10 * seconds:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return OVER_TIME, took
        time.sleep(0.02)


OVER_TIME = "killed by the time limit"


def _child(tests: Sequence[str], mutant: Mutant | None, seconds: float) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
    code = 1
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.chdir(ROOT)
        if mutant is not None:
            found = _Mutated(mutant)
            assert found.name not in sys.modules, f"{found.name} is imported before it is changed"
            sys.meta_path.insert(0, found)
        import pytest

        code = int(pytest.main(["-x", "-q", "-n0", "-p", "no:cacheprovider", "--hypothesis-seed=0", *tests]))
    finally:
        os._exit(code)


LIBRARIES = ("numpy", "sympy", "pytest", "mpmath", "pydantic", "typer", "rich.console", "jinja2")
OWN = ("expr", "program", "derivation", "ops", "calculus", "language", "layers")
"""Our own rooms from the lowest up: none of them imports the verifier, and none one that comes later."""


def preload(rooms: Sequence[str]) -> None:
    """Import what no mutant changes, so that a forked process has it."""
    for name in LIBRARIES:
        importlib.import_module(name)
    changed = {start.split("/")[1].removesuffix(".py") for room in rooms for start in ROOMS[room][0]}
    for name in OWN:
        if name in changed:
            return
        importlib.import_module(f"symbp.{name}")


def main() -> int:
    """Print what became of a sample of mutants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400, help="how many mutants in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rooms", default=",".join(ROOMS), help="some rooms only, by name")
    parser.add_argument("--seconds", type=float, default=120.0, help="processor time that one mutant may take")
    parser.add_argument(
        "--baseline", action=argparse.BooleanOptionalAction, default=True, help="first run the tests without any change"
    )
    parser.add_argument("--json", type=Path, help="write all outcomes to a file, and go on from it")
    given = parser.parse_args()
    rooms = [r.strip() for r in given.rooms.split(",")]
    preload(rooms)
    known = {o["mutant"]["path"] + str(o["mutant"]["place"]): o for o in _read(given.json)}
    outcomes: list[Outcome] = []
    for room in rooms if given.baseline else ():
        verdict, took = run(ROOMS[room][1], None, 10 * given.seconds)
        print(f"{room:16s} its tests take {took:5.1f} s", flush=True)
        if verdict != "survived":
            print(f"{room}: the tests fail without any change")
            return 1
    for mutant in sample(rooms, given.count, given.seed):
        old = known.get(mutant.path + str(mutant.place))
        if old is not None and old["mutant"]["before"] == mutant.before and old["verdict"] != "survived":
            outcomes.append(Outcome(mutant, old["verdict"], old["seconds"]))
            continue
        outcomes.append(Outcome(mutant, *run(ROOMS[mutant.room][1], mutant, given.seconds)))
        if outcomes[-1].verdict == "survived":
            place = f"{mutant.path}:{mutant.line}"
            print(f"survived  {place}  {mutant.kind}: {mutant.before}  ->  {mutant.after}", flush=True)
        if given.json:
            given.json.write_text(json.dumps([asdict(o) for o in outcomes], indent=1))
    for room in rooms:
        mine = [o for o in outcomes if o.mutant.room == room]
        killed = sum(o.verdict != "survived" for o in mine)
        print(f"{room:16s} {killed} of {len(mine)} killed, {killed / max(1, len(mine)):.1%}")
    killed = sum(o.verdict != "survived" for o in outcomes)
    print(f"{'together':16s} {killed} of {len(outcomes)} killed, {killed / max(1, len(outcomes)):.1%}")
    return 0 if killed >= 0.95 * len(outcomes) else 1


def _read(path: Path | None) -> list[dict[str, Any]]:
    return json.loads(path.read_text()) if path and path.exists() else []  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main())
