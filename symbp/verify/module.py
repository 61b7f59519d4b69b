"""Witness 7: a generated NumPy module against the reference evaluator.

The module is loaded from its file.  What it is given and what it gives back is laid out as its docstrings say: one
field per declaration, a family stacked along its running indices, or in tuples where the shape depends on the index.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import sympy as sp

from symbp.derivation import Derivation
from symbp.expr import Add, Box, Node, SumOver, add, evaluate_size, refs, walk
from symbp.program import Program, Var
from symbp.verify.draws import arrays, choose_sizes, draw, inner, tangents
from symbp.verify.evaluate import Array, EvaluationError, Evaluator, evaluate, value_of
from symbp.verify.running import follow, stored
from symbp.verify.witnesses import INNER, SLOPE, VALUE, Finding, difference, magnitude, measured, refusal, sizes_text

SINGLE = 2e-5
"""Tolerance of a float32 module against the evaluator in float64, relative to the largest entry."""


class ModuleError(EvaluationError):
    """A module whose fields are not those of its program."""


def load_module(path: str | Path, name: str = "generated_network") -> ModuleType:
    """Import a generated module from its file, under a name of its own."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModuleError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.modules.pop(name, None)
    return module


# ---------------------------------------------------------------------------------------------------------
# Layout


def declarations(program: Program, *kinds: str) -> list[tuple[Var, Box | None]]:
    """Return each declaration of the given kinds: a variable, or one box of a family."""
    found: list[tuple[Var, Box | None]] = []
    for kind in kinds:
        for var in program.variables.values():
            if var.kind == kind and var.value is None:
                found += [(var, box) for box in (var.boxes or (None,))]
    return found


def input_order(program: Program) -> list[tuple[Var, Box | None]]:
    """Return the declarations in the order of ``Inputs``: inputs and constants as declared, then targets."""
    first = [
        (var, box) for var in program.variables.values() if var.kind in ("input", "const") and var.value is None
        for box in (var.boxes or (None,))
    ]
    return first + declarations(program, "target")


def running(box: Box | None) -> tuple[int, ...]:
    """Return which indices of a family run in a box; the others are fixed."""
    if box is None:
        return ()
    return tuple(k for k, s in enumerate(box.sides) if sp.expand(s.highs[0] - s.lows[0]) != 0)


def depth(var: Var, axes: Sequence[int]) -> int:
    """Return how many of the running indices are levels of tuples: those on which the shape depends, and before."""
    depends = [n + 1 for n, k in enumerate(axes) if any(s.has(var.indices[k]) for s in var.shape)]
    return max(depends, default=0)


def packed(var: Var, box: Box | None, value: Any, sizes: Mapping[str, Any], dtype: Any) -> Any:
    """Return the values of a variable as a field of the module."""
    if box is None:
        return float(value[0, 0]) if var.scalar and var.kind != "param" else np.asarray(value, dtype=dtype)
    axes = running(box)
    ends = _ends(box, sizes)

    def level(n: int, at: dict[int, int]) -> Any:
        if n == len(axes):
            where = tuple(at.get(k, lo) for k, (lo, _) in enumerate(ends))
            return np.asarray(value[where], dtype=dtype)
        lo, hi = ends[axes[n]]
        parts = [level(n + 1, {**at, axes[n]: k}) for k in range(lo, hi + 1)]
        return tuple(parts) if n < depth(var, axes) else np.stack(parts)

    return level(0, {})


def _ends(box: Box, sizes: Mapping[str, Any]) -> list[tuple[int, int]]:


    return [(evaluate_size(s.lows[0], sizes), evaluate_size(s.highs[0], sizes)) for s in box.sides]


def unpacked(var: Var, box: Box | None, given: Any, sizes: Mapping[str, Any]) -> Any:
    """Return a field of the module as a matrix, or as members by index: the inverse of ``packed``."""
    if box is None:
        return np.asarray(given, dtype=float).reshape(np.shape(given) or (1, 1))
    axes, ends = running(box), _ends(box, sizes)
    out = {}
    for where in itertools.product(*(range(lo, hi + 1) for lo, hi in ends)):
        part = given
        for k in axes:
            part = part[where[k] - ends[k][0]]
        out[where] = np.asarray(part, dtype=float)
    return out


def record(
    cls: Any, order: Sequence[tuple[Var, Box | None]], values: Mapping[str, Any], sizes: Mapping[str, Any], dtype: Any
) -> Any:
    """Return a NamedTuple of the module, filled in the order of the declarations."""
    # Sizes that no shape gives are fields after the declared ones.
    given = cls._fields[len(order) :]
    unknown = [field for field in given if field not in sizes]
    if len(cls._fields) < len(order) or unknown:
        raise ModuleError(f"{cls.__name__} has {len(cls._fields)} fields, but the program declares {len(order)}")
    return cls(
        *(packed(var, box, values[var.name], sizes, dtype) for var, box in order),
        *(int(sizes[field]) for field in given),
    )


def _in_double(value: Any) -> Array:
    """Return an array in double precision; what a family's array holds where it has no member may be anything."""
    with np.errstate(invalid="ignore"):
        return np.asarray(value, dtype=float)


def _gathered(cls_value: Any, names: Mapping[str, tuple[Var, Box | None]], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a NamedTuple as variables by name; boxes of one family are joined."""
    out: dict[str, Any] = {}
    for field in cls_value._fields:
        if field not in names:
            raise ModuleError(f"the field {field} belongs to no declaration")
        var, box = names[field]
        value = unpacked(var, box, getattr(cls_value, field), sizes)
        if isinstance(value, dict):
            out.setdefault(var.name, {}).update(value)
        else:
            out[var.name] = value
    return out


# ---------------------------------------------------------------------------------------------------------
# The checks


def check_module(
    derivation: Derivation, module: ModuleType, rng: np.random.Generator, *,
    sizes: Sequence[Mapping[str, Any]] | None = None,
) -> list[Finding]:
    """Compare a generated module with the reference evaluator.

    Checked at each assignment of sizes: every value of the forward pass (1e-13), the gradients (1e-12), ``jvp``
    against the gradients by the inner product (1e-13), ``train_step``, how it moves running statistics, ``predict``,
    and that ``backward_parts`` add up, over shards of unequal size as well.  A float32 module is held against 2e-5.

    Raises ``ModuleError`` when the module's fields are not those of the program.
    """
    chosen = list(sizes) if sizes is not None else choose_sizes(derivation.source)
    findings = []
    for assignment in chosen:
        findings += _Comparison(derivation, module, assignment, rng, chosen).findings()
    return findings


class _Comparison:
    def __init__(
        self, derivation: Derivation, module: ModuleType, sizes: Mapping[str, Any], rng: np.random.Generator,
        chosen: Sequence[Mapping[str, Any]],
    ) -> None:
        self.derivation, self.module, self.sizes, self.rng, self.chosen = derivation, module, sizes, rng, chosen
        self.dtype = np.dtype(module.DTYPE)
        self.single = self.dtype == np.float32
        program = derivation.source
        self.values = draw(program, sizes, rng)
        if self.single:
            self.values = {n: _each(v, lambda a: a.astype(np.float32).astype(float)) for n, v in self.values.items()}
        self.param_order, self.input_order = declarations(program, "param"), input_order(program)
        self.params = record(module.Params, self.param_order, self.values, sizes, self.dtype)
        self.inputs = record(module.Inputs, self.input_order, self.values, sizes, self.dtype)
        self.state_order = declarations(program, "state")
        # What functions take between parameters and inputs.
        self.state: tuple[Any, ...] = ()
        if self.state_order:
            self.state = (record(module.State, self.state_order, self.values, sizes, self.dtype),)
        self.fields = dict(zip(module.Params._fields, self.param_order, strict=True)) | dict(
            zip(module.Inputs._fields, self.input_order, strict=False)  # sizes may follow
        )
        self.truth = evaluate(derivation.program, self.values, sizes)
        # A gradient that is nothing but rounding is held against the other gradients.
        every = [a for bar in derivation.gradients.values() for a in arrays(self.truth[bar])]
        self.floor = 1e-2 * max((float(np.max(np.abs(a), initial=0.0)) for a in every), default=0.0)

    def measure(self, what: str, error: float, tolerance: float, detail: str = "") -> Finding:
        return measured(
            f"module {what}", self.module.__name__, error, SINGLE if self.single else tolerance, self.sizes, detail
        )

    def findings(self) -> list[Finding]:
        reason = refusal(self.derivation.source, self.values, self.chosen)
        if reason:
            return [Finding("module", self.module.__name__, "refused", sizes=sizes_text(self.sizes), detail=reason)]
        module = self.module
        cache = module.forward(self.params, self.inputs)
        loss, gradients = module.loss_and_gradients(self.params, self.inputs)
        found = [self.forward(cache), self.gradients(gradients, "gradients")]
        true_loss = float(value_of(self.truth, self.derivation.output))
        found.append(self.measure("loss", abs(loss - true_loss) / max(abs(true_loss), 1.0), VALUE, "the loss differs"))
        again = module.backward(self.params, self.inputs, cache)
        same = max((difference(a, b) for a, b in zip(_flat(again), _flat(gradients), strict=True)), default=0.0)
        found.append(self.measure("backward", same, VALUE, "backward and loss_and_gradients differ"))
        found.append(self.jvp(gradients))
        found.append(self.train_step(gradients))
        if self.state:
            found.append(self.states(cache))
        if "max_norm" in signature(module.train_step).parameters:
            found.append(self.train_step(gradients, clipped=True))
        if hasattr(module, "backward_parts"):
            found += self.parts(cache, gradients)
        if hasattr(module, "predict"):
            found.append(self.predict())
        return found

    def forward(self, cache: Any) -> Finding:
        worst, culprit = 0.0, ""
        for field in cache._fields:
            name = field if field in self.truth else field.rstrip("_")
            if name not in self.truth:
                continue
            error = self._value_error(name, getattr(cache, field))
            if not error <= worst:
                worst, culprit = error, name
        return self.measure("forward values", worst, VALUE, f"the value of {culprit} differs")

    def _value_error(self, name: str, given: Any, truth: Mapping[str, Any] | None = None) -> float:
        true = (self.truth if truth is None else truth)[name]
        if not isinstance(true, Mapping):
            value = _in_double(given)
            return difference(value.reshape(true.shape) if value.size == 1 else value, true)
        boxes = [piece.box for piece in self.derivation.program.pieces[name]]
        first = boxes[0]
        axes = [
            k
            for k in range(len(first.sides))
            if any(
                running(box).count(k) or sp.expand(box.sides[k].lows[0] - first.sides[k].lows[0]) != 0 for box in boxes
            )
        ]
        low = {k: min(where[k] for where in true) for k in axes}
        worst = 0.0
        scale = max((float(np.max(np.abs(a), initial=0.0)) for a in true.values()), default=1.0) or 1.0
        for where, member in true.items():
            part = given
            for k in axes:
                part = part[where[k] - low[k]]
            if np.shape(part) != member.shape:
                return math.inf
            worst = max(worst, float(np.max(np.abs(_in_double(part) - member), initial=0.0)) / scale)
        return worst

    def gradients(self, gradients: Any, what: str) -> Finding:
        found = _gathered(gradients, self.fields, self.sizes)
        worst, culprit = 0.0, ""
        if set(found) != set(self.derivation.gradients):
            raise ModuleError(f"gradients of {sorted(found)}, not of {sorted(self.derivation.gradients)}")
        for name, bar in self.derivation.gradients.items():
            true, drawn = self.truth[bar], self.values[name]
            if isinstance(true, Mapping):
                # Of a family that is declared in part, the backward pass knows the computed members' adjoints too.
                true = {k: v for k, v in true.items() if k in drawn}
            error = difference(found[name], true, self.floor)
            if not error <= worst:
                worst, culprit = error, name
        return self.measure(what, worst, SLOPE, f"the gradient of {culprit} differs")

    def jvp(self, gradients: Any) -> Finding:
        moves = tangents(self.derivation.source, self.sizes, self.rng, self.derivation.gradients)
        order = [self.fields[f] for f in self.module.Gradients._fields]
        pushed = record(self.module.Gradients, order, moves, self.sizes, self.dtype)
        _, slope = self.module.jvp(self.params, self.inputs, pushed)
        found = _gathered(gradients, self.fields, self.sizes)
        right = math.fsum(inner(found[n], moves[n]) for n in moves)
        scale = abs(slope) + math.fsum(magnitude(found[n], moves[n]) for n in moves)
        return self.measure(
            "jvp",
            abs(slope - right) / scale if scale else 0.0,
            INNER,
            f"jvp gives {slope:.9g}, the gradients {right:.9g}",
        )

    def train_step(self, gradients: Any, clipped: bool = False) -> Finding:
        rate, shrink = 0.25, 1.0
        more: tuple[float, ...] = ()
        if clipped:
            moved = [a for f in self.params._fields for a in _arrays(getattr(gradients, f, ()))]
            norm = math.sqrt(math.fsum(float(np.sum(a**2)) for a in moved))
            # Less than the norm, so that the gradients are scaled down.
            shrink = 0.6
            more = (shrink * norm,)
        _, after, *_ = self.module.train_step(self.params, *self.state, self.inputs, rate, *more)
        expected = []
        for field in self.params._fields:
            old, new = getattr(self.params, field), getattr(after, field)
            g = getattr(gradients, field, None)
            expected.append(
                (
                    _arrays(new),
                    [a - rate * shrink * b for a, b in zip(_arrays(old), _arrays(g), strict=True)]
                    if g is not None
                    else _arrays(old),
                )
            )
        error = max(
            (difference(a, b) for new, wanted in expected for a, b in zip(new, wanted, strict=True)), default=0.0
        )
        return self.measure(
            f"{'clipped' if clipped else 'train'} step", error, VALUE,
            "a parameter after the step is not the one before minus rate times gradient",
        )

    def states(self, cache: Any) -> Finding:
        """Compare the state after a step, and what ``update_state`` makes of the cache, with the definition."""
        *_, after = self.module.train_step(self.params, *self.state, self.inputs, 0.25)
        wanted = follow(self.derivation.source, self.values, self.truth)
        worst, culprit = 0.0, ""
        for given in (after, self.module.update_state(*self.state, cache)):
            for (var, box), value in zip(self.state_order, given, strict=True):
                error = difference(unpacked(var, box, value, self.sizes), wanted[var.name])
                if not error <= worst:
                    worst, culprit = error, var.name
        return self.measure("state", worst, VALUE, f"the running value {culprit} moves otherwise")

    def parts(self, cache: Any, gradients: Any) -> list[Finding]:
        of_sum, of_rest, factor = self.module.backward_parts(self.params, self.inputs, cache)
        together = [factor * a + b for a, b in zip(_flat(of_sum), _flat(of_rest), strict=True)]
        error = max(
            (difference(a, b, self.floor) for a, b in zip(together, _flat(gradients), strict=True)), default=0.0
        )
        found = [self.measure("parts", error, SLOPE, "c * (gradients of S) + (gradients of R) is not the gradient")]
        shards = self.shards()
        if shards:
            sums, rests = [], []
            for params, inputs in shards:
                s, rest, _ = self.module.backward_parts(params, inputs, self.module.forward(params, inputs))
                sums.append(_flat(s))
                rests.append(_flat(rest))
            added = [a + b for a, b in zip(*sums, strict=True)]
            pairs = [*zip(added, _flat(of_sum), strict=True), *zip(rests[0], _flat(of_rest), strict=True)]
            error = max((difference(a, b, self.floor) for a, b in pairs), default=0.0)
            found.append(
                self.measure("shards", error, SLOPE, "the gradients of S over two shards do not add up to the whole")
            )
        return found

    def shards(self) -> list[tuple[Any, Any]]:
        """Return parameters and inputs of two shards of unequal size, if samples can be told apart."""
        program, m = self.derivation.source, self.derivation.source.samples
        if m is None or "not shardable" in (self.module.__doc__ or "").lower() or self.sizes[m.name] < 3:
            return []
        if any(m in var.shape for var in program.declared("param")):
            return []
        cut, out = 2, []
        for start, stop in ((0, cut), (cut, int(self.sizes[m.name]))):
            def part(a: Array, var: Var, start: int = start, stop: int = stop) -> Array:
                a = a[start:stop] if var.rows == m else a
                return a[:, start:stop] if var.cols == m else a

            values = {
                n: _each(_members(v, var, m, start, stop), lambda a, var=var: part(a, var))
                for n, v in self.values.items()
                for var in [program.variables[n]]
            }
            sizes = {**self.sizes, m.name: stop - start}
            out.append((
                record(self.module.Params, self.param_order, values, sizes, self.dtype),
                record(self.module.Inputs, self.input_order, values, sizes, self.dtype),
            ))
        return out

    def predict(self) -> Finding:
        """Look for what ``predict`` returns among the values of the program and of the parts of its equations."""
        given = self.module.predict(self.params, *self.state, self.inputs)
        # What it answers after training: running statistics stand for those of the samples.
        truth = evaluate(stored(self.derivation.program), self.values, self.sizes) if self.state else self.truth
        fields = dict(zip(given._fields, given, strict=True)) if hasattr(given, "_fields") else {"": given}
        worst = 0.0
        for field, value in fields.items():
            errors = (
                [difference(_in_double(value), part) for part in self.parts_of_equations()]
                if isinstance(value, np.ndarray)
                else []
            )
            for name in [field] if field in truth else truth:
                try:
                    errors.append(self._value_error(name, value, truth))
                except (IndexError, TypeError, ValueError):
                    continue
            worst = max(worst, min(errors, default=math.inf))
        return self.measure("predict", worst, VALUE, "no value of the program is what predict returns")

    def parts_of_equations(self) -> list[Array]:
        """Return the values of all parts of equations outside loops."""
        program = stored(self.derivation.source)
        runner = Evaluator(program, self.values, self.sizes)
        runner.run()
        sites = [s for s in program.sites if not s.loops]
        nodes = [n for s in sites if not _has_sum(s.equation.value) for n in walk(s.equation.value)]
        targets = {v.name for v in self.derivation.source.declared("target")}
        for node in list(nodes):
            # Sums are flat: what is left of one without the targets is a part as well.
            rest = [o for o in node.operands if isinstance(node, Add) and not any(r.name in targets for r in refs(o))]
            if 0 < len(rest) < len(node.operands):
                nodes.append(add(*rest))
        return [runner.expression(n, {}) for n in nodes]


def _has_sum(node: Node) -> bool:
    return any(isinstance(n, SumOver) for n in walk(node))


def _members(value: Any, var: Var, m: sp.Symbol, start: int, stop: int) -> Any:
    """Return the members of a family that belong to some samples, numbered anew; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    for k, side in enumerate(var.boxes[0].sides if var.boxes else ()):
        if side.highs[0] - side.lows[0] + 1 == m:
            low = int(side.lows[0])
            kept = {at: a for at, a in value.items() if low + start <= at[k] < low + stop}
            return {(*at[:k], at[k] - start, *at[k + 1 :]): a for at, a in kept.items()}
    return value


def _each(value: Any, change: Any) -> Any:
    return (
        {k: change(np.asarray(a)) for k, a in value.items()}
        if isinstance(value, Mapping)
        else change(np.asarray(value))
    )


def _arrays(value: Any) -> list[Array]:
    if isinstance(value, tuple):
        return [a for part in value for a in _arrays(part)]
    return [np.asarray(value, dtype=float)]


def _flat(record_value: Any) -> Any:
    return [a for part in record_value for a in _arrays(part)]
