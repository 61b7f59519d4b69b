"""First parameters: which ones begin as zero, and how that is said."""

from __future__ import annotations

from symbp.expr import Add, MatMul, Node, Ones, Ref, Scale, SMul, Transpose
from symbp.program import Program


def biases(program: Program) -> frozenset[str]:
    """Return the parameters that are read as terms of sums only, as they are or broadcast: they begin as zero."""
    weights = {v.name for v in program.parameters}
    terms: set[str] = set()
    other: set[str] = set()

    def visit(node: Node, term: bool) -> None:
        if isinstance(node, Ref):
            (terms if term else other).add(node.name)
        elif isinstance(node, Add):
            for operand in node.operands:
                visit(operand, True)
        elif isinstance(node, (Scale, Transpose)):
            visit(node.operands[0], term)
        elif isinstance(node, (MatMul, SMul)):
            factors = [f for f in node.operands if not isinstance(f, Ones)]
            for factor in factors:
                visit(factor, term and len(factors) == 1)
        else:
            for operand in node.operands:
                visit(operand, False)

    for site in program.sites:
        visit(site.equation.value, False)
    return frozenset((terms - other) & weights)


def first_words(program: Program) -> str:
    """Return in words how parameters begin."""
    usual = "uniform weights after Glorot and Bengio (2010), zero biases"
    stated = any(v.start is not None for v in program.parameters)
    return f"{usual}, the rest as declared" if stated else usual
