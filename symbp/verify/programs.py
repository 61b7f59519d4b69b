"""Verifying a whole network by independent witnesses: every printed equation, every step, the generated modules."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from symbp.derivation import Derivation
from symbp.expr import Function, Map, Node, transform
from symbp.program import Equation, Program, ProgramError, check, elementwise_functions, map_equations
from symbp.verify.draws import NoDraw, choose_sizes, sizes_text
from symbp.verify.module import check_module, load_module
from symbp.verify.normal_form import Proof, prove_adjoint
from symbp.verify.report import Verdict, judge, skipped, together
from symbp.verify.running import same_values
from symbp.verify.steps import check_steps
from symbp.verify.witnesses import (
    CANCELS,
    ROOT_PRIMES,
    TINY_SIZES,
    VANISHES,
    ZERO,
    Finding,
    adjoints_by_complex_step,
    adjoints_exactly,
    exact_sizes,
    hessian_exactly,
    inner_product,
    only_declared,
)

STAND_IN = Function("tanh")
"""What a function that was left unspecified is in a generated module under test."""


def adjoints_of(derivation: Derivation) -> dict[str, str]:
    """Return variable -> adjoint for every adjoint that has an equation."""
    defined = {site.target.name for site in derivation.program.sites}
    found = dict(derivation.gradients)
    for var in derivation.program.variables.values():
        if var.kind == "adjoint" and var.origin is not None and var.name in defined:
            found.setdefault(var.origin.of, var.name)
    return found


def gradient_check(
    derivation: Derivation, *, draws: int = 3, seed: int = 0, sizes: Sequence[Mapping[str, Any]] | None = None,
    values: Mapping[str, Any] | None = None, zero_is_a_claim: bool = False,
) -> dict[str, list[Finding]]:
    """Check every adjoint equation of a derivation by complex step, in the prime field and by the inner product.

    Arguments
    ---------
    draws:  how many draws of sizes and values each witness makes at least (all bounds of loops come first).
    sizes:  assignments of sizes for the numeric witnesses; by default distinct primes and several bounds of loops.
    values: data to use in place of draws: then a check that could not fail is refused.
    zero_is_a_claim: an adjoint that is zero at every draw of every witness (a bias before a normalisation) holds,
            and says so; otherwise the check is refused.

    Declared variables are compared with the program as it was declared; named parts with the program in which they
    got their names.  Returns the findings by adjoint.
    """
    source, named = derivation.source, derivation.named
    adjoints = adjoints_of(derivation)
    groups = [
        (source, {n: b for n, b in adjoints.items() if n in source.variables and only_declared(source, n)}),
        (named, {n: b for n, b in adjoints.items() if n not in source.variables or not only_declared(source, n)}),
    ]
    rng = np.random.default_rng(seed)
    found: dict[str, list[Finding]] = {bar: [] for bar in adjoints.values()}

    def keep(findings: Sequence[Finding]) -> None:
        for finding in findings:
            found.setdefault(finding.subject, []).append(finding)

    chosen = _enough(lambda turn: choose_sizes(source, turn=turn), draws) if sizes is None else list(sizes)
    for assignment in chosen:
        for truth, group in groups:
            if group:
                keep(adjoints_by_complex_step(
                    truth, derivation.program, group, derivation.output, sizes=assignment, rng=rng, values=values,
                    all_sizes=chosen,
                ))
    if values is None:
        for k, assignment in enumerate(_enough(lambda turn: exact_sizes(source, turn=turn), draws)):
            for truth, group in groups:
                if group:
                    keep(_exact(truth, derivation, group, assignment, seed + k))
        product = jvp_and_vjp(derivation, chosen, rng)
        for bar in derivation.gradients.values():
            found[bar] += product
    if zero_is_a_claim and values is None:
        found = {bar: _zero_everywhere(findings) for bar, findings in found.items()}
    return found


def _zero_everywhere(findings: list[Finding]) -> list[Finding]:
    """Let the witnesses hold where both saw nothing but zero, at all points: that the derivative is zero is right."""
    seen = [f for f in findings if f.witness in ("complex step", "exact") and f.outcome != "not checked"]
    if {f.witness for f in seen} != {"complex step", "exact"} or any(
        f.detail not in (CANCELS, VANISHES, ZERO) for f in seen
    ):
        return findings
    return [
        replace(f, outcome="holds", detail="the derivative is zero at every draw") if f in seen else f for f in findings
    ]


def _enough(make: Callable[[int], Sequence[Mapping[str, Any]]], draws: int) -> list[Mapping[str, Any]]:
    """Return all assignments of sizes, with the primes turned around as often as ``draws`` asks for."""
    found: list[Mapping[str, Any]] = []
    for turn in itertools.count():
        found += make(turn)
        if len(found) >= draws:
            return found
    return found


def _exact(
    truth: Program, derivation: Derivation, group: Mapping[str, str], assignment: Mapping[str, Any], seed: int
) -> list[Finding]:
    """Run the exact witness; where roots fail at these sizes, at sizes that have roots themselves."""
    last = ""
    for sizes in (assignment, *_with_roots(derivation.source)):
        try:
            return adjoints_exactly(truth, derivation.program, group, derivation.output, sizes=sizes, seed=seed)
        except NoDraw as reason:
            last = str(reason)
    return [Finding("exact", bar, "not checked", sizes=sizes_text(assignment), detail=last) for bar in group.values()]


def _with_roots(program: Program) -> list[dict[str, Any]]:
    """Return sizes at which square roots are more likely to exist: few entries, or sizes that have roots themselves."""
    found: list[dict[str, Any]] = []
    for among in (TINY_SIZES, ROOT_PRIMES):
        try:
            found += exact_sizes(program, limit=1, among=among)
        except NoDraw:
            continue
    return found


def jvp_and_vjp(
    derivation: Derivation, sizes: Sequence[Mapping[str, Any]], rng: np.random.Generator
) -> list[Finding]:
    """Compare the differential of the forward pass with the gradients by the inner product."""
    differential = import_module("symbp.calculus").differential
    tangent, _ = differential(derivation.forward, list(derivation.gradients))
    pairs = {n: (_tangent_of(tangent, n), bar) for n, bar in derivation.gradients.items()}
    if not all(move for move, _ in pairs.values()):
        return []
    d_output = _tangent_of(tangent, derivation.output) or f"d_{derivation.output}"
    return [
        inner_product(
            derivation.forward, tangent, derivation.program, pairs, derivation.output, d_output, sizes=s, rng=rng
        )
        for s in sizes
    ]


def _tangent_of(program: Program, name: str) -> str:
    for var in program.variables.values():
        if var.origin is not None and var.origin.role == "tangent" and var.origin.of == name:
            return var.name
    return ""


def check_derivation(derivation: Derivation, *, draws: int = 3, seed: int = 0) -> list[Verdict]:
    """Return a verdict on each adjoint equation, on the second derivative, and on the steps as a whole."""
    verdicts = []
    try:
        check(derivation.program)
        premises = [Finding("premises", "program", "holds")]
    except ProgramError as error:
        premises = [Finding("premises", "program", "fails", detail=str(error).split("\n")[0])]
    found = gradient_check(derivation, draws=draws, seed=seed, zero_is_a_claim=True)
    proofs: dict[str, list[Proof]] = {}
    for proof in prove_adjoint(derivation.forward, derivation.program, derivation.output):
        proofs.setdefault(proof.target.name, []).append(proof.proof)
    for bar, findings in found.items():
        verdicts.append(judge(bar, "adjoint equation", findings, *together(proofs.get(bar, []))))
    steps = check_steps(derivation, np.random.default_rng(seed))
    bad = [f for f in steps if f.outcome != "holds"]
    all_steps = judge("steps", f"{len(steps) - len(bad)} of {len(steps)} steps", [*bad, *steps, *premises])
    second = hessian_check(derivation, seed=seed)
    if second:
        product = [f for bar in derivation.gradients.values() for f in found[bar] if f.witness == "inner product"]
        verdicts.append(judge("gradients together", "first and second order", [*second, *dict.fromkeys(product)]))
    return [*verdicts, all_steps]


def check_inference(derivation: Derivation, answers: Derivation, *, draws: int = 3, seed: int = 0) -> list[Verdict]:
    """Return verdicts on the network that answers after training: its values, and its adjoint equations.

    answers: the derivation of that network.
    """
    source = derivation.source
    rng, sizes = np.random.default_rng(seed), choose_sizes(source)
    values = judge("inference", "values in inference", same_values(source, answers.source, rng, sizes))
    found = check_derivation(answers, draws=draws, seed=seed)
    return [values, *(replace(v, subject=f"{v.subject}, inference") for v in found)]


def hessian_check(derivation: Derivation, seed: int = 0) -> list[Finding]:
    """Check in the prime field that the derivative of the gradients is symmetric."""
    if len(derivation.source.variables[derivation.output].indices) or not derivation.gradients:
        return []
    for sizes in exact_sizes(derivation.source, limit=1) + _with_roots(derivation.source):
        try:
            return hessian_exactly(derivation.source, derivation.program, derivation.gradients, sizes=sizes, seed=seed)
        except NoDraw:
            continue
    return []


def specified(program: Program) -> Program:
    """Return the program with each unspecified function of one argument replaced by a definite one."""
    free = {f.name for f in elementwise_functions(program) if f.is_free and len(f.orders) == 1}
    if not free:
        return program

    def change(node: Node) -> Node:
        if isinstance(node, Map) and node.function.name in free:
            return Map(*node.operands, Function(STAND_IN.name, (), node.function.orders))
        return node

    def settled(equation: Equation) -> list[Equation]:
        return [Equation(equation.target, transform(equation.value, change), equation.line, equation.note)]

    rest = {n: f for n, f in program.functions.items() if n not in free}
    return program.replace(body=map_equations(program.body, settled), functions=rest)


Generate = Callable[..., Mapping[str, str]]
"""Writes the files of a module: ``generate(derivation, target, name=..., dtype=...)``."""


def check_generated(
    derivation: Derivation, generate: Generate, *, seed: int = 0, name: str = "network"
) -> list[Verdict]:
    """Generate the NumPy module and the C module in both precisions, and compare them with the reference evaluator.

    derivation: of a network whose functions are all specified.
    generate:   what is judged.
    """
    modules: dict[str, ModuleType] = {}
    # A module that clips gradients holds one that does not: single precision shows both.
    ways = [(dtype, dtype == "float32") for dtype in DTYPES]
    verdicts = [_numpy_module(derivation, generate, dtype, seed, name, modules, clip=clip) for dtype, clip in ways]
    verdicts += [
        _numpy_module(derivation, generate, dtype, seed, name, {}, workspace=True, clip=clip) for dtype, clip in ways
    ]
    return [*verdicts, *_c_modules(derivation, seed, name, modules)]


DTYPES = ("float64", "float32")
"""The precisions of generated modules."""


def _numpy_module(
    derivation: Derivation, generate: Generate, dtype: str, seed: int, name: str, modules: dict[str, ModuleType],
    workspace: bool = False, clip: bool = False,
) -> Verdict:
    """Check the NumPy module of one precision, and keep it in ``modules``."""
    refused = import_module("symbp.render.numpy").GenerateError
    checked = f"NumPy {'workspace' if workspace else 'module'}, {dtype}"
    try:
        text = generate(derivation, name=name, dtype=dtype, workspace=workspace, clip=clip)[f"{name}.py"]
    except refused as error:
        findings = [Finding("module", name, "not checked", detail=f"no module can be generated: {error}")]
        return judge(f"{name}.py", checked, findings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        modules[dtype] = load_module(path, name)
        findings = check_module(derivation, modules[dtype], np.random.default_rng(seed))
    return judge(f"{name}.py", checked, findings)


def _c_modules(derivation: Derivation, seed: int, name: str, modules: Mapping[str, ModuleType]) -> list[Verdict]:
    """Check the C module in both precisions; say so where there is no compiler, or no such module."""
    c = import_module("symbp.verify.compiled")
    names = {dtype: f"C module, {dtype}" for dtype in DTYPES}
    if c.compiler() is None:
        return [skipped(f"{name}.c", "C module", f"there is no C compiler: {', '.join(c.COMPILERS)}")]
    try:
        found = c.check_compiled(
            derivation, np.random.default_rng(seed), sizes=choose_sizes(derivation.source), dtypes=DTYPES,
            modules=modules,
        )
    except import_module("symbp.render.c").GenerateError as error:
        return [skipped(f"{name}.c", "C module", f"there is none: {error}")]
    except c.CompileError as error:
        broken = [Finding("module", name, "fails", error=math.inf, tolerance=c.DOUBLE, detail=str(error))]
        return [judge(f"{name}.c", "C module", broken)]
    return [judge(f"{name}.c", names[dtype], findings) for dtype, findings in found.items()]
