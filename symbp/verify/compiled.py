"""Witness 7 for C: a generated module, compiled and called, against the reference evaluator.

Values go in and come out through the module's flat arrays: one variable after the other, members of a family in order,
each matrix row by row.  Memory that nobody may read holds NaN, so that reading it shows.
"""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from symbp.calculus.passes import Passes, passes
from symbp.derivation import Derivation
from symbp.plan.entries import Optimizer
from symbp.plan.ir import Buffer
from symbp.render.c import GenerateError, Module, files, planned
from symbp.render.c.module import Memory
from symbp.render.files import Files
from symbp.render.sizes import size_names
from symbp.verify.draws import arrays, draw
from symbp.verify.evaluate import Array, evaluate, value_of
from symbp.verify.module import ModuleError, declarations, input_order, record, unpacked
from symbp.verify.running import follow, stored
from symbp.verify.witnesses import Finding, difference, measured, refusal, sizes_text

DOUBLE, SINGLE = 1e-12, 1e-4
"""Tolerances of a module in double and in single precision, relative to the largest entry."""

COMPILERS = ("gcc", "clang", "cc")

FLAGS = ("-std=c99", "-O1", "-ffp-contract=off", "-fPIC")
"""How modules under test are compiled: a little optimised, and no product and sum rounded as one."""

STEPS = 3
"""How many steps of training are compared."""


class CompileError(ModuleError):
    """A module that no compiler accepts; the message holds what the compiler says."""


@lru_cache(maxsize=1)
def compiler() -> str | None:
    """Return the path of the first C compiler that is installed and can make a shared library, or None."""
    return next((path for name in COMPILERS if (path := shutil.which(name)) and _works(path)), None)


def _works(program: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="symbp-") as folder:
        source = Path(folder) / "try.c"
        source.write_text("#include <math.h>\n#include <stdint.h>\n#include <string.h>\nint answer = 42;\n")
        command = [program, *FLAGS, "-shared", str(source), "-o", str(source.with_suffix(".so")), "-lm"]
        try:
            return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False


# ---------------------------------------------------------------------------------------------------------
# Compiled modules

BYTES = ("params", "state", "inputs", "cache", "gradients", "predictions", "optimizer", "scratch")
"""The structs of a module."""

ARGUMENTS = {"out": "predictions", "memory": "scratch"}
"""The structs of arguments that are not called like them."""


def probe(module: Module) -> str:
    """Return C code that tells the sizes of a module's structs, and sets the sizes that are known at run time only."""
    there = {s.name.removeprefix(f"{module.p}_") for s in module.structs()}
    if module.memory == "block" and module.block:
        there.add("scratch")
    sizes = ", ".join(f"sizeof({module.p}_{s})" if s in there else "0" for s in BYTES)
    sets = "".join(f" inputs->{s} = sizes[{k}];" for k, s in enumerate(module.capacity))
    return (
        f'#include "{module.p}.h"\n'
        f"extern const size_t {module.p}_bytes[{len(BYTES)}];\n"
        f"const size_t {module.p}_bytes[{len(BYTES)}] = {{{sizes}}};\n"
        f"void {module.p}_set_sizes({module.p}_inputs *inputs, const size_t *sizes);\n"
        f"void {module.p}_set_sizes({module.p}_inputs *inputs, const size_t *sizes)\n"
        f"{{\n    (void)inputs;\n    (void)sizes;\n   {sets}\n}}\n"
    )


def compile_modules(
    modules: Sequence[tuple[Module, Mapping[str, str]]], folder: Path, flags: Sequence[str] = FLAGS,
    program: str | None = None,
) -> Path:
    """Compile modules into one shared library, which carries a probe of each, and return its path.

    modules: each with a name of its own, and its files.
    folder:  where the sources and the library are written.
    flags:   options of the compiler.
    program: the compiler; by default the first that is found.

    Raises ``CompileError`` where there is no compiler, or it does not accept a module.
    """
    program = program or compiler()
    if program is None:
        raise CompileError(f"there is no C compiler ({', '.join(COMPILERS)})")
    sources: list[Path] = []
    for module, texts in modules:
        for name in (f"{module.p}.h", f"{module.p}.c"):
            (folder / name).write_text(texts[name], encoding="utf-8")
        sources.append(folder / f"{module.p}.c")
    checks = folder / "checks.c"
    checks.write_text("".join(probe(module) for module, _ in modules), encoding="utf-8")
    sources.append(checks)
    # One process for each source: they run side by side.
    running = [
        (source, subprocess.Popen(
            [program, *flags, "-c", str(source), "-o", str(source.with_suffix(".o"))],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        ))
        for source in sources
    ]
    refused = [(source, said) for source, said, code in _ended(running) if code]
    if refused:
        source, said = refused[0]
        raise CompileError(f"{Path(program).name} does not accept {source.name}: {_first_error(said)}")
    library = folder / "checks.so"
    objects = [str(source.with_suffix(".o")) for source in sources]
    linked = subprocess.run(
        [program, *flags, "-shared", "-o", str(library), *objects, "-lm"], capture_output=True, text=True, check=False
    )
    if linked.returncode:
        raise CompileError(f"{Path(program).name} cannot link the modules: {_first_error(linked.stderr)}")
    return library


def _ended(running: Iterable[tuple[Path, subprocess.Popen[str]]]) -> list[tuple[Path, str, int]]:
    """Wait for all processes and return what each of them says, and its exit code."""
    return [(source, process.communicate()[1], process.returncode) for source, process in running]


def _first_error(said: str) -> str:
    lines = said.strip().splitlines()
    return next((line for line in lines if "error" in line), lines[0] if lines else "it says nothing")


class Compiled:
    """A compiled module with memory of its own, that is called with values by name.

    library: the shared library that holds it.
    module:  what it was written from.
    sizes:   numbers of the sizes that are known at run time only.
    """

    def __init__(self, library: ctypes.CDLL, module: Module, sizes: Mapping[str, Any] | None = None) -> None:
        self.library, self.module = library, module
        self.dtype: np.dtype[Any] = np.dtype(np.float32 if module.real.suffix else np.float64)
        self.number = ctypes.c_float if module.real.suffix else ctypes.c_double
        known = (ctypes.c_size_t * len(BYTES)).in_dll(library, f"{module.p}_bytes")
        self.bytes = dict(zip(BYTES, known, strict=True))
        # Doubles, so that everything is aligned; NaN, so that what was never written shows.
        self.structs = {name: np.full(size // 8 + 2, np.nan) for name, size in self.bytes.items()}
        self.run_time = {str(s): int((sizes or {})[str(s)]) for s in module.capacity}
        self.reset()

    def _call(self, function: str, *arguments: Any, result: Any = None) -> Any:
        found = getattr(self.library, f"{self.module.p}_{function}")
        found.restype = result
        found.argtypes = None
        return found(*(a.ctypes.data_as(ctypes.c_void_p) if isinstance(a, np.ndarray) else a for a in arguments))

    # -- flat arrays ----------------------------------------------------------------------------------------------
    def _shape(self, buffer: Buffer) -> tuple[int, ...]:
        known = dict(self.module.capacity)
        return tuple(int(n.xreplace(known)) for n in (*buffer.extents, buffer.rows, buffer.cols))

    def _members(self, buffer: Buffer) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Yield the place in the buffer's array, and the index, of each member."""
        for place, member in self.module.entries.fields.members(buffer):
            yield tuple(p - int(low) for p, low in zip(place, buffer.lows, strict=True)), member

    def flat(self, what: str, values: Mapping[str, Any]) -> Array:
        """Return values of variables as a flat array."""
        parts = []
        for buffer in self.module.flat_buffers()[what]:
            out = np.full(self._shape(buffer), np.nan)
            value = values[buffer.of]
            for at, member in self._members(buffer):
                matrix = value.get(member) if isinstance(value, Mapping) else value
                if matrix is not None:
                    rows, cols = np.shape(matrix)
                    out[at][:rows, :cols] = matrix
            parts.append(out.ravel())
        return np.concatenate([*parts, np.zeros(0)]).astype(self.dtype)

    def named(self, what: str, flat: Array) -> dict[str, dict[tuple[int, ...], Array]]:
        """Return a flat array as members by variable; a single matrix is the member ()."""
        found: dict[str, dict[tuple[int, ...], Array]] = {}
        start = 0
        for buffer in self.module.flat_buffers()[what]:
            shape = self._shape(buffer)
            count = int(np.prod(shape, dtype=int))
            whole = flat[start : start + count].astype(float).reshape(shape)
            start += count
            for at, member in self._members(buffer):
                found.setdefault(buffer.of, {})[member] = whole[at]
        if start != flat.size:
            raise ModuleError(f"the {what} have {flat.size} entries, but the buffers have {start}")
        return found

    def _read(self, what: str) -> dict[str, dict[tuple[int, ...], Array]]:
        count = sum(int(np.prod(self._shape(b), dtype=int)) for b in self.module.flat_buffers()[what])
        # One more, which must stay as it is.
        flat = np.full(count + 1, np.nan, self.dtype)
        self._call(f"{what}_to_flat", self.structs[what], flat)
        if not np.isnan(flat[-1]):
            raise ModuleError(f"{self.module.p}_{what}_to_flat writes behind the end of its array")
        return self.named(what, flat[:-1])

    def give(self, values: Mapping[str, Any]) -> None:
        """Set parameters and inputs."""
        self.give_params(values)
        self.give_state(values)
        self.give_inputs(values)

    def give_inputs(self, values: Mapping[str, Any]) -> None:
        """Set the inputs."""
        self._call("inputs_from_flat", self.structs["inputs"], self.flat("inputs", values))
        sizes = np.array([*self.run_time.values(), 0], dtype=np.uintp)
        self._call("set_sizes", self.structs["inputs"], sizes)

    def give_params(self, values: Mapping[str, Any]) -> None:
        """Set the parameters."""
        self._call("params_from_flat", self.structs["params"], self.flat("params", values))

    def give_state(self, values: Mapping[str, Any]) -> None:
        """Set the running statistics, if there are any."""
        if self.bytes["state"]:
            self._call("state_from_flat", self.structs["state"], self.flat("state", values))

    def reset(self) -> None:
        """Forget all steps."""
        if self.bytes["optimizer"]:
            self._call("optimizer_reset", self.structs["optimizer"])

    # -- functions ------------------------------------------------------------------------------------------------
    def call(
        self, entry: str, rate: float = 0.0, steps: int | None = None, max_norm: float = math.inf
    ) -> float:
        """Call a function of the module and return its number (0 if it has none)."""
        given: list[Any] = []
        for name in self.module.arguments("train_step" if entry == "train" else entry):
            if name in ("rate", "max_norm"):
                given.append(self.number(rate if name == "rate" else max_norm))
                if steps is not None and (name == "max_norm") == self.module.clip:
                    given.append(ctypes.c_size_t(steps))
            else:
                given.append(self.structs[ARGUMENTS.get(name, name)])
        plan = self.module.plans["train_step" if entry == "train" else entry]
        number = self._call(entry, *given, result=self.number if self.module.output in plan.outputs else None)
        return float(number or 0.0)

    def spoil(self, *names: str) -> None:
        """Fill structs with NaN, so that what a function does not write shows."""
        for name in names:
            self.structs[name][:] = np.nan

    def params(self) -> dict[str, dict[tuple[int, ...], Array]]:
        """Return the parameters."""
        return self._read("params")

    def state(self) -> dict[str, dict[tuple[int, ...], Array]]:
        """Return the running statistics."""
        return self._read("state") if self.bytes["state"] else {}

    def gradients(self) -> dict[str, dict[tuple[int, ...], Array]]:
        """Return the gradients, by the adjoint's name."""
        return self._read("gradients")

    def predictions(self) -> dict[str, dict[tuple[int, ...], Array]]:
        """Return the predictions."""
        return self._read("predictions")


def error_of(found: Mapping[tuple[int, ...], Array], true: Any, floor: float = 0.0) -> float:
    """Return the largest difference of a variable from what it should be, relative to its largest entry.

    Members that nothing defines are left out, and so are entries behind a size that is known at run time only.
    """
    wanted = true if isinstance(true, Mapping) else {(): np.asarray(true)}
    if not set(wanted) <= set(found):
        return float("inf")
    mine = {k: found[k][: v.shape[0], : v.shape[1]] for k, v in wanted.items()}
    return difference(mine, dict(wanted), floor)


# ---------------------------------------------------------------------------------------------------------
# The optimizers, once more and plainly


@dataclass
class Optimization:
    """How parameters move: the three optimizers as their definitions read.

    optimizer: which one.
    mean:      the sum of past gradients, or their mean, by parameter and member.
    square:    the mean of their squares.
    step:      how many steps were taken.
    """

    optimizer: Optimizer
    mean: dict[tuple[str, tuple[int, ...]], Array] = field(default_factory=dict)
    square: dict[tuple[str, tuple[int, ...]], Array] = field(default_factory=dict)
    step: int = 0

    def moved(self, name: str, member: tuple[int, ...], value: Array, gradient: Array, rate: float) -> Array:
        """Return a parameter after the present step."""
        if self.optimizer == "sgd":
            return value - rate * gradient
        key = (name, member)
        mean = self.mean.get(key, np.zeros_like(value))
        if self.optimizer == "momentum":
            self.mean[key] = 0.9 * mean + gradient
            return value - rate * self.mean[key]
        square = self.square.get(key, np.zeros_like(value))
        self.mean[key] = mean = 0.9 * mean + (1 - 0.9) * gradient
        self.square[key] = square = 0.999 * square + (1 - 0.999) * gradient**2
        first, second = mean / (1 - 0.9**self.step), square / (1 - 0.999**self.step)
        return value - rate * first / (np.sqrt(second) + 1e-8)


# ---------------------------------------------------------------------------------------------------------
# The checks


@dataclass(frozen=True)
class Variant:
    """How a module under test is written.

    memory:    where its temporaries lie.
    optimizer: how its step moves parameters.
    batch:     whether the number of samples is known at run time only.
    clip:      whether its step scales gradients down to a largest norm.
    """

    memory: Memory = "static"
    optimizer: Optimizer = "sgd"
    batch: bool = False
    clip: bool = False


VARIANTS = (
    Variant(), Variant("block", "momentum", clip=True), Variant("static", "adam"), Variant("block", "sgd", batch=True),
)
"""The ways to write a module that are compared, one after the other."""

SINGLE_VARIANTS = (Variant("block", "adam"),)
"""The same in single precision: that a precision is another one changes numbers and names, not the plan."""

SPARE = 3
"""By how many samples the largest batch exceeds the one that is given."""


@dataclass(frozen=True)
class Case:
    """A module under test with its files, and the sizes at which it is called."""

    module: Module
    texts: Mapping[str, str]
    sizes: Mapping[str, Any]


def cases(
    derivation: Derivation, assignments: Sequence[Mapping[str, Any]], dtype: str,
    variants: Sequence[Variant] = VARIANTS, prefix: str = "m",
) -> list[Case]:
    """Plan a module for each assignment of sizes, and for each variant, whichever are more.

    A variant with a batch that is known at run time only is left out where samples are not counted, or cannot be left
    open.  Raises ``GenerateError`` where the derivation cannot be written in C.
    """
    made: Passes = passes(derivation)
    found = []
    for k in range(max(len(assignments), len(variants))):
        sizes, variant = assignments[k % len(assignments)], variants[k % len(variants)]
        if k >= len(assignments):
            sizes = assignments[-1]
        module = _planned(made, f"{prefix}{k}", sizes, dtype, variant)
        if module is not None:
            found.append(Case(*module, sizes))
    return found


def _planned(
    made: Passes, name: str, sizes: Mapping[str, Any], dtype: str, variant: Variant
) -> tuple[Module, Files] | None:
    source = made.derivation.source
    numbers = {n: sizes[n] for n in size_names(source)}
    largest: dict[str, int] = {}
    if variant.batch:
        if source.samples is None or source.samples.name not in numbers:
            return None
        if any(source.samples in var.shape for var in source.declared("param")):
            return None
        name_of = source.samples.name
        largest = {name_of: int(numbers.pop(name_of)) + SPARE}
    try:
        module = planned(
            made, name=name, sizes=numbers, dtype=dtype, memory=variant.memory, optimizer=variant.optimizer,
            clip=variant.clip, largest=largest,
        )
        return module, files(module)
    except GenerateError:
        if variant.batch:
            return None
        raise


@contextmanager
def compiled(group: Iterable[Case], flags: Sequence[str] = FLAGS) -> Iterator[ctypes.CDLL]:
    """Compile the modules of cases in a temporary folder and load them."""
    with tempfile.TemporaryDirectory(prefix="symbp-", ignore_cleanup_errors=True) as folder:
        yield ctypes.CDLL(str(compile_modules([(c.module, c.texts) for c in group], Path(folder), flags)))


def check_compiled(
    derivation: Derivation, rng: np.random.Generator, *, sizes: Sequence[Mapping[str, Any]],
    dtypes: Sequence[str] = ("float64",), flags: Sequence[str] = FLAGS, modules: Mapping[str, ModuleType] | None = None,
    variants: Sequence[Variant] = (),
) -> dict[str, list[Finding]]:
    """Compare generated C modules with the reference evaluator, and return the findings by precision.

    Compared at each assignment of sizes: the loss and the gradients of both ways to them, every parameter after each of
    three steps, the same steps taken at once, and the prediction; relative to the largest entry, 1e-12 in double and
    1e-4 in single precision.

    sizes:    assignments of sizes; single precision is checked at the last one.
    dtypes:   the precisions.
    flags:    options of the compiler.
    modules:  the NumPy modules of the same derivation, by precision: their parameters after a step must be the same.
    variants: the ways in which modules are written; by default all of them in double, one in single precision.

    Raises ``GenerateError`` where the derivation cannot be written in C, ``CompileError`` where it does not compile.
    """
    chosen: dict[str, list[Case]] = {}
    for dtype in dtypes:
        some = sizes if dtype == "float64" else sizes[-1:]
        few = variants or (VARIANTS if dtype == "float64" else SINGLE_VARIANTS)
        chosen[dtype] = cases(derivation, some, dtype, few, prefix="d" if dtype == "float64" else "s")
    found: dict[str, list[Finding]] = {dtype: [] for dtype in dtypes}
    with compiled([case for group in chosen.values() for case in group], flags) as library:
        for dtype, group in chosen.items():
            for case in group:
                numpy = (modules or {}).get(dtype)
                found[dtype] += Comparison(derivation, library, case, rng, sizes, numpy).findings()
    return found


class Comparison:
    """A compiled module beside the reference evaluator, on one draw of values.

    derivation: what the module was written from.
    library:    where it is.
    case:       the module and its sizes.
    rng:        gives the values.
    chosen:     all assignments of sizes that will be tried.
    numpy:      the NumPy module of the same derivation, in the same precision.
    """

    def __init__(
        self, derivation: Derivation, library: ctypes.CDLL, case: Case, rng: np.random.Generator,
        chosen: Sequence[Mapping[str, Any]], numpy: ModuleType | None = None,
    ) -> None:
        self.derivation, self.case, self.chosen, self.numpy = derivation, case, chosen, numpy
        self.module, self.sizes = case.module, case.sizes
        self.c = Compiled(library, case.module, case.sizes)
        self.single = self.c.dtype == np.float32
        self.values = self.rounded(draw(derivation.source, self.sizes, rng))
        self.truth = evaluate(derivation.program, self.values, self.sizes)
        self.most = self._largest(self.truth)

    def rounded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values as the module's type of numbers can hold them."""
        def near(a: Array) -> Array:
            return np.asarray(a).astype(self.c.dtype).astype(float)

        return {
            n: {k: near(a) for k, a in v.items()} if isinstance(v, Mapping) else near(v) for n, v in values.items()
        }

    def _largest(self, truth: Mapping[str, Any]) -> float:
        every = [a for bar in self.derivation.gradients.values() for a in arrays(truth[bar])]
        return max((float(np.max(np.abs(a), initial=0.0)) for a in every), default=0.0)

    @property
    def floor(self) -> float:
        """What a gradient is held against that is nothing but rounding."""
        return 1e-2 * self.most

    def measure(self, what: str, error: float, detail: str) -> Finding:
        return measured(
            f"module {what}", self.module.p, error, SINGLE if self.single else DOUBLE, self.sizes, detail
        )

    def findings(self) -> list[Finding]:
        """Return what was compared."""
        reason = refusal(self.derivation.source, self.values, self.chosen)
        if reason:
            return [Finding("module", self.module.p, "refused", sizes=sizes_text(self.sizes), detail=reason)]
        return list(self._findings())

    def _findings(self) -> Iterator[Finding]:
        c = self.c
        c.give(self.values)
        loss = float(value_of(self.truth, self.derivation.output))
        scale = max(abs(loss), 1.0)
        if "forward" in self.module.plans:
            error = abs(c.call("forward") - loss) / scale
            c.spoil("gradients")
            c.call("backward")
            yield self.gradients("backward", "backward, from what forward kept, gives another gradient of")
            c.spoil("gradients")
            error = _worst(error, abs(c.call("loss_and_gradients") - loss) / scale)
            yield self.measure("loss", error, "the loss differs")
            yield self.gradients("gradients", "loss_and_gradients gives another gradient of")
        if "update_state" in self.module.plans:
            c.call("update_state")
            yield self.measure("state", *self.state_error(follow(self.derivation.source, self.values, self.truth)))
            c.give_state(self.values)
        if "predict" in self.module.plans:
            yield self.predict()
        if self.module.trained:
            yield from self.training(loss, scale)

    def gradients(self, what: str, detail: str) -> Finding:
        found = self.c.gradients()
        worst, culprit = 0.0, ""
        for name, bar in self.derivation.gradients.items():
            error = error_of(found.get(bar, {}), self._wanted(name, self.truth[bar]), self.floor)
            if not error <= worst:
                worst, culprit = error, name
        return self.measure(what, worst, f"{detail} {culprit}")

    def _wanted(self, name: str, gradient: Any) -> Any:
        """Return the members of an adjoint that are gradients of what was declared."""
        given = self.values[name]
        return {k: v for k, v in gradient.items() if k in given} if isinstance(gradient, Mapping) else gradient

    def state_error(self, wanted: Mapping[str, Any]) -> tuple[float, str]:
        """Return how far the running statistics are from what they should be, and which one is."""
        found = self.c.state()
        worst, culprit = 0.0, ""
        for name, true in wanted.items():
            error = error_of(found.get(name, {}), true)
            if not error <= worst:
                worst, culprit = error, name
        return worst, f"the running value {culprit} moves otherwise"

    def predict(self) -> Finding:
        truth = self.truth
        if self.derivation.source.running:
            truth = evaluate(stored(self.derivation.program), self.values, self.sizes)
        self.c.spoil("predictions")
        self.c.call("predict")
        worst, culprit = 0.0, ""
        for name, found in self.c.predictions().items():
            true = truth[name]
            if isinstance(true, Mapping):
                true = {k: v for k, v in true.items() if k in found}
            error = error_of(found, true)
            if not error <= worst:
                worst, culprit = error, name
        return self.measure("predict", worst, f"predict gives another {culprit}")

    # -- training -------------------------------------------------------------------------------------------------
    def training(self, loss: float, scale: float) -> Iterator[Finding]:
        """Compare steps one by one, each from where the module stands, and then the same steps in one call."""
        rate, most = self.rate(), self.max_norm()
        c, moves = self.c, Optimization(self.module.optimizer)
        worst, culprit, lost = 0.0, "", 0.0
        followed = 0.0, ""
        values, truth = dict(self.values), self.truth
        unsure: dict[tuple[str, tuple[int, ...]], Array] = {}
        for step in range(STEPS):
            moves.step = step + 1
            if step:
                truth = evaluate(self.derivation.program, values, self.sizes)
                loss = float(value_of(truth, self.derivation.output))
            lost = _worst(lost, abs(c.call("train_step", rate, max_norm=most) - loss) / max(scale, abs(loss)))
            after = c.params()
            if step == 0 and self.numpy is not None and self.module.optimizer == "sgd":
                yield self.like_numpy(after, rate)
            states = follow(self.derivation.source, values, truth)
            followed = max(followed, self.state_error(states))
            shrink = min(1.0, most / (self._norm(truth) or 1.0))
            noise = (1e-2 if self.single else 1e-4) * self._largest(truth)
            for name in self.params():
                expected, found = {}, after.get(name, {})
                for member, value in _members(values[name]):
                    gradient = self._gradient(truth, name, member, value)
                    new = moves.moved(name, member, value, shrink * gradient, rate)
                    if self.module.optimizer == "adam":
                        # Adam makes a full step of a gradient that is nothing but rounding: its sign is nobody's.
                        hidden = unsure.setdefault((name, member), np.zeros(value.shape, bool))
                        hidden |= np.abs(gradient) <= noise
                        new = np.where(hidden, found[member], new) if member in found else new
                    expected[member] = new
                error = error_of(found, expected)
                if not error <= worst:
                    worst, culprit = error, f"{name} after step {step + 1}"
            values.update({n: after[n] if isinstance(values[n], Mapping) else after[n][()] for n in self.params()})
            values.update(states)
        yield self.measure("train step", worst, f"another {culprit} ({self.module.optimizer})")
        yield self.measure("loss of steps", lost, "train_step returns another loss than that before the step")
        if followed[1]:
            yield self.measure("state of steps", *followed)
        c.reset()
        c.give_params(self.values)
        c.give_state(self.values)
        c.call("train", rate, STEPS, most)
        again = c.params()
        same = max((error_of(again[n], dict(_members(values[n]))) for n in self.params()), default=0.0)
        same = _worst(same, self.state_error({r.state: values[r.state] for r in self.derivation.source.running})[0])
        yield self.measure("train", same, f"{STEPS} steps in one call are not {STEPS} calls of one step")

    def params(self) -> list[str]:
        """Return the names of all parameters."""
        return [v.name for v in self.derivation.source.declared("param") if v.name in self.values]

    def _gradient(self, truth: Mapping[str, Any], name: str, member: tuple[int, ...], value: Array) -> Array:
        bar = self.derivation.gradients.get(name)
        if bar is None:
            return np.zeros_like(value)
        found = truth[bar]
        return np.asarray(found[member] if isinstance(found, Mapping) else found)

    def rate(self) -> float:
        """Return a rate at which parameters move by about a tenth, exact in both precisions."""
        return float(np.float32(0.01 if self.module.optimizer == "adam" else min(0.25, 0.1 / max(self.most, 1e-6))))

    def _norm(self, truth: Mapping[str, Any]) -> float:
        """Return the norm of the gradients of all parameters together."""
        every = [self._gradient(truth, n, k, v) for n in self.params() for k, v in _members(self.values[n])]
        return math.sqrt(sum(float(np.sum(g**2)) for g in every))

    def max_norm(self) -> float:
        """Return a norm that the first gradients exceed, as the module can hold it; none for one that does not clip."""
        return float(self.c.dtype.type(0.6 * self._norm(self.truth))) if self.module.clip else math.inf

    def like_numpy(self, after: Mapping[str, Mapping[tuple[int, ...], Array]], rate: float) -> Finding:
        """Compare the parameters after a step with those of the NumPy module."""
        module = self.numpy
        assert module is not None
        program, dtype = self.derivation.source, self.c.dtype
        order = declarations(program, "param")
        params = record(module.Params, order, self.values, self.sizes, dtype)
        inputs = record(module.Inputs, input_order(program), self.values, self.sizes, dtype)
        state = [
            record(module.State, states, self.values, self.sizes, dtype)
            for states in [declarations(program, "state")] if states
        ]
        _, moved, *_ = module.train_step(params, *state, inputs, rate)
        worst, culprit = 0.0, ""
        for (var, box), new in zip(order, moved, strict=True):
            error = error_of(after.get(var.name, {}), unpacked(var, box, new, self.sizes))
            if not error <= worst:
                worst, culprit = error, var.name
        return self.measure("like NumPy", worst, f"the NumPy module has another {culprit} after a step")


def _members(value: Any) -> list[tuple[tuple[int, ...], Array]]:
    if isinstance(value, Mapping):
        return [(k, np.asarray(v)) for k, v in value.items()]
    return [((), np.asarray(value))]


def _worst(*errors: float) -> float:
    """Return the largest error; one that is no number is the largest."""
    return float("inf") if any(e != e for e in errors) else max(errors)


def worst_of(findings: Iterable[Finding]) -> float:
    """Return the largest error of findings."""
    return _worst(0.0, *(f.error for f in findings))


__all__ = [
    "Case", "CompileError", "Compiled", "Comparison", "Optimization", "Variant", "cases", "check_compiled", "compiled",
    "compile_modules", "compiler", "error_of", "worst_of",
]
