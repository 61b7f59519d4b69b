"""The workspace variant: the numbers of the evaluator and of the readable module, nothing allocated or changed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tracemalloc
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbp.calculus import derive
from symbp.calculus.passes import with_functions
from symbp.language import read_text
from symbp.networks import names, network
from symbp.pipeline import OptionError, generate
from symbp.program import Program, elementwise_functions
from symbp.render.numpy import GenerateError
from symbp.verify.module import check_module
from symbp.verify.programs import specified

from .conftest import Generated, flat, load

_spec = importlib.util.spec_from_file_location(
    "random_programs", Path(__file__).parents[2] / "verify" / "random_programs.py"
)
assert _spec is not None
assert _spec.loader is not None
if "random_programs" not in sys.modules:
    sys.modules["random_programs"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["random_programs"])
random_programs: Any = sys.modules["random_programs"]


@cache
def workspace(
    text: str, wrt: tuple[str, ...] | None = None, dtype: str = "float64", name: str = "network"
) -> Generated:
    """Return the workspace variant of a declaration; functions that it leaves open are tanh."""
    program = read_text(text, name=name)
    free = {f.name: "tanh" for f in elementwise_functions(program) if f.is_free}
    return made(derive(with_functions(program, free), wrt=wrt), dtype, name)


def made(derivation: Any, dtype: str = "float64", name: str = "network") -> Generated:
    source = generate(derivation, name=name, dtype=dtype, workspace=True)[f"{name}.py"]
    return Generated(derivation, load(source, f"workspace_{name}"), source)


def wrong(given: Generated) -> list[Any]:
    found = check_module(given.derivation, given.module, np.random.default_rng(0))
    assert any(f.outcome == "holds" for f in found)
    return [f for f in found if f.outcome not in ("holds", "refused")]


# ---------------------------------------------------------------------------------------------------------
# The same numbers


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", names())
def test_bundled_networks_give_the_numbers_of_the_evaluator(name: str, dtype: str) -> None:
    assert not wrong(workspace(network(name).text, dtype=dtype, name=name))


@pytest.mark.parametrize("first", ["softmax 1", "slice and embed", "where"])
def test_operations_of_all_kinds(first: str) -> None:
    """All operations of the rule book behind one of them: patterns, places, selections, functions."""
    program: Program = random_programs.fan(first, list(random_programs.OPERATIONS))
    assert not wrong(made(derive(specified(program))))


STACKED = """
samples: m
H[0]: input[m, h]
U: param[n, h]; W: param[h, h]; V: param[h, p]
for t in range(1, T+1):
    X[t]: input[m, n]
    Y[t]: target[m, p]
    H[t] = tanh(X[t] @ U + H[t-1] @ W)
loss = sum(sum((H[t] @ V - Y[t])**2) for t in range(1, T+1)) / m
"""
"""Rows of samples: the steps of a family lie behind each other."""


@pytest.mark.parametrize(
    "text",
    [
        STACKED,
        # Numbers that are no sums, a parameter that is a number, a scalar input.
        "lam: input\nX: input[n, m]\nw: param[n, 1]\ns: param[1, 1]\n"
        "loss = sqrt(sum((w.T @ X)**2) + 1)*s + lam*sum(w**2)",
        # A law of the user, functions without a ufunc, the largest entry.
        "def f(x): return x*log(x)\nX: input[n, m]\nW: param[n, m] & positive\nV: param[n, n] & symmetric\n"
        "loss = sum(f(W)*gelu(X)) + sum(elu(V @ X)*softsign(W)) + max(W)",
        # Names of the module's own.
        "X: input[n, m]\nhalf: param[n, n]\ntrain: param[n, 1]\nrun = sigmoid(half @ X + train)\n"
        "partial = run*run\nloss = sum(partial*X)",
    ],
    ids=["stacked", "numbers", "laws", "names"],
)
def test_declarations(text: str) -> None:
    assert not wrong(workspace(text))


def test_sums_over_stacked_steps_are_one_product() -> None:
    source = workspace(STACKED).text
    assert "X_stack_T.dot(" in source
    assert "inputs.X[:T].reshape(-1, n).T" in source


def test_gradients_of_inputs_are_returned_too() -> None:
    given = workspace(network("mlp").text, wrt=("W1", "b1", "X"))
    rng = np.random.default_rng(0)
    params = given.module.init_params(rng, 3, 4, 2)
    inputs = given.module.Inputs(rng.standard_normal((3, 5)), rng.standard_normal((2, 5)))
    _, gradients = given.module.loss_and_gradients(params, inputs)
    assert gradients._fields == ("W1", "b1", "X")
    assert alike(gradients, given.module.backward(params, inputs, given.module.forward(params, inputs)), 1e-12)
    _, after = given.module.train_step(params, inputs, 0.5)
    assert alike(after.W1, params.W1 - 0.5 * gradients.W1, 1e-14)
    assert np.array_equal(after.W2, params.W2)


# ---------------------------------------------------------------------------------------------------------
# Steps


@pytest.fixture(params=["mlp", "digits", "rnn", "deep"])
def both(request: Any, bundled: Any) -> tuple[Any, Any, Any, Any]:
    """Give the readable module, the workspace variant, parameters and inputs."""
    name = request.param
    readable = bundled(name)
    from symbp.verify.draws import choose_sizes, draw

    sizes = choose_sizes(readable.derivation.source)[-1]
    values = draw(readable.derivation.source, sizes, np.random.default_rng(0))
    mine = workspace(network(name).text, name=name)
    params, inputs = readable.arguments(values, sizes)
    return readable.module, mine.module, mine.module.Params(*params), mine.module.Inputs(*inputs)


def alike(a: Any, b: Any, tolerance: float = 1e-11) -> bool:
    return all(np.allclose(x, y, rtol=tolerance, atol=tolerance) for x, y in zip(flat(a), flat(b), strict=True))


def test_many_steps_are_single_steps_of_the_readable_module(both: Any) -> None:
    readable, mine, params, inputs = both
    before = [a.copy() for a in (*flat(params), *flat(inputs))]
    expected = params
    for _ in range(5):
        loss, expected = readable.train_step(expected, inputs, 0.05)
    got, after = mine.train(params, inputs, 0.05, 5)
    assert got == pytest.approx(loss, rel=1e-11)
    assert alike(after, expected)
    assert not alike(after, params)
    # The caller's arrays are as they were.
    assert all(np.array_equal(a, b) for a, b in zip(before, (*flat(params), *flat(inputs)), strict=True))
    with pytest.raises(ValueError, match="steps must be at least 1"):
        mine.train(params, inputs, 0.05, 0)


def test_a_step_gives_new_parameters(both: Any) -> None:
    readable, mine, params, inputs = both
    loss, after = mine.train_step(params, inputs, 0.5)
    expected_loss, expected = readable.train_step(params, inputs, 0.5)
    assert isinstance(after, mine.Params)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert alike(after, expected, 1e-12)
    assert not any(np.shares_memory(a, b) for a, b in zip(flat(after), flat(params), strict=True))


def test_a_workspace_takes_other_inputs(both: Any) -> None:
    readable, mine, params, inputs = both
    made = mine.Workspace(params, inputs)
    other = mine.Inputs(*(
        tuple(a * 0.5 for a in v) if isinstance(v, tuple) else v * 0.5 if isinstance(v, np.ndarray) else v
        for v in inputs
    ))
    for given in (other, inputs, other):
        made.read(given)
        expected_loss, expected = readable.loss_and_gradients(params, given)
        assert made.run(1.0) == pytest.approx(expected_loss, rel=1e-12)
        assert alike(made.gradients, expected, 1e-11)
    assert len(made._known) == 1
    # What it read are copies: a batch that is written over is not read again.
    assert not any(np.shares_memory(a, b) for a, b in zip(flat(made.inputs), flat(other), strict=True))
    assert alike(inputs, mine.Inputs(*inputs))


def test_gradients_are_left_times_the_rate() -> None:
    given = workspace(network("mlp").text, name="mlp")
    rng = np.random.default_rng(0)
    params = given.module.init_params(rng, 3, 4, 2)
    inputs = given.module.Inputs(rng.standard_normal((3, 5)), rng.standard_normal((2, 5)))
    made = given.module.Workspace(params, inputs)
    made.run(1.0)
    whole = made.slope.copy()
    made.run(0.25)
    assert np.allclose(made.slope, 0.25 * whole, rtol=1e-14)
    assert all(np.shares_memory(a, made.slope) for a in flat(made.gradients))
    assert all(np.shares_memory(a, made.theta) for a in flat(made.params))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("batch_size", [None, 4, 20])
def test_fit_gives_the_losses_of_the_readable_module(bundled: Any, optimizer: str, batch_size: int | None) -> None:
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((3, 11)), rng.standard_normal((2, 11))
    found = []
    for module in (bundled("mlp").module, workspace(network("mlp").text, name="mlp").module):
        params = module.init_params(np.random.default_rng(1), 3, 4, 2)
        # 11 samples: the last batch is shorter.
        found.append(module.fit(
            params, module.Inputs(X, Y), epochs=4, batch_size=batch_size, learning_rate=0.05, optimizer=optimizer,
            rng=np.random.default_rng(2),
        ))
    (first, losses), (again, same) = found
    assert np.allclose(losses, same, rtol=1e-11)
    assert alike(first, again, 1e-10)


def test_fit_without_batches_and_an_unknown_optimizer() -> None:
    given = workspace(network("dag").text, name="dag").module
    rng = np.random.default_rng(0)
    n = 4
    params = given.Params(rng.standard_normal((n, n)))
    fields = {f: rng.standard_normal((n, 1)) for f in given.Inputs._fields} | {"M": np.tril(np.ones((n, n)), -1)}
    _, losses = given.fit(params, given.Inputs(**fields), epochs=3)
    assert len(losses) == 3
    with pytest.raises(ValueError, match="sgd, momentum or adam, not lbfgs"):
        given.fit(params, given.Inputs(**fields), optimizer="lbfgs")


def test_other_types_and_orders_are_taken() -> None:
    given = workspace(network("mlp").text, dtype="float32", name="mlp").module
    params = given.init_params(np.random.default_rng(0), 3, 4, 2)
    X, Y = np.arange(15.0).reshape(5, 3).T / 10, np.ones((2, 5), int)
    loss, after = given.train(params, given.Inputs(X, Y), 0.1, 2)
    plain = given.Inputs(np.ascontiguousarray(X, np.float32), Y.astype(np.float32))
    expected_loss, expected = given.train(params, plain, 0.1, 2)
    assert loss == expected_loss
    assert all(np.array_equal(a, b) for a, b in zip(after, expected, strict=True))
    assert all(a.dtype == np.float32 for a in after)


def test_shapes_are_checked() -> None:
    given = workspace(network("mlp").text, name="mlp").module
    params = given.init_params(np.random.default_rng(0), 3, 4, 2)
    wrong_inputs = given.Inputs(np.ones((3, 5)), np.ones((2, 4)))
    for function in (lambda: given.Workspace(params, wrong_inputs), lambda: given.train(params, wrong_inputs, 0.1, 1)):
        with pytest.raises(ValueError, match=r"inputs\.Y must have the shape n2 x m = 2 x 5"):
            function()
    made = given.Workspace(params, given.Inputs(np.ones((3, 5)), np.ones((2, 5))))
    with pytest.raises(ValueError, match=r"inputs\.Y must have"):
        made.read(wrong_inputs)


@pytest.mark.parametrize("name", ["mlp", "digits"])
def test_a_step_allocates_no_array(name: str) -> None:
    given = workspace(network(name).text, name=name)
    module, rng = given.module, np.random.default_rng(0)
    params = module.init_params(rng, *((30, 40, 20) if name == "mlp" else ()))
    n0, n2 = (30, 20) if name == "mlp" else (64, 10)
    Y = np.eye(n2)[:, rng.integers(n2, size=5000)]
    made = module.Workspace(params, module.Inputs(rng.standard_normal((n0, 5000)), Y))
    made.train(0.01, 3)
    tracemalloc.start()
    made.train(0.01, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # NumPy has buffers of its own, of 8192 numbers, for what it spreads or casts; a temporary has more.
    assert peak < 3 * 8192 * 8 < 8 * n2 * 5000


# ---------------------------------------------------------------------------------------------------------
# Text


def test_statements_stand_under_their_equation() -> None:
    text = workspace(network("mlp").text, name="mlp").text
    run = text[text.index("def run(") : text.index("return run")]
    lines = [line.strip() for line in run.splitlines()]
    at = lines.index("# (F1) Z1 = W1 X + b1 1^T")
    assert lines[at + 1 : at + 5] == ["W1.dot(X, Z1)", "add(Z1, b1, Z1)", "# (F2) A1 = tanh(Z1)", "tanh(Z1, A1)"]
    assert "A1 = " in text
    assert not [line for line in lines if " = np." in line]


def test_masks_of_relu_by_sign_or_by_greater() -> None:
    given = workspace(network("digits").text, name="digits")
    assert "partial(sign, A1, " in given.text
    module, rng = given.module, np.random.default_rng(0)
    params = module.init_params(rng)
    for count in (3, 100):
        Y = np.eye(10)[:, rng.integers(10, size=count)]
        inputs = module.Inputs(rng.standard_normal((64, count)), Y)
        _, gradients = module.loss_and_gradients(params, inputs)
        assert alike(gradients, module.backward(params, inputs, module.forward(params, inputs)), 1e-12)


def test_unselected_branches_are_silent() -> None:
    text = "X: input[n, m]\nW: param[n, m]\nloss = sum(where(W > 0, log(W), W))"
    given = workspace(text)
    W = np.array([[1.0, -1.0, 0.0]])
    loss, gradients = given.module.loss_and_gradients(given.module.Params(W), given.module.Inputs(np.ones((1, 3))))
    assert loss == -1.0
    assert np.array_equal(gradients.W, [[1.0, 1.0, 1.0]])


def test_a_module_without_parameters_to_train_has_no_workspace() -> None:
    with pytest.raises(GenerateError, match="no gradient of a parameter"):
        workspace("X: input[n, m]\nloss = sum(X*X)", wrt=("X",))
    with pytest.raises(OptionError, match="workspace"):
        generate(derive(read_text(network("mlp").text)), "c", workspace=True, sizes={"n0": 2})


def test_the_text_is_the_same_in_every_process() -> None:
    code = (
        "from symbp.calculus import derive\nfrom symbp.language import read_text\nfrom symbp.networks import network\n"
        "from symbp.pipeline import generate\n"
        "for n in ('lstm', 'digits'):\n"
        "    print(generate(derive(read_text(network(n).text)), workspace=True)['network.py'])"
    )
    root = Path(__file__).parents[3]
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspaces")
    for name in names():
        (folder / f"{name}.py").write_text(workspace(network(name).text, name=name).text)
    clipped = generate(workspace(network("rnn").text, name="rnn").derivation, workspace=True, clip=True)
    (folder / "clipped.py").write_text(clipped["network.py"])
    return folder


@pytest.mark.slow
def test_mypy_is_content(folder: Path) -> None:
    files = sorted(file.name for file in folder.glob("*.py"))
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir=.mypy", *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_is_content(folder: Path) -> None:
    rules = "--extend-select=E,F,W,B,I,UP,C4,PIE"
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=120", rules, "--no-cache", "."]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
