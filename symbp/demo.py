"""``symbp demo``: from a declaration to a network that reads handwritten digits, in the terminal."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from ctypes import CDLL
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from symbp import pipeline
from symbp.calculus.passes import passes
from symbp.cli.outcome import ToolMissing, shown
from symbp.derivation import Derivation
from symbp.language import read_text
from symbp.networks import network
from symbp.render import c
from symbp.render.document import latex_document
from symbp.render.files import write_files
from symbp.render.notation import Notation
from symbp.pipeline import generate
from symbp.render.terminal import derive_summary
from symbp.verify.compiled import FLAGS, Compiled, compile_modules, compiler
from symbp.verify.module import load_module
from symbp.verify.reference import reference_of
from symbp.verify.report import all_ok, summary
from symbp.verify.witnesses import difference

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """Labelled samples in columns, split into those for training and those for the test.

    X, Y:           inputs and one-hot targets for training.
    X_test, Y_test: the same for the test; no columns if there is no test.
    """

    X: Array
    Y: Array
    X_test: Array
    Y_test: Array


@dataclass(frozen=True)
class Course:
    """How a network of the demo is trained.

    name:    the bundled network and its data set.
    title:   what is shown above it.
    options: what ``fit`` is given.
    in_c:    whether the same course is taken by a compiled C module.
    """

    name: str
    title: str
    options: dict[str, Any]
    in_c: bool = False


COURSES: tuple[Course, ...] = (
    Course(
        "iris", "Iris: 150 flowers, four lengths each, three kinds",
        {"epochs": 200, "batch_size": 25, "learning_rate": 0.01, "optimizer": "adam"}, in_c=True,
    ),
    Course(
        "digits", "Digits: 1,797 handwritten digits of 8 by 8 pixels",
        {"epochs": 60, "batch_size": 50, "learning_rate": 0.003, "optimizer": "adam"},
    ),
)


def data(name: str, seed: int = 0) -> Data:
    """Return scikit-learn's bundled data set ``iris`` or ``digits``; raise ``ToolMissing`` without scikit-learn.

    Iris is standardised and not split.  Digits are scaled to 0..1, shuffled within each class by ``seed`` (stratified),
    1,500 for training and 297 for the test.
    """
    try:
        from sklearn import datasets
    except ImportError:
        raise ToolMissing(
            "the demo trains on data that come with scikit-learn, which is not installed: pip install 'symbp[demo]'"
        ) from None
    bundle = datasets.load_iris() if name == "iris" else datasets.load_digits()
    X, labels = np.asarray(bundle.data, dtype=float), np.asarray(bundle.target)
    if name == "iris":
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        train = np.arange(len(labels))
    else:
        X = X / 16
        train = stratified(labels, 1500, np.random.default_rng(seed))
    test = np.setdiff1d(np.arange(len(labels)), train)
    Y = np.eye(labels.max() + 1)[labels]
    return Data(X[train].T, Y[train].T, X[test].T, Y[test].T)


def stratified(labels: NDArray[Any], count: int, rng: np.random.Generator) -> NDArray[Any]:
    """Return ``count`` shuffled positions in which each label has its share, by largest remainders."""
    kinds, sizes = np.unique(labels, return_counts=True)
    shares = sizes * count / len(labels)
    take = np.floor(shares).astype(int)
    take[np.argsort(shares - take)[::-1][: count - take.sum()]] += 1
    parts = [rng.permutation(np.flatnonzero(labels == kind))[:n] for kind, n in zip(kinds, take, strict=True)]
    return rng.permutation(np.concatenate(parts))


def accuracy(module: Any, params: Any, X: Array, Y: Array) -> float:
    """Return the share of samples whose most probable class is right."""
    P = module.predict(params, module.Inputs(X=X))
    return float(np.mean(P.argmax(axis=0) == Y.argmax(axis=0)))


def train(module: Any, course: Course, samples: Data, seed: int = 0) -> tuple[Any, list[float]]:
    """Train a generated module and return its parameters and the loss of each epoch."""
    rng = np.random.default_rng(seed)
    inputs = module.Inputs(X=samples.X, Y=samples.Y)
    params, losses = module.fit(module.init_params(rng), inputs, rng=rng, **course.options)
    return params, losses


@dataclass(frozen=True)
class InC:
    """What a C module made of a course.

    written: its files.
    bytes:   the size of its parameters, gradients, inputs and temporaries.
    params:  the trained parameters, by name; None where there is no compiler.
    steps:   how many steps were taken.
    seconds: how long they took.
    """

    written: list[Path]
    bytes: int
    params: dict[str, Array] | None = None
    steps: int = 0
    seconds: float = 0.0


def train_in_c(
    course: Course, derivation: Derivation, module: Any, samples: Data, folder: Path, seed: int, text: str
) -> InC:
    """Write the C module of a course into ``folder``, compile it, and take the course with it.

    First parameters and the order of samples are those of the NumPy module, so that both end at the same parameters.
    """
    options = course.options
    rows, batch, count = samples.X.shape[0], options["batch_size"], samples.X.shape[1]
    planned = c.planned(
        passes(derivation), name=course.name, sizes={"m": batch}, optimizer=options["optimizer"], declaration=text
    )
    texts = c.files(planned, reference_of)
    figures = planned.figures()
    needs = sum(figures[f"{part}_bytes"] for part in ("parameter", "gradient", "optimizer", "input", "scratch"))
    written = write_files(folder, texts)
    if compiler() is None:
        return InC(written, needs)
    rng = np.random.default_rng(seed)
    first = module.init_params(rng)._asdict()
    with tempfile.TemporaryDirectory(prefix="symbp-", ignore_cleanup_errors=True) as place:
        network_in_c = Compiled(CDLL(str(compile_modules([(planned, texts)], Path(place), (*FLAGS, "-O2")))), planned)
        network_in_c.give({**first, "X": np.zeros((rows, batch)), "Y": np.zeros((samples.Y.shape[0], batch))})
        steps, seconds = 0, 0.0
        for _ in range(options["epochs"]):
            order = rng.permutation(count)
            for start in range(0, count, batch):
                part = order[start : start + batch]
                network_in_c.give_inputs({"X": samples.X[:, part], "Y": samples.Y[:, part]})
                began = time.perf_counter()
                network_in_c.call("train_step", options["learning_rate"])
                seconds += time.perf_counter() - began
                steps += 1
        trained = {name: members[()] for name, members in network_in_c.params().items()}
    return InC(written, needs, trained, steps, seconds)


def _told(result: InC, module: Any, params: Any, samples: Data) -> tuple[list[str], bool]:
    """Return what is said of a C module, and whether it agrees with the NumPy module."""
    size = f"C, {result.bytes:,} bytes in all with inputs, no heap:"
    if result.params is None:
        return [f"{size} written, not run, because there is no C compiler here"], True
    ours = params._asdict()
    apart = max(difference(ours[name], result.params[name]) for name in ours)
    reached = accuracy(module, type(params)(**result.params), samples.X, samples.Y)
    lines = [
        f"{size} {result.steps:,} steps, {1e6 * result.seconds / result.steps:.0f} microseconds each",
        "accuracy in C".ljust(18) + f" {reached:.4f}   parameters differ from NumPy's by {apart:.0e}",
    ]
    return lines, apart < AGREES


AGREES = 1e-6
"""How far the parameters of two trained modules may be apart: rounding, after so many steps."""


def curve(values: Sequence[float], width: int = 60, height: int = 6, blocks: str = " ▁▂▃▄▅▆▇█") -> list[str]:
    """Return a picture of positive values on a logarithmic scale as lines of text, the first value on the left."""
    columns = np.log([np.mean(part) for part in np.array_split(np.asarray(values), min(width, len(values)))])
    bottom, span = columns.min(), max(columns.max() - columns.min(), 1e-12)
    full = len(blocks) - 1
    filled = [1 + round((v - bottom) / span * (height * full - 1)) for v in columns]
    lines = []
    for row in reversed(range(height)):
        cells = "".join(blocks[min(max(f - row * full, 0), full)] for f in filled)
        label = np.exp(bottom + span) if row == height - 1 else np.exp(bottom) if row == 0 else None
        lines.append(f"  {'' if label is None else f'{label:.3f}':>7} |{cells}".rstrip())
    return [*lines, f"  {'':7} +{'-' * len(columns)}  epoch 1 to {len(values)}, logarithmic"]


def run(folder: Path, seed: int = 0, quiet: bool = False) -> bool:
    """Run the demo, write into ``folder``, and tell whether everything that was checked holds.

    Raises ``ToolMissing`` where scikit-learn is not installed, ``OutputError`` where the folder cannot be written.
    """
    console = Console(quiet=quiet, highlight=False)
    samples = {course.name: data(course.name, seed) for course in COURSES}
    began = time.perf_counter()
    results = [_present(course, samples[course.name], folder, seed, console) for course in COURSES]
    console.print(Rule("Done", align="left"))
    written = [path for paths, _ in results for path in paths]
    console.print(f"{time.perf_counter() - began:.0f} seconds. Written, and yours:")
    for path in written:
        _say(console, f"  {shown(path)}")
    console.print("Next:")
    net = folder / "iris.net"
    again = "symbp new rnn > rnn.net && symbp derive rnn.net"
    for line in (f"symbp derive {net} --steps", f"symbp derive {net} --why W_A1", again):
        _say(console, f"  {line}")
    return all(good for _, good in results)


def _say(console: Console, text: str) -> None:
    """Print a text as it is: the terminal folds what is too long."""
    console.print(Text(text), soft_wrap=True)


def _present(course: Course, samples: Data, folder: Path, seed: int, console: Console) -> tuple[list[Path], bool]:
    """Take one network from its declaration to its accuracy; return the written files and whether all checks hold."""
    text = network(course.name).text
    file = f"{course.name}.net"
    program = pipeline.program_of(read_text(text, file, name=course.name))
    console.print(Rule(course.title, align="left"))
    _say(console, text)

    derivation = pipeline.derive(program)
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    notation = Notation(charset="ascii" if plain else "unicode")
    verdicts = pipeline.verify(program, seed=seed)
    footer = [("verified", summary(verdicts))]
    _say(console, derive_summary(derivation, notation, title=file, footer=footer))

    paths = write_files(folder, {
        file: text,
        f"{course.name}.tex": latex_document(derivation, text=text, title=file),
        **generate(derivation, name=course.name, declaration=text),
    })
    module = load_module(folder / f"{course.name}.py")
    params, losses = train(module, course, samples, seed)
    picture = curve(losses, blocks=" .:#" if plain else " ▁▂▃▄▅▆▇█")
    _say(console, "\n".join(["mean loss of an epoch, trained by the generated module", *picture]))
    for words, X, Y in (("training", samples.X, samples.Y), ("test", samples.X_test, samples.Y_test)):
        if X.size:
            console.print(f"{words} accuracy".ljust(18), f"{accuracy(module, params, X, Y):.4f}   {X.shape[1]} samples")
    agrees = True
    if course.in_c:
        result = train_in_c(course, derivation, module, samples, folder / "c", seed, text)
        lines, agrees = _told(result, module, params, samples)
        _say(console, "\n".join(lines))
        paths += result.written
    console.print()
    return paths, all_ok(verdicts) and agrees
