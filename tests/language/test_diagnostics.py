"""How errors look, and that every code is explained by an example that gives it."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pytest

import symbp.language
from symbp.language import CODES, DeclarationError, Diagnostic, explain, read_text
from symbp.language.diagnostics import did_you_mean


def errors(text: str) -> DeclarationError:
    with pytest.raises(DeclarationError) as caught:
        read_text(text, "mine.net")
    return caught.value


def test_a_diagnostic_is_printed_as_the_design_says() -> None:
    found = errors("X: input[n0, m]; dZ1: input[n1, m]\nW1: param[n1, n0]\ndW1 = dZ1 @ X\n")
    assert str(found) == (
        "error[S001]: inner sizes differ: m and n0\n"
        "  --> mine.net:3:7\n"
        " 3 | dW1 = dZ1 @ X\n"
        "   |       ^^^^^^^ (n1 x m) @ (n0 x m)\n"
        "   = help: dZ1 @ X.T has shape n1 x n0, the shape of W1"
    )


def test_the_margin_is_as_wide_as_the_number() -> None:
    rendered = str(errors("X: input[n, m]\n" + "\n" * 98 + "Z = X @ X\n"))
    assert rendered.split("\n")[1:4] == [
        "    --> mine.net:100:5",
        " 100 | Z = X @ X",
        "     |     ^^^^^ (n x m) @ (n x m)",
    ]


def test_a_read_outside_of_the_boxes_is_said_in_symbols() -> None:
    text = (
        "X: input[h, m]; W: param[h, h]\nfor t in range(0, T+1):\n"
        "    H[t] = W @ X\nfor t in range(1, T+1):\n    G[t] = H[t+1]\n"
    )
    (found,) = errors(text).diagnostics
    assert (found.code, found.line, found.column, found.length) == ("B001", 5, 12, 6)
    assert re.fullmatch(r"H\[T \+ 1\] is read \(t = T\) but (H is )?defined only for t = 0\.\.T", found.message)


@pytest.mark.parametrize(("line", "message"), [
    ("Z = X Y", "an operator is missing between two expressions"),
    ("Z = X ? Y", "not understood: invalid syntax"),
    ("Z = X +* Y", "not understood: invalid syntax"),
    ("Z = X +", "an expression is missing behind `+`"),
    ("for t in range(1, T+1)", "a colon is missing at the end of the line"),
])
def test_what_python_cannot_parse_is_said_in_words_of_the_language(line: str, message: str) -> None:
    (found,) = errors(f"X: input[n, m]\nY: input[n, m]\n{line}\n").diagnostics
    assert (found.code, found.message, found.line) == ("P009", message, 3)


@pytest.mark.parametrize(("product", "help"), [
    ("A @ B", "A @ B.T has shape n x k"),
    ("(A + A) @ B", "(A + A) @ B.T has shape n x k"),
    ("D @ A @ B", "D @ A @ B.T has shape k x k"),
    ("A @ C", "A.T @ C has shape m x q"),
    ("(A + A) @ (C + C)", "(A + A).T @ (C + C) has shape m x q"),
    ("A @ D", "D @ A has shape k x m, the shape of B"),
    ("(A + A) @ (D + D)", "(D + D) @ (A + A) has shape k x m, the shape of B"),
    ("A @ E", ""),
    ("D @ A @ C", ""),
    ("D @ A @ D", ""),
])
def test_a_product_that_does_not_fit_is_mended_by_a_transpose_or_the_other_order(product: str, help: str) -> None:
    declared = "A: input[n, m]\nC: input[n, q]\nB: param[k, m]\nD: input[k, n]\nE: input[q, k]\n"
    (found,) = errors(f"{declared}Z = {product}\n").diagnostics
    assert (found.code, found.help) == ("S001", help)


@pytest.mark.parametrize(("line", "help"), [
    ("A * D", "the matrix product is written `@` and has shape n x n"), ("A / D", "D.T has shape n x m"),
    ("A * C", "a size of 1 is broadcast, any other size is not"),
    ("A / C", "a size of 1 is broadcast, any other size is not"),
])
def test_an_entrywise_operation_that_does_not_fit_has_its_help(line: str, help: str) -> None:
    (found,) = errors(f"A: input[n, m]\nC: input[n, q]\nD: input[m, n]\nZ = {line}\n").diagnostics
    assert (found.code, found.help) == ("S002", help)


def test_an_expression_of_many_lines_is_quoted_in_one() -> None:
    found = errors("X: input[n, m]\nfor t in range(1, T + (2*\n  3 +\n   n * m\n  /m)):\n    Z[t] = X\n").diagnostics
    assert found[0].message == "n * m /m is no polynomial of sizes"
    found = errors("X: input[n, m]\nA = X @ exp(X *\n  X\n  * X)\n").diagnostics
    assert found[0].help == "X @ exp(X * X * X).T has shape n x n"


@pytest.mark.parametrize("terms", [14, 15, 16])
def test_a_long_expression_is_quoted_in_part(terms: int) -> None:
    text = f"exp({' + '.join(['X'] * terms)})"  # 58, 62 and 66 characters
    (found,) = errors(f"X: input[n, m]\nZ = X @ {text}\n").diagnostics
    quoted = text if len(text) <= 60 else f"{text[:57]}..."
    assert found.help == f"X @ {quoted}.T has shape n x n"


def test_a_diagnostic_as_a_dictionary() -> None:
    (found,) = errors("X: input[n, m]\nloss = sum(x)\n").diagnostics
    assert found.json() == {
        "code": "N001",
        "message": "x is not declared",
        "file": "mine.net",
        "line": 2,
        "column": 12,
        "length": 1,
        "source": "loss = sum(x)",
        "label": "",
        "help": "did you mean `X`?",
    }


def test_a_very_long_line_is_shown_in_part() -> None:
    found = errors("X: input[n, m]\nZ = X + " + " " * 5000 + "Q\n")
    assert all(len(line) < 200 for line in str(found).split("\n"))
    assert str(found).split("\n")[3].rstrip().endswith("^")


def test_an_error_survives_pickling() -> None:
    found = errors("X: input[n, m]\nloss = sum(x)\n")
    assert pickle.loads(pickle.dumps(found)).diagnostics == found.diagnostics


def test_did_you_mean() -> None:
    assert did_you_mean("tahn", ["tan", "tanh"]) == "did you mean `tanh`?"
    assert did_you_mean("x", ["X", "y"]) == "did you mean `X`?"
    assert did_you_mean("qqq", ["tanh"]) == ""


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained_by_an_example_that_gives_it(code: str) -> None:
    entry = CODES[code]
    assert entry.title
    assert entry.text.endswith(".")
    assert explain(code.lower()).startswith(f"{code}: {entry.title}")
    if not entry.wrong:
        return
    assert [d.code for d in errors(entry.wrong).diagnostics] == [code]
    read_text(entry.right)
    assert entry.wrong.strip().split("\n")[0] in explain(code).replace("    ", "") or "(" * 60 in entry.wrong


def test_every_code_that_occurs_is_registered_and_every_registered_code_occurs() -> None:
    root = Path(symbp.language.__file__).parents[1]
    used = set()
    for path in [*root.glob("language/*.py"), root / "program.py", *root.glob("expr/*.py")]:
        if path.name == "codes.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.fullmatch(r"[A-Z]\d{3}", node.value)
            ):
                used.add(node.value)
    assert used == set(CODES)


def test_nothing_of_a_text_reaches_an_interpreter() -> None:
    forbidden = {"eval", "exec", "sympify", "parse_expr", "lambdify", "compile", "__import__"}
    for path in [
        *Path(symbp.language.__file__).parent.glob("*.py"),
        *(Path(symbp.language.__file__).parents[1] / "layers").glob("*.py"),
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                strict = any(k.arg == "strict" for k in node.keywords)
                assert (
                    name not in forbidden
                    or (name == "sympify" and strict)
                    or (name == "compile" and "re." in ast.unparse(node.func))
                )


def test_a_diagnostic_without_source_has_no_caret() -> None:
    assert Diagnostic("L006", "the file cannot be read", "a.net", 1, 1).render() == (
        "error[L006]: the file cannot be read\n  --> a.net:1:1"
    )


@pytest.mark.parametrize(("character", "help"), [
    ("×", "write @ or *"), ("²", "write **2"), ("ä", "outside comments a declaration is ASCII"),
    ("\u200b", "outside comments a declaration is ASCII"), ("\a", "delete it"),
    ("\t", "write spaces: a tab has no certain width"),
])
def test_a_character_that_does_not_belong_has_its_help(character: str, help: str) -> None:
    (found,) = errors(f"X: input[n, m]\nZ = X{character} # ä\n").diagnostics
    assert (found.line, found.column, found.help) == (2, 6, help)


@pytest.mark.parametrize("body", ["y = x*x", "y = x*x\n    return y", "return x\n    y = x*x"])
def test_a_function_of_more_than_one_expression_is_pointed_at(body: str) -> None:
    (found,) = errors(f"X: input[n, m]\ndef f(x):\n    {body}\nloss = sum(f(X))\n").diagnostics
    assert (found.code, found.line, found.column) == ("P014", 3, 5)


@pytest.mark.parametrize(("column", "length", "caret"), [
    (1, 3, "^^^"), (3, 1, "  ^"), (3, 4, "  ^^^^"), (3, 9, "  ^^^^"), (6, 9, "     ^"), (7, 1, "      ^"),
])
def test_carets_end_with_their_line(column: int, length: int, caret: str) -> None:
    rendered = Diagnostic("N001", "x is not declared", "a.net", 1, column, length, "Z = xy").render()
    assert rendered.split("\n")[-1] == f"   | {caret}"


@pytest.mark.parametrize(("column", "at"), [(1, 1), (100, 100), (101, 40), (5000, 40)])
def test_the_window_of_a_long_line_begins_where_the_caret_can_be_seen(column: int, at: int) -> None:
    line = "x" * (column - 1) + "Q" + "x" * 200
    shown, caret = Diagnostic("N001", "Q", "a.net", 1, column, 1, line).render().split("\n")[-2:]
    assert len(shown) == len(" 1 | ") + 120
    assert shown[caret.index("^")] == "Q" and caret.index("^") == len(" 1 | ") + at - 1


@pytest.mark.parametrize(("call", "mended"), [
    ("sum(X, axis=0)", "sum(X, axis=0, keepdims=True)"), ("sum(X, axis=0,)", "sum(X, axis=0,keepdims=True)"),
    ("sum(X, axis=0, )", "sum(X, axis=0, keepdims=True)"),
])
def test_a_reduction_that_loses_an_axis_is_mended_in_its_line(call: str, mended: str) -> None:
    (found,) = errors(f"X: input[n, m]\nZ = X - {call}\n").diagnostics
    assert found.help == f"write `Z = X - {mended}`"


def test_the_row_in_which_a_reduction_ends_is_mended() -> None:
    (found,) = errors("X: input[n, m]\nZ = (X -\n  sum(X,\n    axis=0) +\n  X)\n").diagnostics
    assert found.help == "write `axis=0, keepdims=True) +`"


@pytest.mark.parametrize(("declaration", "name"), [
    ("X: input[n]\n", "X"), ("for t in range(1, T+1):\n    X[t]: input[n]\n", "X[t]"),
])
def test_an_array_of_one_axis_is_mended_with_its_name(declaration: str, name: str) -> None:
    found = errors(declaration).diagnostics[0]
    assert (found.code, found.help) == (
        "S020", f"write `{name}: input[n, 1]` for a column, `{name}: input[1, n]` for a row"
    )


@pytest.mark.parametrize(("expression", "label"), [
    ("maximum(X, W)", "n x m and n x n"), ("X > W", "n x m and n x n"), ("trace(X)", ""),
])
def test_shapes_that_differ_stand_at_the_caret_and_one_alone_in_the_message(expression: str, label: str) -> None:
    (found,) = errors(f"X: input[n, m]\nW: param[n, n]\nZ = {expression}\n").diagnostics
    assert found.label == label
    assert label or "not n x m" in found.message
