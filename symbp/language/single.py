"""One expression with stated shapes, without a file: ``sum((A@x-b)**2)`` and ``A[n,d] x[d,1] b[n,1]``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from symbp.expr import Ref
from symbp.language.diagnostics import DeclarationError, Diagnostic, did_you_mean
from symbp.language.reader import read_text
from symbp.program import Equation, Program, Var

_SHAPE = re.compile(r"([A-Za-z_]\w*)\s*(\[[^\]]*\])?\s*((?:&\s*\w+(?:\[\w+\])?\s*)*)[\s,;]*")


def read_expression(
    expression: str,
    shapes: str | Mapping[str, Sequence[object]],
    wrt: str | Sequence[str] = (),
    filename: str = "<expression>",
) -> Program:
    """Return the program of one expression; the names in ``wrt`` are its parameters, the other ones inputs.

    expression: text of the language, for example ``sum((A@x-b)**2)``.
    shapes:     the shape of every name, as ``A[n,d] x[d,1] s`` (a name alone is a scalar; facts follow with ``&``),
                or a mapping from names to ``(rows, columns)``, ``()`` for a scalar.
    wrt:        names, as a list or as a text with commas or spaces between them.

    The result is called ``loss`` where it is 1 x 1, else ``value`` (``result`` if that name is taken).
    Raises ``DeclarationError``.
    """
    wanted = re.split(r"[\s,]+", wrt.strip()) if isinstance(wrt, str) else list(wrt)
    wanted = [w for w in wanted if w]
    if isinstance(shapes, str):
        declared = _parse(shapes, filename)
    else:
        declared = {name: f"[{', '.join(map(str, shape))}]" if shape else "" for name, shape in shapes.items()}
    missing = [w for w in wanted if w not in declared]
    if missing:
        raise DeclarationError(
            [
                Diagnostic(
                    "N001",
                    f"{missing[0]} has no shape",
                    filename,
                    1,
                    1,
                    help=did_you_mean(missing[0], declared) or f"state it: `--shapes '{missing[0]}[n, m] ...'`",
                )
            ]
        )
    result = next(n for n in ("value", "result", "outcome") if n not in declared)
    lines = [f"{name}: {'param' if name in wanted else 'input'}{shape}" for name, shape in declared.items()]
    one_line = " ".join(expression.split("\n"))
    try:
        program = read_text("\n".join([*lines, f"{result} = {one_line}"]), filename, name="expression")
    except DeclarationError as error:
        moved = [_moved(d, len(lines) + 1, len(result) + 3, one_line) for d in error.diagnostics]
        raise DeclarationError(moved, error.dropped) from None
    shape = program.variables[result].shape
    return renamed(program, result, "loss" if shape == (1, 1) else result)


def _moved(diagnostic: Diagnostic, line: int, before: int, expression: str) -> Diagnostic:
    """Return a diagnostic in the expression itself with its place there; one in a shape as it is."""
    if diagnostic.line != line:
        return diagnostic
    column = max(1, diagnostic.column - before)
    return replace(diagnostic, line=1, column=column, length=min(diagnostic.length, len(expression)), source=expression)


def _parse(shapes: str, filename: str) -> dict[str, str]:
    """Return the declarations' texts by name."""
    found: dict[str, str] = {}
    position = len(shapes) - len(shapes.lstrip())
    while position < len(shapes):
        match = _SHAPE.match(shapes, position)
        if match is None or match.group(1) in found:
            message = "not understood" if match is None else f"{match.group(1)} has two shapes"
            raise DeclarationError(
                [
                    Diagnostic(
                        "P011",
                        message,
                        filename,
                        1,
                        position + 1,
                        1,
                        shapes,
                        help="shapes are written `A[n,d] x[d,1] s`",
                    )
                ]
            )
        found[match.group(1)] = f"{match.group(2) or ''} {match.group(3)}".rstrip()
        position = match.end()
    return found


def renamed(program: Program, old: str, new: str) -> Program:
    """Return the program with its last result under another name."""
    if old == new:
        return program
    last = program.body[-1]
    assert isinstance(last, Equation)
    target = Ref(new, *last.target.shape)
    variables = {name: v for name, v in program.variables.items() if name != old}
    variables[new] = Var(new, *target.shape)
    outputs = tuple(new if name == old else name for name in program.outputs)
    return program.replace(
        variables=variables, body=(*program.body[:-1], replace(last, target=target)), outputs=outputs
    )
