"""The NumPy module of a derivation: tuples and functions, handed to the template that frames the file."""

from __future__ import annotations

import contextlib
import hashlib
import keyword
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from symbp.calculus.passes import FACTOR, Parts, Passes
from symbp.derivation import Derivation
from symbp.expr import Add, Node, Zero, expanded, refs, same_size
from symbp.program import Equation, Loop, Origin, Program, Statement, Var
from symbp.render.notation import samples_text
from symbp.render.numpy import states, training
from symbp.render.numpy.doors import check_inputs, check_shapes
from symbp.render.numpy.guards import used
from symbp.render.numpy.laws import law_text
from symbp.render.numpy.layout import Field, Layout, Store, annotation
from symbp.render.notes import Notes
from symbp.render.parts import same_definitions
from symbp.render.numpy.pieces import (
    FunctionText, TupleText, call, described, facts_text, family_text, folded, indented, listed, shape_text, table,
    tupled,
)
from symbp.render.numpy.scalars import GenerateError
from symbp.render.numpy.scope import FunctionScope, Kernels
from symbp.render.numpy.statements import Line, Writer, laid_out
from symbp.render.templates import rendered

FORMAT = 1
"""The version of the form of generated modules; it changes when their functions do."""

DTYPES = ("float64", "float32")

KERNEL_CALLS = {"gelu": ("erf",)}
"""Kernels that call others."""


class Module:
    """A module in the making.

    derivation: the forward and the backward pass.
    tangent:    the forward pass with the tangent of each value.
    parts:      the backward passes of the parts of the loss.
    sizes:      sizes that are given as numbers.
    inference:  the network that predicts, if it is not the one that is trained.
    clip:       whether a training step scales the gradients down to a largest norm.
    kernels:    what collects the small functions that the module calls.
    """

    def __init__(
        self, derivation: Derivation, tangent: Program, parts: Parts, sizes: Mapping[str, int],
        inference: Derivation | None = None, clip: bool = False, kernels: Kernels | None = None,
    ) -> None:
        self.derivation = derivation
        self.tangent = tangent
        self.parts = parts
        self.program = derivation.forward
        self.output = derivation.output
        self.clip = clip
        self.layout = Layout(self.program, sizes)
        self.kernels = kernels or Kernels()
        self.notes = Notes(derivation, tangent, parts.factor)
        self.values = [v for v in self.program.variables.values() if self.layout.computed(v.name)]
        wanted = set(derivation.gradients)
        self.gradients = [f for f in (*self.layout.params, *self.layout.inputs) if f.var.name in wanted]
        self.trained = [f for f in self.layout.params if f in self.gradients]
        # Names are handed out in one order, whatever is written first.
        for size in self.program.sizes:
            self.layout.identifiers(str(getattr(size, "name", size)))
        passes = [d.program for d in (parts.sample, parts.penalty) if d is not None]
        for program in (self.program, derivation.program, tangent, *passes):
            for name in program.variables:
                self.layout.identifiers(name)
        self.used = used(self.program, [self.output])
        self.factor = next(n for n in ("c", "factor", "c_loss") if self.layout.identifiers.free(n))

        self.answers = self if inference is None else self._answering(inference, sizes)

    def _answering(self, inference: Derivation, sizes: Mapping[str, int]) -> Module:
        """Return the module of the network that predicts, with the numbers of this one's equations."""
        forward = inference.forward
        found = Module(inference, forward, Parts(self.parts.factor, None, None), sizes, kernels=self.kernels)
        found.notes = Notes(inference, forward, self.parts.factor, numbered=self.program)
        return found

    def scope(self, cached: bool = False, targets: bool = True) -> FunctionScope:
        """Return the names of a function of ``params`` and ``inputs``, with or without ``cache``."""
        fields = [f for f in self.layout.fields if targets or not f.target]
        return FunctionScope(self.layout, self.kernels, fields, [v.name for v in self.values] if cached else ())

    # -- tuples ------------------------------------------------------------------------------------------------
    def tuples(self) -> list[TupleText]:
        """Return the NamedTuples."""
        layout, values = self.layout, [v for v in self.values if v.name != self.output]
        targets = layout.program.declared("target")
        # A target may be missing, and a field with a default stands behind those without: a missing size is 0.
        late = any(f.target for f in layout.inputs) or any(str(s) in layout.given for s in layout.loose)
        sizes = [f"{s}: int{f' = {layout.given.get(str(s), 0)}' if late else ''}" for s in layout.loose]
        empty = {True: " = np.empty((0, 0))", False: " = ()"}
        tuples = [
            TupleText(
                "Params", "The parameters.", [f"{f.name}: {f.annotation}" for f in layout.params],
                table(described(f) for f in layout.params),
            ),
            TupleText(
                "Inputs", "What the network is given." + (" ``predict`` needs no targets." if targets else ""),
                [f"{f.name}: {f.annotation}{empty[f.depth == 0] if f.target else ''}" for f in layout.inputs] + sizes,
                table([*(described(f) for f in layout.inputs), *((str(s), "a size") for s in layout.loose)]),
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
        if layout.states:
            tuples.insert(1, TupleText(
                "State", "Running statistics, which training moves and ``predict`` uses.",
                [f"{f.name}: {f.annotation}" for f in layout.states], table(described(f) for f in layout.states),
            ))
        predicted = self.answers.predicted()
        if len(predicted) > 1:
            tuples.append(
                TupleText(
                    "Predictions", "What the network computes without targets.",
                    [self._annotated(v) for v in predicted], table(self.answers._described(v) for v in predicted),
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
        writer = Writer(scope, self.program, self.notes.forward, self.output, self.used)
        writer.write(self.program.body, [v.name for v in self.values])
        names = [self.output, *(v.name for v in self.values if v.name != self.output)]
        lines = ["    _check_shapes(params, inputs)", *indented(scope.prologue()), *laid_out(writer.lines)]
        return FunctionText(
            "forward(params: Params, inputs: Inputs) -> Cache:",
            f"Return {self.output} and every named value on the way.",
            lines + self._tuple("Cache", names, [self._kept(scope, n) for n in names]),
        )

    @staticmethod
    def _tuple(name: str, fields: Sequence[str], values: Sequence[str]) -> list[str]:
        """Return a NamedTuple by position if its values are named after its fields: quicker, and no less clear."""
        pairs = list(zip(fields, values, strict=True))
        same = all(v.removeprefix("tuple(").rstrip(")") in (f, f"{f}_", f"{f}_bar") for f, v in pairs)
        return call(name, values if same else [f"{f}={v}" for f, v in pairs])

    @staticmethod
    def _kept(scope: FunctionScope, name: str) -> str:
        store = scope.stores[name]
        return tupled(store.name, store.depth)

    def backward(self) -> list[FunctionText]:
        """Return ``backward`` and ``backward_parts``, and the gradients of each part of the loss."""
        parts, output, factor = self.parts, self.output, self.factor
        text = "backward(params: Params, inputs: Inputs, cache: Cache) -> Gradients:"
        summary = f"Return the gradients of {output}; ``cache`` is what ``forward`` returned."
        split = "backward_parts(params: Params, inputs: Inputs, cache: Cache) -> tuple[Gradients, Gradients, float]:"
        if parts.sample is None:
            # One pass; there is nothing to add over shards.
            whole = "gradients, zeros, 1.0" if parts.mixed else "zeros, gradients, 1.0"
            why = parts.mixed or "no term of it depends on samples"
            return [
                FunctionText(text, summary, self._pass(self.derivation, self.notes.backward)),
                FunctionText(
                    split, f"Return the gradients of S and of R, and c, where {output} = c S + R.",
                    ["    gradients = backward(params, inputs, cache)", *self._zeros(), f"    return {whole}"],
                    [f"{'The loss is kept whole, c = 1 and R = 0' if parts.mixed else 'S is zero'}: {why}."],
                ),
            ]
        scope = self.scope()
        c = scope.size(parts.factor)
        top = scope.prologue()
        functions = [
            FunctionText(
                f"_sample_gradients(params: Params, inputs: Inputs, cache: Cache, {factor}: float) -> Gradients:",
                f"Return the gradients of {factor} S, where S is the sum over samples in {output}.",
                self._pass(parts.sample, self.notes.sample),
                [f"The factor, in {output} it is {parts.factor}, enters where error signals begin and nowhere else."],
            )
        ]
        sample = f"_sample_gradients(params, inputs, cache, {c})"
        if parts.penalty is None or not _nonzero(parts.penalty.backward):  # a number that stands beside the sum
            functions.append(FunctionText(text, summary, [*indented(top), f"    return {sample}"]))
            zeros, penalty = self._zeros(), "zeros"
        else:
            zeros, penalty = [], "_penalty_gradients(params, inputs, cache)"
            functions.append(
                FunctionText(
                    "_penalty_gradients(params: Params, inputs: Inputs, cache: Cache) -> Gradients:",
                    f"Return the gradients of R, the part of {output} that is free of samples.",
                    self._pass(parts.penalty, self.notes.backward),
                )
            )
            lines = [*top, f"sample = {sample}", f"penalty = {penalty}"]
            functions.append(FunctionText(text, summary, [*indented(lines), *call("Gradients", self._added())]))
        functions.append(
            FunctionText(
                split, f"Return the gradients of S and of R, and c, where {output} = c S + R.",
                [
                    *indented(top), "    sample = _sample_gradients(params, inputs, cache, 1.0)", *zeros,
                    f"    return sample, {penalty}, {c}",
                ],
                [
                    *(line for text in self.notes.parts(parts) for line in folded(text)),
                    "S is a sum over samples: its gradients add up over shards of any sizes, and c is that of all.",
                ],
            )
        )
        return functions

    def _zeros(self) -> list[str]:
        """Return the line that makes gradients of zeros."""
        values = []
        for f in self.gradients:
            zero = f"tuple(np.zeros_like(a) for a in {f.access})" if f.depth else f"np.zeros_like({f.access})"
            values.append(f"{f.name}={zero}")
        return [line.replace("return ", "zeros = ", 1) for line in call("Gradients", values)]

    def _added(self) -> list[str]:
        """Return the fields of the gradients of both parts together."""
        penalty = self.parts.penalty
        moved = {s.target.name for s in _sites(_nonzero(penalty.backward))} if penalty else set()
        bars = self.derivation.gradients
        values = []
        for known in self.gradients:
            a, b = f"sample.{known.name}", f"penalty.{known.name}"
            if bars[known.var.name] not in moved:
                values.append(f"{known.name}={a}")
            elif known.depth:
                values.append(f"{known.name}=tuple(a + b for a, b in zip({a}, {b}, strict=True))")
            else:
                values.append(f"{known.name}={a} + {b}")
        return values

    def _pass(self, derivation: Derivation, note: Callable[[Equation], str]) -> list[str]:
        """Return the body of a backward pass."""
        bars = derivation.gradients
        alike = same_definitions(derivation.forward, self.program)
        scope = self.scope()
        scope.cached = frozenset(v.name for v in self.values if v.name in alike)
        scope.arguments[FACTOR] = self.factor
        writer = Writer(scope, derivation.program, note)
        # What this pass reads and the cache does not hold is computed again.
        read = {r.name for s in _sites(derivation.backward) for r in refs(s.value)}
        computed = {s.target.name for s in derivation.forward.sites}
        again = (_needed(derivation.forward, read & computed) & computed) - alike
        body = (*_only(derivation.forward.body, again), *_nonzero(derivation.backward))
        writer.write(body, [bars[f.var.name] for f in self.gradients])
        values = [self._gradient(scope, f, bars[f.var.name], writer.written) for f in self.gradients]
        names = [f.name for f in self.gradients]
        return [*indented(scope.prologue()), *laid_out(writer.lines), *self._tuple("Gradients", names, values)]

    def _gradient(self, scope: FunctionScope, known: Field, bar: str, written: Iterable[str]) -> str:
        """Return the gradient of a field: an adjoint, or the part of one that the field stands for."""
        if bar not in written:
            at = scope.field(known)
            return f"tuple(np.zeros_like(a) for a in {at})" if known.depth else f"np.zeros_like({at})"
        return self._part(scope, known, scope.stores[bar], scope.stores[bar].name, 0)

    def _part(self, scope: FunctionScope, known: Field, store: Store, text: str, level: int) -> str:
        """Return the part of a family that a field stands for, from an index on; ``text`` holds what comes before."""

        def span(k: int) -> str:
            (lo, hi), (low, high) = known.ends[k], store.ends[k]
            if k not in known.free:
                return scope.position(lo, low)
            whole = same_size(lo, low) and same_size(hi, high)
            return ":" if whole else f"{scope.position(lo, low)} : {scope.position(expanded(hi + 1), low)}"

        if level < store.depth and known.ends:
            at = span(level)
            text = text if at == ":" else f"{text}[{at}]"
            if level not in known.free:
                return self._part(scope, known, store, text, level + 1)
            inner = self._part(scope, known, store, "a", level + 1)
            return f"tuple({text})" if inner == "a" else f"tuple({inner} for a in {text})"
        axes = [span(k) for k in range(level, len(known.ends))]
        while axes and axes[-1] == ":":
            axes.pop()
        return f"{text}[{', '.join(axes)}]" if axes else text

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
            return self._predict_part()
        with contextlib.suppress(GenerateError):
            return self._predict(predicted, targets=False)
        # A size is known from a target only.
        return self._predict(predicted, targets=True)

    def _predict(self, predicted: Sequence[Var], targets: bool) -> FunctionText:
        names = [v.name for v in predicted]
        scope = self._predicting(targets)
        writer = Writer(scope, self.program, self.notes.forward, used=self.used)
        writer.write(_only(self.program.body, _needed(self.program, names)), names)
        if len(names) == 1:
            result, kept = annotation(self.layout.depth_of(predicted[0])), self._kept(scope, names[0])
            if result == "Array" and any(".sum(" in line for line in laid_out(writer.lines)):
                kept = f"np.asarray({kept})"  # a sum has no type of its own
            back = [f"    return {kept}"]
        else:
            result, back = "Predictions", call("Predictions", [f"{n}={self._kept(scope, n)}" for n in names])
        return FunctionText(
            self._predict_head(result),
            f"Return {', '.join(names)}, for which no target is needed{' but its shape' if targets else ''}.",
            [*self._predict_checks(targets), *indented(scope.prologue()), *laid_out(writer.lines), *back],
        )

    def _predicting(self, targets: bool) -> FunctionScope:
        """Return the names of ``predict``, which may read states."""
        scope = self.scope(targets=targets)
        scope.fields = (*scope.fields, *self.layout.states)
        return scope

    def _predict_head(self, result: str) -> str:
        state = "state: State, " if self.layout.states else ""
        return f"predict(params: Params, {state}inputs: Inputs) -> {result}:"

    def _predict_checks(self, targets: bool) -> list[str]:
        without = ", targets=False" if any(f.target for f in self.layout.fields) and not targets else ""
        lines = [f"    _check_shapes(params, inputs{without})"]
        return [*lines, "    _check_state(params, state, inputs)"] if self.layout.states else lines

    def _predict_part(self) -> FunctionText | None:
        """Return ``predict`` where no name is free of targets: what the first equation compares with one."""
        program = self.derivation.source
        late = _dependent(program, {v.name for v in program.declared("target")})
        fed = _dependent(program, {v.name for v in program.declared("input", "const")})
        weights = {v.name for v in program.parameters}

        def part(node: Node) -> Node | None:
            names = {r.name for r in refs(node)}
            if not names & late:
                return node if names & fed and names & weights else None
            if isinstance(node, Add):
                free = [t for t in node.operands if not {r.name for r in refs(t)} & late]
                if any(part(t) is not None for t in free):
                    return Add(*free) if len(free) > 1 else free[0]
            return next((p for p in map(part, node.operands) if p is not None), None)

        for site in program.sites if late else ():
            value = None if site.loops else part(site.equation.value)
            if value is None:
                continue
            scope = self._predicting(targets=False)
            computed = {s.target.name for s in program.sites}
            needed = _needed(program, {r.name for r in refs(value)} & computed) & computed
            writer = Writer(scope, program, self.notes.forward)
            writer.write(_only(program.body, needed), [])
            writer.lines.append(Line(0, f"prediction: Array = {writer.printer.full(value).text}"))
            return FunctionText(
                self._predict_head("Array"),
                f"Return {self.notes.shown(value)}, for which no target is needed.",
                [
                    *self._predict_checks(False), *indented(scope.prologue()), *laid_out(writer.lines),
                    "    return prediction",
                ],
            )
        return None

    # -- jvp ---------------------------------------------------------------------------------------------------
    def jvp(self) -> FunctionText:
        """Return ``jvp``."""
        program = self.tangent
        scope = self.scope(cached=True)
        for var in program.declared():
            if var.origin is None or var.origin.role != "tangent":
                continue
            scope.tangents[var.name] = [f for f in self.gradients if f.var.name == var.origin.of]
        known_before = {site.target.name for site in self.program.sites}
        output = next((v.name for v in program.variables.values() if v.origin == Origin("tangent", self.output)), None)
        moved_used = used(program, [output]) if output else {}
        writer = Writer(scope, program, self.notes.tangent, output, moved_used)
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
            states.init_state(layout, kernels) if layout.states else None,
            check_shapes(layout, kernels),
            states.check_state(layout, kernels) if layout.states else None,
            check_inputs(layout, kernels),
            self.forward(),
            states.update_state(layout, kernels) if layout.states else None,
            self.answers.predict(),
            *self.backward(),
            self.jvp(),
            training.train_step(self.trained, self.gradients, layout, self.output, self.clip) if self.trained else None,
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
            "params": bool(layout.params),
            "trained": bool(self.trained),
            "output": self.output,
            "clip": self.clip,
            "arrays": listed("return", training.arrays(self.trained, "values")),
            "copies": training.copies(self.trained, layout),
            "batches": training.batches(layout),
            "saves": training.saved(layout),
            "loads": training.loaded(layout.params),
            "state_loads": training.loaded(layout.states),
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
        if self.parts.mixed:
            lines.append(f"Not shardable: {self.parts.mixed}.")
        fields = (*self.layout.params, *self.layout.inputs)
        facts = [f"{f.member_label()} ({facts_text(f.var)})" for f in fields if f.var.facts]
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
        texts = [rendered("numpy", f"kernels/{kernel}.py.jinja", {}, templates) for kernel in sorted(used)]
        return [text.rstrip("\n") for text in texts] + list(laws.values())


def module_text(
    made: Passes, *, sizes: Mapping[str, int], dtype: str, templates: Path | None, declaration: str,
    clip: bool = False,
) -> str:
    """Return the text of the module."""
    if dtype not in DTYPES:
        raise GenerateError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype}")
    module = Module(made.derivation, made.tangent, made.parts, sizes, made.inference, clip)
    values = module.values_for_template(dtype, declaration, templates)
    text = rendered("numpy", "module.py.jinja", values, templates)
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


def _sites(body: Sequence[Statement]) -> Iterator[Equation]:
    for statement in body:
        if isinstance(statement, Loop):
            yield from _sites(statement.body)
        else:
            yield statement


def _nonzero(body: Sequence[Statement]) -> tuple[Statement, ...]:
    """Return statements without adjoints that are zero throughout; they are made when they are returned."""
    moved = {s.target.name for s in _sites(body) if not isinstance(s.value, Zero)}
    return _only(body, moved)


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


