"""The rule book for reading: an entry for everything, in every form, and what entries say."""

from __future__ import annotations

import pytest

from symbp.calculus import IDENTITIES
from symbp.ops import ELEMENTWISE, RULES, rule
from symbp.render.rulebook import entry, names, specimens


def says(name: str, label: str) -> list[str]:
    return [face.says for face in entry(name, "ascii").faces if face.label == label]


def test_every_primitive_has_a_specimen_of_its_own() -> None:
    found = specimens()
    assert set(found) == set(RULES)
    assert all(rule(node).name == name for name, node in found.items())


def test_names_are_different_so_that_show_finds_them() -> None:
    assert len(set(names())) == len(names()) == len(RULES) + len(ELEMENTWISE) + len({i.name for i in IDENTITIES})


@pytest.mark.parametrize("form", ["ascii", "unicode", "latex"])
def test_every_entry_can_be_printed(form: str) -> None:
    for name in names():
        found = entry(name, form)  # type: ignore[arg-type]
        assert found.faces
        assert all(face.says for face in found.faces), name
        assert found.text().startswith(f"{name}   {found.what}\n")
        assert form != "ascii" or found.text().isascii(), name


def test_linear_primitives_show_their_pulls() -> None:
    assert says("matmul", "adjoint") == ["Abar = Ybar B^T", "Bbar = A^T Ybar"]
    assert says("hadamard", "adjoint") == ["Abar = Ybar o B", "Bbar = Ybar o A"]
    assert says("transpose", "transposed") == ["Y^T = A"]


def test_others_show_their_differential_and_the_adjoint_that_follows() -> None:
    assert says("softmax", "differential") == ["dY = Y o (dA - 1 1^T (Y o dA))"]
    assert says("softmax", "adjoint") == ["Abar = (Ybar - 1 1^T (Ybar o Y)) o Y"]
    assert says("exp", "adjoint") == ["Xbar = Ybar o Y"]
    assert says("sign", "differential") == ["zero wherever it exists"]


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        entry("sofmax")
