"""Terms in words: ``1/m * sum_k X[i,k] Y[k,j]``, for residuals and conditions."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from symbp.verify.normal_form.algebra import Algebra
from symbp.verify.normal_form.indices import Index, Symbol, is_variable
from symbp.verify.normal_form.reduction import SUM_FACTS
from symbp.verify.normal_form.terms import Atom, Exponent, Poly, Term

FACT_WORDS = {
    "positive": "{} > 0", "not_negative": "{} >= 0", "symmetric": "{} is symmetric", "signs": "{} holds 1 and -1",
    "binary": "{} holds 0 and 1", "mask": "{} holds 0 and 1",
    "columns_sum_to_one": "columns of {} sum to one", "rows_sum_to_one": "rows of {} sum to one",
    "one_hot_columns": "columns of {} are one-hot", "one_hot_rows": "rows of {} are one-hot",
}
"""The facts that rewritings use, in words."""

LETTERS = ("k", "l", "p", "q", "r", "s", "u", "v")


class Speller:
    """Spells terms; ``names`` are the indices that have a name of their own."""

    def __init__(self, algebra: Algebra, names: Mapping[Symbol, str]) -> None:
        self.algebra = algebra
        self.names: dict[Symbol, str] = {**{v: s.name for s, v in algebra.loop_indices.items()}, **names}

    def name(self, symbol: Symbol) -> str:
        """Return the name of an index or a size."""
        if not is_variable(symbol):
            inside = f"[{','.join(map(self.index, symbol[1:]))}]" if len(symbol) > 1 else ""
            return f"{symbol[0]}{inside}"
        if symbol not in self.names:
            used = set(self.names.values())
            fallback = (f"k{n}" for n in range(1, 1000))
            self.names[symbol] = next(x for x in (*LETTERS, *fallback) if x not in used)
        return self.names[symbol]

    def index(self, index: Index) -> str:
        """Return an index expression."""
        text = ""
        # Constants last, as one writes ``t - 1``.
        for monomial, c in sorted(index, key=lambda item: (not item[0], item[1] < 0, item[0])):
            body = "*".join(self.name(s) for s in monomial)
            size = str(abs(c)) if not body else body if abs(c) == 1 else f"{abs(c)}*{body}"
            text += ("-" if c < 0 else "+" if text else "") + size
        return text or "0"

    def poly(self, poly: Poly) -> str:
        """Return a sum of terms."""
        text = ""
        for term, c in sorted(poly.terms.items(), key=lambda item: item[0].key):
            part = self.term(term, abs(c))
            text += (" - " if text else "-") + part if c < 0 else (" + " if text else "") + part
        return text or "0"

    def term(self, term: Term, coefficient: Fraction) -> str:
        """Return a term with its coefficient."""
        sums = [f"sum_{self.name(s)}" for s, _ in term.bound]
        above: list[str] = []
        below: list[str] = []
        rest: list[str] = []
        if coefficient.numerator != 1:
            above.append(str(coefficient.numerator))
        if coefficient.denominator != 1:
            below.append(str(coefficient.denominator))
        for atom, e in sorted(term.factors, key=lambda item: item[0].key):
            if atom.head in ("size", "prime", "const", "ix"):
                (above if e > 0 else below).append(self.powered(self.atom(atom), max(e, -e)))
            else:
                rest.append(self.atom(atom, e))
        front = "*".join(above) or ("1" if below or not rest else "")
        if below:
            front += "/" + (below[0] if len(below) == 1 else f"({'*'.join(below)})")
        if sums and not rest:
            rest, front = [front], ""
        body = " ".join([*sums, *rest])
        return f"{front} * {body}" if front and body else front or body

    @staticmethod
    def powered(text: str, e: Exponent) -> str:
        """Return text with an exponent."""
        return text if e == 1 else f"{text}^{e}" if isinstance(e, int) and e > 0 else f"{text}^({e})"

    def atom(self, atom: Atom, e: Exponent = 1) -> str:
        """Return a factor with its exponent."""
        args = [self.index(a) for a in atom.args]
        inner = [self.poly(p) for p in atom.inner]
        if atom.head == "ref":
            facts = self.algebra.facts.get(atom.name, frozenset())
            shown = args[2:] if not facts.isdisjoint(SUM_FACTS[0] + SUM_FACTS[1]) else args
            text = f"{atom.name}[{','.join(shown)}]"
        elif atom.head == "size":
            text = f"{atom.name}[{','.join(args)}]" if args else atom.name
        elif atom.head in ("prime", "const"):
            text = atom.name
        elif atom.head == "ix":
            text = args[0]
        elif atom.head == "delta":
            text = f"[{args[0]} = 0]"
        elif atom.head == "ge":
            text = f"[{args[0]} >= 0]"
        elif atom.head == "gt":
            text = f"[{inner[0]} > 0]"
        elif atom.head == "eq":
            text = f"[{inner[0]} = 0]"
        elif atom.head == "exp":
            return f"exp({inner[0]})" if e == 1 else f"exp({e}*{inner[0]})"
        elif atom.head == "pow":
            text = f"({inner[0]})" if " " in inner[0] else inner[0]
        elif atom.head == "free":
            name, _, orders = atom.name.partition(":")
            primes = "'" * int(orders) if orders.isdigit() else f"_{orders}"
            text = f"{name}{primes}({', '.join(inner)})"
        elif atom.head == "hot":
            text = f"[{atom.name}[{','.join(args[:-2])}] = {args[-2]}]"
        elif atom.head in ("softmax", "argmax"):
            text = f"{atom.head}({inner[0]})[{args[0]}]"
        else:
            text = f"{atom.name or atom.head}({', '.join(inner)})"
        return self.powered(text, e)

    def facts(self) -> tuple[str, ...]:
        """Return the facts that were used, one sentence each."""
        return tuple(sorted(FACT_WORDS[fact].format(name) for name, fact in self.algebra.used))

    def conditions(self) -> tuple[str, ...]:
        """Return what was assumed, one sentence each, without repetition."""
        found = set()
        for atom, what in self.algebra.assumed.items():
            fresh = Speller(self.algebra, {})
            if atom.head == "ref":
                found.add(f"{atom.name} {what}")
            elif atom.head == "log":
                found.add(f"{fresh.poly(atom.inner[0])} > 0")
            else:
                found.add(f"{fresh.atom(atom)} {what}")
        return tuple(sorted(found))
