"""The expression printer: a line for every primitive and function, checked on numbers, with few parentheses."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symbp.expr as expr
from symbp.expr import Function, Map, Node, Ones, Ref, Scale, add, had, matmul, size, walk
from symbp.ops import ELEMENTWISE as FUNCTIONS
from symbp.program import Equation, Program, Var
from symbp.render.numpy.expressions import ELEMENTWISE, PRIMITIVES, Printer
from symbp.render.numpy.laws import law_text
from symbp.render.numpy.layout import Layout
from symbp.render.numpy.scalars import GenerateError, ScalarPrinter, number_text
from symbp.render.numpy.scope import FunctionScope, Kernels
from symbp.verify.draws import choose_sizes, draw, tangents
from symbp.verify.evaluate import evaluate
from symbp.verify.scalars import arguments, is_held, scalar_law
from symbp.verify.rules import MAPS

from .conftest import flat, load, packed

KERNELS = Path(__file__).parents[3] / "templates" / "numpy" / "kernels"

BODIES = {
    "sums": "loss = sum(A) + sum(A @ B) + sum(sum(A, axis=0, keepdims=True)*u) + sum(A*sum(A, axis=1, keepdims=True))",
    "means": "loss = sum((A - mean(A, axis=1, keepdims=True))**2)/k - mean(A)",
    "broadcasts": "loss = sum((v + u)*A) + sum((v * u) @ B) + sum((A + s) * 2) + sum(s * A)",
    "ones": "loss = sum(ones(k, n) @ B) + sum(A * ones(k, n)) + sum(zeros(k, n) + A) + sum(eye(n) @ B)",
    "outer": "loss = sum(A @ ones(n, 1) @ ones(1, n) @ B * (A @ B)) + sum(outer(v, u) * A)",
    "products": "loss = sum(A @ B @ A @ B) + sum((A @ B).T @ v) + trace(A @ B) + sum(v.T @ A @ B @ v)",
    "diagonals": "loss = sum(diagflat(v) @ A) + sum(A @ diagflat(u.T)) + sum(diag(A @ B) * v) + sum(diagflat(v)**2)",
    "blocks": "assert n >= 3\nassert k >= 3\n"
    "loss = sum(A[0:2, :]*A[1:3, :]) + sum(A[:, 1:n] @ B[1:n, :]) + A[1:2, 0:1]",
    "stacks": "loss = sum(vstack([A, u])**2) + sum(hstack([A, v]) @ vstack([B, ones(1, k)]))",
    "reshapes": "R = reshape(A, (n, k))\nloss = sum(R * B) + sum(reshape(A, (k*n, 1), order='F')**2)",
    "contractions": (
        "loss = sum(einsum('i j, k i -> k (i j)', A, B)**2) + sum(einsum('i j, k i, i l -> j (k l)', A, B, A)**3)"
        " + sum(einsum('i j, k i, l -> (i l) k', A, B, v))"
    ),
    "krons": "loss = sum(kron(A, B)**2) + sum(kron(v, A)**3)",
    "masks": "loss = sum(tril(A @ B)) + sum(triu(A @ B)**2) + sum(cumsum(A, axis=0)**2)",
    "maxima": "loss = sum(max(A, axis=0, keepdims=True)**2) + sum(max(A, axis=1, keepdims=True)) + max(B)",
    "softmaxes": "loss = sum(softmax(A, axis=0) * A) + sum(softmax(A, axis=1)**2) + sum(log_softmax(B, axis=1) * B)",
    "sumexps": "loss = sum(logsumexp(A, axis=0, keepdims=True)**2) + sum(logsumexp(A, axis=1, keepdims=True) * v)",
    "selections": "C = B.T\nloss = sum(where(A > C, A, C**2)) + sum((A > 0)*A) + sum(maximum(A, 0)*minimum(A, C)**2)",
    "quotients": "P = exp(A)\nloss = sum(A/P) + sum(u/(1 + P)) + sum(1/P**2) + sum(P**(1/3)) + sum(P**(-3/2)*P**P)",
    "powers": "loss = sum(A**2) + sum(A**3) + sum(A**4) + sum(A**5) + sum(exp(A)**1.5)",
    "norms": "loss = norm(A) + norm(v)**2 + dot(v, v) + sum(A)**2",
    "signs": "loss = -sum(A) - sum(-A @ B) - (sum(A) - sum(B)) + sum(A - (B.T - A))",
    "coefficients": "loss = sum(A)/(2*k) - 2/3*sum(B)*n + sum(A @ B)/sqrt(n) + sum(A)*(n + 1)/k**2",
    "numbers": "ids: input[1, n] & index[k]\njds: input[m, 1] & index[n]\n"
    "loss = sum(A.T[:, ids]**2) + sum(A[:, jds]**3) + sum(B[jds, :]**2) + sum((A @ B)[ids, :] * B)",
    "kinks": "loss = sum(abs(A)*A) + sum(sign(A)*A) + sum(clip(A, -1, 1)*A)",
}
"""Bodies in matrices A (k x n), B (n x k), columns v, rows u, and a 1 x 1 matrix s."""

HEAD = "A: param[k, n]\nB: param[n, k]\nv: param[k, 1]\nu: param[1, n]\ns: param[1, 1]\n"


@pytest.mark.parametrize("name", sorted(BODIES))
def test_bodies_agree_with_the_evaluator(name: str, generated: Any) -> None:
    made = generated(HEAD + BODIES[name])
    for turn, sizes in enumerate(choose_sizes(made.derivation.source, limit=1)):
        rng = np.random.default_rng(turn)
        values = draw(made.derivation.source, sizes, rng)
        results = evaluate(made.derivation.program, values, sizes)
        params, inputs = made.arguments(values, sizes)
        cache = made.module.forward(params, inputs)
        assert cache.loss == pytest.approx(results["loss"][0, 0], rel=1e-12)
        for field in cache._fields[1:]:
            assert np.allclose(getattr(cache, field), results[field], rtol=1e-11, atol=1e-13), field
        gradients = made.module.backward(params, inputs, cache)
        moved = tangents(made.derivation.source, sizes, rng, [f.var.name for f in made.layout.params])
        slope = 0.0
        for field in made.layout.params:
            wanted = packed(field, results[made.derivation.gradients[field.var.name]], sizes, float)
            mine = getattr(gradients, field.name)
            assert mine.shape == wanted.shape, field.name
            assert np.allclose(mine, wanted, rtol=1e-11, atol=1e-12 * (1 + np.abs(wanted).max())), field.name
            slope += float(np.vdot(mine, moved[field.var.name]))
        along = made.module.Gradients(**{f.name: moved[f.var.name] for f in made.layout.params})
        assert made.module.jvp(params, inputs, along)[1] == pytest.approx(slope, rel=1e-10, abs=1e-10)


def node_classes() -> set[type[Node]]:
    """Return every class of expressions that can stand in a program."""
    classes = {c for _, c in inspect.getmembers(expr, inspect.isclass) if issubclass(c, Node)}
    return {c for c in classes if not any(other is not c and issubclass(other, c) for other in classes)}


def test_every_primitive_has_a_line() -> None:
    assert set(PRIMITIVES) == node_classes()


def test_every_function_has_a_line() -> None:
    assert set(ELEMENTWISE) == set(FUNCTIONS)


def test_every_primitive_is_run_by_a_body(generated: Any) -> None:
    seen: set[type[Node]] = set()
    for body in BODIES.values():
        derivation = generated(HEAD + body).derivation
        seen |= {type(n) for site in derivation.program.sites for n in walk(site.equation.value)}
    # Sums over an index are run by the recurrent networks, scatter_add below.
    assert set(PRIMITIVES) - seen == {expr.SumOver, expr.Scatter}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", [expr.Gather, expr.Scatter])
@pytest.mark.parametrize("name", MAPS)
def test_static_maps_agree_with_the_evaluator(kind: type[Node], name: str, turned: bool) -> None:
    known = {expr.size(s): sp.Integer(k) for s, k in {"m": 2, "n": 3, "p": 5, "q": 7, "c": 2}.items()}
    static = MAPS[name].with_sizes(lambda s: s.xreplace(known))
    static = static.T if turned else static
    shape, result = static.source_shape, static.shape
    shape, result = (shape, result) if kind is expr.Gather else (result, shape)
    node = kind(Ref("G", *shape), static)
    variables = {"G": Var("G", *map(sp.Integer, shape), kind="input"), "R": Var("R", *map(sp.Integer, result))}
    program = Program(variables, (Equation(variables["R"](), node),), outputs=("R",))
    scope = FunctionScope(Layout(program, {}), Kernels(), Layout(program, {}).fields)
    text = Printer(scope).full(node).text
    kernels = [(KERNELS / f"{k}.py.jinja").read_text() for k in sorted(scope.kernels.used)]
    top = "import numpy as np\nfrom typing import Any\nArray = Any"
    module = load("\n".join([top, *kernels, f"def f(G):\n    return {text}"]), "static")
    G = np.random.default_rng(0).standard_normal(shape)
    assert np.allclose(module.f(G), evaluate(program, {"G": G}, {})["R"], rtol=1e-14)


def test_every_kernel_has_a_template() -> None:
    called = {"softmax", "logsumexp", "softmax_and_logsumexp", "argmax_mask", "embed", "glorot", "symmetric"}
    called |= {"numbers", "add_at", "windows", "overlap", "gather", "scatter"}
    called |= {"sigmoid", "erf", "recip0", "leaky_relu", "elu", "silu", "mish", "gelu", "softsign"}
    assert {file.name.removesuffix(".py.jinja") for file in KERNELS.iterdir()} == called


# -- elementwise functions ----------------------------------------------------------------------------------------

POSITIVE = {"log", "sqrt", "power", "recip"}


def function_of(name: str) -> Function:
    """Return a function of the table with its parameters."""
    entry = FUNCTIONS[name]
    return entry.function(*(sp.Rational(1, 3),) * (len(entry.parameters) - len(entry.defaults)))


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"pow"}))
def test_functions_and_their_derivatives(name: str, order: int) -> None:
    base = function_of(name)
    function = Function(base.name, base.parameters, (order,))
    kernels = Kernels()
    n = size("n")
    text = law_text(function, "_f", kernels) if order else None
    scope = FunctionScope(Layout(Program({"x": Var("x", n, n, kind="input")}, ()), {}), kernels)
    scope.stores["x"] = scope.layout.direct(scope.layout.inputs[0])
    code = Printer(scope).number(Map(Ref("x", n, n), base))
    body = text or f"def _f(x):\n    return {code.text}"
    used = sorted(kernels.used | ({"erf"} if "gelu" in kernels.used else set()))
    sources = [(KERNELS / f"{k}.py.jinja").read_text() for k in used]
    top = "import numpy as np\nfrom typing import Any\nArray = Any\nDTYPE = np.float64\n"
    module = load("\n".join([top, *sources, body]), f"law_{name}_{order}")
    right = np.linspace(0.05, 4, 40)
    x = right if name in POSITIVE else np.concatenate([-right, right])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = module._f(x.reshape(2, -1)).ravel()
    # SymPy's scalar calculus on the verifier's own law, one point after the other.
    (symbol,) = arguments(1)
    law = scalar_law(function) if is_held(base) else sp.diff(scalar_law(base), symbol, order)
    wanted = np.array([float(law.subs(symbol, sp.Float(point, 30)).doit()) for point in x])
    assert np.allclose(found, wanted, rtol=2e-13, atol=1e-14)


def test_erf_is_accurate_everywhere() -> None:
    import math

    text = (KERNELS / "erf.py.jinja").read_text()
    module = load(f"import numpy as np\nfrom typing import Any\nArray = Any\n{text}", "erf")
    z = np.concatenate([np.linspace(-7, 7, 4001), 10.0 ** np.linspace(-300, 300, 301)])
    wanted = np.array([math.erf(v) for v in z])
    assert np.abs(module._erf(z) - wanted).max() <= 2e-15
    small = np.abs(z) < 0.4
    assert (np.abs(module._erf(z) - wanted)[small] <= 2e-15 * np.abs(wanted[small])).all()
    assert module._erf(z[:4001].astype(np.float32)).dtype == np.float32


def test_user_functions_become_functions_of_the_module(generated: Any) -> None:
    made = generated(
        "def smooth(x): return x/(1 + exp(-x))\ndef bent(x): return where(x > 1, log(x), 0)\n"
        "X: input[n, m]\nW: param[n, m]\nloss = sum(smooth(W*X)) + sum(bent(W))"
    )
    assert "def _smooth(x: Array) -> Array:" in made.text
    assert "def _smooth_prime(x: Array) -> Array:" in made.text
    W, X = np.array([[0.5, -1.0], [0.0, 2.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    loss, gradients = made.module.loss_and_gradients(made.module.Params(W), made.module.Inputs(X))
    Z = W * X
    sigma = 1 / (1 + np.exp(-Z))
    assert loss == pytest.approx((Z * sigma).sum() + np.log(2), rel=1e-14)
    assert np.allclose(gradients.W, X * (sigma + Z * sigma * (1 - sigma)) + np.array([[0, 0], [0, 0.5]]), rtol=1e-13)


# -- large arguments, guarded points --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss",
    [
        "sum(sigmoid(Z))", "sum(softplus(Z))", "sum(softmax(Z, axis=0)*Y)", "sum(logsumexp(Z, axis=0, keepdims=True))",
        "softmax_cross_entropy(Z, Y)", "sigmoid_cross_entropy(Z, Y)", "-sum(Y*log(softmax(Z, axis=0)))/m",
        "-sum(Y*log(sigmoid(Z)) + (1 - Y)*log(1 - sigmoid(Z)))/m", "sum(silu(Z))", "sum(elu(Z))", "sum(tanh(Z))",
        "sum(gelu(Z))",
    ],
)
def test_nothing_overflows_up_to_a_thousand(loss: str, generated: Any) -> None:
    made = generated(
        f"samples: m\nX: input[n, m]\nY: target[n, m] & one_hot_columns\nW: param[n, n]\nZ = W @ X\nloss = {loss}"
    )
    X = np.array([[1000.0, -1000.0, 0.0], [-1000.0, 500.0, 700.0]])
    params, inputs = made.module.Params(np.eye(2)), made.module.Inputs(X, np.array([[0.0, 1, 0], [1, 0, 1]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache = made.module.forward(params, inputs)
        gradients = made.module.backward(params, inputs, cache)
        made.module.jvp(params, inputs, made.module.Gradients(np.ones((2, 2))))
    assert np.isfinite(cache.loss)
    assert np.isfinite(gradients.W).all()


GUARDED = {
    "log": ("sum(where(W > 0, log(W), 0)*X)", lambda W, X: np.where(W > 0, X / np.where(W > 0, W, 1), 0)),
    "sqrt": ("sum(where(W > 0, sqrt(W), -W))", lambda W, X: np.where(W > 0, 0.5 / np.sqrt(np.where(W > 0, W, 1)), -1)),
    "quotient": ("sum(where(W != 0, X/W, W))", lambda W, X: np.where(W != 0, -X / np.where(W != 0, W, 1) ** 2, 1)),
    "otherwise": ("sum(where(W <= 0, W, log(W)))", lambda W, X: np.where(W <= 0, 1, 1 / np.where(W > 0, W, 1))),
    "power": ("sum(where(W > 0, W**0.5, 0))", lambda W, X: np.where(W > 0, 0.5 / np.sqrt(np.where(W > 0, W, 1)), 0)),
}


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("name", sorted(GUARDED))
def test_guarded_points_give_finite_gradients(name: str, named: bool, generated: Any) -> None:
    loss, slope = GUARDED[name]
    text = "X: input[n, m]\nW: param[n, m]\n"
    if named:
        # The guarded function has a line of its own, which only the selection reads.
        inner = {"log": "log(W)", "sqrt": "sqrt(W)", "quotient": "X/W", "otherwise": "log(W)", "power": "W**0.5"}[name]
        text += f"Q = {inner}\n"
        loss = loss.replace(inner, "Q")
    made = generated(text + f"loss = {loss}")
    W, X = np.array([[0.0, 2.0, -3.0], [0.0, 0.25, 1.0]]), np.arange(1.0, 7).reshape(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params, inputs = made.module.Params(W), made.module.Inputs(X)
        loss_value, gradients = made.module.loss_and_gradients(params, inputs)
        _, moved = made.module.jvp(params, inputs, made.module.Gradients(np.ones_like(W)))
    assert np.isfinite(loss_value)
    assert np.allclose(gradients.W, slope(W, X), rtol=1e-14)
    assert moved == pytest.approx(slope(W, X).sum(), rel=1e-13)


def test_an_unguarded_point_is_not_hidden(generated: Any) -> None:
    made = generated("X: input[n, m]\nW: param[n, m]\nQ = log(W)\nloss = sum(where(X > 0, Q, 0))")
    with np.errstate(all="ignore"):
        # The selection picks the entry at which there is no logarithm.
        params, inputs = made.module.Params(np.array([[-1.0, 2.0]])), made.module.Inputs(np.ones((1, 2)))
        assert np.isnan(made.module.forward(params, inputs).loss)


# -- the text -----------------------------------------------------------------------------------------------------

n, k = size("n"), size("k")
A, B, v, u = Ref("A", k, n), Ref("B", k, n), Ref("v", k, 1), Ref("u", 1, n)
W = Ref("W", n, k)


@pytest.fixture
def printer() -> Printer:
    variables = {r.name: Var(r.name, r.rows, r.cols, kind="input") for r in (A, B, v, u, W)}
    layout = Layout(Program(variables, ()), {})
    return Printer(FunctionScope(layout, Kernels(), layout.fields))


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (A + v, "A + v"),
        (W @ A + W @ v, "W @ A + W @ v"),
        (A - B - A, "A - B - A"),
        (A - (B - A), "A - (B - A)"),
        (-A + B, "-A + B"),
        (-(W @ A), "-(W @ A)"),
        ((W @ A) * 2, "2 * (W @ A)"),
        (had(A, add(B, A)), "A * (B + A)"),
        (had(matmul(v, u), A), "(v @ u) * A"),
        (A / k, "A / k"),
        ((A - B) / (2 * k), "(A - B) / (2 * k)"),
        (A * sp.Rational(2, 3) / k, "(2 / (3 * k)) * A"),
        (-A / k, "(-1 / k) * A"),
        (A * sp.Rational(1, 2), "0.5 * A"),
        (A / 3, "A / 3"),
        (A / sp.sqrt(k), "A / k**0.5"),
        (A / B, "A / B"),
        (1 / A, "1 / A"),
        (A * B / (A + B), "A * B / (A + B)"),
        (A**2, "A**2"),
        ((A + B) ** 2, "(A + B) ** 2"),
        (1 - A * A, "1 - A * A"),
        (matmul(Ones(1, k), A), "A.sum(axis=0, keepdims=True)"),
        (matmul(A, Ones(n, 1)), "A.sum(axis=1, keepdims=True)"),
        (matmul(Ones(1, k), had(A, B), Ones(n, 1)), "np.vdot(A, B)"),
        (matmul(Ones(1, k), A + B, Ones(n, 1)), "(A + B).sum()"),
        (matmul(Ones(k, 1), u), "u"),
        (matmul(v, Ones(1, n)), "v"),
        (matmul(A, Ones(n, 1), Ones(1, k), B), "A.sum(axis=1, keepdims=True) * B.sum(axis=0, keepdims=True)"),
        (matmul(A, W, v), "A @ (W @ v)"),
        (matmul(A, W, A), "A @ W @ A"),
        (expr.T(A + B), "(A + B).T"),
        (matmul(expr.T(A), B), "A.T @ B"),
        (Scale(Ones(k, n), 1 / k), "1 / k"),
        (matmul(expr.Diag(v), A), "v * A"),
        (matmul(A, expr.Diag(expr.T(u))), "A * u"),
        (expr.Slice(A, 0, k, 1, n), "A[:, 1:]"),
        (expr.Slice(A, 0, 2, 0, n), "A[:2]"),
        (expr.Where(A > B, A, Ones(k, n)), "np.where(A > B, A, 1)"),
        (had(A, B > 0), "A * (B > 0)"),
        (had(A > 0, B > 0), "(A > 0).astype(DTYPE) * (B > 0).astype(DTYPE)"),
    ],
)
def test_texts_are_what_one_would_write(node: Node, text: str, printer: Printer) -> None:
    assert printer.number(node).text == text


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (matmul(v, Ones(1, n)), "np.broadcast_to(v, (k, n))"),
        (Ones(k, n), "np.ones((k, n), DTYPE)"),
        (Scale(Ones(k, n), sp.Rational(1, 2)), "np.full((k, n), 0.5, DTYPE)"),
        (matmul(Ones(1, k), A, Ones(n, 1)), "A.sum(keepdims=True)"),
        (add(matmul(v, Ones(1, n)), matmul(Ones(k, 1), u)), "v + u"),
        (matmul(matmul(v, Ones(1, n)), W), "v * W.sum(axis=0, keepdims=True)"),
    ],
)
def test_full_arrays_are_spread_only_where_they_must(node: Node, text: str, printer: Printer) -> None:
    assert printer.full(node).text == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("1/2", "0.5"), ("1/3", "1 / 3"), ("-1/4", "-0.25"), ("1/100", "0.01"), ("7", "7"), ("1/1024", "1 / 1024")],
)
def test_numbers_are_exact(value: str, text: str) -> None:
    assert number_text(sp.Rational(value))[0] == text


def test_unknown_operations_are_named(printer: Printer) -> None:
    class Strange(Node):
        op = "strange"

        @classmethod
        def _infer(cls, *args: Any) -> Any:
            return args[0].shape

    with pytest.raises(GenerateError, match="the operation Strange has no NumPy form"):
        printer.code(Strange(A))
    with pytest.raises(GenerateError, match="the elementwise function zeta has no NumPy form"):
        printer.code(Map(A, Function("zeta")))
    with pytest.raises(GenerateError, match="the scalar function zeta has no NumPy form"):
        ScalarPrinter(lambda s: (str(s), 7)).text(sp.zeta(sp.Symbol("x")))


def test_flat_of_nothing() -> None:
    assert flat(()) == []
