"""Hostile inputs from a forked child: a sample of them here, 500 among the slow tests, and holes that must be seen."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def hostile() -> ModuleType:
    """The benchmark, with the modules beside it."""
    for name in ("hostile_texts", "hostile_inputs", "hostile_child", "hostile_readers", "hostile"):
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    return sys.modules["hostile"]


# What must be seen: each reader does with a text what no reader may do.
def evaluates(text: str) -> str:
    eval(text)  # noqa: S307
    return "read"


def executes(text: str) -> str:
    exec(text)  # noqa: S102
    return "read"


def writes(text: str) -> str:
    Path("CANARY").write_text(text)
    return "read"


def removes(text: str) -> str:
    os.remove("nothing.txt")
    return "read"


def reads(text: str) -> str:
    Path("/etc/hostname").read_bytes()
    return "read"


def starts(text: str) -> str:
    os.system("true")
    return "read"


def connects(text: str) -> str:
    import socket

    socket.socket().close()
    return "read"


def works(text: str) -> str:
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    return "read"


def hangs(text: str) -> str:
    time.sleep(60)
    return "read"


def eats(text: str) -> str:
    return "read" if bytearray(2**28) else ""


def raises(text: str) -> str:
    raise KeyError(text)


def ends(text: str) -> str:
    os._exit(0)


HOLES = {
    evaluates: "exec of code", executes: "exec of code", writes: "open", removes: "os.remove", reads: "open",
    starts: "os.system", connects: "socket", works: "took", hangs: "no answer", eats: "MemoryError", raises: "KeyError",
    ends: "the child ended",
}


@pytest.mark.parametrize("hole", HOLES, ids=lambda f: f.__name__)
def test_a_hole_is_seen(hostile: ModuleType, hole: object) -> None:
    with hostile.Child(hole, seconds=0.2, memory=2**26, patience=1.0 if hole is hangs else 30.0) as child:
        outcome = child.ask("1 + 1")
        assert outcome.failed
        assert HOLES[hole] in outcome.what  # type: ignore[index]


def test_a_child_that_was_forked_anew_is_watched_as_well(hostile: ModuleType) -> None:
    with hostile.Child(evaluates) as child:
        assert [child.ask("1 + 1").failed for _ in range(3)] == [True] * 3


def test_what_is_harmless_is_no_failure(hostile: ModuleType) -> None:
    with hostile.Child(lambda text: "read" if text == "\ud800 é" else "refused") as child:
        assert [child.ask(text).what for text in ("\ud800 é", "", "x" * 1_000_000)] == ["read", "refused", "refused"]


def test_inputs_are_the_same_for_a_seed(hostile: ModuleType) -> None:
    for by_hand, make in hostile.LANGUAGES.values():
        assert len(set(by_hand())) > 150
        first, again, other = ([make(rng) for rng in (random.Random(seed + k) for k in range(30))] for seed in (50,
        50, 90))
        assert first == again
        assert first != other


FEW = {"declaration": 40, "equations": 6, "student": 20, "command": 12}
MANY = {"declaration": 300, "equations": 20, "student": 120, "command": 60}


@pytest.mark.parametrize(("language", "count"), FEW.items())
def test_hostile_inputs(hostile: ModuleType, language: str, count: int) -> None:
    seen = hostile.run(language, count, seed=1, every=31)
    assert not seen.failures
    assert seen.ends["refused"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("language", "count"), MANY.items())
def test_five_hundred_hostile_inputs(hostile: ModuleType, language: str, count: int) -> None:
    seen = hostile.run(language, count, seed=2, every=3)
    assert not seen.failures
