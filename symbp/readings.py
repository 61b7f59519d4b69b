"""Closed forms in the names of a derivation: the claims of the layers in its network, once they are proved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import sympy as sp

from symbp.calculus import samples_axis
from symbp.calculus.batch import Samples
from symbp.calculus.identities import Context
from symbp.calculus.rewriting import rewrite
from symbp.derivation import Derivation, Reading
from symbp.expr import MatMul, Node, Ones, Ref, is_one, matmul, refs, transform
from symbp.layers import LAYERS
from symbp.ops.claims import Claim
from symbp.program import LayerUse, Place, Program
from symbp.verify.claims import CLAIMED, examine, stated


def with_readings(derivation: Derivation) -> Derivation:
    """Return the derivation with the closed forms of its layers.

    A layer says something where its result and its argument have names, and the adjoint of its result is an equation
    of the derivation; a claim that is not proved says nothing.  In inference the layers of training are no more.
    """
    source = derivation.source
    if any(var.kind == "state" for var in source.variables.values()) and not source.running:
        return derivation
    samples = samples_axis(source) if any(LAYERS[use.layer].claims for use in source.layers) else "columns"
    found = [r for use in source.layers for r in _readings(derivation, use, samples)]
    return replace(derivation, readings=tuple(found))


def _readings(derivation: Derivation, use: LayerUse, samples: Samples) -> Iterator[Reading]:
    """Yield what the claims of one layer say."""
    program, claims = derivation.program, LAYERS[use.layer].claims
    if use.value is None or use.argument is None:
        return
    bar = _adjoint(program, use.value)
    if bar is None:
        return
    argument, known = _member(program, use.argument), {"X": use.argument, "Y": use.value}
    known |= {f"{prefix}_Y": place for prefix, place in use.parts}
    named: dict[Node, Node] = {}
    for claim in claims:
        network = stated(claim, samples)
        sizes = dict(zip(network.variables["X"].shape, argument.shape, strict=True))
        written = _Translation(program, known, bar, sizes)
        value = written(next(s.equation.value for s in network.sites if s.target.name == CLAIMED))
        if claim.of != "X":
            # The adjoint of a parameter has a name, by which the other forms call it.
            own = _adjoint(program, known[claim.of])
            if own is not None:
                named[value] = own
            continue
        if not examine(claim, samples).accepted:
            continue
        short = rewrite(transform(value, lambda node: _called(node, named)), "contract", Context())
        shown = transform(short, _outer)
        target = Ref(f"{argument.name}_bar", *argument.shape, *argument.indices)
        yield Reading(_title(claim), target, shown, _alone(derivation.source, use), claim.holds, claim.source)


def _called(node: Node, named: Mapping[Node, Node]) -> Node:
    """Return a node by its name; of a product also a part of it that has one."""
    if not isinstance(node, MatMul):
        return node
    factors = list(node.operands)
    for value, name in named.items():
        part = list(value.operands)
        for k in range(len(factors) - len(part) + 1):
            if isinstance(value, MatMul) and factors[k : k + len(part)] == part:
                factors[k : k + len(part)] = [name]
    return matmul(*factors)


def _outer(node: Node) -> Node:
    """Return a matrix of ones as ``1 1^T``: beside I a 1 would be read as a number."""
    plain = isinstance(node, Ones) and not (is_one(node.rows) or is_one(node.cols))
    return MatMul(Ones(node.rows, 1), Ones(1, node.cols)) if plain else node


def _title(claim: Claim) -> str:
    return claim.name.partition(": ")[2] or claim.name


def _member(program: Program, place: Place) -> Ref:
    name, indices = place
    return program.variables[name](*indices)


def _adjoint(program: Program, place: Place) -> Ref | None:
    """Return the adjoint of a variable, or of a member, if an equation defines it."""
    name, indices = place
    defined = {site.target.name for site in program.sites}
    for var in program.variables.values():
        origin = var.origin
        if origin is not None and (origin.role, origin.of) == ("adjoint", name) and var.name in defined:
            return var(*indices)
    return None


def _alone(source: Program, use: LayerUse) -> bool:
    """Tell whether only the layer reads what it is applied to."""
    own = {name for _, (name, _) in use.parts}
    own |= {use.value[0]} if use.value else set()
    name = use.argument[0] if use.argument else ""
    return {s.target.name for s in source.sites if any(r.name == name for r in refs(s.equation.value))} <= own


class _Translation:
    """Writes an expression of a claim in the names and sizes of a program.

    program: the program.
    known:   its variables by the names of the claim.
    bar:     the adjoint of the layer's result, which the claim calls C.
    sizes:   sizes of the program by those of the claim.
    """

    def __init__(self, program: Program, known: dict[str, Place], bar: Ref, sizes: dict[sp.Expr, sp.Expr]) -> None:
        self.program, self.known, self.bar, self.sizes = program, known, bar, sizes

    def __call__(self, value: Node) -> Node:
        names = {r: self.bar if r.name == "C" else r for r in refs(value)}
        names |= {r: _member(self.program, self.known[r.name]) for r in names if r.name in self.known}
        result = value.xreplace({**names, **self.sizes})
        assert isinstance(result, Node)
        return result
