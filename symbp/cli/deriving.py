"""What ``symbp derive`` prints and writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symbp import pipeline
from symbp.calculus.passes import with_functions
from symbp.choices import Form
from symbp.cli.outcome import BadInput
from symbp.derivation import Derivation
from symbp.expr import is_one
from symbp.program import Program
from symbp.render.data import derivation_data, derivation_json
from symbp.render.document import latex_document
from symbp.render.files import Files, write_files
from symbp.render.markdown import markdown
from symbp.render.notation import Notation
from symbp.render.picture import picture
from symbp.render.terminal import derive_summary, steps_text
from symbp.render.why import why
from symbp.render.sizes import fixed_sizes
from symbp.settings import DeriveSettings, GenerateSettings, PlanSettings, VerifySettings
from symbp.verify.report import Verdict, summary


def derivation(program: Program, settings: DeriveSettings) -> Derivation:
    """Derive what the settings ask for."""
    known = [v.name for v in program.declared()]
    for name in settings.wrt or ():
        if name not in known:
            raise BadInput(f"--wrt: there is no declared name {name}; there are: {', '.join(known)}")
    if settings.wrt is None:
        need_parameters(program)
    return pipeline.derive(
        program, settings.wrt, samples=settings.samples, weights=settings.weights, mode=settings.mode
    )


def need_parameters(program: Program) -> None:
    """Refuse a program in which there is nothing to differentiate by."""
    if not program.parameters:
        known = [v.name for v in program.declared()]
        raise BadInput(f"there are no parameters{f': derive --wrt {known[0]}, for example' if known else ''}")


def is_number(program: Program) -> bool:
    """Tell whether the output that is differentiated is 1 x 1."""
    output = program.variables["loss" if "loss" in program.outputs else program.outputs[0]]
    return all(is_one(size) for size in output.shape)


def need_number(program: Program) -> None:
    """Refuse a program whose output is a matrix: code and checks are about the gradient of a number."""
    if not is_number(program):
        raise BadInput(f"the output {program.outputs[0]} is a matrix: write a loss, for example loss = sum(...)")


def verdicts(found: Derivation, settings: VerifySettings) -> list[Verdict] | None:
    """Return what the witnesses say of the printed equations; None where the output is no number, but a matrix."""
    if not is_number(found.source):
        return None
    from symbp.verify import check_derivation

    return list(check_derivation(found, draws=settings.draws, seed=settings.seed))


def module(found: Derivation, settings: GenerateSettings, declaration: str) -> Files:
    """Return the generated files by name."""
    return pipeline.generate(
        found, settings.target, name=settings.name, sizes=settings.sizes, dtype=settings.dtype,
        templates=settings.templates, declaration=declaration, functions=settings.functions, memory=settings.memory,
        optimizer=settings.optimizer, largest=settings.largest, workspace=settings.workspace,
        clip=settings.clip,
    )


def in_form(found: Derivation, form: Form) -> Derivation:
    """Return the derivation with its equations in matrix form, or in components."""
    from symbp.render.components import in_components

    return in_components(found) if form == "index" else found


def page(
    found: Derivation, notation: Notation, verdicts: Sequence[Verdict] | None, *, title: str, steps: bool,
) -> str:
    """Return what the terminal shows: every step if asked for, the numbered equations, what was verified, what next."""
    footer = [("verified", summary(verdicts))] if verdicts is not None else []
    if title.endswith(".net"):
        more = [] if steps else [f"symbp derive {title} --steps"]
        stem = title.removesuffix(".net")
        # A function that was left open must be said before there can be code.
        open_functions = "".join(f" --function {n}=tanh" for n, f in found.source.functions.items() if f.is_free)
        more += [f"symbp derive {title} -o {stem}.tex", f"symbp generate {title} --target numpy -o out{open_functions}"]
        footer.append(("next", " | ".join(more)))
    body = derive_summary(found, notation, title=title, footer=footer)
    return f"{steps_text(found, notation, title=title)}\n{body}" if steps else body


def reason(found: Derivation, name: str, notation: Notation, as_json: bool) -> str:
    """Return why an adjoint is what it is, as text or as JSON."""
    told = why(found, name, notation)
    return json.dumps({"name": name, "why": told.splitlines()}, indent=2, ensure_ascii=False) if as_json else told


def jacobian(program: Program, name: str, notation: Notation, as_json: bool) -> str:
    """Return how a state depends on an earlier one, as text or as JSON."""
    from symbp.calculus.transition import transition
    from symbp.render.transition import transition_data, transition_lines

    try:
        found = transition(program, name)
    except (ValueError, ArithmeticError) as error:
        raise BadInput(f"--jacobian {name}: {error}") from None
    if as_json:
        return json.dumps(transition_data(found, notation), indent=2, ensure_ascii=False)
    return "\n".join(transition_lines(found, notation))


def plan(found: Derivation, settings: PlanSettings, as_json: bool) -> str:
    """Return the plan of a training step after each pass that changes it, as text or as JSON."""
    from symbp.calculus.passes import parts_of
    from symbp.plan.module import history
    from symbp.plan.text import history_text, plan_text
    from symbp.render.parts import sample_sum

    if settings.functions:
        program = with_functions(found.source, settings.functions)
        found = pipeline.derive(program, list(found.gradients))
    sizes = fixed_sizes(found.source, settings.sizes, {}) if settings.sizes else {}
    plans = history(found, sizes, apart=sample_sum(parts_of(found)))
    if not as_json:
        return history_text(plans)
    passes = [{"pass": p.history[-1], "plan": plan_text(p).splitlines()} for p in plans]
    return json.dumps({"function": plans[-1].name, "passes": passes}, indent=2, ensure_ascii=False)


def data(found: Derivation, notation: Notation, *, title: str) -> dict[str, Any]:
    """Return the derivation as plain data."""
    return derivation_data(found, notation, title=title)


def write(
    found: Derivation, output: Path, notation: Notation, *, title: str, text: str, detail: bool, brief: bool,
    templates: Path | None,
) -> Path:
    """Write the derivation as a document; the ending of the file's name says which."""
    if output.suffix == ".tex":
        document = latex_document(
            found, notation, text=text, title=title, steps=not brief, detail=detail, templates=templates
        )
    elif output.suffix == ".md":
        document = markdown(found, notation, text=text, title=title, steps=not brief, detail=detail)
    elif output.suffix == ".json":
        document = derivation_json(found, notation, title=title)
    elif output.suffix == ".svg":
        document = picture(found.source, notation)
    else:
        raise BadInput(f"{output}: the name of a document ends in .tex, .md, .json or .svg")
    return write_files(output.parent, {output.name: document})[0]
