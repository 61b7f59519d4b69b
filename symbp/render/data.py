"""A derivation as data for other programs: JSON with text, LaTeX and shapes of everything."""

from __future__ import annotations

import json
from typing import Any

from symbp.derivation import Derivation, Range, Reading, Result, Step
from symbp.expr import Node
from symbp.program import Program
from symbp.render.latex import Latex
from symbp.render.names import Names
from symbp.render.notation import Notation, sample_axis
from symbp.render.sources import cited
from symbp.render.steps import program_of, step_line, tag, tangent
from symbp.render.text import Ascii

FORMAT = 1
"""The version of the format; it grows when a field changes its meaning."""


class _Writer:
    def __init__(self, derivation: Derivation, notation: Notation) -> None:
        names = Names(program_of(derivation), notation, derivation.output)
        self.text, self.latex = Ascii(names), Latex(names)

    def both(self, node: Node) -> dict[str, str]:
        return {"text": self.text(node), "latex": self.latex(node)}

    def shape(self, node: Node) -> list[str]:
        return [self.text.size(s) for s in node.shape]

    def variable(self, program: Program, name: str) -> dict[str, Any]:
        var = program.variables[name]
        ref = var(*var.indices)
        return {
            "name": name, **self.both(ref), "kind": var.kind, "shape": self.shape(ref), "facts": sorted(var.facts),
            "indices": [self.text.size(i) for i in var.indices],
            "of": var.origin.of if var.origin else None, "role": var.origin.role if var.origin else None,
        }

    def range(self, x: Range) -> dict[str, str]:
        return {name: self.text.size(getattr(x, name)) for name in ("index", "first", "last")}

    def result(self, r: Result) -> dict[str, Any]:
        return {
            "number": r.number, "tag": tag(r, self.text.names), "name": r.target.name, "target": self.both(r.target),
            "value": self.both(r.value), "shape": self.shape(r.target), "reason": r.reason,
            "ranges": [self.range(x) for x in r.ranges],
            **({"entries": [self.range(x) for x in r.entries]} if r.entries else {}),
            "notes": [
                {"zero": self.text(ref), "index": self.text.size(i), "relation": relation, "end": self.text.size(end)}
                for ref, i, relation, end in r.notes
            ],
        }

    def reading(self, r: Reading) -> dict[str, Any]:
        return {
            "name": r.name, "target": self.both(r.target), "value": self.both(r.value), "alone": r.alone,
            "condition": r.condition, "source": cited(r.source),
        }

    def step(self, step: Step) -> dict[str, Any]:
        return {
            "kind": step.kind, "rule": step.rule, "target": self.both(step.target), "before": self.both(step.before),
            "after": self.both(step.after), "reason": step_line(step, self.text).reason, "condition": step.condition,
            "source": cited(step.source), "detail": step.detail,
            "cotangent": self.both(step.cotangent) if step.cotangent is not None else None,
            "terms": [
                {
                    "variable": self.both(t.ref), "differential": self.both(tangent(t.ref)),
                    "message": self.both(t.message),
                }
                for t in step.terms
            ],
            "loops": [
                {
                    "index": self.text.size(lp.index), "low": self.text.size(lp.lo), "high": self.text.size(lp.hi),
                    "down": lp.down,
                }
                for lp in step.loops
            ],
        }


def derivation_data(derivation: Derivation, notation: Notation | None = None, *, title: str = "") -> dict[str, Any]:
    """Return a derivation as dictionaries and lists of text, numbers and truth values.

    The keys are ``format``, ``name``, ``notation``, ``samples``, ``output``, ``sizes``, ``definitions`` (of sizes by
    others), ``variables``, ``forward``, ``results``, ``gradients`` (variable to adjoint and equation number), ``steps``
    and, if there are any, ``readings``.
    """
    chosen = notation or Notation()
    w = _Writer(derivation, chosen)
    program = derivation.program
    samples = derivation.source.samples
    return {
        "format": FORMAT,
        "name": title or derivation.source.name,
        "notation": {"adjoints": chosen.adjoints, "products": chosen.products},
        "samples": {"size": str(samples), "axis": sample_axis(derivation.source)} if samples is not None else None,
        "output": derivation.output,
        "sizes": [w.text.size(s) for s in derivation.source.sizes],
        "definitions": {str(s): w.text.size(value) for s, value in derivation.source.definitions},
        "variables": [w.variable(program, name) for name in program.variables],
        "forward": [
            {
                "target": w.both(s.target), "value": w.both(s.equation.value), "shape": w.shape(s.target),
                "line": s.equation.line,
            }
            for s in derivation.forward.sites
        ],
        "results": [w.result(r) for r in derivation.results],
        "gradients": {
            name: {"adjoint": bar, "number": derivation.number_of(bar)} for name, bar in derivation.gradients.items()
        },
        **({"readings": [w.reading(r) for r in derivation.readings]} if derivation.readings else {}),
        "steps": [w.step(s) for s in derivation.steps],
    }


def derivation_json(derivation: Derivation, notation: Notation | None = None, *, title: str = "") -> str:
    """Return a derivation as JSON, byte-stable."""
    return json.dumps(derivation_data(derivation, notation, title=title), indent=2, ensure_ascii=True) + "\n"
