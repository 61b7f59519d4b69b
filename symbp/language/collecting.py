"""The names of a file, collected before anything is read in detail: what is declared, assigned, or a size."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp

from symbp.expr import index, size
from symbp.language.diagnostics import Mistake
from symbp.language.forms import Assert, Assign, Broken, Declare, Define, For, Free, Parsed, Unpack, place
from symbp.language.names import check_name, derived_from
from symbp.language.operations import OPERATIONS, Parameter
from symbp.language.scope import Head, Scope
from symbp.language.shapes import size_names

MOST_EQUATIONS = 5_000


@dataclass
class Named:
    """What the file says about one name, before anything is read in detail."""

    declared: list[Declare] = field(default_factory=list)
    assigned: list[Assign] = field(default_factory=list)
    formals: tuple[sp.Symbol, ...] = ()


class Names:
    """Collects the names of a file into a ``Scope``."""

    def __init__(self, scope: Scope, parsed: Sequence[Parsed], layers: Mapping[str, tuple[Parameter, ...]]) -> None:
        self.scope, self.parsed, self.layers = scope, parsed, layers
        self.names: dict[str, Named] = {}
        self.heads: dict[int, Head | None] = {}
        self.definitions: list[tuple[sp.Expr, sp.Expr]] = []
        self.samples_stated = False

    def walk(
        self, parsed: Sequence[Parsed] | None = None, loops: tuple[str, ...] = ()
    ) -> Iterator[tuple[Parsed, tuple[str, ...]]]:
        """Yield every statement with the indices of the loops around it."""
        for p in self.parsed if parsed is None else parsed:
            yield p, loops
            if isinstance(p, For):
                yield from self.walk(p.body, (*loops, p.name))
            elif isinstance(p, Unpack):
                yield from ((part, loops) for part in p.parts)
            elif isinstance(p, Broken):
                self.scope.poisoned |= {q.name for q, _ in self.walk(p.body) if q.name}

    def error(self, code: str, message: str, p: Parsed, node: ast.AST | None = None, help: str = "") -> None:
        """Report an error at a node of a statement."""
        self.scope.report.add(code, message, place(p.statement, node), help)

    def fine(self, p: Parsed, name: str, node: ast.AST | None) -> bool:
        """Tell whether a name may be used; report why not."""
        try:
            check_name(name, OPERATIONS.keys() | self.layers.keys() | {"loss"} - {name if name == "loss" else ""})
        except Mistake as mistake:
            self.scope.report.add_mistake(mistake, place(p.statement, node))
            return False
        return True

    def collect_names(self) -> None:
        """Collect every name that is declared or assigned, with its formal indices."""
        scope = self.scope
        formals: dict[str, list[str | None]] = {}
        equations = 0
        for p, loops in self.walk():
            equations += isinstance(p, Assign)
            if equations > MOST_EQUATIONS:
                self.error(
                    "L004", f"more than {MOST_EQUATIONS} equations", p, None, "families and loops say more with less"
                )
                scope.report.raise_if_any()
            if isinstance(p, Broken) and p.name:
                scope.poisoned.add(p.name)
            if isinstance(p, For):
                self.fine(p, p.name, p.target)
            if isinstance(p, (Define, Free)):
                self.fine(p, p.name, p.target)
            if not isinstance(p, (Declare, Assign)):
                continue
            if p.name not in self.names and not self.fine(p, p.name, p.target):
                scope.poisoned.add(p.name)
            known = self.names.setdefault(p.name, Named())
            if isinstance(p, Declare):
                known.declared.append(p)
                scope.declared.add(p.name)
                if p.name == "loss":
                    self.error("N005", "loss is the name of a result", p, p.target, "write `loss = ...`")
            else:
                known.assigned.append(p)
                scope.later.setdefault(p.name, p.statement.line)
            mine = formals.setdefault(p.name, [None] * len(p.subscripts))
            if len(mine) != len(p.subscripts):
                self.error("B005", f"{p.name} has {len(mine)} indices elsewhere, not {len(p.subscripts)}", p, p.target)
                scope.poisoned.add(p.name)
                continue
            for k, subscript in enumerate(p.subscripts):
                inside = [n.id for n in ast.walk(subscript) if isinstance(n, ast.Name) and n.id in loops]
                if mine[k] is None and inside and inside[0] not in mine:
                    mine[k] = inside[0]
        for name, mine in formals.items():
            spare = iter(x for x in "ijklpqrsuvw" if x not in mine)
            self.names[name].formals = tuple(index(given or next(spare)) for given in mine)
            if mine:
                scope.families[name] = ", ".join(map(str, self.names[name].formals))
        for name in self.names:
            base = derived_from(name)
            if base in self.names:
                first = [*self.names[name].declared, *self.names[name].assigned][0]
                self.error(
                    "N008",
                    f"`{name}` is what the {'tangent' if name[0] == 'd' else 'message'} of {base} is called",
                    first,
                    first.target,
                    "choose another beginning",
                )

    def collect_sizes(self) -> None:
        """Sizes are the names that occur in shapes and bounds."""
        for p, loops in self.walk():
            written: list[ast.AST] = []
            if isinstance(p, Declare):
                written += [*(p.shape or ()), *p.subscripts]
                written += [f.slice for f in p.facts if isinstance(f, ast.Subscript)]
                written += [a for f in p.facts if isinstance(f, ast.Call) for a in f.args]
            elif isinstance(p, Assign):
                written += [*(p.shape or ()), *p.subscripts]
                written += self.sizes_of_layers(p.value)
            elif isinstance(p, Unpack):
                written += self.sizes_of_layers(p.value)
            elif isinstance(p, For):
                written.append(p.bounds)
            elif isinstance(p, Assert) and any(isinstance(n, ast.Eq) for n in ast.walk(p.test)):
                written.append(p.test)
            for node in written:
                for name, count, at in size_names(node, frozenset(loops)):
                    self.add_size(p, name, count, at)
            if isinstance(p, (Assign, Unpack)) and p.value is not None:
                self.sizes_of_sums(p, loops)
        for name in self.scope.sizes:
            if derived_from(name) in self.names:
                self.scope.report.add(
                    "N008",
                    f"the size `{name}` is what a derived variable is called",
                    place(self.parsed[0].statement, None),
                )

    def sizes_of_layers(self, value: ast.expr | None) -> Iterator[ast.AST]:
        """Yield the sizes that are written as arguments of layers."""
        if value is None:
            return
        for node in ast.walk(value):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.layers:
                parameters = self.layers[node.func.id]
                for parameter, argument in zip(parameters, node.args, strict=False):
                    if parameter.kind == "size":
                        yield argument
                for keyword in node.keywords:
                    if any(p.name == keyword.arg and p.kind == "size" for p in parameters):
                        yield keyword.value

    def sizes_of_sums(self, p: Assign | Unpack, loops: tuple[str, ...]) -> None:
        """The bounds of sums over an index name sizes too."""
        assert p.value is not None
        for node in ast.walk(p.value):
            if isinstance(node, (ast.GeneratorExp, ast.ListComp)):
                bound = {g.target.id for g in node.generators if isinstance(g.target, ast.Name)}
                for generator in node.generators:
                    for name, count, at in size_names(generator.iter, frozenset(loops) | bound):
                        self.add_size(p, name, count, at)

    def add_size(self, p: Parsed, name: str, count: int, at: ast.AST) -> None:
        """Note one size; a name is a size with or without an index, never both, and no variable."""
        scope = self.scope
        if name in ("range", "reversed") or name in scope.poisoned:
            return
        known = self.names.get(name)
        if known is not None and (known.declared or any(a.subscripts for a in known.assigned)):
            return  # a variable in a shape is reported where the shape is read
        if name in scope.sizes or name in scope.size_families:
            before = scope.size_families.get(name, 0)
            if before != count:
                self.error(
                    "N010",
                    f"the size {name} has {before or 'no'} {'index' if before < 2 else 'indices'} elsewhere",
                    p,
                    at,
                    f"write {name} or {name}[l], not both",
                )
            return
        if not self.fine(p, name, at):
            scope.poisoned.add(name)
            return
        if count:
            scope.size_families[name] = count
        else:
            scope.sizes[name] = size(name)
