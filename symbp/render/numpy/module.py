"""The NumPy module of a derivation: tuples and functions, handed to the template that frames the file."""

from __future__ import annotations

import hashlib
import keyword
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from symbp.derivation import Derivation
from symbp.expr import expanded, refs, same_size
from symbp.program import Loop, Origin, Program, Statement, Var
from symbp.render.notation import samples_text
from symbp.render.numpy import training
from symbp.render.numpy.doors import check_inputs, check_shapes
from symbp.render.numpy.laws import law_text
from symbp.render.numpy.layout import Field, Layout, Store, annotation
from symbp.render.numpy.notes import Notes
from symbp.render.numpy.pieces import (
    FunctionText, TupleText, call, described, family_text, indented, shape_text, table, tupled,
)
from symbp.render.numpy.scalars import GenerateError
from symbp.render.numpy.scope import FunctionScope, Kernels
from symbp.render.numpy.statements import Writer, laid_out
from symbp.render.templates import environment

FORMAT = 1
"""The version of the form of generated modules; it changes when their functions do."""

DTYPES = ("float64", "float32")

KERNEL_CALLS = {"gelu": ("erf",)}
"""Kernels that call others."""


class Module:
    """A module in the making.

    derivation: the forward and the backward pass.
    tangent:    the forward pass with the tangent of each value.
    sizes:      sizes that are given as numbers.
    """

    def __init__(self, derivation: Derivation, tangent: Program, sizes: Mapping[str, int]) -> None:
        self.derivation = derivation
        self.tangent = tangent
        self.program = derivation.forward
        self.output = derivation.output
        self.layout = Layout(self.program, sizes)
        self.kernels = Kernels()
        self.notes = Notes(derivation, tangent)
        self.values = [v for v in self.program.variables.values() if self.layout.computed(v.name)]
        wanted = set(derivation.gradients)
        self.gradients = [f for f in (*self.layout.params, *self.layout.inputs) if f.var.name in wanted]
        self.trained = [f for f in self.layout.params if f in self.gradients]
        # Names are handed out in one order, whatever is written first.
        for size in self.program.sizes:
            self.layout.identifiers(str(getattr(size, "name", size)))
        for name in (*self.program.variables, *derivation.program.variables, *tangent.variables):
            self.layout.identifiers(name)

    def scope(self, cached: bool = False, targets: bool = True) -> FunctionScope:
        """Return the names of a function of ``params`` and ``inputs``, with or without ``cache``."""
        fields = [f for f in self.layout.fields if targets or not f.target]
        return FunctionScope(self.layout, self.kernels, fields, [v.name for v in self.values] if cached else ())

    # -- tuples ------------------------------------------------------------------------------------------------
    def tuples(self) -> list[TupleText]:
        """Return the NamedTuples."""
        layout, values = self.layout, [v for v in self.values if v.name != self.output]
        targets = layout.program.declared("target")
        empty = {True: " = np.empty((0, 0))", False: " = ()"}
        tuples = [
            TupleText(
                "Params", "The parameters.", [f"{f.name}: {f.annotation}" for f in layout.params],
                table(described(f) for f in layout.params),
            ),
            TupleText(
                "Inputs", "What the network is given." + (" ``predict`` needs no targets." if targets else ""),
                [f"{f.name}: {f.annotation}{empty[f.depth == 0] if f.target else ''}" for f in layout.inputs],
                table(described(f) for f in layout.inputs),
            ),
            TupleText(
                "Cache", "The result of the forward pass and every named value on the way.",
                [f"{self.output}: float", *(self._annotated(v) for v in values)],
                table([(self.output, "a number"), *(self._described(v) for v in values)]),
            ),
            TupleText(
                "Gradients", f"The gradients of {self.output}, each in the shape of its variable.",
                [f"{f.name}: {annotation(f.depth)}" for f in self.gradients],
                [f"{', '.join(f.name for f in self.gradients)}: as in ``{self._tuple_of_gradients()}``"],
            ),
        ]
        predicted = self.predicted()
        if len(predicted) > 1:
            tuples.append(
                TupleText(
                    "Predictions", "What the network computes without targets.",
                    [self._annotated(v) for v in predicted], table(self._described(v) for v in predicted),
                )
            )
        return tuples

    def _tuple_of_gradients(self) -> str:
        groups = {f.group for f in self.gradients}
        return "Params" if groups == {"params"} else "Inputs" if groups == {"inputs"} else "Params`` and ``Inputs"

    def _annotated(self, var: Var) -> str:
        return f"{var.name}: {annotation(self.layout.depth_of(var))}"

    def _described(self, var: Var) -> tuple[str, str]:
        words = family_text(var.name, var, self.layout.whole(var)) if var.indices else shape_text(var.shape)
        return var.name, words

    # -- the passes --------------------------------------------------------------------------------------------
    def forward(self) -> FunctionText:
        """Return ``forward``."""
        scope = self.scope()
        writer = Writer(scope, self.program, self.notes.forward, self.output)
        writer.write(self.program.body, [v.name for v in self.values])
        names = [self.output, *(v.name for v in self.values if v.name != self.output)]
        lines = ["    _check_shapes(params, inputs)", *indented(scope.prologue()), *laid_out(writer.lines)]
        return FunctionText(
            "forward(params: Params, inputs: Inputs) -> Cache:",
            f"Return {self.output} and every named value on the way.",
            lines + call("Cache", [f"{n}={self._kept(scope, n)}" for n in names]),
        )

    @staticmethod
    def _kept(scope: FunctionScope, name: str) -> str:
        store = scope.stores[name]
        return tupled(store.name, store.depth)

    def backward(self) -> FunctionText:
        """Return ``backward``."""
        bars = self.derivation.gradients
        scope = self.scope(cached=True)
        writer = Writer(scope, self.derivation.program, self.notes.backward)
        writer.write(self.derivation.backward, [bars[f.var.name] for f in self.gradients])
        values = [f"{f.name}={self._gradient(scope, f, bars[f.var.name], writer.written)}" for f in self.gradients]
        return FunctionText(
            "backward(params: Params, inputs: Inputs, cache: Cache) -> Gradients:",
            f"Return the gradients of {self.output}; ``cache`` is what ``forward`` returned.",
            [*indented(scope.prologue()), *laid_out(writer.lines), *call("Gradients", values)],
        )

    def _gradient(self, scope: FunctionScope, known: Field, bar: str, written: Iterable[str]) -> str:
        """Return the gradient of a field: an adjoint, or the part of one that the field stands for."""
        if bar not in written:
            at = scope.field(known)
            return f"tuple(np.zeros_like(a) for a in {at})" if known.depth else f"np.zeros_like({at})"
        store = scope.stores[bar]
        text, depth = store.name, 0
        for k, (lo, hi) in enumerate(known.ends):
            low, high = store.lows[k], store.highs[k]
            if low is None or high is None:
                raise GenerateError(f"the gradient of {known.name} is not kept")
            if k not in known.free:
                text += f"[{scope.position(lo, low)}]"
                continue
            if not (same_size(lo, low) and same_size(hi, high)):
                text += f"[{scope.position(lo, low)} : {scope.position(expanded(hi + 1), low)}]"
            depth += k < store.depth
        return tupled(text, depth)

    # -- predict -----------------------------------------------------------------------------------------------
    def predicted(self) -> list[Var]:
        """Return the values that need no target, and that the output or what needs a target reads."""
        program = self.derivation.source
        late = _dependent(program, {v.name for v in program.declared("target")}) | {self.output}
        fed = _dependent(program, {v.name for v in program.declared("input", "const")})
        read = {r.name for s in program.sites if s.target.name in late for r in refs(s.equation.value)}
        return [v for v in self.values if v.name in fed - late and v.name in read | set(program.outputs)]

    def predict(self) -> FunctionText | None:
        """Return ``predict``; None if nothing can be computed without targets."""
        predicted = self.predicted()
        if not predicted:
            return None
        names = [v.name for v in predicted]
        scope = self.scope(targets=False)
        writer = Writer(scope, self.program, self.notes.forward)
        writer.write(_only(self.program.body, _needed(self.program, names)), names)
        if len(names) == 1:
            result, back = annotation(self.layout.depth_of(predicted[0])), [f"    return {self._kept(scope, names[0])}"]
        else:
            result, back = "Predictions", call("Predictions", [f"{n}={self._kept(scope, n)}" for n in names])
        without = ", targets=False" if any(f.target for f in self.layout.fields) else ""
        return FunctionText(
            f"predict(params: Params, inputs: Inputs) -> {result}:",
            f"Return {', '.join(names)}, for which no target is needed.",
            [
                f"    _check_shapes(params, inputs{without})", *indented(scope.prologue()), *laid_out(writer.lines),
                *back,
            ],
        )

    # -- jvp ---------------------------------------------------------------------------------------------------
    def jvp(self) -> FunctionText:
        """Return ``jvp``."""
        program = self.tangent
        scope = self.scope(cached=True)
        for var in program.declared():
            if var.origin is None or var.origin.role != "tangent":
                continue
            fields = [f for f in self.gradients if f.var.name == var.origin.of]
            for known in fields:
                store = self.layout.direct(known)
                if len(fields) > 1 or self.layout.computed(known.var.name):
                    store = self.layout.whole(known.var)
                local = self.layout.identifiers(var.name)
                scope.stores[var.name] = Store(local, store.lows, store.highs, store.depth)
                scope.lazy[local] = f"tangents.{known.name}"
        known_before = {site.target.name for site in self.program.sites}
        output = next((v.name for v in program.variables.values() if v.origin == Origin("tangent", self.output)), None)
        writer = Writer(scope, program, self.notes.tangent, output)
        body = _without(program.body, known_before)
        writer.write(_only(body, _needed(program, [output] if output else [])), [])
        moved = scope.stores[output].name if output is not None and output in writer.written else "0.0"
        return FunctionText(
            "jvp(params: Params, inputs: Inputs, tangents: Gradients) -> tuple[float, float]:",
            f"Return {self.output} and its differential along ``tangents``.",
            [
                "    cache = forward(params, inputs)", *indented(scope.prologue()), *laid_out(writer.lines),
                f"    return cache.{self.output}, {moved}",
            ],
        )

    # -- the file ----------------------------------------------------------------------------------------------
    def values_for_template(self, dtype: str, declaration: str, templates: Path | None) -> dict[str, object]:
        """Return what the template is given."""
        layout, kernels = self.layout, self.kernels
        tuples = self.tuples()
        functions: list[FunctionText | None] = [
            training.init_params(layout, kernels) if layout.params else None,
            check_shapes(layout, kernels),
            check_inputs(layout, kernels),
            self.forward(),
            self.predict(),
            self.backward(),
            self.jvp(),
        ]
        return {
            "title": f"{self.program.name}: forward pass, backward pass and training, in NumPy.",
            "header": self.header(declaration),
            "quiet": layout.identifiers.ambiguous,
            "dtype": dtype,
            "constants": self._constants(),
            "tuples": tuples,
            "kernels": self._kernel_texts(templates),
            "check_length": any(f.depth for f in layout.fields),
            "functions": [f for f in functions if f is not None],
            "params": bool(self.trained),
            "output": self.output,
            "update": training.updated(self.trained, layout),
            "arrays": training.arrays(self.trained, "values"),
            "copies": training.copies(self.trained, layout),
            "batches": training.batches(layout),
            "saves": training.saved(layout),
            "loads": training.loaded(layout),
        }

    def header(self, declaration: str) -> str:
        """Return the header of the file: where it comes from, conventions, what is assumed."""
        lines = [f"Generated by symbp (format {FORMAT}). It needs NumPy and nothing else, and it is yours."]
        if declaration:
            lines.append(f"Declaration: SHA-256 {hashlib.sha256(declaration.encode()).hexdigest()}")
        samples = samples_text(self.program)
        gradients = "a gradient has the shape of its variable"
        lines.append(f"Conventions: {samples + '; ' if samples else ''}{gradients}.")
        lines.append("At kinks and ties: step(0) = 0, sign(0) = 0, the first of several largest entries counts.")
        facts = [
            f"{f.member_label()} ({', '.join(sorted(x.replace('_', ' ') for x in f.var.facts))})"
            for f in (*self.layout.params, *self.layout.inputs) if f.var.facts
        ]
        facts += [f"{size} >= {least}" for size, least in self.program.assumptions]
        facts += [f"{size} = {value}" for size, value in self.program.definitions]
        if facts:
            lines.append(f"Assumed: {'; '.join(facts)}.")
        return "\n".join(lines)

    def _constants(self) -> list[str]:
        lines = []
        for var in self.layout.constants:
            scope = FunctionScope(self.layout, self.kernels)
            rows = [f"[{', '.join(scope.size(x) for x in row)}]" for row in var.value or ()]
            lines.append(f"{self.layout.identifiers(var.name)}: Array = np.array([{', '.join(rows)}], DTYPE)")
        return lines

    def _kernel_texts(self, templates: Path | None) -> list[str]:
        """Return the small functions that the module calls, those of scalar laws last."""
        laws: dict[str, str] = {}
        while len(laws) < len(self.kernels.laws):
            # The law of one function may call another.
            for function, name in list(self.kernels.laws.items()):
                if name not in laws:
                    laws[name] = law_text(function, name, self.kernels)
        used = set(self.kernels.used)
        for kernel in self.kernels.used:
            used |= set(KERNEL_CALLS.get(kernel, ()))
        frames = environment("numpy", templates)
        texts = [frames.get_template(f"kernels/{kernel}.py.jinja").render() for kernel in sorted(used)]
        return [text.rstrip("\n") for text in texts] + list(laws.values())


def module_text(
    derivation: Derivation, tangent: Program, *, sizes: Mapping[str, int], dtype: str, templates: Path | None,
    declaration: str,
) -> str:
    """Return the text of the module."""
    if dtype not in DTYPES:
        raise GenerateError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype}")
    module = Module(derivation, tangent, sizes)
    values = module.values_for_template(dtype, declaration, templates)
    text = environment("numpy", templates).get_template("module.py.jinja").render(values)
    return text.rstrip("\n") + "\n"


def check_module_name(name: str) -> str:
    """Return a module name; raise ``GenerateError`` for one that Python could not import."""
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        raise GenerateError(f"{name!r} is no name of a module: use letters, digits and underscores")
    if name in ("numpy", "typing"):
        raise GenerateError(f"a module called {name} would hide the one that it imports")
    return name


# -- parts of programs ------------------------------------------------------------------------------------------


def _dependent(program: Program, names: set[str]) -> set[str]:
    """Return what depends on the given variables, themselves included."""
    found = set(names)
    while True:
        more = {s.target.name for s in program.sites if any(r.name in found for r in refs(s.equation.value))} - found
        if not more:
            return found
        found |= more


def _needed(program: Program, names: Iterable[str]) -> set[str]:
    """Return what must be computed for the given variables, themselves included."""
    found = set(names)
    while True:
        more = {r.name for s in program.sites if s.target.name in found for r in refs(s.equation.value)} - found
        if not more:
            return found
        found |= more


def _only(body: Sequence[Statement], names: set[str]) -> tuple[Statement, ...]:
    return _filtered(body, lambda target: target.name in names)


def _without(body: Sequence[Statement], names: set[str]) -> tuple[Statement, ...]:
    return _filtered(body, lambda target: target.name not in names)


def _filtered(body: Sequence[Statement], wanted: object) -> tuple[Statement, ...]:
    out: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop):
            inner = _filtered(statement.body, wanted)
            if inner:
                out.append(statement.with_body(inner))
        elif wanted(statement.target):  # type: ignore[operator]
            out.append(statement)
    return tuple(out)


