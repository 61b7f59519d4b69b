"""Forward mode in matrix form: the Jacobian of every moving variable, carried along with the program.

``P_Y = d vec(Y) / d vec(W)``, with as many rows as Y has entries and as many columns as W has, is the differential of Y
in the direction of every entry of W at once.  In a loop it gives real-time recurrent learning (formula F4.4)::

    P_Y[t] = D[t] (W_y P_Y[t-1] + z[t]^T kron I)

Each operation contributes by the ``jacobian`` of its rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from symbp.calculus.derive import facts_of, prepare
from symbp.calculus.differential import differential_of, moving
from symbp.calculus.identities import Context
from symbp.calculus.naming import definitions
from symbp.calculus.rewriting import tidy
from symbp.expr import Eye, Node, Ref, Reshape, SumOver, T, Zero, add, expanded, refs, walk
from symbp.ops import rule
from symbp.program import Equation, Loop, Origin, Program, Statement, Var, check, fresh_name

MOVED = "d "
"""The beginning of the names of tangents: no variable begins like that."""

Jacobian = Callable[[Ref], Node | None]
"""Gives the Jacobian of a tangent that an expression reads; None if it reads no tangent there."""


def jacobian_of(linear: Node, jacobian: Jacobian) -> Node | None:
    """Return the Jacobian of a differential, of which ``vec`` is the Jacobian times what moves; None if nothing does.

    linear:   an expression that is linear in tangents.
    jacobian: the Jacobians of the tangents that it reads.

    Raises ``ArithmeticError`` for an operation without a matrix form.
    """
    found: dict[Node, Node | None] = {}
    for part in walk(linear):
        if isinstance(part, Ref):
            found[part] = jacobian(part)
            continue
        terms: list[Node] = []
        for slot, operand in enumerate(part.operands):
            J = found[operand]
            if J is None:
                continue
            if isinstance(part, SumOver):
                terms.append(part.rebuild(J))
                continue
            op = rule(part)
            if op.jacobian is None or not op.is_linear(slot):
                raise ArithmeticError(f"{op.name} has no Jacobian in matrix form")
            terms.append(op.jacobian(J, part, slot))
        found[part] = add(*terms) if terms else None
    return found[linear]


def sensitivities(program: Program, wrt: Iterable[str] | None = None, output: str = "loss") -> Program:
    """Return the program with the sensitivity of each moving variable beside it, and the gradients by them.

    program: a checked program.
    wrt:     the variables W, no families, whose gradients are wanted; by default the parameters.
    output:  the output that is differentiated, 1 x 1.

    The sensitivity of Y is called ``P_Y`` (``P_Y_W`` if there are several W), the gradient ``W_bar``; a sensitivity
    that only one equation reads stands in its place.  Weights are held fixed over the whole sequence.
    Raises ``ArithmeticError`` for an operation without a Jacobian in matrix form, ``ValueError`` for a family.
    Source: Williams & Zipser 1989.
    """
    names = [v.name for v in program.parameters] if wrt is None else list(wrt)
    for name in names:
        if program.variables[name].indices:
            raise ValueError(f"{name} is a family: real-time recurrent learning wants one matrix")
    named, _ = prepare(program)
    result = named
    for name in names:
        result = _carried(result, named, name, output, f"_{name}" if len(names) > 1 else "")
    return check(result)


def _carried(program: Program, source: Program, name: str, output: str, ending: str) -> Program:
    """Return the program with the sensitivities to one variable; ``source`` is what is differentiated."""
    weight, active = program.variables[name], moving(source, [name])
    count = expanded(weight.rows * weight.cols)
    variables: dict[str, Var] = dict(program.variables)
    made: dict[str, Var] = {}
    for other in source.variables:
        if other in active and other != name:
            var = source.variables[other]
            rows, fresh = expanded(var.rows * var.cols), fresh_name(f"P_{other}{ending}", variables)
            made[other] = variables[fresh] = Var(
                fresh, rows, count, var.indices, "tangent", zero_outside=bool(var.indices)
            )
    bar = Var(fresh_name(f"{name}_bar", variables), *weight.shape, kind="adjoint", origin=Origin("adjoint", name))
    once = _read_once(source) - {output}
    known = Context(facts_of(source), definitions(source), {s.target: s.equation.value for s in source.sites})
    placed: dict[Ref, Node] = {}
    still: set[str] = set()

    def tangent(ref: Ref) -> Node | None:
        return Ref(MOVED + ref.name, *ref.shape, *ref.indices) if ref.name in active else None

    def jacobian(ref: Ref) -> Node | None:
        of = ref.name.removeprefix(MOVED)
        if of == ref.name or of in still:
            return None
        return Eye(count) if of == name else placed.get(Ref(of, *ref.shape, *ref.indices), made[of](*ref.indices))

    def carried(target: Ref, value: Node) -> Node | None:
        change = differential_of(value, target, tangent) if target.name in made else None
        found = None if change is None else jacobian_of(change, jacobian)
        if found is None and not target.indices:
            still.add(target.name)  # a member of a family is zero where nothing says what it is
        return found

    def block(body: tuple[Statement, ...], around: tuple[Loop, ...]) -> tuple[Statement, ...]:
        out: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop):
                out.append(statement.with_body(block(statement.body, (*around, statement))))
                continue
            out.append(statement)
            value = carried(statement.target, statement.value)
            if value is not None and statement.target in once:
                placed[statement.target] = value
            elif value is not None:
                moved = made[statement.target.name](*statement.target.indices)
                value = tidy(value, known, moved, around)
                out.append(Equation(moved, value, statement.line, "sensitivity"))
        return tuple(out)

    body = block(program.body, ())
    slope = Zero(1, count) if output in still or output not in made else made[output]()
    gradient = Equation(bar(), tidy(Reshape(T(slope), *weight.shape, "F"), known, bar()), note="gradient")
    whole = program.replace(
        variables={**variables, bar.name: bar}, body=(*body, gradient), outputs=(*program.outputs, bar.name)
    )
    assigned = {site.target.name for site in whole.sites}
    unused = {v.name for v in made.values()} - assigned
    return whole.replace(variables={n: v for n, v in whole.variables.items() if n not in unused})


def _read_once(program: Program) -> set[Ref]:
    """Return what one equation reads, under the indices under which one equation defines it."""
    readers: dict[str, set[tuple[Ref, Ref]]] = {}
    for site in program.sites:
        for ref in refs(site.equation.value):
            readers.setdefault(ref.name, set()).add((ref, site.target))
    found: set[Ref] = set()
    for name, reads in readers.items():
        pieces = program.pieces[name]
        if len(reads) == len(pieces) == 1 and pieces[0].site is not None:
            ((ref, _),) = reads
            found |= {ref} if ref is pieces[0].site.target else set()
    return found
