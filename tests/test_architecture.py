"""Who may import whom, and which calls are forbidden: read from the syntax trees of the whole package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "symbp"
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports when it runs (what only a type checker sees does not count)."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                visit(other)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            # `from symbp import pipeline` imports symbp.pipeline.
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(part if _is_module(part) else str(node.module) for part in parts)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree(path))
    return found


def _is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def within(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(room + ".") for room in rooms)


EVERYTHING = ("symbp",)
CORE = ("symbp.expr", "symbp.program")
DATA = (*CORE, "symbp.derivation")
"""Programs and derivations: what is handed from room to room."""

MAY_IMPORT: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("symbp.expr",), ("symbp.expr",)),
    (("symbp.program",), CORE),
    (("symbp.derivation",), DATA),
    (("symbp.ops",), (*CORE, "symbp.ops")),
    (("symbp.calculus",), (*DATA, "symbp.ops", "symbp.calculus")),
    (("symbp.layers", "symbp.losses"), (*CORE, "symbp.ops", "symbp.layers", "symbp.losses", "symbp.language")),
    (("symbp.language",), (*CORE, "symbp.ops", "symbp.layers", "symbp.losses", "symbp.language")),
    (("symbp.plan",), (*DATA, "symbp.ops", "symbp.plan")),
    (("symbp.render",), (*DATA, "symbp.ops", "symbp.calculus", "symbp.plan", "symbp.render", "symbp.version")),
    (("symbp.verify.evaluate", "symbp.verify.normal_form", "symbp.verify.scalars"), (*CORE, "symbp.verify")),
    (("symbp.networks", "symbp.choices"), ("symbp.networks", "symbp.choices")),
    (("symbp.settings",), ("symbp.choices",)),
]
"""Rooms, and the rooms from which they may import; a room that is not named may import everything."""


@pytest.mark.parametrize(("rooms", "allowed"), MAY_IMPORT, ids=lambda value: value[0])
def test_rooms_import_only_what_lies_below_them(rooms: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    mine = [path for path in FILES if within(module_of(path), rooms)]
    assert mine, f"there is no module in {rooms}"
    wrong = [
        f"{module_of(path)} imports {name}"
        for path in mine for name in sorted(imports(path))
        if within(name, EVERYTHING) and not within(name, allowed)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_judge_is_not_the_accused() -> None:
    """The evaluator and the normal form see programs only: no rules, no engine, no printer."""
    accused = ("symbp.ops", "symbp.calculus", "symbp.render", "symbp.layers", "symbp.losses", "symbp.language")
    judges = ("symbp.verify.evaluate", "symbp.verify.normal_form")
    reached = {module_of(path) for path in FILES if within(module_of(path), judges)}
    todo = list(reached)
    known = {module_of(path): path for path in FILES}
    while todo:
        for name in imports(known[todo.pop()]):
            # Importing symbp.verify.x runs symbp/verify/__init__.py as well; that is for the user, not for the judge.
            if name in known and name not in reached and name != "symbp.verify":
                reached.add(name)
                todo.append(name)
    assert not [name for name in reached if within(name, accused)]


def test_targets_do_not_import_each_other() -> None:
    targets = [p.parent.name for p in PACKAGE.glob("render/*/__init__.py")]
    assert "numpy" in targets
    for path in FILES:
        mine = next((t for t in targets if within(module_of(path), (f"symbp.render.{t}",))), None)
        others = tuple(f"symbp.render.{t}" for t in targets if t != mine)
        if mine:
            assert not [name for name in imports(path) if within(name, others)], path


def test_sympys_matrices_are_imported_in_expr_alone() -> None:
    wrong = [
        f"{module_of(path)} imports {name}"
        for path in FILES if not within(module_of(path), ("symbp.expr",))
        for name in imports(path) if name.startswith("sympy.matrices")
    ]
    assert not wrong, "\n".join(wrong)


# ---------------------------------------------------------------------------------------------------------
# Forbidden calls

FORBIDDEN_NAMES = {"eval", "exec", "compile", "parse_expr", "lambdify", "parse_latex", "__import__", "system", "popen"}
"""Calls that would run or guess at what comes from outside."""

HEAVY_METHODS = {"doit", "diff", "simplify", "expand", "integrate"}
"""SymPy's methods that rewrite; they are for scalars only, in the modules below."""

HEAVY_FUNCTIONS = {"simplify", "diff", "integrate", "factor", "together", "default_sort_key"}
"""The same as functions; ``sp.expand`` and ``sp.cancel`` are index arithmetic, where polynomials are compared."""

SCALAR_MODULES = (
    "symbp.expr.sizes",  # sizes are compared as expanded polynomials
    "symbp.verify.scalars",  # slopes from the scalar law
    "symbp.verify.explicit",  # SymPy's scalar derivatives of the explicit loss, entry by entry
    "symbp.verify.prime_field",
    "symbp.verify.normal_form",
    "symbp.render.numpy",  # derivatives of a user's scalar function
    "symbp.render.c.functions",  # the same
    "symbp.language.scalars",
    "symbp.language.laws",
)
"""Where SymPy's scalar calculus may be used."""

TEXT_TO_SYMPY = {"sympify", "S"}


RUNS_CODE = {"symbp.verify.student.binding.execution": {"compile", "eval"}}
"""The one module that lets CPython run what comes from outside: that is what ``--run`` asks for,
and it does so in a confined process only (``test_execution.py``)."""


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _place(path: Path, call: ast.Call) -> str:
    return f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)[:90]}"


def _run_nothing(path: Path) -> list[str]:
    wrong = []
    for call in calls(path):
        name = called(call)
        bare = isinstance(call.func, ast.Name)
        # `re.compile` compiles patterns, `shape.eval` would be a method: builtins are called by their bare name.
        if name in RUNS_CODE.get(module_of(path), ()) and bare:
            continue
        if name in FORBIDDEN_NAMES and (bare or name not in ("compile", "eval", "exec")):
            wrong.append(_place(path, call))
        if name in TEXT_TO_SYMPY:
            strict = any(k.arg == "strict" and ast.unparse(k.value) == "True" for k in call.keywords)
            if not strict and not all(isinstance(a, ast.Constant) and not _is_text(a) for a in call.args):
                wrong.append(_place(path, call))
        if name in ("subs", "xreplace") and any(_is_text(a) for a in call.args):
            wrong.append(_place(path, call))
        if any(k.arg == "shell" for k in call.keywords):
            wrong.append(_place(path, call))
    return wrong


def _rewrite_nothing(path: Path) -> list[str]:
    if within(module_of(path), SCALAR_MODULES):
        return []
    return [
        _place(path, call) for call in calls(path)
        if (isinstance(call.func, ast.Attribute) and call.func.attr in HEAVY_METHODS
            and ast.unparse(call.func.value) not in ("sp", "sympy", "np"))
        or (called(call) in HEAVY_FUNCTIONS and ast.unparse(call.func).startswith(("sp.", "sympy.")))
        or called(call) == "default_sort_key"
    ]


@pytest.mark.parametrize("lint", [_run_nothing, _rewrite_nothing], ids=["runs nothing", "rewrites nothing"])
def test_forbidden_calls(lint: object) -> None:
    wrong = [line for path in FILES for line in lint(path)]  # type: ignore[operator]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "eval(text)", "exec(text)", "compile(text, 'f', 'eval')", "sp.sympify(text)", "sympify('x + 1')", "sp.S(text)",
        "sp.parse_expr(text)", "sp.lambdify(x, f)", "value.subs('x', 2)", "run(c, shell=True)", "os.system(c)",
    ],
)
def test_the_lint_sees_what_would_run(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.tree", lambda path: ast.parse(text))
    assert _run_nothing(ROOT / "symbp" / "x.py")


def test_code_is_run_in_one_place() -> None:
    """A confined process is asked for where code is run, and there is one such call."""
    (name,) = RUNS_CODE
    path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    (function,) = (
        f for f in ast.walk(tree(path)) if isinstance(f, ast.FunctionDef)
        and any(isinstance(c, ast.Call) and called(c) == "eval" for c in ast.walk(f))
    )
    first = function.body[1]
    assert ast.unparse(first) == "close()"
    assert sum(called(c) == "eval" for c in calls(path)) == 1


@pytest.mark.parametrize("text", ["A.doit()", "A.diff(X)", "sp.simplify(A)", "sorted(xs, key=default_sort_key(x))"])
def test_the_lint_sees_what_would_rewrite(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.tree", lambda path: ast.parse(text))
    assert _rewrite_nothing(ROOT / "symbp" / "x.py")


# ---------------------------------------------------------------------------------------------------------
# Names and texts


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}
    assert not [module_of(path) for path in FILES if path.stem in drawers]


def test_every_module_says_what_it_is() -> None:
    assert not [module_of(path) for path in FILES if not ast.get_docstring(tree(path))]


def test_every_public_name_says_what_it_is() -> None:
    silent = [
        f"{module_of(path)}.{node.name}"
        for path in FILES for node in tree(path).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
        # A decorated function is registered under a meaning in words: that is its docstring.
        and not ast.get_docstring(node) and not getattr(node, "decorator_list", [])
    ]
    assert not silent, "\n".join(silent)
