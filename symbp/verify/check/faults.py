"""From blamed lines to mistakes with a name: nature, mend, what they spoil, and which lines are wrong through them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from symbp.verify.check.constants import difference, equal, name_of, text_of
from symbp.verify.check.edits import Edit
from symbp.verify.check.examine import Examination, Trial
from symbp.verify.check.natures import NATURES
from symbp.verify.check.repair import Repair, Repairer, source_of
from symbp.verify.check.truth import Truth
from symbp.verify.check.verdict import Fault
from symbp.verify.check.walk import Blame, Walk


MOST_NAMED = 12
"""Of so many mistakes nature and mend are looked for; of more only the lines are told."""


class Bench(Protocol):
    """What the judge has at hand."""

    examination: Examination
    truth: Truth
    first: Trial
    outputs: tuple[str, ...]
    why: Callable[[str], str]


class Faults:
    """Names the mistakes of the lines that a walk has blamed."""

    def __init__(self, judge: Bench, walk: Walk, repairer: Repairer | None) -> None:
        self.judge, self.walk, self.repairer = judge, walk, repairer
        self.examination = judge.examination
        self.repaired: dict[int, Repair] = {}

    def found(self) -> tuple[list[Blame], tuple[Fault, ...]]:
        """Return the blamed lines and the mistakes, one for each that spoils a gradient."""
        self._narrow()
        blames = [b for b in self.walk.blames if b.kind != "caused"] or self.walk.blames
        blames = [b for b in blames if self._affected(b)] or blames
        return blames, tuple(self._fault(b) for b in blames)

    # -- narrowing -------------------------------------------------------------------------------------------
    def _narrow(self) -> None:
        """Look for a change of one line for every blame; a line before it that mends more is blamed in its place."""
        if self.repairer is None:
            return
        k = 0
        while k < min(len(self.walk.blames), MOST_NAMED):
            blame = self.walk.blames[k]
            if blame.kind in ("missing", "caused"):
                k += 1
                continue
            lines = self.repairer.slice(blame.line) if blame.kind in ("value", "shape") else (blame.line,)
            others = self.walk.blames[:k] if len(lines) > 1 else [b for b in self.walk.blames if b is not blame]
            repair = self.repairer.repairs(self.walk, blame, lines, others)
            if repair is None and len(lines) > 1 and k + 1 < len(self.walk.blames):
                others = [b for b in self.walk.blames if b is not blame]
                repair = self.repairer.repairs(self.walk, blame, lines, others)
            if repair is None:
                blame.slice = self._suspects(lines, blame)
            elif repair.line != blame.line:
                moved = Blame(repair.line, "value", (repair.line,), edit=repair.edit.statement, first=blame.first)
                self.walk.blames[k:] = [moved]
                self.repaired[repair.line] = repair
                self.examination.forget(repair.line)
                self.walk.run()
            else:
                self.repaired[blame.line] = repair
            k += 1
        self._join()

    def _join(self) -> None:
        """Make one of several blames that no change mends and that are made of the same lines without a meaning."""
        blames = self.walk.blames
        open_ones = [b for b in blames if b.kind == "value" and len(b.slice) > 1 and b.line not in self.repaired]
        if len(open_ones) < 2:
            return
        shared = set.intersection(*(set(b.slice) - {b.line} for b in open_ones))
        if shared:
            lines = tuple(sorted(shared))
            joined = Blame(lines[-1], "value", lines, first=None)
            joined.mends = open_ones[0].mends
            for b in open_ones[1:]:
                for mine, more in zip(joined.mends, b.mends, strict=False):
                    mine.update(more)
            rest = [b for b in self.walk.blames if b not in open_ones]
            self.walk.blames[:] = [*rest, joined]

    def _suspects(self, lines: Sequence[int], blame: Blame) -> tuple[int, ...]:
        """Return the lines of a slice that nothing speaks for: neither their values nor a line that reads them."""
        ex, trial = self.examination, self.walk.trial(without=blame)
        blamed = {b.line for b in self.walk.blames}
        fine = {
            k for k in range(len(ex.lines))
            if k not in blamed and any(s.where[0] == k and s.standing is not None for s in trial.seen[0])
            and not any(s.where[0] == k and s.wrong for seen in trial.seen for s in seen)
        }
        for k in tuple(fine):
            fine |= ex.reads.before(k)
        return tuple(k for k in lines if k == blame.line or k not in fine)

    # -- one mistake -------------------------------------------------------------------------------------------
    def _affected(self, blame: Blame) -> tuple[str, ...]:
        """Return the gradients that are not right when all is mended but this."""
        if blame.kind in ("shape", "missing", "caused"):
            # Nothing behind it is evaluated, but only what reads it is spoiled.
            spoiled = {blame.line, *self.examination.reads.after(blame.line)}
            return tuple(n for n in self.judge.outputs if self._lines_of(n) & spoiled)
        found = self.walk.states(self.walk.trial(without=blame))
        whole = self.walk.states(self.walk.trial())
        return tuple(n for n in self.judge.outputs if not found[n].right and whole[n].right) or tuple(
            n for n in self.judge.outputs if not found[n].right and len(self.walk.blames) == 1
        )

    def _lines_of(self, name: str) -> set[int]:
        """Return the lines that give a gradient."""
        lines = self.examination.lines
        return {
            k for k, line in enumerate(lines) for text in line.targets
            if self.examination.meaning(k, text) == ("gradient", name)
        }

    def _fault(self, blame: Blame) -> Fault:
        line = self.examination.lines[blame.line]
        affected = self._affected(blame)
        facts = {
            "of": self._of(blame), "affected": affected, "caused": self._caused(blame),
            "error": self._error(blame), "then": self._then(blame),
        }
        repair = self.repaired.get(blame.line)
        if repair is not None:
            return self._named(blame, repair, facts)
        row, column, length = _value_place(line.statement, line.line, line.column, line.source)
        common: dict[str, object] = {"row": row, "column": column, "length": length, **facts, "why": self._why(blame)}
        if blame.kind == "constant":
            return self._constant(blame, common)
        if blame.failure is not None:
            f = blame.failure
            place = {"row": line.line, "column": f.column or column, "length": f.length} if f.column else {}
            return Fault(
                blame.line, blame.slice, nature="", code=f.code, title=f.message, label=f.label, help=f.help,
                **{**common, **place},  # type: ignore[arg-type]
            )
        if blame.kind == "missing":
            title, label = f"d{blame.missing} is never computed", "do the loops around it reach all members?"
            return Fault(
                blame.line, blame.slice, nature="", code="C005", title=title, label=label,
                **common,  # type: ignore[arg-type]
            )
        if blame.kind == "layout":
            title = "a transpose among gradients that are not transposed"
            return Fault(blame.line, blame.slice, nature="", code="C004", title=title, **common)  # type: ignore[arg-type]
        if len(blame.slice) > 1:
            numbers = sorted(self.examination.lines[k].line for k in blame.slice)
            title = f"the mistake is in lines {numbers[0]} to {numbers[-1]}"
            return Fault(blame.line, blame.slice, nature="", code="C002", title=title, **common)  # type: ignore[arg-type]
        reference, nature = None, ""
        if self.repairer is not None and blame.kind == "value" and blame in self.walk.blames[:MOST_NAMED]:
            others = [b for b in self.walk.blames if b is not blame]
            reference, nature = self.repairer.from_reference(self.walk, blame, others)
        if reference is not None:
            common["mend"] = ast.unparse(reference).replace(" ** ", "**")
            if nature:
                known = NATURES[nature]
                return Fault(
                    blame.line, blame.slice, nature=nature, code=known.code, title=known.title,
                    question=known.question, **common,  # type: ignore[arg-type]
                )
        of = self._of(blame)
        label = f"this is not the gradient of {of[1:]}" if of.startswith("d") else ""
        return Fault(
            blame.line, blame.slice, nature="", code="C001", title="not the truth", label=label,
            **common,  # type: ignore[arg-type]
        )

    def _named(self, blame: Blame, repair: Repair, facts: Mapping[str, object]) -> Fault:
        """Return a mistake whose mend is known."""
        line, edit = self.examination.lines[blame.line], repair.edit
        nature = NATURES[edit.nature]
        inside = source_of(self.examination, blame.line)
        shift = line.statement.col_offset if inside else 0
        column = edit.column + (shift if edit.line == 0 and inside else 0)
        length = edit.length
        return Fault(
            blame.line, (blame.line,), nature=edit.nature, code=nature.code, title=nature.title,
            label=self._label(blame, edit), row=line.statement.lineno + edit.line, column=column, length=length,
            mend=_shown(edit.text), equivalently=self._equal(repair), why=self._why(blame), question=nature.question,
            **facts,  # type: ignore[arg-type]
        )

    def _label(self, blame: Blame, edit: Edit) -> str:
        """Return what the marked part of a line is, where its values are those of something else."""
        if edit.nature not in ("slope missing", "softmax as diagonal"):
            return ""
        looks = self.examination.looks_like(self.walk.trial(without=blame), blame.line)
        of = self._of(blame)
        if looks is None or not of.startswith("d") or looks[0][0] != "gradient" or looks[0][1] == of[1:]:
            return ""
        return f"gradient of {looks[0][1]}; {of[1:]} lies before it"

    def _equal(self, repair: Repair) -> tuple[str, ...]:
        """Return the other natures that the numbers fit."""
        told = {}
        for edit in repair.equal:
            if edit.nature != repair.edit.nature and edit.nature not in told:
                told[edit.nature] = f"{NATURES[edit.nature].title}: {_shown(edit.text)}"
        return tuple(told.values())[:3]

    def _constant(self, blame: Blame, common: Mapping[str, object]) -> Fault:
        """Return a mistake that is a factor, where no single change of the text puts it right."""
        sizes = [d.sizes for d in self.judge.truth.draws]
        factors = blame.factor or self._factor(blame)
        name = name_of(factors, sizes) if factors else None
        line = self.examination.lines[blame.line]
        mend = ""
        if name is not None and isinstance(line.statement, ast.Assign):
            target = line.targets[0]
            mend = f"{target} = {_times(name, ast.unparse(line.statement.value))}"
        said = text_of([1 / f for f in factors], sizes) if factors else "a constant"
        return Fault(
            blame.line, blame.slice, nature="wrong constant", code=NATURES["wrong constant"].code,
            title="a constant factor is wrong", label=f"this is {said} times what it should be", mend=mend,
            question=NATURES["wrong constant"].question, **common,  # type: ignore[arg-type]
        )

    def _factor(self, blame: Blame) -> tuple[float, ...]:
        found = []
        for d, seen in enumerate(self.judge.first.seen):
            mine = [s for s in seen if s.where[0] == blame.line and s.where in blame.mends[d] and s.value.any()]
            if not mine:
                return ()
            value, wanted = mine[0].value, blame.mends[d][mine[0].where]
            at = abs(value).argmax()
            found.append(float(wanted.flat[at] / value.flat[at]))
        return tuple(found)

    # -- facts -------------------------------------------------------------------------------------------------
    def _of(self, blame: Blame) -> str:
        for text in self.examination.lines[blame.line].targets:
            meaning = self.examination.meaning(blame.line, text)
            if meaning is not None:
                return ("d" if meaning[0] == "gradient" else "") + meaning[1]
        return ""

    def _why(self, blame: Blame) -> str:
        of = self._of(blame)
        return self.judge.why(of[1:]) if of.startswith("d") else ""

    def _then(self, blame: Blame) -> str:
        """Say what is right when this is mended and nothing else."""
        found = self.walk.states(self.walk.trial())
        count, right = len(found), sum(o.right for o in found.values())
        if len(self.walk.blames) > 1 or count < 2 or right < count:
            return ""
        return f"then all {count} gradients are right"

    def _caused(self, blame: Blame) -> tuple[int, ...]:
        """Return the lines that are wrong only because of this one."""
        blamed = {b.line for b in self.walk.blames}
        later = self.examination.reads.after(blame.line) - blamed
        spoiled = _off(self.walk.trial(without=blame)) - _off(self.walk.trial())
        return tuple(sorted(later & spoiled))

    def _error(self, blame: Blame) -> float:
        if blame.first is None or blame.first.quantity is None:
            return 0.0
        for d, seen in enumerate(self.judge.first.seen):
            for s in seen:
                if s.where == blame.first.where and s.quantity is not None:
                    return difference(s.value, self.examination.truth_at(s.quantity, d))
        return 0.0


def _off(trial: Trial) -> set[int]:
    """Return the lines that are not the truth, up to their layout."""
    return {
        s.where[0] for seen in trial.seen for s in seen
        if s.quantity is not None and (s.standing is None or not equal(s.standing.constant, 1.0))
    }


def _shown(text: str) -> str:
    return " ".join(text.split()) if "\n" in text else text.strip()


def _times(name: str, text: str) -> str:
    """Return an expression times a constant: ``(P - Y) / m``."""
    tree = ast.parse(text, mode="eval").body
    plain = isinstance(tree, (ast.Name, ast.Call, ast.Subscript, ast.Attribute, ast.Constant))
    product = isinstance(tree, ast.BinOp) and not isinstance(tree.op, (ast.Add, ast.Sub))
    inside = text if plain or product else f"({text})"
    if name == "-1":
        return f"-{inside}"
    if name.startswith("1/"):
        return f"{inside} / {name[2:]}"
    return f"{name} * {inside}"


def _value_place(statement: ast.stmt, row: int, column: int, source: str) -> tuple[int, int, int]:
    """Return row, column and length of the right side of a line."""
    value = getattr(statement, "value", None)
    if value is None:
        return row, column, max(1, len(source.rstrip()) - column + 1)
    end = value.end_col_offset if value.end_lineno == value.lineno else len(source.rstrip())
    return value.lineno, value.col_offset + 1, max(1, (end or 0) - value.col_offset)
