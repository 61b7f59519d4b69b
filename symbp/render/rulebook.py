"""The rule book for reading: each primitive, elementwise function and identity with all its faces.

``symbp show NAME`` prints an entry, the documentation prints all of them.  Nothing is written twice: a rule is asked
what it says about plain letters, a target how it spells them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import sympy as sp
from sympy.core.symbol import Str

from symbp.calculus import IDENTITIES, Context, Identity, tidy, transpose
from symbp.expr import (
    Add, AddAt, ArgmaxMask, Compare, Contraction, Diag, DiagOf, Einsum, Embed, Function, Gather, Hadamard, Kron,
    LogSumExp, Map, MatMul, MaxAxis, Node, Ref, Reshape, SMul, Scale, Scatter, Slice, Softmax, Take,
    Transpose, Where, add, kron_blocks,
)
from symbp.ops import ELEMENTWISE, RULES, Elementwise, Op, slope
from symbp.render.latex import Latex
from symbp.render.names import Names
from symbp.render.notation import Notation
from symbp.render.numpy.expressions import Code
from symbp.render.numpy.expressions import Printer as NumpyPrinter
from symbp.render.numpy.scalars import ATOM, ScalarPrinter
from symbp.render.printer import Printer, clean
from symbp.render.sources import cited
from symbp.render.text import Ascii, Unicode

Form = Literal["ascii", "unicode", "latex"]


@dataclass(frozen=True)
class Face:
    """One line of an entry: its label and what it says, as words, as code, or as a formula in the printed form."""

    label: str
    says: str
    kind: Literal["words", "code", "formula"] = "words"


@dataclass(frozen=True)
class Entry:
    """An entry of the rule book: its name, what it is, and its faces."""

    name: str
    what: str
    faces: tuple[Face, ...]

    def text(self) -> str:
        """Return the entry in aligned lines."""
        width = max(len(f.label) for f in self.faces)
        lines = [f"{self.name}   {self.what}"]
        for face in self.faces:
            first, *rest = face.says.split("\n")
            lines += [f"  {face.label:<{width}}  {first}", *(f"  {'':<{width}}  {line}" for line in rest)]
        return "\n".join(lines) + "\n"

    def saying(self, label: str, says: str) -> Entry:
        """Return the entry with one more line of words; without words as it is."""
        return replace(self, faces=(*self.faces, Face(label, says))) if says else self

    def json(self) -> dict[str, object]:
        """Return the entry as plain data."""
        return {"name": self.name, "what": self.what, "faces": [{"label": f.label, "says": f.says} for f in self.faces]}


def specimens() -> Mapping[str, Node]:
    """Return one expression per primitive, with plain letters as operands."""
    m, n, p, q, r, c = (sp.Symbol(name, integer=True, positive=True) for name in "mnpqrc")
    A, B = Ref("A", r, c), Ref("B", r, c)
    blocks = kron_blocks(m, n, p, q)
    return {
        "add": Add(A, B),
        "scale": Scale(A, sp.S.One / m),
        "smul": SMul(Ref("s", 1, 1), A),
        "matmul": MatMul(Ref("A", m, n), Ref("B", n, p)),
        "hadamard": Hadamard(A, B),
        "transpose": Transpose(A),
        "diag": Diag(Ref("a", n, 1)),
        "diagof": DiagOf(Ref("A", n, n)),
        "slice": Slice(Ref("A", m, n), 0, r, 0, c),
        "embed": Embed(A, 0, 0, m, n),
        "reshape": Reshape(A, 1, r * c, "F"),
        "kron": Kron(Ref("A", m, n), Ref("B", p, q)),
        "einsum": Einsum(Ref("A", m * n, p), Ref("B", m, p * q), Contraction("bk|i,b|ij->bk|j", m, n, p, q)),
        "gather": Gather(Ref("A", m * p, n * q), blocks),
        "scatter_add": Scatter(Ref("A", m * n, p * q), blocks),
        "take": Take(Ref("A", m, n), Ref("k", 1, p), 1),
        "add_at": AddAt(Ref("A", m, p), Ref("k", 1, p), n, 1),
        "map": Map(A, Function("f", (), (0,), Str("free"))),
        "where": Where(Ref("M", r, c), A, B),
        "compare": Compare(A, B, ">"),
        "softmax": Softmax(A, 0),
        "logsumexp": LogSumExp(A, 0),
        "max": MaxAxis(A, 0),
        "argmax_mask": ArgmaxMask(A, 0),
    }


def names() -> list[str]:
    """Return the names of all entries: primitives, elementwise functions, identities."""
    return list(dict.fromkeys([*RULES, *ELEMENTWISE, *(i.name for i in IDENTITIES)]))


def entry(name: str, form: Form = "unicode") -> Entry:
    """Return an entry of the rule book; raise ``KeyError`` if there is none of that name."""
    p = _printer(form)
    if name in ELEMENTWISE:
        return Entry(name, "elementwise function", tuple(_elementwise(ELEMENTWISE[name], p)))
    if name in RULES:
        return Entry(name, "primitive", tuple(_primitive(RULES[name], specimens()[name], p)))
    # An identity may run in several phases, each time in a form of its own.
    found = [i for i in IDENTITIES if i.name == name]
    if not found:
        raise KeyError(name)
    return Entry(name, "identity", tuple(face for i in found for face in _identity(i)))


def _printer(form: Form) -> Printer:
    printers: dict[Form, type[Printer]] = {"ascii": Ascii, "unicode": Unicode, "latex": Latex}
    return printers[form](Names(None, Notation(charset="ascii" if form == "ascii" else "unicode")))


def _primitive(op: Op, node: Node, p: Printer) -> Iterator[Face]:
    yield Face("notation", clean(p.equation(Ref("Y", *node.shape), node)), "formula")
    yield Face("shapes", op.signature)
    if op.flat:
        yield Face("differential", "zero wherever it exists")
    for k, operand in enumerate(node.operands):
        if op.pull is not None and op.is_linear(k):
            assert isinstance(operand, Ref)
            target, pulled = Ref(f"{operand.name}_bar", *operand.shape), op.pull(Ref("Y_bar", *node.shape), node, k)
            yield Face("adjoint", clean(p.equation(target, pulled)), "formula")
    if op.differential is not None and op.pull is None:
        moved = [Ref(f"d_{o.name}", *o.shape) for o in node.operands if isinstance(o, Ref)]
        change = op.differential(node, Ref("Y", *node.shape), moved)
        if change is not None:
            yield from _moves(change, Ref("Y", *node.shape), p)
    if op.batch != "opaque":
        yield Face("transposed", clean(p.equation(Transpose(Ref("Y", *node.shape)), op.transposed(node))), "formula")
    yield from _ends(op.reason, op.domain, "", op.source)
    # The name of a free function is the user's affair; the entries of the table have a NumPy form each.
    if not isinstance(node, Map):
        yield Face("NumPy", _numpy(node), "code")


def _elementwise(f: Elementwise, p: Printer) -> Iterator[Face]:
    m, n = (sp.Symbol(name, integer=True, positive=True) for name in "mn")
    letters = [Ref(letter, m, n) for letter, _ in zip("XE", f.slopes, strict=False)]
    parameters = f.defaults or tuple(sp.Symbol(name) for name in f.parameters)
    node = Map(*letters, f.function(*parameters))
    Y = Ref("Y", m, n)
    yield Face("notation", clean(p.equation(Y, node)), "formula")
    scalars = [sp.Symbol(letter.name.lower()) for letter in letters]
    law = f.law(*scalars, *(sp.Symbol(name) for name in f.parameters))
    yield Face("law", sp.latex(law), "formula") if isinstance(p, Latex) else Face("law", str(law), "code")
    slopes = [(slope(node, Y, k), letter) for k, letter in enumerate(letters)]
    terms = [Hadamard(s, Ref(f"d_{letter.name}", m, n)) for s, letter in slopes if s is not None]
    if terms:
        yield from _moves(add(*terms), Y, p)
    else:
        yield Face("differential", "zero wherever it exists")
    yield from _ends("", f.domain, f.kinks, f.source)
    if f.aliases:
        yield Face("also called", ", ".join(f.aliases))
    yield Face("NumPy", _numpy(node), "code")


def _moves(change: Node, Y: Ref, p: Printer) -> Iterator[Face]:
    """Yield the differential of ``Y`` and the adjoints that follow from it."""
    dY, Y_bar = Ref("d_Y", *Y.shape), Ref("Y_bar", *Y.shape)
    yield Face("differential", clean(p.equation(dY, tidy(change, Context(), dY))), "formula")
    for pulled in transpose(change, Y_bar, lambda ref: ref.name.startswith("d_")):
        target = Ref(f"{pulled.tangent.name.removeprefix('d_')}_bar", *pulled.tangent.shape)
        yield Face("adjoint", clean(p.equation(target, tidy(pulled.message, Context(), target))), "formula")


def _identity(i: Identity) -> Iterator[Face]:
    yield Face("says", "\n".join(part.strip() for part in i.says.split(";")), "code")
    yield Face("phase", i.phase)
    yield from _ends("", i.condition, "", i.source)


def _ends(reason: str, domain: str, kinks: str, source: str) -> Iterator[Face]:
    if reason:
        yield Face("called", reason)
    if domain:
        yield Face("holds", domain)
    if kinks:
        yield Face("at kinks", kinks)
    if source:
        yield Face("source", "; ".join(cited(source)))


class _PlainLetters:
    """The scope of a specimen: every name is spelled as it is, every size a local variable."""

    def __init__(self) -> None:
        self.scalars = ScalarPrinter(lambda symbol: (str(symbol), ATOM))

    def read(self, ref: Ref) -> Code:
        return Code(ref.name)

    def scalar(self, value: sp.Expr) -> tuple[str, int]:
        return self.scalars.text(value), ATOM if value.is_Atom else 0

    def kernel(self, name: str) -> str:
        return f"_{name}"

    def function(self, function: Function) -> str:
        return function.name

    def steps(self, index: sp.Symbol, lo: sp.Expr, hi: sp.Expr) -> str:
        return f"{index} in range({lo}, {hi} + 1)"

    def leave(self, index: sp.Symbol) -> None:
        return None


def _numpy(node: Node) -> str:
    return NumpyPrinter(_PlainLetters()).number(node).text
