"""What deriving costs: a network of many written layers, whole and per pass, and how many operations come out.

    python benchmarks/derive_scaling.py [--layers 10 100 1000] [--check]

``--check`` exits with 1 when the cost is not linear (1,000 layers more than 12 times 100),
above 10 ms per layer, or when a layer has more than 12 operations.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from symbp.cli.app import COLLECTION
from symbp.derivation import Derivation
from symbp.expr import Add, Constant, Hadamard, MatMul, Node, Ref, Scale, Transpose, walk
from symbp.language import read_text
from symbp.render.document import latex_document

PASSES: dict[str, list[tuple[str, str]]] = {
    "naming": [("symbp.calculus.derive", "recognise"), ("symbp.calculus.derive", "name_parts")],
    "activity": [("symbp.calculus.adjoint", "moving"), ("symbp.calculus.adjoint", "influencing")],
    "adjoint": [("symbp.calculus.derive", "adjoint")],
    "identities": [("symbp.calculus.derive", "_readable")],
    "check": [("symbp.calculus.derive", "check")],
}
"""The functions that make up a pass; time spent in a pass inside another one counts for the inner one."""


@dataclass
class Clock:
    """Seconds by pass."""

    seconds: dict[str, float] = field(default_factory=dict)
    running: list[tuple[str, float]] = field(default_factory=list)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Charge what runs inside to a pass, and take it off the pass around it."""
        start = time.perf_counter()
        try:
            self.running.append((name, 0.0))
            yield
        finally:
            _, inside = self.running.pop()
            took = time.perf_counter() - start
            self.add(name, took - inside)
            if self.running:
                around, charged = self.running[-1]
                self.running[-1] = (around, charged + took)

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            with self.of(name):
                return function(*arguments, **options)

        return timed


@contextmanager
def instrumented(clock: Clock) -> Iterator[None]:
    """Put clocks around the passes of the engine."""
    honest: list[tuple[Any, str, Any]] = []
    for name, functions in PASSES.items():
        for module_name, function_name in functions:
            module = importlib.import_module(module_name)
            honest.append((module, function_name, getattr(module, function_name)))
            setattr(module, function_name, clock.wrapped(name, getattr(module, function_name)))
    try:
        yield
    finally:
        for module, function_name, function in honest:
            setattr(module, function_name, function)


def network(layers: int) -> str:
    """Return the declaration of a network in which every layer is written out."""
    lines = ["samples: m", "X: input[n, m]", "Y: target[n, m]"]
    for k in range(1, layers + 1):
        above = "X" if k == 1 else f"A{k - 1}"
        lines += [f"W{k}: param[n, n]; b{k}: param[n, 1]", f"Z{k} = W{k} @ {above} + b{k}", f"A{k} = tanh(Z{k})"]
    return "\n".join([*lines, f"loss = sum((A{layers} - Y)**2) / (2*m)"]) + "\n"


def operations(derivation: Derivation) -> int:
    """Count the operations of both passes; names, constants, transposes and coefficients are free."""
    return sum(_cost(node) for site in derivation.program.sites for node in walk(site.equation.value))


def _cost(node: Node) -> int:
    if isinstance(node, (Ref, Constant, Transpose, Scale)):
        return 0
    return len(node.operands) - 1 if isinstance(node, (Add, MatMul, Hadamard)) else 1


def measure(layers: int) -> tuple[Clock, float]:
    """Return the seconds of each pass on a network of that many layers, and its operations per layer."""
    clock = Clock()
    text = network(layers)
    gc.collect()
    # A package shows the function `derive` under the name of its module, so the module is asked for by name.
    engine = importlib.import_module("symbp.calculus.derive")
    with instrumented(clock):
        with clock.of("reading"):
            program = read_text(text)
        with clock.of("rest"):
            derivation = engine.derive(program)
        with clock.of("LaTeX"):
            latex_document(derivation, text=text)
    return clock, operations(derivation) / layers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    gc.set_threshold(*COLLECTION)  # as the command line does
    measure(3)
    wrong, before = [], None
    for layers in chosen.layers:
        repeats = max(3, 200 // layers)
        clock, each = min((measure(layers) for _ in range(repeats)), key=lambda m: sum(m[0].seconds.values()))
        whole = sum(clock.seconds.values())
        parts = "  ".join(f"{name} {1000 * s / layers:.2f}" for name, s in clock.seconds.items())
        print(f"{layers:5} layers  {whole:7.3f} s  {1000 * whole / layers:5.2f} ms and {each:5.2f} operations a layer")
        print(f"      ms a layer: {parts}")
        if whole / layers > 0.010 and layers >= 100:
            wrong.append(f"{layers} layers take {1000 * whole / layers:.1f} ms a layer, more than 10")
        if before and layers == 10 * before[0] and layers >= 1000 and whole > 12 * before[1]:
            wrong.append(f"{layers} layers take {whole / before[1]:.1f} times as long as {before[0]}, more than 12")
        if layers >= 100 and each > 12:
            wrong.append(f"{each:.1f} operations a layer, more than 12")
        before = (layers, whole)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if chosen.check and wrong else 0


if __name__ == "__main__":
    sys.exit(main())
