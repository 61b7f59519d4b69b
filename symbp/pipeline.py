"""The five lines that everything else is called from: read, convert, derive, generate, verify."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from symbp.calculus import adjoint, convert, inference, name_parts, sample_size, samples_axis
from symbp.calculus import derive as derive_program
from symbp.calculus.batch import ConversionError, Samples, Weights
from symbp.calculus.passes import passes, with_functions
from symbp.derivation import Derivation
from symbp.expr import is_one, scaled
from symbp.choices import Memory, Mode, Optimizer
from symbp.language import read
from symbp.program import Equation, Program, map_equations
from symbp.render.declaration import Terms, backward_lines, gradient_terms
from symbp.render.files import Files
from symbp.render.picture import Picture
from symbp.render.picture import picture as draw
from symbp.render.sizes import Given, plain_sizes

if TYPE_CHECKING:
    from symbp.verify.check.truth import Model
    from symbp.verify.check.verdict import Judgement
    from symbp.verify.report import Verdict

Source = Program | str | Path
"""A program, the text of a declaration, or the path of its file."""


TARGETS = {"numpy": "symbp.render.numpy", "c": "symbp.render.c"}
"""The module that writes each target."""

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "numpy": ("workspace", "clip"), "c": ("memory", "optimizer", "largest", "clip"),
}
"""What can be chosen for some targets only."""

CHECKED = ("c",)
"""Targets whose files hold a check of their own, with numbers that the reference evaluator computes."""


def program_of(source: Source, samples: Samples | None = None, weights: Weights | None = None) -> Program:
    """Return the program that ``source`` declares, in the wanted outside convention.

    Raises ``DeclarationError`` for a faulty declaration, ``ConversionError`` when it is unclear what counts samples.
    """
    program = source if isinstance(source, Program) else read(source)
    if program.samples is None:
        try:
            program = program.replace(samples=sample_size(program))
        except ConversionError:
            if samples is not None:
                raise
    return convert(program, samples, weights)


def derive(
    source: Source,
    wrt: Iterable[str] | None = None,
    *,
    samples: Samples | None = None,
    weights: Weights | None = None,
    mode: Mode = "training",
) -> Derivation:
    """Derive the backward pass of a declared network, in matrix form and for all sizes.

    source:  a program, a declaration's text, or its path.
    wrt:     the declared variables whose gradients are wanted; by default the parameters.
    samples: ``rows`` or ``columns``: where the samples are to stand; by default as declared.
    weights: ``in_out`` or ``out_in``: how weights are to be stored; by default turned with the data.
    mode:    ``inference``: with running statistics in place of those of the batch.

    Raises ``DeclarationError`` for a faulty declaration.
    """
    program = program_of(source, samples, weights)
    return derive_program(inference(program) if mode == "inference" else program, wrt)


def generate(
    source: Source | Derivation,
    target: str = "numpy",
    *,
    name: str = "network",
    sizes: Given | None = None,
    dtype: str = "float64",
    templates: Path | None = None,
    declaration: str = "",
    functions: Mapping[str, str] | None = None,
    memory: Memory | None = None,
    optimizer: Optimizer | None = None,
    largest: Mapping[str, int] | None = None,
    workspace: bool = False,
    clip: bool = False,
) -> Files:
    """Generate a standalone module that trains, as ``{file name: text}``.

    source:    what ``derive`` takes, or its result.
    target:    ``numpy`` or ``c``.
    name:      the module's name.
    sizes:     numbers of sizes, of a family of sizes as a list: for NumPy defaults of ``init_params``, for C all sizes.
    dtype:     ``float64`` or ``float32``.
    templates: a folder whose templates override the bundled ones.
    declaration: the text of the declaration; its hash stands in the header.
    functions: what functions are that the declaration leaves unspecified, e.g. ``{"sigma": "tanh"}``.
    memory:    C: ``static`` (by default) or ``block``: whether temporaries lie in a block that the caller brings.
    optimizer: C: ``sgd`` (by default), ``momentum`` or ``adam``: how a training step moves the parameters.
    largest:   C: sizes that are known at run time only, with their largest value, e.g. ``{"m": 32}``.
    workspace: NumPy: whether the arrays of a training step are made once and filled again in each step.
    clip:      whether a training step takes a largest norm of all gradients together, to which it scales them down.

    Raises ``KeyError`` for an unknown target, ``GenerateError`` where a derivation cannot be written as a module,
    ``NotTrained`` for a network of inference, ``OptionError`` for what the target does not have, ``SizeError`` for
    sizes that do not fit, ``UnspecifiedFunction`` for a function that the declaration does not leave open.
    """
    if target not in TARGETS:
        raise KeyError(target)
    given = {
        "memory": memory, "optimizer": optimizer, "largest": dict(largest or {}), "workspace": workspace, "clip": clip,
    }
    options: dict[str, Any] = {option: value for option, value in given.items() if value}
    for option in options:
        if option not in OPTIONS[target]:
            able = [t for t, known in OPTIONS.items() if option in known]
            raise OptionError(f"the target {target} has no --{option}: leave it out, or write --target {able[0]}")
    derivation = source if isinstance(source, Derivation) else derive(source)
    if derivation.source.declared("state") and not derivation.source.running:
        raise NotTrained("this is the network of inference: generate the one that is trained, it predicts too")
    _need_number(derivation.source, derivation.output)
    if functions:
        named = with_functions(derivation.source, functions)
        derivation = derive_program(named, list(derivation.gradients), derivation.output)
    numbers = plain_sizes(derivation.source, sizes or {}) if target == "numpy" else sizes
    write = import_module(TARGETS[target]).write
    made = passes(derivation)
    common = {"name": name, "sizes": numbers, "dtype": dtype, "templates": templates, "declaration": declaration}
    if target in CHECKED:
        reference = import_module("symbp.verify.reference").reference_of
        try:
            checked: Files = write(made, **common, **options, reference=reference)
            return checked
        except import_module("symbp.verify.draws").NoDraw:
            pass  # no values are known at which the loss is finite: the module has no check of its own
    files = write(made, **common, **options)
    return files if isinstance(files, Files) else Files(files)


def picture(source: Source, *, samples: Samples | None = None, weights: Weights | None = None) -> Picture:
    """Draw a declared network with its symbolic sizes, and return the text of an SVG file.

    source:           a program, a declaration's text, or its path.
    samples, weights: as for ``derive``.

    Raises ``DeclarationError`` for a faulty declaration.
    """
    return draw(program_of(source, samples, weights))


class NotTrained(ValueError):
    """A network of inference, of which there is no module: that of training has its prediction."""


class OptionError(ValueError):
    """An option that a target does not have."""


def check(
    source: Source, mine: str, *, filename: str = "<text>", seed: int = 0, loss: Literal["declared", "sum"] = "declared"
) -> Judgement:
    """Judge somebody's equations of a network's backward pass: whether they are right, else where and what is wrong.

    source:   the network.
    mine:     the equations, in the language of the declaration; names as their author likes.
    filename: what the text is called in messages.
    seed:     of the draws.
    loss:     ``sum``: the loss is that of the network times the number of samples.

    Raises ``DeclarationError`` for a faulty declaration and a text that cannot be read, ``ConversionError`` where it is
    unclear what counts samples, ``NoDraw`` where no values fit the declarations.
    """
    from symbp.verify.check.layouts import judge_mine

    program = program_of(source)
    return judge_mine(mine, filename, models(program if loss == "declared" else _summed(program)), seed)


def _summed(program: Program) -> Program:
    """Return the program with its loss times the number of samples."""
    samples = sample_size(program)

    def change(equation: Equation) -> list[Equation]:
        if equation.target.name != "loss":
            return [equation]
        return [Equation(equation.target, scaled(samples, equation.value), equation.line, equation.note)]

    return program.replace(body=map_equations(program.body, change))


def models(program: Program) -> Iterator[Callable[[], Model]]:
    """Yield the network as the judge wants it: as it was declared, then in the other layouts."""
    yield lambda: model(program)
    try:
        now = samples_axis(program)
    except ConversionError:
        return
    other: Samples = "rows" if now == "columns" else "columns"
    turned: Weights = "out_in" if now == "rows" else "in_out"
    kept: Weights = "in_out" if now == "rows" else "out_in"
    for samples, weights, layout in (
        (other, None, f"samples as {other}"),
        (other, kept, f"samples as {other} and weights as declared"),
        (None, turned, "weights the other way"),
    ):
        yield lambda s=samples, w=weights, said=layout: model(convert(program, s, w), said)  # type: ignore[misc]


def model(program: Program, layout: str = "") -> Model:
    """Return a network with the adjoint of every variable, for the judge of other people's work.

    layout: what to call its layout if it is not the declared one.
    """
    from symbp.verify.check.truth import Model
    from symbp.verify.draws import DISCRETE

    named, _ = name_parts(program)
    output = "loss" if "loss" in program.outputs else program.outputs[0]
    _need_number(program, output)
    moving = [v.name for v in program.declared("input", "param", "const", "state")]
    wrt = [n for n in moving if not program.variables[n].facts & DISCRETE and program.variables[n].value is None]
    found = adjoint(named, output, wrt)

    def why(name: str) -> str:
        from symbp.render.notation import Notation
        from symbp.render.why import UnknownName, because

        try:
            return because(derivation(), name, Notation(charset="ascii"))
        except UnknownName:
            return ""

    @cache
    def derivation() -> Derivation:
        return derive_program(program, None, output)

    @cache
    def terms() -> Mapping[str, Terms]:
        return gradient_terms(derivation())

    @cache
    def lines() -> list[tuple[str, str]]:
        return [(line.target, line.value) for line in backward_lines(derivation())]

    return Model(program, named, found.program, found.names, output, layout, why, terms, lines)


def verify(source: Source, *, draws: int = 3, seed: int = 0, modules: bool = True) -> list[Verdict]:
    """Check a network's derivation and its generated modules by independent witnesses, and return the verdicts.

    source: a program, a declaration's text, or its path.
    draws:  how many draws each witness makes at least.
    seed:   of the draws; the same seed gives the same verdicts.
    modules: whether the NumPy module and the C module are generated and compared too.

    Raises ``DeclarationError`` for a faulty declaration, ``NotANumber`` where the output is a matrix.
    """
    from symbp.verify.programs import check_derivation, check_generated, check_inference, specified

    program = program_of(source)
    _need_number(program, "loss" if "loss" in program.outputs else program.outputs[0])
    derivation = derive_program(program)
    wanted, output = list(derivation.gradients), derivation.output
    verdicts = check_derivation(derivation, draws=draws, seed=seed)
    if program.running:
        answers = derive_program(inference(program), wanted, output)
        verdicts += check_inference(derivation, answers, draws=draws, seed=seed)
    if not modules:
        return verdicts
    definite = specified(program)
    whole = derivation if definite is program else derive_program(definite, wanted, output)
    return verdicts + check_generated(whole, generate, seed=seed)


class NotANumber(ValueError):
    """A program whose output is a matrix: code and checks are about the gradient of a number."""


def _need_number(program: Program, output: str) -> None:
    if not all(is_one(size) for size in program.variables[output].shape):
        raise NotANumber(f"the output {output} is a matrix: write a loss, for example loss = sum(...)")
