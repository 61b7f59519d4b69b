"""The checks at the door of a module: shapes of every array, facts about the inputs."""

from __future__ import annotations

import contextlib
import re

import sympy as sp

from symbp.render.numpy.layout import Field, Layout
from symbp.render.facts import stated_facts
from symbp.render.numpy.pieces import FunctionText, indented, shape_with_axes
from symbp.render.numpy.scalars import TIMES, GenerateError
from symbp.render.numpy.scope import FunctionScope, Kernels

FACTS: dict[str, tuple[str, str]] = {
    "columns_sum_to_one": ("np.allclose({a}.sum(axis=-2), 1.0, atol=1e-5)", "each column must sum to one"),
    "rows_sum_to_one": ("np.allclose({a}.sum(axis=-1), 1.0, atol=1e-5)", "each row must sum to one"),
    "one_hot_columns": (
        "(np.all(({a} == 0) | ({a} == 1)) and np.all({a}.sum(axis=-2) == 1))", "each column must hold one 1, else 0",
    ),
    "one_hot_rows": (
        "(np.all(({a} == 0) | ({a} == 1)) and np.all({a}.sum(axis=-1) == 1))", "each row must hold one 1, else 0",
    ),
    "binary": ("np.all(({a} == 0) | ({a} == 1))", "each entry must be 0 or 1"),
    "mask": ("np.all(({a} == 0) | ({a} == 1))", "each entry must be 0 or 1"),
    "signs": ("np.all(({a} == 1) | ({a} == -1))", "each entry must be 1 or -1"),
    "positive": ("np.all({a} > 0)", "each entry must be above 0"),
    "symmetric": ("np.allclose({a}, np.swapaxes({a}, -1, -2))", "it must equal its transpose"),
    "index": (
        "np.all(({a} == np.floor({a})) & ({a} >= 0) & ({a} < {size}))", "each entry must be an integer below {size}",
    ),
}
"""Facts that a declaration may state: a test of the array ``a`` (axes -2 and -1 are rows and columns), and words."""


NUMBERED = (
    ("np.all(({a} == np.floor({a})) & ({a} >= 0))", "each entry must be an integer, at least 0"),
    ("np.all({a} < {size})", "each entry must be below {size}"),
)
"""The fact ``index`` in two halves, for a size that no input has."""


def check_shapes(layout: Layout, kernels: Kernels) -> FunctionText:
    """Return ``_check_shapes``: sizes are read off the first array that has them, then every shape is compared."""
    given = [f for f in layout.fields if not f.target]
    targets = [f for f in layout.fields if f.target]
    scope = FunctionScope(layout, kernels, given)
    compared, late = [], []
    for known in given:
        try:
            compared += shape_lines(scope, known)
        except GenerateError:
            late.append(known)  # a size of it is known from a target only
    assumed: list[str] = []
    with contextlib.suppress(GenerateError):
        assumed = [] if late else _assumed(scope)
    early = dict(scope.size_lines)
    lines: list[str] = []
    for size in layout.loose:
        words = f"inputs.{size} must be at least 1, but is {{inputs.{size}}}"
        lines += [f"if inputs.{size} < 1:", f'    raise ValueError(f"{words}")']
    scope.fields = layout.fields
    compared_late = [line for f in (*late, *targets) for line in shape_lines(scope, f)]
    assumed_late = [] if assumed else _assumed(scope)
    new = {name: text for name, text in scope.size_lines.items() if name not in early}
    below = [line for f in given for line in _below(scope, f)]
    told = "\n".join([*compared, *assumed, *below, *compared_late, *assumed_late, *early.values(), *new.values()])
    lines += [*_sizes(scope, early, told), *compared, *assumed, *below]
    if targets:
        lines += ["if not targets:", "    return"]
    lines += [*_sizes(scope, new, told), *compared_late, *assumed_late]
    return FunctionText(
        f"_check_shapes(params: Params, inputs: Inputs{', targets: bool = True' if targets else ''}) -> None:",
        "Raise ValueError, naming the field, unless each array has the shape of its declaration.",
        indented(scope.arrays() + lines),
    )


def _sizes(scope: FunctionScope, sizes: dict[str, str], told: str) -> list[str]:
    """Return the lines that read sizes off shapes, after making sure that the arrays have all their axes.

    told: the lines that may use them; a size that only one array has is compared with nothing, and needs no name.
    """
    lines: list[str] = []
    for known in scope.layout.fields:
        name = scope.field(known) if known.access in scope.bound.values() else known.access
        if any(re.search(rf"\b{re.escape(known.access)}\b", text) for text in sizes.values()):
            shape, count = shape_with_axes(known), len(known.lengths) - known.depth + 2
            if known.depth == 0:
                lines += [f"if {name}.ndim != {count}:", f'    raise _misshapen("{known.access}", "{shape}", {name})']
            elif known.depth == 1:
                lines += [f"for a in {name}:", f"    if a.ndim != {count}:"]
                lines.append(f'        raise _misshapen("{known.access}", "{shape}", a)')
    return lines + scope.sizes({n: text for n, text in sizes.items() if re.search(rf"\b{re.escape(n)}\b", told)})


def _assumed(scope: FunctionScope) -> list[str]:
    """Return the lines that test what the declaration assumes of sizes."""
    program, lines = scope.layout.program, []
    for size, least in program.assumptions:
        text = scope.size(size)
        words = f"the declaration assumes {size} >= {least}, but it is {{{text}}}"
        lines += [f"if {text} < {least}:", f'    raise ValueError(f"{words}")']
    for size, value in program.definitions:
        above, below = sp.fraction(sp.together(value))
        left, right = scope.size(size * below, TIMES), scope.size(above, TIMES)
        words = f"the declaration assumes {size * below} == {above}, but they are {{{left}}} and {{{right}}}"
        lines += [f"if {left} != {right}:", f'    raise ValueError(f"{words}")']
    return lines


def shape_lines(scope: FunctionScope, known: Field) -> list[str]:
    """Return the lines that compare the shape of a field with its declaration."""
    if known.annotation == "float":
        return []
    text, label, margin = scope.field(known), known.access, ""
    lines: list[str] = []
    for level, k in enumerate(known.free[: known.depth]):
        lo, hi = known.ends[k]
        length = known.lengths[level]
        count = scope.size(length)
        if scope.size_lines.get(count) != f"len({known.access})":
            lines.append(f"{margin}if len({text}) != {count}:")
            lines.append(f'{margin}    raise _miscounted({_quoted(label)}, "{length}", {count}, {text})')
        lines.append(f"{margin}for {scope.steps(known.var.indices[k], lo, hi)}:")
        at = scope.position(known.var.indices[k], lo)
        text, label, margin = f"{text}[{at}]", f"{label}[{{{at}}}]", margin + "    "
    sizes = [scope.size(s) for s in (*known.lengths[known.depth :], *known.shape)]
    if all(scope.size_lines.get(s) == f"{known.access}.shape[{k}]" for k, s in enumerate(sizes)):
        return []  # its own axes say what the sizes are
    shape = f"({', '.join(sizes)})"
    lines.append(f"{margin}if {text}.shape != {shape}:")
    lines.append(f'{margin}    raise _misshapen({_quoted(label)}, "{shape_with_axes(known)}", {text}, {shape})')
    for k in known.free[: known.depth]:
        scope.leave(known.var.indices[k])
    return lines


def _at_hand(layout: Layout, size: sp.Expr) -> bool:
    """Tell whether a size can be read off the inputs."""
    try:
        FunctionScope(layout, Kernels(), layout.inputs).size(size)
    except GenerateError:
        return False
    return True


def _below(scope: FunctionScope, known: Field) -> list[str]:
    """Return the lines that test whole numbers against a size that parameters have: ``check_inputs`` has none."""
    if "index" not in known.var.facts or known.var.size is None or _at_hand(scope.layout, known.var.size):
        return []
    test, words = NUMBERED[1]
    return _tested(scope, known, test, words)


def _tested(scope: FunctionScope, known: Field, test: str, words: str) -> list[str]:
    """Return the lines that raise unless a field passes a test."""
    lines: list[str] = []
    name, margin = scope.field(known), ""
    if known.depth:
        lines.append(f"for a in {name}:")
        name, margin = "a", "    "
    size = scope.size(known.var.size) if "{size}" in test and known.var.size is not None else ""
    lines.append(f"{margin}if not {test.format(a=name, size=size)}:")
    lines.append(f'{margin}    raise ValueError("{known.access}: {words.format(size=known.var.size)}")')
    return lines


def _quoted(label: str) -> str:
    return f'f"{label}"' if "{" in label else f'"{label}"'


def check_inputs(layout: Layout, kernels: Kernels) -> FunctionText:
    """Return ``check_inputs``: one test per fact that the declaration states about an input."""
    scope = FunctionScope(layout, kernels, layout.inputs)
    lines: list[str] = []
    for known in layout.inputs:
        facts = [fact for fact in stated_facts(known.var) if fact in FACTS]
        for fact in facts if known.annotation != "float" else ():
            if known.depth > 1:
                raise GenerateError(f"facts about {known.name}, whose shape depends on two indices, are not tested")
            apart = fact == "index" and known.var.size is not None and not _at_hand(layout, known.var.size)
            lines += _tested(scope, known, *(NUMBERED[0] if apart else FACTS[fact]))
    summary = "Raise ValueError, naming the field, unless the inputs have the facts that the declaration assumes."
    if not lines:
        summary = "Do nothing: the declaration assumes no facts about its inputs."
    top = scope.prologue() if lines else []
    return FunctionText("check_inputs(inputs: Inputs) -> None:", summary, indented(top + lines))


