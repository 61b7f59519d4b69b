"""Start values of parameters: ``g: param[n, 1] = 1``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from symbp import generate
from symbp.language import DeclarationError, Model, read_text
from symbp.language.codes import CODES
from symbp.verify.module import load_module

NET = """X: input[n, m]
g: param[n, 1] = 3/2
h: param = -1/2
W: param[p, n]
b: param[p, 1]
for l in range(1, L+1):
    c[l]: param[p, 1] & positive = 1
loss = sum((W @ (g*X) + h*ones(p, m) + b)**2) + sum(sum(c[l]**2) for l in range(1, L+1))
"""


def test_the_start_value_is_an_exact_number_of_the_parameter() -> None:
    variables = read_text(NET).variables
    assert [variables[n].start for n in "ghWbc"] == [sp.Rational(3, 2), sp.Rational(-1, 2), None, None, 1]
    assert variables["h"].scalar and not variables["g"].scalar


def test_numpy_begins_there(tmp_path) -> None:
    path = tmp_path / "net.py"
    path.write_text(generate(read_text(NET), name="net")["net.py"])
    params = load_module(path).init_params(np.random.default_rng(0), n=3, p=5, L=2)
    assert (params.g == 1.5).all() and params.g.shape == (3, 1)
    assert (params.h == -0.5).all() and (params.c == 1).all() and params.c.shape == (2, 5, 1)
    assert not params.b.any() and len(set(params.W.ravel())) == 15


def test_c_begins_there() -> None:
    text = generate(read_text(NET), "c", name="net", sizes={"n": 3, "p": 5, "m": 7, "L": 2})["net.c"]
    for line in ("params->g[i] = 1.5;", "params->h[i] = -0.5;", "params->b[i] = 0;", "params->c[i] = 1.0;"):
        assert line in text, line


def test_a_network_without_start_values_says_nothing_of_them() -> None:
    text = generate(read_text("X: input[n, m]\nW: param[p, n]\nloss = sum((W @ X)**2)\n"), name="net")["net.py"]
    assert "zero biases.\"\"\"" in text and "np.full" not in text


def test_the_python_api_says_the_same() -> None:
    net = Model()
    X, g = net.input("X", "n", "m"), net.param("g", "n", 1, start=sp.Rational(3, 2))
    net["loss"] = sum((g * X)**2)
    assert net.program().variables["g"].start == sp.Rational(3, 2)
    with pytest.raises(ValueError, match="exact number"):
        net.param("h", "n", 1, start=0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        net.param("h", "n", 1, start="1/2")  # type: ignore[arg-type]


@pytest.mark.parametrize(("end", "code"), [
    ("= [1, 2]", "P011"), ("= (1, 2)", "P011"), ("= X", "O010"), ("= n", "O010"), ("= 'one'", "O010"),
    ("= 1/0", "O011"), ("= 1e31", "O010"), ("= " + "9" * 401, "L005"), ("= nan", "O010"), ("= True", "O010"),
    ("= __import__('os')", "O010"), ("=", "P009"), ("& positive = 0", "F002"), ("& signs = 2", "F002"),
    ("& mask = 1/2", "F002"), ("& one_hot_columns = 1", "F002"), ("& index[n] = 1", "F002"),
])
def test_anything_else_is_refused_by_name(end: str, code: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_text(f"X: input[n, m]\ng: param[n, 1] {end}\nloss = sum(g*X)\n")
    assert code in [d.code for d in caught.value.diagnostics] and code in CODES


def test_only_params_and_consts_have_a_value_in_the_file() -> None:
    with pytest.raises(DeclarationError) as caught:
        read_text("X: input[n, m] = 1\nloss = sum(X)\n")
    assert [d.code for d in caught.value.diagnostics][:1] == ["P011"]


def test_pieces_of_a_family_start_alike() -> None:
    with pytest.raises(DeclarationError) as caught:
        read_text("b[0]: param[n, 1] = 1\nb[1]: param[n, 1]\nloss = sum(b[0] + b[1])\n")
    assert [d.code for d in caught.value.diagnostics] == ["S027"]


def test_the_largest_start_value() -> None:
    program = read_text("X: input[n, m]\ng: param[n, 1] = -1e30\nloss = sum(g*X)\n")
    assert program.variables["g"].start == -sp.Integer(10) ** 30
