"""The table of edits: what one side of a row makes, the other side mends; text, place and shapes are kept."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from symbp.verify.check.edits import ROWS, Applied, Known, Meaning, edits, plant
from symbp.verify.check.natures import CODES, NATURES


def value(of: str, rows: str, cols: str, *indices: str) -> Meaning:
    return Meaning("value", of, (rows, cols), indices)


def parameter(of: str, rows: str, cols: str, *indices: str) -> Meaning:
    return Meaning("parameter", of, (rows, cols), indices)


def gradient(of: str, rows: str, cols: str, *indices: str) -> Meaning:
    return Meaning("gradient", of, (rows, cols), indices)


MLP = Known(
    names={
        "X": value("X", "n0", "m"), "Y": value("Y", "n2", "m"), "Z1": value("Z1", "n1", "m"),
        "A1": value("A1", "n1", "m"), "P": value("P", "n2", "m"), "W1": parameter("W1", "n1", "n0"),
        "W2": parameter("W2", "n2", "n1"), "b1": parameter("b1", "n1", "1"), "dP": gradient("P", "n2", "m"),
        "dZ2": gradient("Z2", "n2", "m"), "dW2": gradient("W2", "n2", "n1"), "dZ1": gradient("Z1", "n1", "m"),
        "dW1": gradient("W1", "n1", "n0"), "db1": gradient("b1", "n1", "1"),
    },
    functions=(Applied("tanh", "Z1", "Z1", "A1"), Applied("softmax", "Z2", "", "P", axis=0)),
    sizes=("m", "n0", "n1", "n2"),
    samples="m",
)

RNN = Known(
    names={
        "X": value("X", "n", "m", "t"), "H": value("H", "h", "m", "t"), "Z": value("Z", "h", "m", "t"),
        "W": parameter("W", "h", "h"), "V": parameter("V", "p", "h"), "dZ": gradient("Z", "h", "m", "t"),
        "dO": gradient("O", "p", "m", "t"), "dW": gradient("W", "h", "h"),
    },
    functions=(Applied("tanh", "Z", "Z[t]", "H[t]", indices=("t",)),),
    sizes=("m", "h", "n", "p"),
    samples="m",
    ranges={"t": ("1", "T")},
)

CODE = Known(
    names={
        "X": value("X", "n0", "m"), "Y": value("Y", "n2", "m"), "cache['A1']": value("A1", "n1", "m"),
        "params['W2']": parameter("W2", "n2", "n1"), "dZ2": gradient("Z2", "n2", "m"),
        "grads['W2']": gradient("W2", "n2", "n1"), "dE": gradient("E", "v", "d"), "K": parameter("K", "k", "k"),
    },
    functions=(Applied("tanh", "Z1", "", "cache['A1']"),),
    sizes=("m",),
    samples="m",
    loops=("t",),
    numpy=True,
)

LINES = [
    (MLP, "dZ1 = (W2.T @ dZ2) * (1 - A1**2)"),
    (MLP, "dZ2 = P*(dP - sum(P * dP, axis=0, keepdims=True))"),
    (MLP, "dW1 = dZ1 @ X.T / m"),
    (MLP, "db1 = sum(dZ1, axis=1, keepdims=True)"),
    (RNN, "dZ[t] = (V.T @ dO[t] + W.T @ dZ[t+1]) * (1 - H[t]**2)"),
    (RNN, "dW = sum(dZ[t] @ H[t-1].T for t in range(1, T+1))"),
    (CODE, "dA1 = np.dot(params['W2'].T, dZ2)"),
    (CODE, "grads['W2'] += dZ2.dot(cache['A1'].T)"),
    (CODE, "np.add.at(dE, ids, dZ2)"),
    (CODE, "db = np.mean(dZ2, axis=1, keepdims=True)"),
    (CODE, "dX = correlate(dY, np.rot90(K, 2))"),
    (CODE, "dA = dZ2.copy()"),
]


def parsed(text: str) -> ast.stmt:
    return ast.parse(text).body[0]


def key(node: ast.AST) -> str:
    """Return what a statement says, whatever the order of sums and entrywise products in it."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mult)):
        parts: list[ast.expr] = [node]
        for k in range(99):
            inner = parts[k] if k < len(parts) else None
            if isinstance(inner, ast.BinOp) and type(inner.op) is type(node.op):
                parts += [inner.left, inner.right]
        return type(node.op).__name__ + str(
            sorted(key(p) for p in parts if not (isinstance(p, ast.BinOp) and type(p.op) is type(node.op)))
        )
    fields = [v for _, v in ast.iter_fields(node)]
    inside = [str([key(x) if isinstance(x, ast.AST) else x for x in v]) if isinstance(v, list) else
              key(v) if isinstance(v, ast.AST) else str(v) for v in fields]
    return f"{type(node).__name__}({', '.join(inside)})"


def test_every_row_has_a_nature_and_every_nature_has_a_row() -> None:
    assert {row.nature for row in ROWS} == set(NATURES)
    assert len(CODES) == len(NATURES)
    for nature in NATURES.values():
        assert nature.text.endswith(".")
        assert nature.question.endswith("?")


@pytest.mark.parametrize(("known", "text"), LINES, ids=[text for _, text in LINES])
def test_what_is_planted_is_mended_under_the_same_nature(known: Known, text: str) -> None:
    right, lost, renamed = key(parsed(text)), Counter[str](), Counter[str]()
    planted = plant(parsed(text), known, text)[::9]
    assert planted
    for fault in planted:
        back = [e for e in edits(fault.statement, known, fault.text) if key(e.statement) == right]
        if not back:
            lost[f"{fault.nature}: {fault.text}"] += 1
        elif fault.nature not in [e.nature for e in back]:
            renamed[f"{fault.nature} -> {back[0].nature}: {fault.text}"] += 1
    assert len(lost) <= 1 + 0.05 * len(planted), lost
    assert len(renamed) <= 1 + 0.05 * len(planted), renamed


@pytest.mark.parametrize(("known", "text"), LINES, ids=[text for _, text in LINES])
def test_an_edit_keeps_the_rest_of_the_text(known: Known, text: str) -> None:
    found = edits(parsed(text), known, text)
    assert found
    assert len(found) < 900
    assert [e.distance for e in found] == sorted(e.distance for e in found)
    for edit in found:
        assert ast.dump(parsed(edit.text)) == ast.dump(edit.statement)
        start = edit.column - 1
        assert edit.text[:start] == text[:start]
        assert edit.text.endswith(text[start + edit.length :])


@pytest.mark.parametrize(
    ("known", "wrong", "nature", "mended"),
    [
        (MLP, "dZ1 = W2.T @ dZ2", "slope missing", "dZ1 = (W2.T @ dZ2) * (1 - A1**2)"),
        (MLP, "dZ1 = (W2.T @ dZ2) * A1", "activation in place of the slope", "dZ1 = (W2.T @ dZ2) * (1 - A1**2)"),
        (MLP, "dZ1 = W2.T@dZ2*(1 - Z1**2)", "slope at the wrong argument", "dZ1 = W2.T@dZ2*(1 - A1**2)"),
        (MLP, "dZ1 = W2.T@dZ2*A1*(1 - A1)", "slope of another function", "dZ1 = (W2.T@dZ2) * (1 - A1**2)"),
        (MLP, "dZ2 = P*dP", "softmax as diagonal", "dZ2 = P * (dP - sum(P * dP, axis=0, keepdims=True))"),
        (MLP, "dW1 = dZ1 @ X.T", "1/m missing", "dW1 = (dZ1 @ X.T) / m"),
        (MLP, "dW1 = dZ1 @ A1.T", "own output", "dW1 = dZ1 @ X.T"),
        (MLP, "dW1 = X @ dZ1", "order swapped", None),
        (MLP, "db1 = dZ1", "not summed", "db1 = sum(dZ1, axis=1, keepdims=True)"),
        (RNN, "dZ[t] = (V.T @ dO[t] + W @ dZ[t+1])*S", "recurrent not transposed",
         "dZ[t] = (V.T @ dO[t] + W.T @ dZ[t+1])*S"),
        (RNN, "dZ[t] = V.T @ dO[t]", "path dropped", "dZ[t] = V.T @ dO[t] + W.T @ dZ[t+1]"),
        (RNN, "dW = dZ[T] @ H[T-1].T", "only the last step", "dW = sum(dZ[t] @ H[t-1].T for t in range(1, T+1))"),
        (CODE, "dE[ids] += dZ2", "repeated indices overwritten", "np.add.at(dE, ids, dZ2)"),
        (CODE, "grads['W2'] = dZ2.dot(cache['A1'].T)", "only the last step",
         "grads['W2'] += dZ2.dot(cache['A1'].T)"),
    ],
)  # fmt: skip
def test_a_mistake_is_mended_in_its_own_words(known: Known, wrong: str, nature: str, mended: str | None) -> None:
    found = [e.text for e in edits(parsed(wrong), known, wrong) if e.nature == nature]
    if mended is None:
        assert not found, "shapes do not fit after it"
    else:
        assert mended in found


def test_a_line_that_spans_rows_keeps_them() -> None:
    text = "dZ1 = (W2.T\n       @ dZ2)"
    found = next(e for e in edits(parsed(text), MLP, text) if e.nature == "slope missing")
    assert found.text == "dZ1 = (W2.T\n       @ dZ2) * (1 - A1**2)"


def test_without_the_text_of_the_user_a_line_is_written_anew() -> None:
    assert any(e.text == "dW1 = dZ1 @ X.T / n0" for e in edits(parsed("dW1=dZ1@X.T / m"), MLP))
