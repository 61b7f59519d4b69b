"""Runs of the suite against changed modules: which tests reach a statement, and whether one of them fails.

One run with marked modules notes which statements each test reaches, and how long it takes.  A mutant then meets the
tests that reach its statement, the quickest first, in a forked process that has imported the libraries; the first
failure ends it.
"""

from __future__ import annotations

import ast
import builtins
import gc
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

import pytest
from mutations import ROOT, Mutant, mutated

LIBRARIES = ("numpy", "sympy", "mpmath", "pydantic", "typer", "rich.console", "jinja2", "hypothesis.strategies")
OWN = ("expr", "program", "derivation", "ops", "calculus", "language", "layers")
"""Our own rooms from the lowest up: none of them imports the verifier, and none one that comes later."""

Verdict = tuple[str, str, float]
"""What became of a mutant: killed or survived, by which test, and the seconds that it took."""
OVER_TIME = "killed by the time limit"


@dataclass
class Reach:
    """Which tests reach which statements: seconds of each test, tests of each statement, and what runs at import."""

    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[str, list[str]] = field(default_factory=dict)
    at_import: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    """Tests that fail without any change, so that they show nothing."""
    hold: set[str] = field(default_factory=set)
    """Tests that passed alone without any change."""

    def of(self, mutant: Mutant) -> list[str]:
        """Return the tests that reach a mutant, the quickest first.

        What runs at import is reached by all, and so is a module that was changed since; those that reach another
        statement of the module then come first.
        """
        place = f"{mutant.path}:{mutant.line}"
        same = self.texts.get(mutant.path) == text_of(mutant.path)
        if same and place not in self.at_import:
            return sorted(self.tests.get(place, ()), key=self.seconds.__getitem__)
        near = {t for at, tests in self.tests.items() if at.startswith(f"{mutant.path}:") for t in tests}
        return sorted(self.seconds, key=lambda t: (t not in near, self.seconds[t]))

    def leave_out(self, test: str) -> None:
        """Forget a test that fails without any change."""
        self.left_out.append(test)
        del self.seconds[test]
        for tests in self.tests.values():
            if test in tests:
                tests.remove(test)

    def within(self, tests: Sequence[str], seconds: float) -> list[str]:
        """Return the first of some tests that together take no longer than some seconds, at least one."""
        total, chosen = 0.0, []
        for test in tests:
            total += self.seconds[test]
            if chosen and total > seconds:
                break
            chosen.append(test)
        return chosen

    def write(self, path: Path) -> None:
        """Write it to a file, tests by number."""
        number = {test: k for k, test in enumerate(self.seconds)}
        tests = {at: [number[t] for t in found] for at, found in self.tests.items()}
        at_import = sorted(self.at_import)
        path.write_text(json.dumps([self.seconds, tests, at_import, self.texts, self.left_out]))

    @staticmethod
    def read(path: Path) -> Reach:
        """Return what was written to a file."""
        seconds, numbers, at_import, texts, left_out = json.loads(path.read_text())
        names = list(seconds)
        tests = {at: [names[k] for k in found] for at, found in numbers.items()}
        return Reach(seconds, tests, set(at_import), texts, left_out)


def text_of(path: str) -> str:
    """Return a short sign of what a module says."""
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


# ---------------------------------------------------------------------------------------------------------
# Modules with other text


class _Changed(importlib.abc.MetaPathFinder):
    """Finds modules whose text is changed in place of those on disk."""

    def __init__(self, paths: Iterable[str], change: Callable[[str, str], str]) -> None:
        self.paths = {p.removesuffix(".py").removesuffix("/__init__").replace("/", "."): p for p in paths}
        self.change = change
        loaded = self.paths.keys() & sys.modules.keys()
        assert not loaded, f"{loaded} are imported before they are changed"

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name not in self.paths:
            return None
        file = ROOT / self.paths[name]
        loader = _Loader(name, str(file), self.change(self.paths[name], file.read_text(encoding="utf-8")))
        package = [str(file.parent)] if file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(name, file, loader=loader, submodule_search_locations=package)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self.text = text

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self.text.encode(), self.path)


def marked(path: str, source: str) -> str:
    """Return the source of a module with a mark before each statement: `__reached__("path:line")`."""
    tree = ast.parse(source)
    for node in list(ast.walk(tree)):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                setattr(node, name, [x for statement in block for x in (*_mark(path, statement), statement)])
    return ast.unparse(ast.fix_missing_locations(tree))


def _mark(path: str, statement: ast.stmt) -> Iterator[ast.stmt]:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return
    if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
        return
    yield ast.Expr(ast.Call(ast.Name("__reached__", ast.Load()), [ast.Constant(f"{path}:{statement.lineno}")], []))


# ---------------------------------------------------------------------------------------------------------
# Plugins of pytest


class _Watch:
    """Notes the seconds of each test and the statements it reaches."""

    def __init__(self, reached: set[str]) -> None:
        self.reached = reached
        self.reach = Reach()

    def pytest_collection_finish(self) -> None:
        self.reach.at_import = set(self.reached)
        self.caches = [x for x in gc.get_objects() if callable(getattr(type(x), "cache_clear", None))]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        for cache in self.caches:  # what one test has computed, another one computes again
            if str(getattr(cache, "__module__", "")).startswith("symbp"):
                cache.cache_clear()
        self.reached.clear()
        start = sum(os.times()[:4])
        result = yield
        if item.nodeid in self.reach.left_out:
            return result
        self.reach.seconds[item.nodeid] = sum(os.times()[:4]) - start
        for at in self.reached:
            self.reach.tests.setdefault(at, []).append(item.nodeid)
        return result


    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self.reach.left_out:
            self.reach.left_out.append(report.nodeid)


class _Chosen:
    """Runs some tests in their order, each within a time limit; writes the name of the one that fails."""

    def __init__(self, tests: Sequence[str], reach: Reach, note: IO[str]) -> None:
        self.order = {test: k for k, test in enumerate(tests)}
        self.reach, self.note = reach, note

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        new = [x for x in items if x.nodeid not in self.reach.seconds and x.nodeid not in self.reach.left_out]
        items[:] = new + sorted(
            (x for x in items if x.nodeid in self.order), key=lambda x: self.order[x.nodeid]
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        # the clock counts time of the processor, so that a busy machine kills nothing
        signal.setitimer(signal.ITIMER_PROF, 10 + 10 * self.reach.seconds.get(item.nodeid, 5.0))
        self._write(item.nodeid)
        return (yield)

    def _write(self, name: str) -> None:
        self.note.seek(0)
        self.note.truncate()
        self.note.write(name)
        self.note.flush()


# ---------------------------------------------------------------------------------------------------------
# Forked processes


def preload(changed: Iterable[str]) -> None:
    """Import what no change touches, so that a forked process has it."""
    for name in LIBRARIES:
        importlib.import_module(name)
    rooms = {path.split("/")[1].removesuffix(".py") for path in changed}
    for name in OWN:
        if name in rooms:
            return
        importlib.import_module(f"symbp.{name}")


def watch(files: Sequence[str], paths: Sequence[str]) -> Reach:
    """Run tests once and return which statements of some modules each of them reaches."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "reach"

        def child() -> int:
            reached: set[str] = set()
            builtins.__reached__ = reached.add  # type: ignore[attr-defined]
            sys.meta_path.insert(0, _Changed(paths, marked))
            for path in paths:
                importlib.import_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
            watch = _Watch(reached)
            code = _pytest(files, watch)
            watch.reach.texts = {path: text_of(path) for path in paths}
            watch.reach.write(made)
            return code

        os.waitpid(_fork(child), 0)
        return Reach.read(made)


def judged(mutant: Mutant, seconds: float, reach: Reach, files: Sequence[str]) -> Verdict:
    """Run the tests that reach a mutant, for some seconds; a test that fails alone without a change kills nothing."""
    while True:
        verdict = run(mutant, reach.within(reach.of(mutant), seconds), reach, files)
        test = verdict[1]
        if verdict[0] == "survived" or test not in reach.seconds or test in reach.hold:
            return verdict
        if run(None, [test], reach, files)[0] == "survived":
            reach.hold.add(test)
        else:
            reach.leave_out(test)


def run(mutant: Mutant | None, tests: Sequence[str], reach: Reach, files: Sequence[str]) -> Verdict:
    """Run tests against a mutant in a forked process; return the verdict, the test that killed, and the seconds.

    Of the files, those are collected that hold one of the tests or are not known to the reach.
    """
    start = time.perf_counter()
    known, wanted = ({t.split("::")[0] for t in x} for x in (reach.seconds, tests))
    chosen = [file for file in files if file in wanted or file not in known]
    if not chosen:
        return "survived", "no test reaches it", 0.0
    with tempfile.TemporaryFile("w+") as note:

        def child() -> int:
            if mutant is not None:
                sys.meta_path.insert(0, _Changed([mutant.path], lambda _, source: mutated(source, mutant.place)))
            importlib.import_module("symbp.render")  # how expressions are printed is part of the names of tests
            return _pytest(["-x", *chosen], _Chosen(tests, reach, note))

        pid = _fork(child)
        limit = 60 + 30 * sum(reach.seconds[t] for t in tests)
        code = _wait(pid, start + limit)
        note.seek(0)
        by = note.read() or "collection"
    took = time.perf_counter() - start
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise RuntimeError(f"no test was run against {mutant}")
    if code == pytest.ExitCode.OK:
        return "survived", "", took
    return OVER_TIME if code in (-signal.SIGPROF, -signal.SIGKILL) else "killed", by, took


def _wait(pid: int, until: float) -> int:
    """Return the exit code of a process, which is ended when its time is over."""
    while time.perf_counter() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _fork(child: Callable[[], int]) -> int:
    """Start a function in a process of its own, without output and with a limit on its memory."""
    pid = os.fork()
    if pid == 0:
        _silent(child)
    return pid


def _silent(child: Callable[[], int]) -> NoReturn:
    code = 1
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, resource.getrlimit(resource.RLIMIT_AS)[1]))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.chdir(ROOT)
        code = child()
    finally:
        os._exit(code)


def _pytest(given: Sequence[str], plugin: object) -> int:
    from hypothesis import settings

    settings.register_profile("mutants", deadline=None)
    settings.load_profile("mutants")
    options = ["-q", "-n0", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is imported before
    return int(pytest.main([*options, *given], plugins=[plugin]))
