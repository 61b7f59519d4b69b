"""One table of names: how a variable is spelled in ASCII, in Unicode, in LaTeX and as a C identifier.

Inside, an adjoint is called ``W1_bar`` and a tangent ``d_W1``; what is printed depends on the notation only.  Two
variables never share a spelling: the later one is then printed by its internal name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import sympy as sp

from symbp.expr import MatMul, Node, Ref, SizeMember, Transpose, walk
from symbp.program import Origin, Program
from symbp.render.notation import Notation


class Level(IntEnum):
    """How tightly the outermost operation of a printed piece binds; brackets are put by comparing levels."""

    SUM = 1
    HADAMARD = 2
    PRODUCT = 3
    POWER = 4
    ATOM = 5


class Piece(NamedTuple):
    """A printed expression and how tightly it binds."""

    text: str
    level: Level


GREEK: dict[str, str] = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "ϕ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ",
    "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
"""Greek letters by their LaTeX name."""

SHORT: dict[str, str] = {"lam": "lambda", "eps": "varepsilon", "sig": "sigma", "Lam": "Lambda", "Sig": "Sigma"}
"""Usual short forms (``lambda`` is a word of Python)."""

ACCENTS: dict[str, tuple[str, str]] = {"hat": ("\\hat", "\u0302"), "tilde": ("\\tilde", "\u0303")}
"""Endings that are printed as accents: LaTeX command, combining character."""

LOSS = "\\mathcal{L}"
MACRON, OVERLINE = "\u0304", "\u0305"
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_WORD = re.compile(r"([A-Za-z]+)(\d*)\Z")


@dataclass(frozen=True)
class Spelling:
    """A name in all its forms.

    ascii:   e.g. ``W1bar``; indices are appended.
    letter:  the Unicode form without subscript; ``tail`` is its subscript.
    core:    the LaTeX form without subscripts; ``subs`` are its subscripts, indices are appended to them.
    frame:   what stands around the LaTeX form, ``%s`` is the form.
    level:   how tightly the terminal form binds; ``framed`` is the level of the LaTeX form.
    """

    ascii: str
    letter: str
    tail: str
    core: str
    subs: tuple[str, ...] = ()
    frame: str = "%s"
    level: Level = Level.ATOM
    framed: Level = Level.ATOM

    @property
    def unicode(self) -> str:
        """The Unicode form, with composed characters where they exist."""
        return unicodedata.normalize("NFC", self.letter + self.tail)

    def latex(self, indices: tuple[str, ...] = ()) -> str:
        """Return the LaTeX form with the given indices."""
        subs = (*self.subs, *indices)
        return self.frame % (f"{self.core}_{{{','.join(subs)}}}" if subs else self.core)


def split(name: str) -> tuple[str, tuple[str, ...]]:
    """Split a name into its letter and its written subscripts: ``W1`` is W, 1; ``Z_A1`` is Z, A1."""
    first, *rest = (part for part in name.split("_") if part)
    found = _WORD.match(first)
    if not found:
        return name, ()
    letter, digits = found.groups()
    return letter, (*((digits,) if digits else ()), *rest)


def implied(letter: str) -> tuple[str, tuple[str, ...]]:
    """Split a word that means a letter with a subscript: ``Xc`` is X, c; a weight ``Wxh`` is W, xh; else the word."""
    if letter not in GREEK and letter not in SHORT and re.fullmatch(r"[A-Zb][a-z]|[UVW][a-z]{2}", letter):
        return letter[0], (letter[1:],)
    return letter, ()


@lru_cache(maxsize=4096)
def spelling(name: str) -> Spelling:
    """Return the spelling of a declared name."""
    if name == "loss":
        return Spelling("loss", "loss", "", LOSS)
    letter, parts = split(name)
    if parts and parts[-1] in ACCENTS:
        letter, parts = letter + parts[-1], parts[:-1]
    accent = next((a for a in ACCENTS if letter.endswith(a) and 0 < len(letter) - len(a) <= 5), "")
    bare, within = implied(letter.removesuffix(accent))
    greek = SHORT.get(bare, bare)
    core = f"\\{greek}" if greek in GREEK else bare if len(bare) == 1 else f"\\mathrm{{{_escape(bare)}}}"
    shown = GREEK.get(greek, letter.removesuffix(accent))
    if accent:
        command, mark = ACCENTS[accent]
        core, shown = f"{command}{{{core}}}", shown + mark
    digits = parts[0] if parts and parts[0].isdigit() else ""
    tail = digits.translate(_SUBSCRIPT) + "".join(f"_{spelling(p).unicode}" for p in parts[bool(digits) :])
    return Spelling(name, shown, tail, core, tuple(_subscript(p) for p in (*within, *parts)))


def _subscript(part: str) -> str:
    if part.isdigit():
        return part
    if part.isalpha() and part.islower() and part not in SHORT and part not in GREEK:
        return part if len(part) <= 2 else f"\\mathrm{{{part}}}"
    return spelling(part).latex()


def _escape(text: str) -> str:
    return text.replace("_", "\\_")


def literal(name: str) -> Spelling:
    """Return a name spelled letter by letter, for the case that the usual form is taken."""
    return Spelling(name, name, "", f"\\mathtt{{{_escape(name)}}}")


def _overlined(letter: str, tail: str) -> tuple[str, str]:
    """Return a Unicode letter with a bar; of a longer word each letter is overlined."""
    plain = [c for c in letter if not unicodedata.combining(c)]
    if len(plain) == 1 and MACRON not in letter:
        return letter + MACRON, tail
    return "".join(c if unicodedata.combining(c) else c + OVERLINE for c in letter), tail


def barred(of: Spelling) -> Spelling:
    """Return the spelling with a bar: ``W1bar``, ``Wbar_out``."""
    stem, low, rest = of.ascii.partition("_")
    name = f"{stem}bar{low}{rest}"
    letter, tail = _overlined(of.letter, of.tail)
    if of.frame != "%s":
        return replace(of, ascii=name, letter=letter, tail=tail, frame=f"\\overline{{{of.frame}}}", framed=Level.ATOM)
    wide = of.core.startswith(("\\mathrm", "\\mathtt"))
    core = f"\\overline{{{of.core}}}" if wide else f"\\bar{{{of.core}}}"
    return replace(of, ascii=name, letter=letter, tail=tail, core=core)


def partial(of: Spelling, output: Spelling) -> Spelling:
    """Return the spelling as a partial derivative of the output."""
    return Spelling(
        f"d{output.ascii}/d{of.ascii}", f"∂{output.unicode}/∂{of.letter}", of.tail, of.core, of.subs,
        f"\\frac{{\\partial {output.latex()}}}{{\\partial {of.frame}}}", Level.PRODUCT, Level.POWER,
    )


def prefixed(of: Spelling) -> Spelling:
    """Return the spelling with a d in front: a differential."""
    return replace(of, ascii=f"d{of.ascii}", letter=f"d{of.letter}", frame=f"\\mathrm{{d}}{of.frame}")


def dotted(of: Spelling) -> Spelling:
    """Return the spelling with a dot: a differential where ``dW`` is the name of an adjoint."""
    return replace(of, ascii=f"{of.ascii}dot", letter=of.letter + "\u0307", core=f"\\dot{{{of.core}}}")


def delta(of: Spelling, name: str) -> Spelling:
    """Return Nielsen's error signal: the subscripts of the pre-activation, its letter as superscript unless it is Z."""
    letter, _ = split(name)
    above, mark = ("", "") if letter in ("Z", "z") else (f"^{{{of.core}}}", f"_{letter}")
    return Spelling(f"delta{mark}{of.ascii.removeprefix(letter)}", "δ", mark + of.tail, f"\\delta{above}", of.subs)


def pre_activations(program: Program) -> frozenset[str]:
    """Return the names of the values that are an affine map with a parameter: ``Z = W A + b 1^T``."""
    weights = {v.name for v in program.parameters}
    found = set()
    for site in program.sites:
        if program.variables[site.target.name].kind != "value":
            continue
        for node in walk(site.equation.value):
            if isinstance(node, MatMul):
                factors = [f.operands[0] if isinstance(f, Transpose) else f for f in node.operands]
                data = [f for f in factors if isinstance(f, Ref) and f.name not in weights]
                if data and any(isinstance(f, Ref) and f.name in weights for f in factors):
                    found.add(site.target.name)
    return frozenset(found)


class Names:
    """The spellings of a program's variables, sizes, indices and functions under a notation.

    program:  the program whose variables are printed; None for an expression by itself, where the endings of the
              internal names (``_bar``, ``d_``) tell what a variable is.
    notation: how adjoints are called.
    output:   the name of the differentiated output.
    """

    def __init__(self, program: Program | None = None, notation: Notation | None = None, output: str = "loss") -> None:
        self.program = program
        self.notation = notation or Notation()
        self.output = output
        self.errors = pre_activations(program) if program and self.notation.adjoints == "delta" else frozenset()
        self._found: dict[str, Spelling] = {}
        self._taken: dict[str, str] = {}
        sizes = {getattr(s, "name", str(s)) for s in program.sizes} if program else set()
        known = {*program.variables, *sizes} if program else set()
        # A loss is called L where no size or variable is.
        text = output if output != "loss" or "L" in known else "L"
        plain = spelling(output)
        self.result = plain if text == output else replace(plain, ascii=text, letter=text, tail="")
        for name in sorted(sizes):
            self._claim(name, spelling(name))
        # A name that was written keeps its form: a derived one has to give way.
        for name in sorted(program.variables, key=lambda n: self.origin(n) is not None) if program else ():
            self[name]

    def origin(self, name: str) -> Origin | None:
        """Return what a derived variable is; None for a declared or computed one."""
        var = self.program.variables.get(name) if self.program else None
        if var is not None:
            return var.origin
        # Tangents live in steps only, an expression by itself has no program: the names tell.
        if name.startswith("d_") and self._known(name.removeprefix("d_")):
            return Origin("tangent", name.removeprefix("d_"))
        if name.endswith("_bar") and self._known(name.removesuffix("_bar")):
            return Origin("adjoint", name.removesuffix("_bar"))
        return None

    def _known(self, name: str) -> bool:
        if self.program is None:
            return bool(name)
        return name in self.program.variables or self.origin(name) is not None

    def is_adjoint(self, name: str) -> bool:
        """Tell whether a variable is an adjoint or a message."""
        origin = self.origin(name)
        return origin is not None and origin.role in ("adjoint", "message")

    def __getitem__(self, name: str) -> Spelling:
        """Return the spelling of a variable, a size or an index."""
        found = self._found.get(name)
        if found is None:
            found = self._claim(name, self._spell(name))
        return found

    def _spell(self, name: str) -> Spelling:
        origin = self.origin(name)
        if origin is None or origin.role not in ("adjoint", "tangent"):
            return spelling(name)
        of, style = self[origin.of], self.notation.adjoints
        if origin.role == "tangent":
            return dotted(of) if style == "dvar" else prefixed(of)
        inner = self.origin(origin.of)
        if style == "delta" and origin.of in self.errors:
            return delta(of, origin.of)
        if style == "bar" or (inner is not None and inner.role == "adjoint"):
            return barred(of)
        if style == "dvar":
            return prefixed(of)
        return partial(self.result if origin.of == self.output else of, self.result)

    def _claim(self, name: str, wanted: Spelling) -> Spelling:
        """Keep a spelling if no other name has it in any form, else spell the name letter by letter."""
        forms = (f"a{wanted.ascii}", f"u{wanted.unicode}", f"l{wanted.latex()}")
        if any(self._taken.get(f, name) != name for f in forms):
            wanted = literal(name)
            forms = (f"a{name}", f"u{name}", f"l{wanted.latex()}")
        for form in forms:
            self._taken[form] = name
        self._found[name] = wanted
        return wanted

    # -- what the printers ask ------------------------------------------------------------------------------
    def ascii(self, name: str) -> Piece:
        """Return the ASCII form."""
        s = self[name]
        return Piece(s.ascii, s.level)

    def unicode(self, name: str) -> Piece:
        """Return the Unicode form."""
        s = self[name]
        return Piece(s.unicode, s.level)

    def latex(self, name: str, indices: tuple[str, ...] = ()) -> Piece:
        """Return the LaTeX form with indices."""
        s = self[name]
        return Piece(s.latex(indices), s.framed)

    @staticmethod
    def identifier(ref: Ref) -> str:
        """Return the name as an identifier of C and Python; indices are subscripts there."""
        return ref.name

    def adjoint_inside(self, node: Node) -> bool:
        """Tell whether an expression reads an adjoint or a message."""
        return any(isinstance(n, Ref) and self.is_adjoint(n.name) for n in walk(node))


def scalar(value: sp.Expr, spell: Callable[[sp.Basic], str], latex: bool) -> Piece:
    """Print a number, a size or an index expression: positive terms first, numbers behind symbols.

    value: made of numbers, symbols, members ``n[l]``, sums, products and powers; anything else is left to SymPy.
    spell: the form of a symbol or a member.
    latex: LaTeX (fractions, roots) or the terminal's form.
    """
    if value.is_Integer:
        return Piece(str(value), Level.SUM if value.is_negative else Level.ATOM)
    if value.is_Symbol or isinstance(value, SizeMember):
        return Piece(spell(value), Level.ATOM)
    if value.is_Add:
        terms = sorted(value.args, key=lambda a: (a.could_extract_minus_sign(), a.is_number, str(a)))
        text = ""
        for term in terms:
            negative = bool(term.could_extract_minus_sign())
            inner = scalar(-term if negative else term, spell, latex)
            body = inner.text if inner.level > Level.SUM else f"({inner.text})"
            text += (" - " if negative else " + ") + body if text else ("-" if negative else "") + body
        return Piece(text, Level.SUM)
    if value.is_Mul or value.is_Rational:
        return _product(value, spell, latex)
    if value.is_Pow:
        return _power(value, spell, latex)
    other: str = sp.latex(value) if latex else sp.sstr(value)
    return Piece(other, Level.ATOM if value.is_Function or value.is_NumberSymbol else Level.SUM)


def _product(value: sp.Expr, spell: Callable[[sp.Basic], str], latex: bool) -> Piece:
    if value.could_extract_minus_sign():
        inner = scalar(-value, spell, latex)
        return Piece(f"-{inner.text}", Level.SUM)
    top, bottom = sp.fraction(value)
    if bottom != 1:
        n, d = scalar(top, spell, latex), scalar(bottom, spell, latex)
        if latex:
            return Piece(f"\\frac{{{n.text}}}{{{d.text}}}", Level.PRODUCT)
        over = n.text if n.level >= Level.PRODUCT else f"({n.text})"
        return Piece(f"{over}/{d.text}" if d.level >= Level.POWER else f"{over}/({d.text})", Level.PRODUCT)
    factors = sorted(value.args, key=lambda a: (not a.is_number, str(a)))
    pieces = [scalar(f, spell, latex) for f in factors]
    texts = [p.text if p.level > Level.SUM else f"({p.text})" for p in pieces]
    if latex:
        return Piece(" ".join(texts), Level.PRODUCT)
    number = texts.pop(0) if factors[0].is_Integer and factors[1].is_Symbol else ""
    return Piece(number + "*".join(texts), Level.PRODUCT)


def _power(value: sp.Expr, spell: Callable[[sp.Basic], str], latex: bool) -> Piece:
    base, exponent = value.args
    if exponent == sp.Rational(1, 2):
        inside = scalar(base, spell, latex).text
        return Piece(f"\\sqrt{{{inside}}}" if latex else f"sqrt({inside})", Level.ATOM)
    if exponent.could_extract_minus_sign():
        below = scalar(1 / value, spell, latex)
        if latex:
            return Piece(f"\\frac{{1}}{{{below.text}}}", Level.PRODUCT)
        return Piece(f"1/{below.text}" if below.level >= Level.POWER else f"1/({below.text})", Level.PRODUCT)
    b, e = scalar(base, spell, latex), scalar(exponent, spell, latex)
    below_text = b.text if b.level == Level.ATOM else f"({b.text})"
    above = f"{{{e.text}}}" if latex else (e.text if e.level == Level.ATOM else f"({e.text})")
    return Piece(f"{below_text}^{above}", Level.POWER)
