"""The naming pass: arguments and results of non-linear operations have names, and cost is linear."""

import pytest

from symbp.calculus import derive, name_parts
from symbp.calculus.naming import is_constant, is_flat, is_nonlinear
from symbp.expr import Constant, Ref, walk
from symbp.language import read_text
from symbp.networks import names, network
from symbp.ops import has_rule, rule


@pytest.mark.parametrize("name", names())
def test_arguments_and_results_are_names(name: str) -> None:
    named, steps = name_parts(read_text(network(name).text))
    for site in named.sites:
        for node in walk(site.equation.value):
            if has_rule(node) and is_nonlinear(node) and not is_constant(node):
                assert node is site.equation.value or is_flat(node), (site.target, node)
                assert all(isinstance(o, Ref) or is_constant(o) for o in node.operands)
    assert all(s.kind == "name" and isinstance(s.after, Ref) for s in steps)


def test_a_value_is_named_once() -> None:
    _, steps = name_parts(read_text("X: input[n, m]\nA = exp(X + 1) + tanh(exp(X + 1))\nloss = sum(A)\n"))
    assert len(steps) == 3  # X + 1, its exponential, the tanh


def test_what_does_not_change_in_a_loop_is_named_before_it() -> None:
    named, _ = name_parts(read_text(network("dag").text))
    assert not named.sites[0].loops and not isinstance(named.sites[0].equation.value, Constant)


def mlp(layers: int) -> str:
    lines = ["samples: m", "X: input[n, m]", "Y: target[n, m]"]
    for k in range(1, layers + 1):
        lines.append(f"A{k} = dense({'X' if k == 1 else f'A{k - 1}'}, n, tanh)")
    return "\n".join([*lines, f"loss = sum((A{layers} - Y)**2) / (2*m)", ""])


def operations(layers: int) -> int:
    """Operations of the forward and the backward pass; transposes, constants, names and coefficients do not count."""
    program = derive(read_text(mlp(layers))).program
    free = ("transpose", "scale")
    count = 0
    for site in program.sites:
        for node in walk(site.equation.value):
            if has_rule(node) and not is_constant(node) and rule(node).name not in free:
                count += max(1, len(node.operands) - 1) if rule(node).linear == "all" else 1
    return count


def test_at_most_twelve_operations_a_layer() -> None:
    few, many = operations(10), operations(30)
    assert (many - few) / 20 <= 12
    assert many - few == 2 * (operations(20) - few)  # linear in the number of layers


def test_long_short_term_memory_stays_small() -> None:
    program = derive(read_text(network("lstm").text)).program
    assert sum(len(list(walk(s.equation.value))) for s in program.sites) < 400
