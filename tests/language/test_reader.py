"""What a declaration means: the program that it becomes."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp

from symbp.expr.nodes import plain
from symbp.expr import Node, Function, Map, Ref, Scale, SumOver, index, size
from symbp.language import DeclarationError, read, read_file, read_text
from symbp.program import Equation, Loop, Program

n, m, k, h = (size(x) for x in "nmkh")


def equations(program: Program) -> dict[str, str]:
    """Return the equations as text by their left sides."""
    return {site.target.label: plain(site.equation.value) for site in program.sites}


def value(text: str, name: str = "Z") -> Node:
    program = read_text("X: input[n, m]\nY: target[n, m]\nW: param[n, n]\nb: param[n, 1]\n" + text)
    return next(site.equation.value for site in program.sites if site.target.name == name)


# -- files and texts


def test_a_text_and_a_file_give_the_same_program(tmp_path: Path) -> None:
    text = "X: input[n, m]\nloss = sum(X**2)\n"
    path = tmp_path / "small.net"
    path.write_text(text)
    assert read(path) == read_file(path) == read(str(path))
    assert read(path).name == "small"
    assert read(str(path.rename(tmp_path / "small.txt"))) == read(text).replace(name="small")
    assert read(text) == read_text(text)
    assert read("loss = 1").outputs == ("loss",)


def test_a_file_that_cannot_be_read_is_a_diagnostic(tmp_path: Path) -> None:
    for what in (tmp_path / "none.net", tmp_path):
        with pytest.raises(DeclarationError) as caught:
            read_file(what)
        assert caught.value.diagnostics[0].code == "L006"
    with pytest.raises(DeclarationError) as caught:
        read(str(tmp_path / "none.net"))
    assert caught.value.diagnostics[0].code == "L006"
    binary = tmp_path / "binary.net"
    binary.write_bytes(b"X: input[n, m]\n\xff\xfe\n")
    with pytest.raises(DeclarationError) as caught:
        read_file(binary)
    assert (caught.value.diagnostics[0].code, caught.value.diagnostics[0].line) == ("P001", 2)
    large = tmp_path / "large.net"
    large.write_bytes(b"#" * 5_000_000)
    with pytest.raises(DeclarationError) as caught:
        read_file(large)
    assert caught.value.diagnostics[0].code == "L001"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_a_byte_order_mark_do_not_matter(end: str) -> None:
    text = end.join(["\ufeffX: input[n, m]  # a comment with λ", "", "loss = sum(X)"])
    assert read_text(text) == read_text("X: input[n, m]\n\nloss = sum(X)")


def test_lines_are_joined_by_brackets_and_backslashes_and_split_by_semicolons() -> None:
    a = read_text("X: input[n, m]; Y: target[n, m]\nloss = sum(  # first\n    X\n  + Y  # second\n)\n")
    b = read_text("X: input[n, m]\nY: target[n, m]\nloss = \\\n  sum(X + Y)\n")
    c = read_text("X: input[n, m]\nY: target[n, m]\nloss = sum(X + Y)\n")
    assert equations(a) == equations(b) == equations(c)


def test_a_hash_in_quotes_is_no_comment() -> None:
    assert value("Z = reshape(X, (m, n), order='F')  # 'F'") == value('Z = reshape(X, (m, n), order="F")')


def test_places_are_right_in_joined_lines() -> None:
    with pytest.raises(DeclarationError) as caught:
        read_text("X: input[n, m]\nloss = sum(\n    X\n    + Q\n)\n")
    (found,) = caught.value.diagnostics
    assert (found.line, found.column, found.source) == (4, 7, "    + Q")


# -- declarations


def test_declarations_have_kind_shape_and_facts() -> None:
    program = read_text(
        "X: input[n, m]\nY: target[k, m] & one_hot_columns\nW: param[k, n]\nS: const[n, n] & symmetric & positive\n"
        "lam: input & positive\nids: input[1, m] & index[v]\nloss = lam*sum(W @ S @ X - Y)\n"
    )
    v = program.variables
    assert [(x.name, x.kind, x.shape, x.scalar) for x in program.declared()] == [
        ("X", "input", (n, m), False),
        ("Y", "target", (k, m), False),
        ("W", "param", (k, n), False),
        ("S", "const", (n, n), False),
        ("lam", "input", (1, 1), True),
        ("ids", "input", (1, m), False),
    ]
    assert v["Y"].facts == {"one_hot_columns", "columns_sum_to_one"}  # the implied fact is there too
    assert v["S"].facts == {"symmetric", "positive"}
    assert (v["ids"].facts, v["ids"].size) == ({"index"}, size("v"))


def test_a_const_may_have_its_value_in_the_file() -> None:
    program = read_text(
        "M: const[2, 3] = [[1, -0.5, 1/3],\n  [0, 1e-2, 2]]\nN: const = [[7]]\na: const = 0.1\nZ = a*M + N\n"
    )
    half = sp.Rational(1, 2)
    assert program.variables["M"].value == ((1, -half, sp.Rational(1, 3)), (0, sp.Rational(1, 100), 2))
    assert program.variables["N"].value == ((7,),)
    assert (program.variables["a"].value, program.variables["a"].scalar) == (((sp.Rational(1, 10),),), True)


def test_declarations_hold_before_any_equation() -> None:
    assert equations(read_text("loss = sum(W @ X)\nX: input[n, m]\nW: param[k, n]\n"))["loss"]


def test_sizes_are_polynomials_and_integers() -> None:
    program = read_text("X: input[2*n + 1, m]\nW: param[3, n*2 + 1]\nZ = W @ X\n")
    assert program.variables["Z"].shape == (3, m)
    assert read_text("X: input[n**2, m]\nY: input[n*n, m]\nZ = X + Y\n")
    assert read_text("X: input[3*n**0, m]\nloss = sum(X)\n").variables["X"].shape == (3, m)


def test_a_size_may_be_defined_by_an_equation() -> None:
    program = read_text("assert d == k*heads\nX: input[d, m]\nV: param[k*heads, 1]\nZ = V.T @ X\n")
    d, heads = size("d"), size("heads")
    assert program.definitions == ((d, k * heads),)
    assert program.variables["X"].shape == (heads * k, m)
    assert d in program.sizes


def test_bounds_of_sizes() -> None:
    program = read_text("assert n >= 3 and 2 < m\nassert n >= 2\nX: input[n - 2, m]\nZ = X[:, 0:3]\n")
    assert program.bounds == {n: 3, m: 3}


def test_the_samples_are_stated_or_found() -> None:
    assert read_text("X: input[n, m]\nY: target[k, m]\nloss = sum(X) + sum(Y)\n").samples == m
    assert read_text("X: input[n, m]\nY: target[n, m]\nloss = sum(X) + sum(Y)\n").samples is None
    assert read_text("X: input[n, m]\nY: target[n, m]\nW: param[n, n]\nloss = sum(W @ X) + sum(Y)\n").samples == m
    assert read_text("samples: n\nX: input[n, m]\nloss = sum(X)\n").samples == n


# -- expressions


def test_a_chain_is_one_operation() -> None:
    total = value("Z = X + Y + X - Y")
    assert type(total).__name__ == "Add"
    assert len(total.args) == 4
    product = value("Z = W @ W @ W @ X")
    assert type(product).__name__ == "MatMul"
    assert len(product.args) == 4
    had = value("Z = X * Y * X")
    assert type(had).__name__ == "Hadamard"
    assert len(had.args) == 3


def test_coefficients_are_exact_and_stand_in_front() -> None:
    found = value("Z = 0.1 * W @ (2*X) / (3*m) * n")
    assert isinstance(found, Scale)
    assert found.coefficient == sp.Rational(1, 15) * n / m
    assert plain(found.body) == "MatMul(W, X)"
    for text, number in (("1e-3", "1/1000"), (".5", "1/2"), ("2.", "2"), (".25e1", "5/2"), ("1_000", "1000")):
        assert value(f"Z = {text}*X").coefficient == sp.Rational(number)
    assert value("Z = sqrt(n)*X").coefficient == sp.sqrt(n)
    assert value("Z = X / (2*Y)").coefficient == sp.Rational(1, 2)
    assert value("Z = X*2**10").coefficient == 1024


def test_broadcasting_is_a_product_with_ones() -> None:
    assert plain(value("Z = W @ X + b")) == "Add(MatMul(W, X), MatMul(b, Ones(1, m)))"
    assert plain(value("Z = X + 1")) == "Add(X, Ones(n, m))"


def test_a_scalar_is_multiplied_not_matrix_multiplied() -> None:
    assert plain(value("lam: input\nZ = lam * X")) == "SMul(lam, X)"
    assert value("lam: input\nZ = lam.T * X") is value("lam: input\nZ = lam * X")
    one = read_text("a: input[1, 1]\nx: input[1, m]\nZ = a @ x\n")  # 1 x 1 with brackets is an ordinary matrix
    assert equations(one)["Z"] == "MatMul(a, x)"


def test_functions_of_the_file() -> None:
    program = read_text(
        "X: input[n, m]\nsigma: elementwise\ndef f(x): return x/(1 + exp(-x))\n"
        "def g(x, y):\n    return where(x > 0, f(x), y)**2\n"
        "Z = g(sigma(X), X)\n"
    )
    assert program.functions["sigma"].is_free
    x, y = program.functions["g"].law.variables
    f = x / (1 + sp.exp(-x))
    assert program.functions["f"].law == sp.Lambda(x, f)
    assert program.functions["g"].law.expr == sp.Piecewise((f, x > 0), (y, True)) ** 2
    applied = program.sites[0].equation.value
    assert isinstance(applied, Map)
    assert applied.function == program.functions["g"]
    assert isinstance(applied.operands[0], Map)


def test_a_function_may_use_table_functions_and_parameters() -> None:
    law = (
        read_text("X: input[n, m]\ndef f(x): return leaky_relu(x, 0.2) + np.maximum(x, 0.5) + square(x)*pi\nZ = f(X)\n")
        .functions["f"]
        .law
    )
    assert law(2) == 2 + 2 + 4 * sp.pi
    assert law(-1) == -sp.Rational(1, 5) + sp.Rational(1, 2) + sp.pi


def test_a_loop_index_is_a_value() -> None:
    program = read_text("X: input[n, m]\nfor t in range(0, T):\n    Z[t] = 0.9**t * X\nloss = sum(Z[0])\n")
    assert program.sites[0].equation.value.coefficient == sp.Rational(9, 10) ** index("t")


# -- equations, loops, outputs


def test_outputs_are_the_loss_and_what_nobody_reads() -> None:
    program = read_text("X: input[n, m]\nA = 2*X\nP = A + 1\nQ = A - 1\nloss = sum(A)\n")
    assert program.outputs == ("loss", "P", "Q")
    assert read_text("X: input[n, m]\nA = 2*X\nP = A + 1\n").outputs == ("P",)


def test_a_number_is_an_equation_too() -> None:
    assert equations(read_text("X: input[n, m]\nc = 1/(2*m)\nZ: [n, m] = 3\n")) == {
        "c": "Scale(Ones(1, 1), 1/(2*m))",
        "Z": "Scale(Ones(n, m), 3)",
    }


def test_loops_go_up_and_down() -> None:
    head = "H[0]: input[h, m]\nG[T+1]: input[h, m]\nW: param[h, h]\n"
    up = "for t in range(1, T+1):\n    H[t] = W @ H[t-1]\n"
    T = size("T")
    for down in ("range(T, 0, -1)", "reversed(range(1, T+1))"):
        program = read_text(f"{head}{up}for t in {down}:\n    G[t] = W @ G[t+1] + H[t]\n")
        first, second = program.body
        assert isinstance(first, Loop)
        assert isinstance(second, Loop)
        assert (first.lo, first.hi, first.down) == (1, T, False)
        assert (second.lo, second.hi, second.down) == (1, T, True)
    assert read_text(f"{head}for t in range(T):\n    H[t+1] = W @ H[t]\n").body[0].lo == 0
    twice = read_text(f"{head}for t in reversed(reversed(range(1, T+1))):\n    H[t] = W @ H[t-1]\n")
    assert not twice.body[0].down


def test_a_loop_in_one_line() -> None:
    a = read_text(
        "for t in range(1, T+1): X[t]: input[n, m]; Z[t] = 2*X[t]\nloss = sum(sum(Z[t]) for t in range(1, T+1))\n"
    )
    b = read_text(
        "for t in range(1, T+1):\n  X[t]: input[n, m]\n  Z[t] = 2*X[t]\nloss = sum(sum(Z[t]) for t in range(1, T+1))\n"
    )
    assert equations(a) == equations(b)
    assert a.variables == b.variables


def test_a_loop_of_declarations_only_leaves_no_loop() -> None:
    program = read_text("for l in range(1, L+1):\n    W[l]: param[n[l], n[l-1]]\nloss = sum(W[1])\n")
    assert [type(s) for s in program.body] == [Equation]


def test_a_private_name_is_a_family_of_its_own_loop() -> None:
    text = (
        "H[0]: input[h, m]\nW: param[h, h]\n"
        "for t in range(1, T+1):\n    z = W @ H[t-1]\n    H[t] = tanh(z)\n"
        "for s in range(1, T+1):\n    z = W @ H[s]\n    for l in range(1, 3):\n        u = l*z\n        G[l, s] = u\n"
        "loss = sum(G[1, T])\n"
    )
    program = read_text(text)
    t, s, l = index("t"), index("s"), index("l")
    assert program.variables["z"].indices == (t,)
    assert program.variables["z_2"].indices == (s,)
    assert program.variables["u"].indices == (s, l)
    found = equations(program)
    assert found["H[t]"] == "Map(z[t], tanh)"
    assert found["u[s, l]"] == "Scale(z_2[s], l)"
    assert program.outputs == ("loss",)


def test_sums_over_an_index() -> None:
    text = "for l in range(1, L+1):\n  for t in range(1, T+1):\n    X[l, t]: input[n, m]\n"
    program = read_text(text + "Z = sum(2*X[l, t]/m for l in range(1, L+1) for t in range(1, T+1))\n")
    found = program.sites[0].equation.value
    assert isinstance(found, Scale)
    assert found.coefficient == 2 / m
    outer = found.body
    assert isinstance(outer, SumOver)
    assert isinstance(outer.args[0], SumOver)
    assert (outer.bound, outer.args[0].bound) == (index("l"), index("t"))
    weighted = read_text(text + "Z = sum(0.5**t*X[1, t] for t in range(1, T+1))\n").sites[0].equation.value
    assert isinstance(weighted, SumOver)  # a coefficient with the index stays inside


def test_slices_with_loop_indices() -> None:
    program = read_text("A: param[n, m]\nfor k in range(0, n):\n    r[k] = A[k:k+1, :]\nloss = sum(r[0])\n")
    assert equations(program)["r[k]"] == "Slice(A, k, k + 1, 0, m)"
    with pytest.raises(DeclarationError) as caught:
        read_text("A: param[n, m]\nfor k in range(0, n+1):\n    r[k] = A[k:k+1, :]\nloss = sum(r[0])\n")
    assert caught.value.diagnostics[0].code == "S030"


def test_a_comparison_may_have_a_name() -> None:
    assert value("M = X > 0\nZ = where(M, X, Y) + M*Y")


def test_the_reader_remembers_lines() -> None:
    program = read_text("X: input[n, m]\n\nfor t in range(1, 3):\n    Z[t] = t*X\nloss = sum(Z[1])\n")
    assert [site.equation.line for site in program.sites] == [4, 5]
    assert program.body[0].line == 3


def test_reading_is_linear_and_fast() -> None:
    import time

    def net(layers: int) -> str:
        lines = ["X: input[n0, m]", f"Y: target[n{layers}, m]", "A0 = X"]
        for k in range(1, layers + 1):
            lines += [
                f"W{k}: param[n{k}, n{k - 1}]; b{k}: param[n{k}, 1]",
                f"Z{k} = W{k} @ A{k - 1} + b{k}",
                f"A{k} = tanh(Z{k})",
            ]
        return "\n".join([*lines, f"loss = sum((A{layers} - Y)**2)/(2*m)"])

    start = time.process_time()
    program = read_text(net(1000))
    assert len(program.sites) == 2002
    assert time.process_time() - start < 6  # 0.8 s on a quiet machine; 3 ms a layer are promised


def test_a_function_is_a_value_of_its_own() -> None:
    assert read_text("f: elementwise\nX: input[n, m]\nZ = f(X)\n").functions["f"] == Function(
        "f", (), (0,), sp.core.symbol.Str("free")
    )
    assert isinstance(read_text("X: input[n, m]\nZ = X\n").sites[0].equation.value, Ref)


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("E[:, i]", "Take(E, i, 1)"),
        ("E[i, :]", "Take(E, Transpose(i), 0)"),
        ("E[:, j]", "Take(E, Transpose(j), 1)"),
        ("E[j, :]", "Take(E, j, 0)"),
        ("E.T[:, j.T]", "Take(Transpose(E), Transpose(j), 1)"),
        ("E[:, K[2]]", "Take(E, K[2], 1)"),
        ("eye(v)[:, i]", "Take(Eye(v), i, 1)"),
    ],
)
def test_whole_numbers_take_columns_and_rows(read: str, written: str) -> None:
    head = "i: input[1, m] & index[v]; j: input[m, 1] & index[v]\nE: param[v, v]\n"
    head += "for s in range(1, 4):\n    K[s]: input[1, m] & index[v]\n"
    assert plain(read_text(f"{head}Z = {read}\n").sites[0].equation.value) == written


@pytest.mark.parametrize(
    ("read", "code"),
    [
        ("E[i]", "S031"), ("E[i, 0:1]", "S031"), ("E[i, j]", "S031"), ("E[:, i, i]", "S031"), ("E[:, -i]", "S020"),
        ("E[0, i]", "S031"), ("W[:, i]", "S032"), ("W.T[i, :]", "S032"), ("E[:, i + 1]", "S020"), ("E @ i.T", "S032"),
        ("sum(i)", "S032"), ("i", "S032"), ("i[:, i]", "S032"), ("E[:, K]", "B005"), ("E[:, 2*i]", "S020"),
        ("E[:, i[0, 1]]", "S030"), ("E[:, i[:, 0:1]]", "S032"), ("E[:, Q]", "S032"),
    ],
)
def test_whole_numbers_in_the_wrong_place(read: str, code: str) -> None:
    head = "i: input[1, m] & index[v]; j: input[m, 1] & index[v]; Q: input[2, m] & index[v]\n"
    head += "E: param[v, v]; W: param[v, 7]\nfor s in range(1, 4):\n    K[s]: input[1, m] & index[v]\n"
    with pytest.raises(DeclarationError) as seen:
        read_text(f"{head}loss = sum({read})\n")
    assert [d.code for d in seen.value.diagnostics] == [code]
