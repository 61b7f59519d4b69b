"""What one generated function may refer to: arrays bound at its top, sizes read off their shapes, loop indices."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sympy as sp

from symbp.expr import Function, Ref, SizeMember, expanded
from symbp.program import Var
from symbp.render.numpy.expressions import Code
from symbp.render.numpy.layout import Axis, Field, Layout, Store
from symbp.render.numpy.scalars import ATOM, CHOICE, TIMES, UNARY, GenerateError, ScalarPrinter, wrap


@dataclass
class Kernels:
    """The small functions that the module needs: kernels by name, and scalar laws by the name they get."""

    used: set[str] = field(default_factory=set)
    laws: dict[Function, str] = field(default_factory=dict)

    def kernel(self, name: str) -> str:
        """Return the name of a kernel in the module."""
        self.used.add(name)
        return f"_{name}"

    def function(self, function: Function) -> str:
        """Return the name in the module of a scalar law, or of a derivative."""
        if function.is_free:
            raise GenerateError(
                f"{function.name} is left unspecified: say what it is, e.g. functions={{'{function.name}': 'tanh'}}"
            )
        if function not in self.laws:
            orders = function.orders
            known: dict[tuple[int, ...], str] = {(1,): "_prime", (2,): "_second"}
            primes = known.get(orders, f"_d{'_'.join(map(str, orders))}")
            wanted = f"_{function.name}{primes if any(orders) else ''}"
            taken = {*self.laws.values(), *(f"_{k}" for k in self.used)}
            name, k = wanted, 2
            while name in taken:
                name, k = f"{wanted}_{k}", k + 1
            self.laws[function] = name
        return self.laws[function]


class FunctionScope:
    """The names of one generated function.

    layout:  the fields of the module.
    kernels: collects the small functions that expressions call.
    fields:  the declared fields at hand.
    cached:  the computed variables that the function reads from ``cache``.
    tangents: tangents that are given, by variable: the fields of ``Gradients`` that hold them.
    sizes:   sizes that are arguments of the function, by size, with their text.
    """

    def __init__(
        self, layout: Layout, kernels: Kernels, fields: Iterable[Field] = (), cached: Iterable[str] = (),
        sizes: Mapping[sp.Expr | str, str] | None = None,
    ) -> None:
        self.layout = layout
        self.kernels = kernels
        self.fields = tuple(fields)
        self.cached = frozenset(cached)
        self.arguments = dict(sizes or {})
        self.stores: dict[str, Store] = {}
        self.indices: dict[sp.Expr, str] = {}
        self.bound: dict[str, str] = {}
        self.unions: dict[str, str] = {}
        self.size_lines: dict[str, str] = {}
        self.tangents: dict[str, list[Field]] = {}
        self._solving: set[sp.Expr] = set()
        self._scalars = ScalarPrinter(self._symbol)

    # -- sizes and indices -----------------------------------------------------------------------------------------
    def scalar(self, value: sp.Expr) -> tuple[str, int]:
        """Return the text of a size, a coefficient or an index expression, and its level."""
        return self._scalars._print(value, "")

    def size(self, value: sp.Expr, least: int = CHOICE) -> str:
        """Return the text of a size or an index expression, in parentheses if its level is below ``least``."""
        return wrap(*self.scalar(value), least)

    def position(self, value: sp.Expr, low: sp.Expr) -> str:
        """Return the position of a member in its store."""
        return self.size(expanded(value - low))

    def _symbol(self, value: sp.Expr) -> tuple[str, int]:
        if value in self.indices:
            return self.indices[value], ATOM
        if isinstance(value, SizeMember):
            return self._size_member(value), ATOM
        if value in self.arguments:
            return self.arguments[value], ATOM
        name = self.layout.identifiers(str(value))
        if name not in self.size_lines:
            # What it is computed from finds its own line first.
            self.size_lines[name] = self._solve(value)
        return name, ATOM

    def _size_member(self, value: SizeMember) -> str:
        if len(value.indices) != 1:
            raise GenerateError(f"the size {value} has several indices, which the NumPy target does not lay out")
        if value.name in self.arguments:
            name = self.arguments[value.name]
        else:
            name = self.layout.identifiers(value.name)
            if name not in self.size_lines:
                axes = self.layout.family_of_sizes(value.name, self.fields)
                if axes is None:
                    raise GenerateError(f"no shape at hand gives all members of the sizes {value.name}[...]")
                texts = [axis.accessor.format(axis.field.access) for axis in axes]
                single = len(texts) == 1
                text = f"({texts[0]},)" if single else f"({', '.join(texts)})"
                self.size_lines[name] = text
        return f"{name}[{self.position(value.indices[0], self.layout.first_member(value.name))}]"

    def _solve(self, symbol: sp.Expr) -> str:
        """Return how a size is read off a shape, or computed from other sizes, or its number if it was given."""
        at_hand = set(self.fields)
        if symbol in self._solving:
            raise GenerateError(f"the size {symbol} cannot be read off the shapes")
        self._solving.add(symbol)
        try:
            # A plain axis first, of an array that is bound already if there is one.
            candidates = [axis for axis in self.layout.axes if axis.field in at_hand and axis.value.has(symbol)]
            bound = set(self.bound.values())
            for axis in sorted(candidates, key=lambda a: (a.value != symbol, a.field.access not in bound)):
                with contextlib.suppress(GenerateError):
                    text = self._from_axis(axis, symbol)
                    if text is not None:
                        return text
            for defined, value in self.layout.program.definitions:
                if defined == symbol:
                    above, below = sp.fraction(sp.together(value))
                    return f"{self.size(above, TIMES)} // {self.size(below, UNARY)}" if below != 1 else self.size(above)
            if symbol in self.layout.loose:
                return f"inputs.{symbol}"
        finally:
            self._solving.discard(symbol)
        raise GenerateError(f"the size {symbol} occurs in no shape at hand")

    def _from_axis(self, axis: Axis, symbol: sp.Expr) -> str | None:
        value = expanded(axis.value)
        factor = value.coeff(symbol)
        rest = expanded(value - factor * symbol)
        others = factor.atoms(sp.Symbol, SizeMember) | rest.atoms(sp.Symbol, SizeMember)
        if factor == 0 or symbol in others or any(o in self._solving for o in others):
            return None
        text = axis.accessor.format(axis.field.access)
        if rest != 0:
            sign, shown = ("+", -rest) if rest.could_extract_minus_sign() else ("-", rest)
            text = f"{text} {sign} {self.size(shown, TIMES)}"
            return text if factor == 1 else f"({text}) // {self.size(factor, UNARY)}"
        return text if factor == 1 else f"{text} // {self.size(factor, UNARY)}"

    # -- arrays ----------------------------------------------------------------------------------------------------
    def _local(self, known: Field) -> str:
        return self.layout.identifiers(known.name)

    def field(self, known: Field) -> str:
        """Return the local name of a field, which is bound at the top of the function."""
        name = self._local(known)
        if known.name == known.var.name and self.layout.computed(known.name):
            return known.access  # the local name is that of the whole family
        self.bound.setdefault(name, known.access)
        return name

    def store(self, name: str) -> Store:
        """Return how the members of a variable are kept in this function, binding what is needed."""
        if name in self.stores:
            return self.stores[name]
        if name in self.tangents:
            self.stores[name] = self._tangent(name)
            return self.stores[name]
        layout, var = self.layout, self.layout.program.variables[name]
        if name in self.cached:
            found = layout.whole(var) if var.indices else Store(layout.identifiers(name), scalar=var.scalar)
            self.bound.setdefault(found.name, f"cache.{name}")
        elif var.declared and var.value is not None:
            found = Store(layout.identifiers(name))
        elif var.declared:
            found = self._declared(var)
        else:
            raise GenerateError(f"{name} is read before it is computed")
        self.stores[name] = found
        return found

    def _declared(self, var: Var) -> Store:
        fields = [f for f in self.layout.fields_of(var.name) if f in self.fields]
        if not fields:
            raise GenerateError(f"{var.name} is not at hand")
        if len(fields) == 1:
            self.field(fields[0])
            return self.layout.direct(fields[0])
        return self._joined(fields, self.layout.identifiers(var.name), lambda f: f.access)

    def _tangent(self, name: str) -> Store:
        fields, local = self.tangents[name], self.layout.identifiers(name)
        if len(fields) > 1:
            return self._joined(fields, local, lambda f: f"tangents.{f.name}")
        self.bound[local] = f"tangents.{fields[0].name}"
        return replace(self.layout.direct(fields[0]), name=local, scalar=False)

    def _joined(self, fields: Sequence[Field], name: str, access: Callable[[Field], str]) -> Store:
        """Return the members of a family that several declarations give, in order, as one tuple."""
        var = fields[0].var
        store = self.layout.whole(var)
        if len(var.indices) != 1:
            raise GenerateError(f"{var.name} is declared in several parts, which are joined along one index only")
        parts, left, at = [], list(fields), store.lows[0]
        while left:
            found = next((f for f in left if f.ends[0][0] == at), None)
            if found is None or at is None:
                raise GenerateError(f"the parts of {var.name} leave a gap")
            left.remove(found)
            parts.append(f"*{access(found)}" if found.free else access(found))
            at = expanded(found.ends[0][1] + 1)
        self.unions[name] = f"({', '.join(parts)})"
        return Store(name, store.lows, store.highs, 1)

    def parts_of(self, name: str) -> list[tuple[Field, str]]:
        """Return the fields that hold declared members of a computed family, with their texts."""
        if name in self.tangents:
            return [(f, f"tangents.{f.name}") for f in self.tangents[name]]
        return [(f, self.field(f)) for f in self.layout.fields_of(name) if f in self.fields]

    def read(self, ref: Ref) -> Code:
        """Return the text that reads a variable or a member."""
        store = self.store(ref.name)
        return Code(self.member(store, ref.indices), flat=store.scalar)

    def member(self, store: Store, indices: Iterable[sp.Expr]) -> str:
        """Return the text of a member of a family."""
        outer, inner = "", []
        for k, (value, low) in enumerate(zip(indices, store.lows, strict=False)):
            if low is None:
                continue
            if k < store.depth:
                outer += f"[{self.position(value, low)}]"
            else:
                inner.append(self.position(value, low))
        return f"{store.name}{outer}" + (f"[{', '.join(inner)}]" if inner else "")

    # -- what expressions ask ----------------------------------------------------------------------------------------
    def kernel(self, name: str) -> str:
        """Return the name of a kernel."""
        return self.kernels.kernel(name)

    def function(self, function: Function) -> str:
        """Return the name of a function for a scalar law."""
        return self.kernels.function(function)

    def index(self, symbol: sp.Symbol) -> str:
        """Give an index its local name; another index of that name in use gets a fresh one."""
        name = self.layout.identifiers(symbol.name)
        if name in self.indices.values():
            name = self.layout.identifiers.fresh(name)
        self.indices[symbol] = name
        return name

    def steps(self, index: sp.Symbol, lo: sp.Expr, hi: sp.Expr, down: bool = False) -> str:
        """Return ``t in range(lo, hi + 1)``."""
        first, stop, name = self.size(lo), self.size(expanded(hi + 1)), self.index(index)
        if down:
            return f"{name} in range({self.size(hi)}, {self.size(expanded(lo - 1))}, -1)"
        return f"{name} in range({stop})" if lo == 0 else f"{name} in range({first}, {stop})"

    def leave(self, index: sp.Symbol) -> None:
        """Forget an index at the end of its range."""
        self.indices.pop(index, None)

    # -- the top of the function ---------------------------------------------------------------------------------------
    def prologue(self, wide: int = 100) -> list[str]:
        """Return the lines that bind arrays and sizes."""
        unions = [f"{name} = {text}" for name, text in self.unions.items()]
        return self.arrays(wide) + unions + self.sizes(self.size_lines)

    def arrays(self, wide: int = 100) -> list[str]:
        """Return the lines that bind arrays."""
        lines: list[str] = []
        fields = (*self.layout.params, *self.layout.states, *self.layout.inputs)
        accesses = [known.access for known in fields]
        accesses += [f"cache.{name}" for name in self.layout.program.variables]
        order = {access: k for k, access in enumerate(accesses)}
        for source in ("params", "state", "inputs", "cache", "tangents"):
            names = [(name, access) for name, access in self.bound.items() if access.startswith(f"{source}.")]
            names.sort(key=lambda item: order.get(item[1], -1))
            whole = [f.access for f in fields if f.group == source]
            whole += [f"inputs.{size}" for size in self.layout.loose] if source == "inputs" else []
            if len(names) > 1 and [access for _, access in names] == whole:
                lines += unpacked([name for name, _ in names], source)
            else:
                lines += bindings(dict(names), wide)
        return lines

    def sizes(self, lines: Mapping[str, str]) -> list[str]:
        """Return the lines that define sizes; sizes that are all axes of one array are unpacked at once."""
        left, out = dict(lines), []
        for known in self.layout.fields:
            count = len(known.lengths) + 2
            axes = [f"{known.access}.shape[{k}]" for k in range(count)]
            names = [next((n for n, t in left.items() if t == axis), None) for axis in axes]
            if all(names) and known.depth == 0:
                for name in names:
                    left.pop(str(name))
                out.append(f"{', '.join(map(str, names))} = {known.access}.shape")
        out += [f"{name} = {text}" for name, text in left.items()]
        # An array that is bound anyway is called by its local name.
        for name, access in self.bound.items():
            out = [re.sub(rf"\b{re.escape(access)}\b", name, line) for line in out]
        return out


def unpacked(names: Sequence[str], source: str, wide: int = 100) -> list[str]:
    """Return ``W1, b1 = params``, broken in parentheses if it is long."""
    line = f"{', '.join(names)} = {source}"
    if len(line) <= wide:
        return [line]
    return ["(", *(f"    {name}," for name in names), f") = {source}"]


def bindings(names: Mapping[str, str], wide: int = 100) -> list[str]:
    """Return ``W1, b1 = params.W1, params.b1``, in as many lines as the width asks for."""
    lines: list[str] = []
    group: list[tuple[str, str]] = []

    def flush() -> None:
        if group:
            lines.append(f"{', '.join(n for n, _ in group)} = {', '.join(a for _, a in group)}")
            group.clear()

    for name, access in names.items():
        if sum(len(n) + len(a) + 4 for n, a in [*group, (name, access)]) > wide:
            flush()
        group.append((name, access))
    flush()
    return lines


