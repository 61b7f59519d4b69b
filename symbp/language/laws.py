"""Scalar functions of the user: ``def f(x): return x/(1 + exp(-x))`` becomes an exact law of plain symbols."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

import sympy as sp

from symbp.expr import Function
from symbp.language.diagnostics import Mistake, Stop, did_you_mean
from symbp.language.forms import Define, place, source
from symbp.language.scalars import MOST_BITS, number, raise_scalar
from symbp.language.scope import Scope
from symbp.ops.elementwise import ELEMENTWISE

MOST_PARTS = 500
MOST_CHOICES = 4
DEEPEST = 130

_RELATIONS = {ast.Gt: sp.Gt, ast.GtE: sp.Ge, ast.Lt: sp.Lt, ast.LtE: sp.Le, ast.Eq: sp.Eq, ast.NotEq: sp.Ne}
_NAMES = {alias: name for name, entry in ELEMENTWISE.items() for alias in (name, *entry.aliases)} | {"absolute": "abs"}
_EXTRA = ("where", "maximum", "minimum", "power", "square", "log1p", "expm1")


class Law:
    """Reads the law of one function."""

    def __init__(self, scope: Scope, define: Define) -> None:
        self.scope, self.define = scope, define
        self.symbols: Mapping[str, sp.Symbol] = {name: sp.Symbol(name, real=True) for name in define.arguments}
        self.depth = 0

    def function(self) -> Function:
        """Return the function; raise ``Stop`` after reporting what is wrong."""
        law = self.scalar(self.define.value)
        arguments = tuple(self.symbols.values())
        return Function(self.define.name, (), (0,) * len(arguments), sp.Lambda(arguments, law))

    def fail(self, node: ast.AST, code: str, message: str, help: str = "") -> Stop:
        """Report an error at a node; the result is to be raised."""
        self.scope.report.add(code, message, place(self.define.statement, node), help)
        return Stop()

    def scalar(self, node: ast.expr) -> sp.Expr:
        """Return a scalar expression of the arguments."""
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                raise self.fail(node, "L002", "the expression is nested too deep")
            result = self._scalar(node)
            if result.has(sp.zoo, sp.nan, sp.oo, -sp.oo, sp.I):
                raise Mistake("O011", "a scalar that is not finite or not real")
            _measure(result)
            return result
        except RecursionError:
            raise self.fail(node, "L002", "the expression is nested too deep") from None
        except Mistake as mistake:
            self.scope.report.add_mistake(mistake, place(self.define.statement, node))
            raise Stop from None
        finally:
            self.depth -= 1

    def _scalar(self, node: ast.expr) -> sp.Expr:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return number(source(self.define.statement, node, longest=2000))
        if isinstance(node, ast.Name):
            if node.id in self.symbols:
                return self.symbols[node.id]
            if node.id == "pi":
                return sp.pi
            raise self.fail(
                node,
                "N012",
                f"{node.id} is no argument of {self.define.name}",
                did_you_mean(node.id, self.symbols)
                or "a function sees its arguments and numbers only; hand it over as an argument",
            )
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            inner = self.scalar(node.operand)
            return -inner if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.BinOp):
            return self.chain(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.Attribute) and source(self.define.statement, node) in ("np.pi", "numpy.pi"):
            return sp.pi
        raise self.fail(
            node,
            "O013",
            f"`{source(self.define.statement, node)}` cannot stand in a scalar function",
            "a scalar function is made of its arguments, numbers, + - * / ** and elementwise functions",
        )

    def chain(self, node: ast.BinOp) -> sp.Expr:
        """Read a chain of operators from the left, without recursion along the chain."""
        links: list[ast.BinOp] = []
        current: ast.expr = node
        while isinstance(current, ast.BinOp):
            links.append(current)
            current = current.left
        # Terms of a sum whose last one is a product: each sum and each product is built once.
        terms: list[sp.Expr] = []
        factors = [self.scalar(current)]
        for link in reversed(links):
            right = self.scalar(link.right)
            if isinstance(link.op, (ast.Add, ast.Sub)):
                terms.append(sp.Mul(*factors))
                factors = [right if isinstance(link.op, ast.Add) else -right]
                continue
            if terms:
                factors = [sp.Add(*terms, sp.Mul(*factors))]
                terms = []
            if isinstance(link.op, ast.Mult):
                factors.append(right)
            elif isinstance(link.op, ast.Div):
                if right.is_zero:
                    raise self.fail(link, "O011", "a division by zero")
                factors.append(1 / right)
            elif isinstance(link.op, ast.Pow):
                factors = [raise_scalar(sp.Mul(*factors), right)]
            else:
                raise self.fail(
                    link,
                    "O013",
                    f"`{source(self.define.statement, link)}` cannot stand in a scalar function",
                    "a function is applied to each entry: there are no matrices in it"
                    if isinstance(link.op, ast.MatMult)
                    else "",
                )
        return sp.Add(*terms, sp.Mul(*factors))

    def call(self, node: ast.Call) -> sp.Expr:
        """Read ``exp(x)``, ``where(x > 0, a, b)`` or another function of the file."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("np", "numpy")
        ):
            name = node.func.attr
        if name not in _NAMES and name not in _EXTRA and name not in self.scope.functions:
            known = [*_NAMES, *_EXTRA, *self.scope.functions]
            raise self.fail(
                node.func,
                "O001",
                f"`{source(self.define.statement, node.func)}` is no scalar function",
                did_you_mean(name, known) or "elementwise functions only",
            )
        if name == "where" and len(node.args) == 3 and not node.keywords:
            condition = self.condition(node.args[0])
            return _choice(condition, self.scalar(node.args[1]), self.scalar(node.args[2]))
        arguments = [self.scalar(a) for a in node.args]
        if name in ("maximum", "minimum") and len(arguments) == 2 and not node.keywords:
            a, b = arguments
            return _choice(_compared(sp.Ge if name == "maximum" else sp.Le, a, b), a, b)
        if name in ("square", "log1p", "expm1") and len(arguments) == 1 and not node.keywords:
            (a,) = arguments
            return {"square": lambda: a**2, "log1p": lambda: sp.log(1 + a), "expm1": lambda: sp.exp(a) - 1}[name]()
        if name == "power" and len(arguments) == 2 and not node.keywords:
            return raise_scalar(*arguments)
        other = self.scope.functions.get(name)
        if other is not None:
            if other.law is None:
                raise self.fail(node, "O013", f"{name} is unspecified: it cannot stand in another function")
            if len(arguments) != len(other.orders) or node.keywords:
                raise self.fail(node, "O003", f"{name} takes {len(other.orders)} argument(s), not {len(arguments)}")
            return inserted(other.law.expr, dict(zip(other.law.variables, arguments, strict=True)))
        if name in _EXTRA:
            raise self.fail(node, "O003", f"{name} has another number of arguments")
        entry = ELEMENTWISE[_NAMES[name]]
        parameters = dict(zip(entry.parameters, entry.defaults, strict=False))
        given = arguments[entry.arity :]
        parameters |= dict(zip(entry.parameters, given, strict=False))
        for keyword in node.keywords:
            if keyword.arg not in entry.parameters:
                raise self.fail(node, "O003", f"{name} has no argument `{keyword.arg}`")
            parameters[keyword.arg] = self.scalar(keyword.value)
        if (
            len(arguments) < entry.arity
            or len(given) > len(entry.parameters)
            or len(parameters) != len(entry.parameters)
        ):
            raise self.fail(node, "O003", f"{name} takes {entry.arity} argument(s), not {len(arguments)}")
        result: sp.Expr = entry.law(*arguments[: entry.arity], *(parameters[p] for p in entry.parameters))
        return sp.sympify(result, strict=True)

    def condition(self, node: ast.expr) -> sp.Basic:
        """Read a comparison."""
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _RELATIONS:
            return _compared(_RELATIONS[type(node.ops[0])], self.scalar(node.left), self.scalar(node.comparators[0]))
        raise self.fail(node, "O006", "where wants a comparison", "for example `where(x > 0, x, 0)`")


def inserted(law: sp.Expr, arguments: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """Return a law of given arguments; a power that has become one of numbers is refused where it is too large."""
    if law.is_Symbol:
        return arguments.get(law, law)
    if not law.args or not law.free_symbols & arguments.keys():
        return law
    parts = [inserted(part, arguments) for part in law.args]
    if isinstance(law, sp.Piecewise):
        return sp.Piecewise(*parts, evaluate=False)
    if isinstance(law, sp.core.relational.Relational):
        return _compared(law.func, *parts)
    return raise_scalar(*parts) if law.is_Pow else law.func(*parts)


def _compared(relation: Callable[..., sp.Basic], a: sp.Expr, b: sp.Expr) -> sp.Basic:
    """Return a comparison, which is known only between numbers.

    SymPy takes the choices within it apart, all of their combinations, so there may be a few only.
    """
    if len(a.atoms(sp.Piecewise) | b.atoms(sp.Piecewise)) > MOST_CHOICES:
        raise Mistake("L005", f"a comparison of more than {MOST_CHOICES} choices")
    return relation(a, b, evaluate=bool(a.is_number and b.is_number))


def _choice(condition: sp.Basic, then: sp.Expr, otherwise: sp.Expr) -> sp.Expr:
    """Return ``then`` where a condition holds.

    A choice that is known stays none; SymPy's own simplification of nested choices may take minutes.
    """
    if condition in (sp.true, sp.false):
        return then if condition == sp.true else otherwise
    return sp.Piecewise((then, condition), (otherwise, sp.true), evaluate=False)


def _measure(law: sp.Expr) -> None:
    """Refuse a law with too many parts, too deep, or with a number of too many digits."""
    todo: list[tuple[sp.Basic, int]] = [(law, 1)]
    count = 0
    while todo:
        part, depth = todo.pop()
        count += 1
        if depth > DEEPEST:
            raise Mistake("L002", "the expression is nested too deep", "give a part of it a name")
        if count > MOST_PARTS:
            raise Mistake("L005", f"a function with more than {MOST_PARTS} parts")
        if isinstance(part, sp.Rational) and max(abs(part.p).bit_length(), part.q.bit_length()) > MOST_BITS:
            raise Mistake("L005", "a number with too many digits")
        todo += [(inner, depth + 1) for inner in part.args]
