"""Equations and loops as lines of Python.

Three things are decided here.  A sum over an index that runs like a loop before it is gathered inside that loop.  A
family that is read only in the iteration that defines it is a plain local variable.  A family that is written for the
next iteration and read there is one carried variable; other families are buffers, zeroed where a member that no
equation defines counts as zero.  So a loop holds no ``if``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sympy as sp

from symbp.expr import (
    Add, Box, LogSumExp, Node, Ref, Scale, Softmax, SumOver, Zero, expanded, refs, same_size, shift, walk,
)
from symbp.program import Equation, Loop, Program, Statement, Var, index_box, index_step
from symbp.render.numpy.expressions import Code, Printer
from symbp.render.numpy.guards import Picks, entrywise, readable, zero_outside
from symbp.render.numpy.layout import Ends, Layout, Store, annotation, hull
from symbp.render.numpy.scalars import PLUS, UNARY, GenerateError
from symbp.render.numpy.scope import FunctionScope

MARGIN = 120
"""The longest line."""


@dataclass(eq=False)
class Assign:
    """``target = value``."""

    target: Ref
    value: Node
    equation: Equation


@dataclass(eq=False)
class Start:
    """The target begins as ``value`` (zero if None), before a loop adds to it."""

    target: Ref
    value: Node | None
    equation: Equation


@dataclass(eq=False)
class Gain:
    """``target += value``, in a loop."""

    target: Ref
    value: Node
    equation: Equation


@dataclass(eq=False)
class Repeat:
    """A loop over items."""

    loop: Loop
    body: list[Item] = field(default_factory=list)


Item = Assign | Start | Gain | Repeat


@dataclass(frozen=True)
class Place:
    """An item with the loops around it and its position."""

    item: Assign | Start | Gain
    loops: tuple[Repeat, ...]
    path: tuple[int, ...]


def places(items: Sequence[Item], around: tuple[Repeat, ...] = (), path: tuple[int, ...] = ()) -> Iterator[Place]:
    """Yield every item that is no loop, with its place."""
    for k, item in enumerate(items):
        if isinstance(item, Repeat):
            yield from places(item.body, (*around, item), (*path, k))
        else:
            yield Place(item, around, (*path, k))


# -- sums inside loops ----------------------------------------------------------------------------------------


def arrange(body: Sequence[Statement], whole: frozenset[str]) -> list[Item]:
    """Return the items of a body, with sums over an index as loops that gather; ``whole`` are left as sums."""
    items: list[Item] = []
    for statement in body:
        if isinstance(statement, Loop):
            items.append(Repeat(statement, arrange(statement.body, whole)))
            continue
        sums, rest = _terms(statement.value)
        if not sums or statement.target.name in whole:
            items.append(Assign(statement.target, statement.value, statement))
            continue
        # The start stands before the earliest loop that gathers, so that every gain finds it.
        at = len(items)
        for total, coefficient in sums:
            host = _host(items, total, statement.target)
            loop = Loop(total.bound, *total.ends, body=(), line=statement.line)
            value = total.operands[0]
            if host is None:
                home = Repeat(loop)
                items.append(home)
            else:
                home = items[host]  # type: ignore[assignment]
                at = min(at, host)
                value = shift(value, {total.bound: home.loop.index})
            gain = value if coefficient == 1 else Scale(value, coefficient)
            home.body.append(Gain(statement.target, gain, statement))
        if rest is not None and at < len(items) and not _ready(items[:at], rest, items):
            # What does not depend on the loop is added behind it.
            items.append(Gain(statement.target, rest, statement))
            rest = None
        items.insert(at, Start(statement.target, rest, statement))
    return items


def _terms(value: Node) -> tuple[list[tuple[SumOver, sp.Expr]], Node | None]:
    """Split a right side into its sums over an index, each with its coefficient, and the rest."""
    sums: list[tuple[SumOver, sp.Expr]] = []
    rest: list[Node] = []

    def visit(node: Node, coefficient: sp.Expr) -> None:
        if isinstance(node, Add):
            for term in node.operands:
                visit(term, coefficient)
        elif isinstance(node, Scale):
            visit(node.body, coefficient * node.coefficient)
        elif isinstance(node, SumOver):
            sums.append((node, coefficient))
        else:
            rest.append(node if coefficient == 1 else Scale(node, coefficient))

    visit(value, sp.S.One)
    return sums, (rest[0] if len(rest) == 1 else Add(*rest)) if rest else None


def _host(items: Sequence[Item], total: SumOver, target: Ref) -> int | None:
    """Return the last loop that runs over the range of a sum and at whose end all its terms are known."""
    for k in reversed(range(len(items))):
        item = items[k]
        if not isinstance(item, Repeat):
            continue
        loop = item.loop
        if not (same_size(loop.lo, total.ends[0]) and same_size(loop.hi, total.ends[1])):
            continue
        if target.has(loop.index) or any(isinstance(n, SumOver) for n in walk(total.operands[0])):
            continue
        term = shift(total.operands[0], {total.bound: loop.index})
        if all(_known(items, k, ref) for ref in refs(term)):
            return k
    return None


def _known(items: Sequence[Item], k: int, ref: Ref) -> bool:
    """Tell whether a member is known at the end of each iteration of the loop at position ``k``."""
    for j, item in enumerate(items):
        defined = [p for p in places([item]) if p.item.target.name == ref.name]
        if not defined or j < k:
            continue
        if j > k:
            return False
        assert isinstance(item, Repeat)
        if any(len(p.loops) != 1 or p.item.target.indices != ref.indices or isinstance(p.item, Gain) for p in defined):
            return False
    return True


def _ready(before: Sequence[Item], value: Node, items: Sequence[Item]) -> bool:
    """Tell whether what ``value`` reads is defined before."""
    late = {p.item.target.name for p in places(items)} - {p.item.target.name for p in places(before)}
    return not any(ref.name in late for ref in refs(value))


# -- where a computed family lives ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Carried:
    """A family held in one variable from each iteration to the next; it is zero before ``loop``."""

    loop: Repeat
    store: Store


class Storage:
    """Decides for each computed variable of a function how it is kept."""

    def __init__(self, layout: Layout, program: Program, items: Sequence[Item], keep: frozenset[str]) -> None:
        self.layout = layout
        self.program = program
        self.places = list(places(items))
        self.defined: dict[str, list[Place]] = {}
        self.read: dict[str, list[tuple[Place, Ref]]] = {}
        for place in self.places:
            self.defined.setdefault(place.item.target.name, []).append(place)
            if place.item.value is not None:
                for ref in refs(place.item.value):
                    self.read.setdefault(ref.name, []).append((place, ref))
        self.keep = keep
        self.stores: dict[str, Store] = {}
        self.carried: dict[str, Carried] = {}
        self.buffers: dict[str, Store] = {}
        for name in self.defined:
            self._decide(program.variables[name])

    def _decide(self, var: Var) -> None:
        local = self.layout.identifiers(var.name)
        if not var.indices or (var.name not in self.keep and self._is_local(var.name)):
            self.stores[var.name] = Store(local, tuple(None for _ in var.indices))
            return
        loop = None if var.name in self.keep else self._carrying(var)
        if loop is not None:
            self.carried[var.name] = Carried(loop, Store(local, tuple(None for _ in var.indices)))
            self.stores[var.name] = self.carried[var.name].store
            return
        self.stores[var.name] = self.buffers[var.name] = self._whole(var)

    def _is_local(self, name: str) -> bool:
        """Tell whether every read is in the iteration that defines the member, after its definition."""
        first = self.defined[name][0]
        deep = len(first.loops)
        everywhere = [(p, p.item.target) for p in self.defined[name]] + self.read.get(name, [])
        own = {loop.loop.index for loop in first.loops}
        if len(own) != len(first.item.target.indices) or not own <= set(first.item.target.indices):
            return False
        return all(
            place.loops[:deep] == first.loops and ref.indices == first.item.target.indices
            and place.path[deep:] >= first.path[deep:]
            for place, ref in everywhere
        )

    def _carrying(self, var: Var) -> Repeat | None:
        """Return the loop that carries a family: written for the next iteration, read there before it is written."""
        definitions, reads = self.defined[var.name], self.read.get(var.name, [])
        if len(definitions) != 1 or not var.zero_outside or not definitions[0].loops:
            return None
        place = definitions[0]
        for loop in place.loops:
            ahead = -1 if loop.loop.down else 1
            deep = place.loops.index(loop) + 1
            if deep != len(place.loops):
                continue
            if all(self._one_before(place, other, ref, loop, ahead) for other, ref in reads):
                return loop
        return None

    @staticmethod
    def _one_before(place: Place, other: Place, ref: Ref, loop: Repeat, ahead: int) -> bool:
        deep = len(place.loops)
        if other.loops[:deep] != place.loops or other.path[deep - 1 :] > place.path[deep - 1 :]:
            return False
        bound = [r.loop.index for r in place.loops]
        found = False
        for written, wanted in zip(place.item.target.indices, ref.indices, strict=True):
            a, b = index_step(written, bound), index_step(wanted, bound)
            if a is None or b is None or a[0] != b[0] or a[1] != b[1]:
                return False
            delay = expanded((a[2] - b[2]) * a[1])
            if a[0] == loop.loop.index:
                if delay != ahead:
                    return False
                found = True
            elif delay != 0 or a[0] is None:
                return False
        return found

    def _whole(self, var: Var) -> Store:
        """Return the store of all members that are declared, defined, or read as zero."""
        boxes = [] if not var.declared else list(var.boxes)
        for name, around in ((p.item.target, p.loops) for p in self.defined[var.name]):
            boxes.append(_box(name, around))
        if var.zero_outside:
            boxes += [_box(ref, place.loops, place.item.value) for place, ref in self.read.get(var.name, [])]
        ends: list[Ends] = []
        for k in range(len(var.indices)):
            sides = [(low, high) for box in boxes for low in box.sides[k].lows for high in box.sides[k].highs]
            ends.append(hull(sides, self.layout.bounds, var.name))
        lows, highs = tuple(lo for lo, _ in ends), tuple(hi for _, hi in ends)
        return Store(self.layout.identifiers(var.name), lows, highs, self.layout.depth_of(var))


def _box(ref: Ref, around: Sequence[Repeat], value: Node | None = None) -> Box:
    ranges = {r.loop.index: (r.loop.lo, r.loop.hi) for r in around}
    if value is not None:
        ranges |= {n.bound: n.ends for n in walk(value) if isinstance(n, SumOver)}
    box = index_box(ref.indices, ranges)
    if box is None:
        raise GenerateError(f"{ref.label}: an index must be a loop index plus or minus a constant")
    return box


# -- lines --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A line of code at a depth of indentation, with the equation that it computes."""

    depth: int
    code: str
    note: str = ""


class Writer:
    """Writes the body of one function.

    scope:   the names of the function.
    program: the program to which the statements belong.
    note:    gives the number and the text of an equation.
    output:  the name of the output, kept as a Python float; None if it is not computed here.
    used:    the selections in which entries of values are used, where not all are.
    """

    def __init__(
        self, scope: FunctionScope, program: Program, note: Callable[[Equation], str], output: str | None = None,
        used: Mapping[Ref, frozenset[Picks]] | None = None,
    ) -> None:
        self.scope = scope
        self.layout = scope.layout
        self.program = program
        self.note = note
        self.output = output
        self.printer = Printer(scope)
        self.lines: list[Line] = []
        self.written: set[str] = set()
        self.used = used or {}
        self.done: set[str] = {v.name for v in program.declared()}

    def write(self, body: Sequence[Statement], keep: Iterable[str]) -> None:
        """Write statements; ``keep`` are the variables whose values the function returns."""
        # A sum of numbers for the output reads best as a sum.
        items = arrange(body, frozenset({self.output} if self.output else ()) | _scalars(body))
        storage = Storage(self.layout, self.program, items, frozenset(keep))
        self.scope.stores |= storage.stores
        self.written |= set(storage.stores)
        self._items(items, storage, 0)

    def _items(self, items: Sequence[Item], storage: Storage, depth: int) -> None:
        shared, before = _shared(items), dict(self.printer.known)
        for item in items:
            written = False
            for total in [t for t in shared if _needs(item, t)]:
                written |= self._share(total, item, depth)
                shared.remove(total)
            if written:
                continue
            for name in [n for n, s in storage.buffers.items() if n in _targets(item)]:
                self._allocate(self.program.variables[name], storage.buffers.pop(name), depth)
            if isinstance(item, Repeat):
                for name, carried in storage.carried.items():
                    if carried.loop is item:
                        self._line(depth, f"{carried.store.name} = {self._zeros_before(name, item)}")
                loop = item.loop
                self._line(depth, f"for {self.scope.steps(loop.index, loop.lo, loop.hi, loop.down)}:")
                self._items(item.body, storage, depth + 1)
                self.scope.leave(loop.index)
            else:
                self._item(item, depth)
        self.printer.known = before

    def _share(self, total: LogSumExp, item: Item, depth: int) -> bool:
        """Write a softmax and the log-sum-exp of the same argument, which cost little more than one of them.

        Returns whether that was all of the item.
        """
        argument, softmax = total.operands[0], Softmax(total.operands[0], total.axis)
        assert isinstance(argument, Ref)
        both = self.scope.kernel("softmax_and_logsumexp")
        call = f"{both}({self.printer.full(argument).text}, {total.axis})"
        name = self.layout.identifiers(f"lse_{argument.name}")
        self.printer.known[total] = Code(name)
        if isinstance(item, Assign) and item.value == softmax:
            target = self.scope.member(self.scope.stores[item.target.name], item.target.indices)
            self._line(depth, f"{target}, {name} = {call}", self.note(item.equation))
            return True
        first = self.layout.identifiers(f"softmax_{argument.name}")
        self.printer.known[softmax] = Code(first)
        self._line(depth, f"{first}, {name} = {call}")
        return False

    def _item(self, item: Assign | Start | Gain, depth: int) -> None:
        target = self.scope.member(self.scope.stores[item.target.name], item.target.indices)
        if isinstance(item, Start):
            value = f"np.zeros_like({like})" if item.value is None and (like := self._like(item.target)) else None
            if item.value is not None:
                code = self.printer.full(item.value)
                # A bare name would be added to in place.
                value = f"{code.text}.copy()" if code.level == 7 and "(" not in code.text else code.text
            self._line(depth, f"{target} = {value or f'np.zeros({self.printer.shape(item.target)}, DTYPE)'}")
            return
        if isinstance(item, Gain):
            sign, body = "+", item.value
            if isinstance(body, Scale) and body.coefficient.could_extract_minus_sign():
                sign, body = "-", body.body if body.coefficient == -1 else Scale(body.body, -body.coefficient)
            self._line(depth, f"{target} {sign}= {self.printer.number(body).text}", self.note(item.equation))
            return
        self.printer.used = self._used(item)
        if item.target.name == self.output:
            code = self.printer.number(item.value)
            text = f"float({code.text})" if code.flat else f"{code.at(7)}.item()"
        else:
            code = self.printer.number(item.value)
            text = self.printer.spread(code, item.target).text
        self.printer.used = ""
        zero = zero_outside(item.value, self.printer.zero)
        if zero is not None:
            self.printer.zero[item.target] = zero
        self.done.add(item.target.name)
        self._line(depth, f"{target} = {text}", self.note(item.equation))

    def _used(self, item: Assign) -> str:
        """Return the condition under which an entry of a value is used; empty if all are, or if it is not known yet."""
        picks = self.used.get(item.target)
        if not picks or not entrywise(item.value) or not readable(picks, self.done):
            return ""
        choices = [[self.printer.pick(*p) for p in sorted(every, key=str)] for every in sorted(picks, key=str)]
        return " | ".join(c[0] if len(c) == 1 else f"({' & '.join(c)})" for c in choices)

    def _like(self, ref: Ref) -> str | None:
        """Return an array at hand of the shape of an adjoint or a tangent."""
        origin = self.program.variables[ref.name].origin
        if origin is None or origin.role not in ("adjoint", "tangent") or origin.of == self.output:
            return None
        of = self.program.variables[origin.of]
        try:
            return self.scope.read(of(*ref.indices)).text
        except GenerateError:
            return None

    def _allocate(self, var: Var, store: Store, depth: int) -> None:
        """Write the buffer of a family, with its declared members in place."""
        lengths = [
            self.scope.size(expanded(high - low + 1), PLUS if k >= store.depth else UNARY)
            for k, (low, high) in enumerate(store.ends)
        ]
        # Members that are assigned whole need no array of their own before.
        whole = store.depth == len(var.indices) and not var.zero_outside
        steps = [self.scope.steps(var.indices[k], *ends) for k, ends in enumerate(store.ends[: store.depth])]
        shape = [lengths[k] for k in store.stacked] + [self.scope.size(s) for s in var.shape if not whole]
        text = f"np.{'zeros' if var.zero_outside else 'empty'}(({', '.join(shape)}), DTYPE)"
        if whole and store.depth:
            text = f"[np.empty((0, 0))] * {lengths[store.depth - 1]}"
            steps.pop()
        for step in reversed(steps):
            text = f"[{text} for {step}]"
        kind = annotation(store.depth).replace("tuple", "list").replace(", ...", "")
        self._line(depth, f"{store.name}: {kind} = {text}" if store.depth else f"{store.name} = {text}")
        for index in var.indices[: store.depth]:
            self.scope.leave(index)
        if var.declared:
            self._declared(var, store, depth)

    def _declared(self, var: Var, store: Store, depth: int) -> None:
        """Write the declared members of a computed family into its buffer."""
        for field_, source in self.scope.parts_of(var.name):
            if store.depth == 0:
                at = []
                for k, ((lo, hi), (low, high)) in enumerate(zip(field_.ends, store.ends, strict=True)):
                    if k not in field_.free:
                        at.append(self.scope.position(lo, low))
                    else:
                        start = "" if same_size(lo, low) else self.scope.position(lo, low)
                        stop = "" if same_size(hi, high) else self.scope.position(expanded(hi + 1), low)
                        at.append(f"{start}:{stop}")
                self._line(depth, f"{store.name}[{', '.join(at)}] = {source}")
                continue
            # Levels of tuples: member by member.
            inner, direct = depth, replace(self.layout.direct(field_), name=source)
            for k in field_.free:
                self._line(inner, f"for {self.scope.steps(var.indices[k], *field_.ends[k])}:")
                inner += 1
            indices = [i if k in field_.free else field_.ends[k][0] for k, i in enumerate(var.indices)]
            self._line(inner, f"{self.scope.member(store, indices)} = {self.scope.member(direct, indices)}")
            for k in field_.free:
                self.scope.leave(var.indices[k])

    def _zeros_before(self, name: str, item: Repeat) -> str:
        """Return the value of a carried variable before the first iteration."""
        var = self.program.variables[name]
        place = next(p for p in places([item]) if p.item.target.name == name)
        first = item.loop.hi if item.loop.down else item.loop.lo
        target = place.item.target
        shape = Zero(*(s.xreplace({item.loop.index: first}) for s in target.shape))
        # The member that the first iteration reads is one step before the first that is written.
        if any(s.has(item.loop.index) for s in target.shape):
            back = 1 if item.loop.down else -1
            shape = Zero(*(expanded(s.xreplace({item.loop.index: first + back})) for s in target.shape))
        like = self._like_message(var, target, item, first)
        return f"np.zeros_like({like})" if like else f"np.zeros({self.printer.shape(shape)}, DTYPE)"

    def _like_message(self, var: Var, target: Ref, item: Repeat, first: sp.Expr) -> str | None:
        """Return an array at hand of the shape of a message."""
        if var.origin is None or var.origin.of not in self.program.variables:
            return None
        of = self.program.variables[var.origin.of]
        if len(of.indices) != len(target.indices):
            return None
        back = 1 if item.loop.down else -1
        ref = of(*(expanded(i.xreplace({item.loop.index: first + back})) for i in target.indices))
        try:
            return self.scope.read(ref).text
        except GenerateError:
            return None

    def _line(self, depth: int, code: str, note: str = "") -> None:
        self.lines.append(Line(depth, code, note))


def _shared(items: Sequence[Item]) -> list[LogSumExp]:
    """Return the log-sum-exps of names that stand in a block together with the softmax of the same name."""
    nodes = {n for item in items if isinstance(item, Assign) for n in walk(item.value)}
    sums = [n for n in nodes if isinstance(n, LogSumExp) and isinstance(n.operands[0], Ref)]
    return sorted((n for n in sums if Softmax(n.operands[0], n.axis) in nodes), key=str)


def _needs(item: Item, total: LogSumExp) -> bool:
    """Tell whether an equation holds a log-sum-exp or its softmax."""
    pair = {total, Softmax(total.operands[0], total.axis)}
    return isinstance(item, Assign) and any(n in pair for n in walk(item.value))


def _targets(item: Item) -> set[str]:
    return {p.item.target.name for p in places([item])}


def _scalars(body: Sequence[Statement]) -> frozenset[str]:
    """Return the plain 1 x 1 variables: a sum of numbers needs no loop."""
    return frozenset(
        s.target.name for s in body if isinstance(s, Equation) and s.target.is_scalar_shape and not s.target.indices
    )


def laid_out(lines: Sequence[Line], indent: int = 1) -> list[str]:
    """Return lines as text.

    Notes stand behind the code in one column if all of a run fit there, and above their line otherwise.
    """
    out: list[str] = []
    wide = max((4 * (indent + line.depth) + len(line.code) for line in lines if line.note), default=0)
    behind = all(wide + 2 + len(line.note) + 2 <= MARGIN for line in lines)
    for line in lines:
        margin = " " * 4 * (indent + line.depth)
        if line.note and not behind:
            out += [f"{margin}# {piece}" for piece in _pieces(line.note, MARGIN - len(margin) - 2)]
        if line.note and behind:
            out.append(f"{margin + line.code:<{wide}}  # {line.note}")
        else:
            out += [margin + piece for piece in broken(line.code, MARGIN - len(margin))]
    return out


def broken(code: str, wide: int) -> list[str]:
    """Break a long assignment, or a call, at its outermost operators or commas; what has none is left as it is."""
    if len(code) <= wide:
        return [code]
    found = re.match(r"[^=]*? [-+]?= ", code)
    if found is None:
        return _statement(code, wide)
    target = found.group()
    lines = _broken(code[found.end() :], wide, target)
    return [f"{target}{lines[0]}", *lines[1:]]


def _statement(code: str, wide: int) -> list[str]:
    """Break a call that stands alone, ``A.T.dot(B, C)``: the arguments of its last call stand on lines of their own."""
    depth, start = 0, len(code)
    for start in range(len(code) - 1, -1, -1):
        depth += (code[start] in ")]}") - (code[start] in "([{")
        if depth == 0:
            break
    parts = _split(code[start + 1 : -1], (", ",)) if code.endswith(")") else []
    if not parts:
        return [code]
    arguments = ", ".join(p.removeprefix(",").strip() for p in parts)
    if 4 + len(arguments) <= wide:
        return [code[: start + 1], f"    {arguments}", ")"]
    return [code[: start + 1], *_indented([f"{p.removeprefix(',').strip()}," for p in parts], wide), ")"]


def _broken(text: str, wide: int, before: str = "") -> list[str]:
    """Return an expression in lines of at most ``wide`` letters where that can be; ``before`` stands in front of it."""
    if len(before) + len(text) <= wide:
        return [text]
    terms = _split(text, (" + ", " - "))
    if terms:
        return ["(", *_indented(terms, wide), ")"]
    head, inside, tail = _call(text)
    if inside:
        parts = _split(inside, (", ",))
        if parts:
            return [head, *_indented([f"{p.removeprefix(',').strip()}," for p in parts], wide), tail]
        # The clauses of a sum over an index stand below each other, else its terms, else its factors.
        signs = ((" for ",), (" + ", " - "), (" * ", " @ ", " / "))
        terms = next((t for t in (_split(inside, s) for s in signs) if t), [inside])
        return [head, *_indented(terms, wide), tail]
    factors = _split(text, (" * ", " @ ", " / "))
    return ["(", *_indented(factors, wide), ")"] if factors else [text]


def _indented(parts: Sequence[str], wide: int) -> list[str]:
    lines: list[str] = []
    for part in parts:
        end = "," if part.endswith(",") else ""
        sign = part[:2] if part[:2] in ("+ ", "- ", "* ", "@ ", "/ ") else ""
        pieces = _broken(part.removesuffix(",").removeprefix(sign), wide - 4 - len(end) - len(sign))
        pieces[0], pieces[-1] = sign + pieces[0], pieces[-1] + end if len(pieces) > 1 else sign + pieces[0] + end
        lines += [f"    {piece}" for piece in pieces]
    return lines


def _split(text: str, signs: tuple[str, ...]) -> list[str]:
    """Split a text before its outermost signs; an empty list if it has none."""
    parts, depth, start = [], 0, 0
    for k, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and k > start and any(text.startswith(sign, k) for sign in signs):
            parts.append(text[start:k].strip())
            start = k
    return [*parts, text[start:].strip()] if parts else []


def _call(text: str) -> tuple[str, str, str]:
    """Split ``f(inside).g()`` into ``f(``, ``inside`` and ``).g()``; empty texts if it has another form."""
    start = text.find("(")
    if start < 0 or " " in text[:start]:
        return "", "", ""
    depth = 0
    for k in range(start, len(text)):
        depth += (text[k] in "([{") - (text[k] in ")]}")
        if depth == 0:
            inside, tail = text[start + 1 : k], text[k:]
            return (text[: start + 1], inside, tail) if " " not in tail.split("(")[0] and inside else ("", "", "")
    return "", "", ""


def _pieces(note: str, wide: int) -> list[str]:
    """Break a note into lines; the following ones are indented."""
    lines, current = [], ""
    for word in note.split(" "):
        if current and len(current) + 1 + len(word) > wide:
            lines.append(current)
            current = "    " + word
        else:
            current = f"{current} {word}" if current else word
    return [*lines, current]
