"""The naming pass: the argument and the result of every non-linear operation get a name.

Linear structure may nest, except that a factor of a product of two variables is a name as well when it is more than
a few letters.  Slopes and differentials then refer to names, which keeps every later pass linear in cost and every
result readable.
"""

from __future__ import annotations

from dataclasses import replace

from symbp.derivation import Step
from symbp.expr import Constant, Map, MatMul, Node, Ref, Scale, SumOver, Transpose, refs, transform, walk
from symbp.expr.nodes import Add, Slice
from symbp.ops import ELEMENTWISE, has_rule, rule
from symbp.program import Equation, Loop, Origin, Program, Statement, Var, fresh_name, loops

LIGHT = 4
"""How many leaves an expression may have that stands as a factor without a name."""


LONGEST = 24
"""How many letters a name may have, so that suffixes stay within the letters that C compilers tell apart."""


def is_constant(node: Node) -> bool:
    """Tell whether an expression reads no variable."""
    return not refs(node)


def is_light(node: Node, leaves: int = LIGHT) -> bool:
    """Tell whether an expression is a name, or a sum of few names with signs, coefficients, transposes, broadcasts."""
    count = 0
    for part in walk(node):
        if isinstance(part, (Ref, Constant)):
            count += isinstance(part, Ref)
        elif isinstance(part, MatMul):
            if sum(not is_constant(f) for f in part.operands) > 1:
                return False
        elif not isinstance(part, (Add, Scale, Transpose, Slice)):
            return False
    return count <= leaves


def is_nonlinear(node: Node) -> bool:
    """Tell whether an operation has a slot in which it is not linear (so that its operands need names)."""
    return has_rule(node) and rule(node).linear == ()


def is_flat(node: Node) -> bool:
    """Tell whether the derivative of an operation is zero wherever it exists: its value need not be named."""
    if isinstance(node, Map):
        entry = ELEMENTWISE.get(node.function.name)
        return entry is not None and not any(node.function.orders) and all(s is None for s in entry.slopes)
    return rule(node).flat


def spoken(value: Node) -> str:
    """Return ``tanh_C`` for a function of the table, of one name: it says what it is; else an empty string."""
    if not isinstance(value, Map) or len(value.operands) != 1 or not isinstance(value.operands[0], Ref):
        return ""
    function = value.function
    if function.name not in ELEMENTWISE or function.parameters or any(function.orders):
        return ""
    name = f"{function.name}_{value.operands[0].name}"
    return name if len(name) <= LONGEST else ""


class _Namer:
    def __init__(self, program: Program) -> None:
        self.variables: dict[str, Var] = dict(program.variables)
        self.steps: list[Step] = []
        self.scopes: list[dict[Node, Ref]] = [{}]
        self.outside: list[list[Statement]] = []
        self.assigned = {
            loop: frozenset(s.target.name for s in program.sites if loop in s.loops) for loop in loops(program.body)
        }

    def block(self, body: tuple[Statement, ...], around: tuple[Loop, ...]) -> tuple[Statement, ...]:
        out: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop):
                self.scopes.append({})
                self.outside.append([])
                inner = self.block(statement.body, (*around, statement))
                self.scopes.pop()
                out += [*self.outside.pop(), statement.with_body(inner)]
            else:
                before: list[Statement] = []
                value = self.expression(statement.value, statement, around, before, root=True)
                out += self.spread([*before, replace(statement, value=value)])
                value = out[-1].value  # type: ignore[union-attr]
                if is_nonlinear(value):
                    self.scopes[-1].setdefault(value, statement.target)
        return tuple(out)

    def spread(self, statements: list[Statement]) -> list[Statement]:
        """Use each new name wherever its value stands in the equations after it."""
        known: dict[Node, Ref] = {}
        out: list[Statement] = []
        for statement in statements:
            if isinstance(statement, Equation):
                value = statement.value
                if known:
                    value = value.rebuild(*(transform(o, lambda n: known.get(n, n)) for o in value.operands))
                out.append(replace(statement, value=value))
                if statement.note.endswith("named"):
                    known[statement.value] = statement.target
            else:
                out.append(statement)
        return out

    def expression(
        self, node: Node, equation: Equation, around: tuple[Loop, ...], before: list[Statement], root: bool = False
    ) -> Node:
        memo: dict[Node, Node] = {}
        for part in _below_sums(node):
            if isinstance(part, SumOver):
                memo[part] = self._sum(part, equation, around, before)
                continue
            operands = [memo[o] for o in part.operands]
            if has_rule(part):
                if is_nonlinear(part):
                    operands = [
                        o
                        if isinstance(o, Ref) or is_constant(o)
                        else self.name(o, "argument", equation, around, before)
                        for o in operands
                    ]
                elif sum(not is_constant(o) for o in operands) > 1 and rule(part).differential is None:
                    operands = [
                        o if is_light(o) else self.name(o, "argument", equation, around, before) for o in operands
                    ]
            same = all(a is b for a, b in zip(operands, part.operands, strict=True))
            now = part if same else part.rebuild(*operands)
            whole = root and part is node
            if has_rule(now) and is_nonlinear(now) and not is_constant(now) and not whole and not is_flat(now):
                now = self.name(now, "result", equation, around, before)
            memo[part] = now
        return memo[node]

    def _sum(self, node: SumOver, equation: Equation, around: tuple[Loop, ...], before: list[Statement]) -> Node:
        loop = Loop(node.bound, *node.ends, body=(), line=equation.line)
        inside: list[Statement] = []
        self.scopes.append({})
        self.outside.append(before)
        self.assigned.setdefault(loop, frozenset())
        body = self.expression(node.args[0], equation, (*around, loop), inside)
        self.outside.pop()
        self.scopes.pop()
        if inside:
            before.append(loop.with_body(inside))
        return node.rebuild(body)

    def name(
        self, value: Node, role: str, equation: Equation, around: tuple[Loop, ...], before: list[Statement]
    ) -> Ref:
        for scope in reversed(self.scopes):
            if value in scope:
                return scope[value]
        # What does not change in the innermost loops is named before them.
        inner = len(around)
        read = {n.name for n in walk(value) if isinstance(n, Ref)}
        while inner and not value.has(around[inner - 1].index) and not read & self.assigned[around[inner - 1]]:
            inner -= 1
        if inner < len(around):
            before, around, scope = self.outside[inner], around[:inner], self.scopes[inner]
        else:
            scope = self.scopes[-1]
        base = equation.target.name
        made = self.variables[base].origin
        if made is not None and made.role in ("argument", "result"):
            base = made.of  # a part of a part is a part of what was declared
        name = fresh_name(spoken(value) or ("Z_" if role == "argument" else "V_") + base[:20], self.variables)
        indices = tuple(loop.index for loop in around)
        origin = Origin(role, base)  # type: ignore[arg-type]
        var = Var(name, value.rows, value.cols, indices, "value", origin=origin)
        self.variables[name] = var
        target = var(*indices)
        before.append(Equation(target, value, equation.line, f"{role} named"))
        scope[value] = target
        self.steps.append(Step("name", f"{role} named", target, value, target, loops=around))
        return target


def _below_sums(node: Node) -> list[Node]:
    """Return the parts of an expression, operands first, without going inside sums over an index."""
    order: list[Node] = []
    seen: set[Node] = set()

    def visit(part: Node) -> None:
        if part in seen:
            return
        seen.add(part)
        if not isinstance(part, SumOver):
            for operand in part.operands:
                visit(operand)
        order.append(part)

    visit(node)
    return order


def name_parts(program: Program) -> tuple[Program, list[Step]]:
    """Return the program with arguments and results of non-linear operations named, and the steps that did it.

    An argument of ``A1`` is called ``Z_A1``, a result inside its equation ``tanh_C`` if it is a known function of one
    name, else ``V_A1``.  Names inside a sum over an index become families in a loop of their own.
    """
    namer = _Namer(program)
    body = namer.block(program.body, ())
    return program.replace(variables=namer.variables, body=body), namer.steps


def definitions(program: Program) -> dict[Node, Ref]:
    """Return the names of non-linear values: right side -> the name that holds it."""
    found: dict[Node, Ref] = {}
    for site in program.sites:
        value = site.equation.value
        if is_nonlinear(value) and refs(value):
            found.setdefault(value, site.target)
    return found
