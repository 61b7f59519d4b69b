"""Layers of feature maps against plain loops over samples, channels, filters and places, and their other readings."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import sympy as sp

from symbp.calculus import derive
from symbp.expr import Gather, Ref, Scatter, T, size, total, windows
from symbp.language import DeclarationError, read_text
from symbp.language.builder import Model
from symbp.layers.convolution import rotated, toeplitz
from symbp.program import Equation, Program, Var
from symbp.render.data import derivation_data
from symbp.render.document import latex_document
from symbp.render.markdown import markdown
from symbp.render.sizes import SizeError, fixed_sizes
from symbp.render.terminal import derive_summary
from symbp.verify.evaluate import evaluate
from symbp.verify.normal_form import prove
from symbp.verify.programs import check_derivation
from symbp.verify.report import all_ok

RNG = np.random.default_rng(11)


def correlated(images: Any, kernel: Any, stride: int, padding: int, dilation: int, groups: int) -> Any:
    """Return the correlation of images (n, c, h, w) with kernels (f, c/groups, kh, kw), term by term."""
    n, _, h, w = images.shape
    f, seen, kh, kw = kernel.shape
    room = [side + 2 * padding - dilation * (k - 1) - 1 for side, k in ((h, kh), (w, kw))]
    out = np.zeros((n, f, room[0] // stride + 1, room[1] // stride + 1))
    for s, q, i, j in np.ndindex(*out.shape):
        first = q // (f // groups) * seen
        for p, u, v in itertools.product(range(seen), range(kh), range(kw)):
            y, x = stride * i + dilation * u - padding, stride * j + dilation * v - padding
            if 0 <= y < h and 0 <= x < w:
                out[s, q, i, j] += kernel[q, p, u, v] * images[s, first + p, y, x]
    return out


def as_maps(images: Any) -> Any:
    """Return images (n, c, h, w) as channels x (samples, rows, columns)."""
    return images.transpose(1, 0, 2, 3).reshape(images.shape[1], -1)


def columns(images: Any) -> Any:
    """Return images as flattened samples in columns."""
    return images.reshape(len(images), -1).T


def value(text: str, values: dict[str, Any], rows: bool = False, name: str = "A") -> Any:
    """Return what a declaration computes; with samples as rows everything is given and taken transposed."""
    head, _, layer = text.partition("\n")
    shape = head.partition("[")[2].rstrip("]").split(", ")
    if rows:
        head = f"samples: m\nX: input[{shape[1]}, {shape[0]}]"
    program = read_text(f"{head}\n{layer}\nloss = sum({name})\n")
    found = evaluate(program, {k: v.T if rows else v for k, v in values.items()}, {"m": values["X"].shape[1]})[name]
    return found.T if rows else found


CASES = [
    ("", 1, 0, 1, 1), (", stride=2", 2, 0, 1, 1), (", padding=2", 1, 2, 1, 1), (", dilation=2", 1, 0, 2, 1),
    (", stride=3, padding=1", 3, 1, 1, 1), (", stride=2, padding=1, dilation=2, groups=2", 2, 1, 2, 2),
]


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("options, stride, padding, dilation, groups", CASES)
def test_convolution(options: str, stride: int, padding: int, dilation: int, groups: int, rows: bool) -> None:
    images, kernel = RNG.normal(size=(3, 4, 7, 6)), RNG.normal(size=(2, 4 // groups, 3, 3))
    b = RNG.normal(size=(2, 1))
    text = f"X: input[168, m]\nA = conv2d(image(X, 4, 7, 6), 2, 3{options}, activation=tanh)"
    found = value(text, {"X": columns(images), "K_A": kernel.reshape(2, -1), "b_A": b}, rows)
    expected = np.tanh(correlated(images, kernel, stride, padding, dilation, groups) + b[None, :, :, None])
    np.testing.assert_allclose(found, as_maps(expected), rtol=1e-11)


@pytest.mark.parametrize("rows", [False, True])
def test_convolution_along_a_sequence(rows: bool) -> None:
    images, kernel = RNG.normal(size=(3, 2, 1, 9)), RNG.normal(size=(5, 2, 1, 4))
    text = "X: input[18, m]\nA = conv1d(image(X, 2, 1, 9), 5, 4, stride=2, bias='none')"
    found = value(text, {"X": columns(images), "K_A": kernel.reshape(5, -1)}, rows)
    np.testing.assert_allclose(found, as_maps(correlated(images, kernel, 2, 0, 1, 1)), rtol=1e-11)


@pytest.mark.parametrize(
    "options, s, p, d", [("", 1, 0, 1), (", stride=2, padding=1", 2, 1, 1), (", dilation=2", 1, 0, 2)]
)
@pytest.mark.parametrize("rows", [False, True])
def test_transposed_convolution_is_the_transpose(options: str, s: int, p: int, d: int, rows: bool) -> None:
    # The kernel is that of a convolution from 2 channels to 3.
    small, kernel = RNG.normal(size=(2, 3, 3, 4)), RNG.normal(size=(3, 2, 3, 3))
    size = [s * (n - 1) + 2 * d + 1 - 2 * p for n in (3, 4)]
    large = RNG.normal(size=(2, 2, *size))
    text = f"X: input[36, m]\nA = conv_transpose2d(image(X, 3, 3, 4), 2, 3{options}, bias='none')"
    found = value(text, {"X": columns(small), "K_A": kernel.reshape(3, -1).T}, rows)
    assert found.shape == (2, 2 * size[0] * size[1])
    there = np.sum(correlated(large, kernel, s, p, d, 1) * small)
    np.testing.assert_allclose(np.sum(as_maps(large) * found), there, rtol=1e-11)


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("layer, reduce", [("max_pool", np.max), ("avg_pool", np.mean)])
@pytest.mark.parametrize("size, stride", [(2, 2), (3, 2), (2, 3)])
def test_pooling(layer: str, reduce: Any, size: int, stride: int, rows: bool) -> None:
    images = RNG.normal(size=(3, 2, 7, 6))
    out = [(n - size) // stride + 1 for n in (7, 6)]
    expected = np.zeros((3, 2, *out))
    for n, c, i, j in np.ndindex(*expected.shape):
        expected[n, c, i, j] = reduce(images[n, c, stride * i : stride * i + size, stride * j : stride * j + size])
    text = f"X: input[84, m]\nA = {layer}(image(X, 2, 7, 6), {size}, {stride})"
    np.testing.assert_allclose(value(text, {"X": columns(images)}, rows), as_maps(expected), rtol=1e-11)


@pytest.mark.parametrize("rows", [False, True])
def test_global_pooling_flattening_and_putting_together(rows: bool) -> None:
    images = RNG.normal(size=(3, 2, 4, 5))
    X, head = columns(images), "X: input[40, m]\nB = image(X, 2, 4, 5)\n"
    np.testing.assert_allclose(value(head + "A = global_avg_pool(B)", {"X": X}, rows), images.mean(axis=(2, 3)).T)
    np.testing.assert_allclose(value(head + "A = global_max_pool(B)", {"X": X}, rows), images.max(axis=(2, 3)).T)
    np.testing.assert_array_equal(value(head + "A = flatten_maps(B)", {"X": X}, rows), X)
    scanned = columns(images.transpose(0, 1, 3, 2))
    np.testing.assert_array_equal(value(head + "A = flatten_maps(B, scan='columns')", {"X": X}, rows), scanned)
    np.testing.assert_array_equal(
        value("X: input[40, m]\nA = image(X, 2, 4, 5, scan='columns')", {"X": scanned}, rows), as_maps(images)
    )
    both = value(head + "A = concat_maps([B, B**2])", {"X": X}, rows)
    np.testing.assert_array_equal(both, np.vstack([as_maps(images), as_maps(images) ** 2]))


def test_the_first_largest_entry_of_a_window_wins() -> None:
    derivation = derive(read_text("X: param[4, 1]\nA = max_pool(image(X, 1, 2, 2), 2)\nloss = sum(A)\n"))
    X = np.array([[1.0], [2.0], [2.0], [2.0]])
    found = evaluate(derivation.program, {"X": X}, {})[derivation.gradients["X"]]
    np.testing.assert_array_equal(found.ravel(), [0, 1, 0, 0])


# ---------------------------------------------------------------------------------------------------------
# Sizes


def test_elementwise_functions_keep_maps_and_other_operations_lose_them() -> None:
    head = "X: input[32, m]\nM: input[2, 16*m] & mask\nA = image(X, 2, 4, 4)\nB = relu(A) + 2*A\n"
    head += "C = dropout(B, M, 1/2)\n"
    assert read_text(head + "D = conv2d(C, 3, 3)\nloss = sum(D)\n").variables["D"].shape == (3, 4 * size("m"))
    with pytest.raises(DeclarationError, match="image"):
        read_text(head + "W: param[2, 2]\nD = conv2d(W @ C, 3, 3)\nloss = sum(D)\n")


def test_symbolic_sizes() -> None:
    head = "X: input[c*h*w, m]\nassert h >= 3\nassert w >= 3\nA = image(X, c, h, w)\n"
    program = read_text(head + "B = conv2d(A, f, 3, padding=1)\nC = conv2d(B, f, 3)\nloss = sum(B) + sum(C)\n")
    assert str(program.variables["C"].cols) == "h*m*w - 2*h*m - 2*m*w + 4*m"
    assert program.definitions == ()


def test_a_size_that_is_no_polynomial_has_a_name_and_a_definition() -> None:
    program = read_text(
        "X: input[c*h*h, m]\nassert h >= 3\nA = image(X, c, h, h)\nB = conv2d(A, f, 3, stride=2)\nC = max_pool(B, 2)\n"
        "D = conv2d(A, f, 3, stride=2)\nloss = sum(B + D) + sum(C)\n"
    )
    assert [(str(s), str(v)) for s, v in program.definitions] == [
        ("h_B", "floor(h/2 - 3/2) + 1"), ("h_C", "floor(h_B/2)"),
    ]
    images = RNG.normal(size=(2, 1, 9, 9))
    values = {"X": columns(images)}
    for name in "BD":
        values |= {f"K_{name}": RNG.normal(size=(2, 9)), f"b_{name}": np.ones((2, 1))}
    sizes = {"c": 1, "h": 9, "m": 2, "f": 2, "h_B": 4, "h_C": 2}
    found = evaluate(program, values, sizes)["B"]
    expected = correlated(images, values["K_B"].reshape(2, 1, 3, 3), 2, 0, 1, 1) + 1
    np.testing.assert_allclose(found, as_maps(expected), rtol=1e-11)


STRIDED = """X: input[c*h*h, m]
assert h >= 3
G: input[k, m]
A = conv2d(image(X, c, h, h), f, 3, stride=2, padding=1)
Z = dense(flatten_maps(A), k)
loss = sum(G * Z)
"""


def test_definitions_of_sizes_and_maps_are_printed() -> None:
    derivation = derive(read_text(STRIDED))
    terminal, tex = derive_summary(derivation), latex_document(derivation, text=STRIDED)
    assert "size  h_A = floor((h - 1)/2) + 1" in " ".join(terminal.split(" " * 3))
    assert "P_A = im2col(maps(X; h×h); 3×3, stride 2, padding 1)" in terminal
    assert "h_{A} = \\lfloor \\frac{h - 1}{2} \\rfloor + 1" in tex
    assert "\\operatorname{im2col}" in tex and "3{\\times}3,\\, \\text{stride }2,\\, \\text{padding }1" in tex
    assert "lfloor" in markdown(derivation, text=STRIDED)
    assert derivation_data(derivation)["definitions"] == {"h_A": "floor((h - 1)/2) + 1"}


def test_a_module_for_sizes_at_which_nothing_is_left_is_refused() -> None:
    text = "X: input[h*h, m]\nY: target[1, m]\nA = max_pool(max_pool(image(X, 1, h, h), 2), 2)\n"
    derivation = derive(read_text(text + "W: param[1, 1]\nloss = sum(W * global_avg_pool(A) - Y)\n"), ["W"])
    with pytest.raises(SizeError, match="h_A_2 = floor"):
        fixed_sizes(derivation.source, {"h": 3, "m": 2}, {})


def test_the_depth_of_a_residual_network_of_convolutions_stays_a_symbol() -> None:
    derivation = derive(read_text(
        "X: input[c*36, m]\nY: target[k, m]\nA[0] = image(X, c, 6, 6)\nfor l in range(1, L+1):\n"
        "    A[l] = conv2d(A[l-1], c, 3, padding=1, activation=tanh) + A[l-1]\n"
        "Z = dense(global_avg_pool(A[L]), k)\nloss = sum_of_squares(Z, Y)\n"
    ))
    assert "col2im(P̄_A[l+1]; 3×3, padding 1) + Ā[l+1]" in derive_summary(derivation)
    verdicts = check_derivation(derivation)
    assert all_ok(verdicts), verdicts
    assert all(v.proved for v in verdicts if v.subject.endswith("_bar"))


def test_layers_in_python() -> None:
    net = Model(samples="m")
    X = net.input("X", 32, "m")
    A = net.write("A", "image", X, 2, 4, 4)
    B = net.write("B", "conv2d", A, 3, 3, padding=1, activation="relu")
    C = net.write("C", "max_pool", B, 2)
    net["loss"] = total(C)
    same = read_text(
        "X: input[32, m]\nsamples: m\nA = image(X, 2, 4, 4)\nB = conv2d(A, 3, 3, padding=1, activation=relu)\n"
        "C = max_pool(B, 2)\nloss = sum(C)\n"
    )
    assert [s.equation.value for s in net.program().sites] == [s.equation.value for s in same.sites]


# ---------------------------------------------------------------------------------------------------------
# Gradients, and other readings of them


@pytest.mark.parametrize(
    "layer",
    [
        "conv2d(A, 4, 3, stride=2, padding=1, groups=2)", "conv2d(A, 2, 2, dilation=2, activation=tanh)",
        "conv_transpose2d(A, 3, 2, stride=2)", "max_pool(A, 2, 1)", "avg_pool(A, 2)", "global_max_pool(A)",
        "concat_maps([A, sin(A)])",
    ],
)
def test_gradients_hold_and_are_proved(layer: str) -> None:
    text = f"X: param[2*4*5, m]\nA = image(X, 2, 4, 5)\nB = {layer}\n"
    B = read_text(text + "loss = sum(B)\n").variables["B"]
    derivation = derive(read_text(f"{text}G: input[{B.rows}, {B.cols}]\nloss = sum(B*G)\n"))
    verdicts = check_derivation(derivation)
    assert all_ok(verdicts), verdicts
    assert all(v.proved for v in verdicts if v.subject.endswith("_bar"))


F, C, K_ = 3, 2, (3, 2)
IMAGE, OUT = (5, 6), (3, 5)


def computed(node: Any, **values: Any) -> Any:
    """Return the value of an expression of given matrices."""
    known = {n: Var(n, *map(sp.Integer, v.shape), kind="input") for n, v in values.items()}
    result = Var("R", *node.shape)
    return evaluate(Program({**known, "R": result}, (Equation(result(), node),), ("R",)), values, {})["R"]


def test_the_toeplitz_reading_and_the_rotated_kernel_give_the_same() -> None:
    image, kernel, G = RNG.normal(size=(1, C, *IMAGE)), RNG.normal(size=(F, C, *K_)), RNG.normal(size=(F, 15))
    x, K = columns(image), kernel.reshape(F, -1)
    expected = correlated(image, kernel, 1, 0, 1, 1)
    X, Kernel, g = Ref("X", C * 30, 1), Ref("K", F, C * 6), Ref("G", F, 15)
    M = toeplitz(Kernel, F, C, IMAGE, K_)
    np.testing.assert_allclose(computed(M @ X, K=K, X=x), columns(expected), rtol=1e-11)
    one, none = (1, 1), (0, 0)
    rule = windows(C, 1, IMAGE, K_, OUT, one, none, one)
    # The gradient of the kernel: by im2col, and as the sum over the tied entries of the gradient of M.
    maps, flat = image.reshape(C, -1), G.reshape(-1, 1)
    by_windows = computed(g @ T(Gather(Ref("A", C, 30), rule)), G=G, A=maps)
    by_ties = computed(Scatter(Ref("g", F * 15, 1) @ T(X), M.map), g=flat, X=x)
    np.testing.assert_allclose(by_windows, by_ties, rtol=1e-11)
    # The gradient of the input: by col2im, by M transposed, and as the full correlation with the rotated kernel.
    by_overlap = computed(Scatter(T(Kernel) @ g, rule), K=K, G=G)
    by_transpose = computed(T(M) @ Ref("g", F * 15, 1), K=K, g=flat).reshape(C, 30)
    full = windows(F, 1, OUT, K_, IMAGE, one, (K_[0] - 1, K_[1] - 1), one)
    by_rotation = computed(rotated(Kernel, F, C, K_) @ Gather(g, full), K=K, G=G)
    np.testing.assert_allclose(by_overlap, by_transpose, rtol=1e-11)
    np.testing.assert_allclose(by_overlap, by_rotation, rtol=1e-11)


def test_a_map_and_its_transpose_are_one_tensor_of_the_normal_form() -> None:
    rule = windows(C, 2, IMAGE, K_, OUT, (1, 1), (0, 0), (1, 1))
    A = Ref("A", *rule.source_shape)
    assert prove(T(Gather(A, rule)), Gather(T(A), rule.T)).status == "proved"
    other = windows(C, 2, IMAGE, K_, OUT, (1, 1), (1, 0), (1, 1))
    assert prove(Gather(A, rule), Gather(A, other)).status != "proved"
