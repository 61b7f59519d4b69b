"""The workspace variant of a module: the same functions, and a step whose arrays are made once."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import sympy as sp

from symbp.calculus.passes import Passes
from symbp.expr import same_size
from symbp.plan.arrays import MINUS, places, stages, with_members
from symbp.plan.entries import Entries, entries
from symbp.plan.fields import PlanError
from symbp.plan.ir import Apply, Buffer, Kernel, Loop, Nest, Plan, Put, Read, View, map_kernels, walk
from symbp.program import Equation, fresh_name
from symbp.render.numpy import training
from symbp.render.numpy.layout import Field
from symbp.render.numpy.module import DTYPES, Module
from symbp.render.numpy.pieces import FunctionText, indented, listed
from symbp.render.numpy.scalars import GenerateError
from symbp.render.numpy.statements import MARGIN
from symbp.render.numpy.straight import Given, Straight
from symbp.render.templates import rendered


class Workspace:
    """The straight-line step of a module.

    module: the readable module, whose tuples and names it has.
    """

    def __init__(self, module: Module) -> None:
        self.module, self.layout = module, module.layout
        if not module.trained:
            raise GenerateError("a workspace is for training, but no gradient of a parameter is wanted")
        try:
            self.entries: Entries = entries(module.derivation, {})
            *_, (_, plan) = stages(self.entries)
        except PlanError as error:
            raise GenerateError(str(error)) from error
        self.plan = plan
        self.given: dict[str, Given] = {}
        self.slopes: dict[str, Buffer] = {}
        self._declared()
        self.plan = with_members(self._without_updates(plan)).used()

    # -- which field is which buffer -----------------------------------------------------------------------------
    def _declared(self) -> None:
        """Say where the declared buffers come from, and which fields have gradients."""
        found: dict[str, int] = {}
        for known in self.entries.fields.declared:
            ((_, buffer),) = known.buffers.items()
            if buffer.role == "const":
                self.given[buffer.name] = Given(self.layout.identifiers(known.var.name))
                continue
            number = found[known.var.name] = found.get(known.var.name, -1) + 1
            field = self.layout.fields_of(known.var.name)[number]
            self.given[buffer.name] = Given(field.access)
            if field in self.module.gradients:
                self._slope(field, buffer)

    def _slope(self, field: Field, buffer: Buffer) -> None:
        taken = {*self.plan.buffers, *self.entries.fields.program.variables, *self.given}
        name = fresh_name(f"{field.name}_slope", taken)
        self.slopes[buffer.name] = replace(buffer, name=name, role="gradient", of="", scalar=False)
        self.given[name] = Given(f"gradients.{field.name}")

    def _without_updates(self, plan: Plan) -> Plan:
        """Return the plan that leaves each gradient in its field: an update is one subtraction for all parameters."""
        done: set[str] = set()

        def change(kernel: Kernel) -> Sequence[Kernel]:
            if not isinstance(kernel, Nest) or plan.buffers[kernel.puts[0].target.buffer].role != "param":
                return (kernel,)
            (put,) = kernel.puts
            target, moved = put.target, put.value
            if not (isinstance(moved, Apply) and moved.op == "+" and moved.args[0] == Read(target)):
                raise GenerateError(f"the update of {target.buffer} is no subtraction")
            by = moved.args[1]
            assert isinstance(by, Apply) and by.args[0] == MINUS and isinstance(by.args[1], Read)
            done.add(target.buffer)
            return self._kept(plan, target, by.args[1].view)

        body = map_kernels(plan.body, change)
        extra: list[Kernel] = []
        for name, gradient in self.entries.gradients.items():
            if name in done or name not in self.slopes or gradient not in plan.buffers:
                continue
            slope, buffer = self.slopes[name], plan.buffers[gradient]
            if len(slope.indices) != len(buffer.indices):
                raise GenerateError(f"the gradient of {name} is a part of a family, which a workspace does not return")
            whole = slope.whole(*slope.indices)
            kernels: Sequence[Kernel] = self._kept(plan, whole, buffer.whole(*slope.indices), name)
            for index, low, high in reversed(list(zip(slope.indices, slope.lows, slope.highs, strict=True))):
                kernels = (Loop(index, low, high, tuple(kernels)),) if kernels else ()
            extra += kernels
        plan = plan.with_buffers(*self.slopes.values()).with_body((*body, *extra))
        states = (n for n, b in plan.buffers.items() if b.role == "state")
        return replace(plan, outputs=(self.module.output, *states))

    def _kept(self, plan: Plan, target: View, gradient: View, name: str = "") -> Sequence[Kernel]:
        """Return what brings a gradient into its field: nothing if it may be computed there."""
        slope = self.slopes[name or target.buffer]
        buffer = plan.buffers[gradient.buffer]
        if buffer.role == "gradient" and buffer.name not in self.given and _alike(buffer, slope) and (
            gradient.same_place(buffer.whole(*gradient.where)) and gradient.where == target.where
        ):
            self.given[buffer.name] = self.given[slope.name]
            return ()
        return (Nest((Put(replace(target, buffer=slope.name), Read(gradient)),)),)

    # -- text ------------------------------------------------------------------------------------------------------
    def function(self) -> FunctionText:
        """Return the function that binds arrays and returns the straight-line one."""
        scope = self.module.scope()
        own = [b.name for b in self.plan.buffers.values() if b.role != "scratch"]
        straight = Straight(
            self.plan, self.given, places(self.plan, own), scope, self._note, "learning_rate",
            self.module.output,
        )
        bound, run = straight.write()
        state, known, rate, moves = "", "", "learning rate", ""
        if self.layout.states:
            state, known, rate, moves = "state: State, ", "state, ", "rate", ", moves the state"
        if any(_selects(put) for k in walk(self.plan.body) if isinstance(k, Nest) for put in k.puts):
            run = ['with np.errstate(all="ignore"):  # branches that are not selected are computed too', *indented(run)]
        return FunctionText(
            f"_bound(params: Params, {state}inputs: Inputs, gradients: Gradients) -> Callable[[float], float]:",
            f"Return a function of the {rate} that returns the loss{moves} and leaves gradients times that rate.",
            [
                *indented(bound), "", "    def run(learning_rate: float) -> float:",
                *(line if not line else "        " + line for line in run), "", "    return run",
            ],
            [f"Every array that it touches is bound here: parameters, {known}inputs, gradients, temporaries."],
        )

    def _note(self, equation: Equation) -> str:
        notes = self.module.notes
        own = {s.target for s in self.module.derivation.forward.sites}
        return notes.forward(equation) if equation.target in own else notes.backward(equation)

    def template(self) -> dict[str, object]:
        """Return what the template is given beside the values of the readable module."""
        layout, trained = self.layout, self.module.trained
        return {
            "bound": self.function(),
            "trained_arrays": listed("arrays =", training.arrays(trained, "params"), 2),
            "states": training.copied(layout.states),
            "params_parts": [self._part(f, "params", f in trained) for f in layout.params],
            "gradient_parts": [
                self._part(f, "params", True) if f in trained else f"{f.name}={_like(f)},"
                for f in self.module.gradients
            ],
            "given": [f"{f.name}={_converted(f.access, f)}," for f in layout.inputs] + [
                f"{size}=inputs.{size}," for size in layout.loose
            ],
            "input_arrays": listed(
                "return", training.arrays([f for f in layout.inputs if f.annotation != "float"], "inputs")
            ),
            "input_numbers": ", ".join(
                [f"inputs.{f.name}" for f in layout.inputs if f.annotation == "float"]
                + [f"inputs.{size}" for size in layout.loose]
            ),
        }

    @staticmethod
    def _part(field: Field, of: str, own: bool) -> str:
        if field.depth > 1:
            raise GenerateError(f"the shape of {field.name} depends on two indices, which is not laid out")
        if not own:
            text = _converted(f"{of}.{field.name}", field)
        else:
            text = f"tuple(next(parts) for _ in {of}.{field.name})" if field.depth else "next(parts)"
        return f"{field.name}={text},"


def _selects(put: Put) -> bool:
    return isinstance(put.value, Apply) and put.value.op == "where"


def _alike(a: Buffer, b: Buffer) -> bool:
    """Tell whether two buffers have members of one shape at the same indices."""
    if len(a.indices) != len(b.indices) or a.levels != b.levels:
        return False
    to: dict[sp.Expr, sp.Expr] = dict(zip(a.indices, b.indices, strict=True))
    sides = zip((*a.lows, *a.highs, *a.shape), (*b.lows, *b.highs, *b.shape), strict=True)
    return all(same_size(x.xreplace(to), y) for x, y in sides)


def _converted(text: str, field: Field) -> str:
    if field.annotation == "float":
        return f"float({text})"
    if field.depth == 0:
        return f"np.ascontiguousarray({text}, DTYPE)"
    if field.depth > 1:
        raise GenerateError(f"the shape of {field.name} depends on two indices, which is not laid out")
    return f"tuple(np.ascontiguousarray(a, DTYPE) for a in {text})"


def _like(field: Field) -> str:
    if field.depth == 0:
        return f"np.zeros_like({field.access}, DTYPE)"
    return f"tuple(np.zeros_like(a, DTYPE) for a in {field.access})"


def workspace_text(
    made: Passes, *, sizes: Mapping[str, int], dtype: str, templates: Path | None, declaration: str,
    clip: bool = False,
) -> str:
    """Return the text of the workspace variant of a module."""
    if dtype not in DTYPES:
        raise GenerateError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype}")
    module = Module(made.derivation, made.tangent, made.parts, sizes, made.inference, clip)
    values = module.values_for_template(dtype, declaration, templates)
    workspace = Workspace(module)
    functions = values["functions"]
    assert isinstance(functions, list)
    # A step of the readable module is not among them.
    values["functions"] = [f for f in functions if not f.signature.startswith("train_step(")]
    values |= workspace.template()
    # The straight-line function may call kernels too.
    values["kernels"] = module._kernel_texts(templates)
    text = rendered("numpy", "workspace.py.jinja", values, templates)
    return text.rstrip("\n") + "\n"

def _listed(name: str, items: str) -> list[str]:
    """Return the lines that give a list a name."""
    line = f"{name} = [{items}]"
    if len(line) <= MARGIN - 8:
        return [line]
    return [f"{name} = [", *(f"    {x}" for x in textwrap.wrap(f"{items},", MARGIN - 12)), "]"]


__all__ = ["Workspace", "workspace_text"]
