"""The verbs.  Each reads its options, calls the pipeline and prints; what it needs is imported when it runs."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from symbp import __version__, networks
from symbp.cli import options as opt
from symbp.cli.outcome import BadInput, Exit, is_folder, leave, note, say, say_json, settled, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from symbp.program import Program

app = typer.Typer(
    name="symbp", help="Backpropagation in matrix form: derived, explained, written as code, verified.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)

COLLECTION = (1_000_000, 50, 100)
"""The thresholds of the garbage collector while a verb runs."""


def _version(wanted: bool) -> None:
    if wanted:
        say(f"symbp {__version__}")
        raise typer.Exit


@app.callback()
def _symbp(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where our own errors come from.")] = False,
) -> None:
    # --debug is read by main, which alone sees our own errors.
    del version, debug


# ---------------------------------------------------------------------------------------------------------
# new, show, explain


@app.command()
def new(name: opt.Network = None, as_json: opt.Json = False) -> None:
    """Print a declaration to start from."""
    known = networks.names()
    if name is None:
        titles = {n: networks.network(n).title for n in known}
        _table(titles, as_json)
        return
    with settled(as_json):
        if name not in known:
            raise BadInput(_unknown("network", name, known))
        found = networks.network(name)
        say_json(found._asdict()) if as_json else say(found.text)


@app.command()
def show(name: opt.Rule = None, ascii: opt.Ascii = False, as_json: opt.Json = False) -> None:
    """Show a rule with all its faces."""
    with settled(as_json):
        from symbp.render.rulebook import entry, names
        from symbp.verify.rules import proof_words

        if name is None:
            say_json(names()) if as_json else say("\n".join(names()))
            return
        if name not in names():
            raise BadInput(_unknown("rule", name, names()))
        found = entry(name, "ascii" if ascii or not _unicode() else "unicode").saying("proof", proof_words(name))
        say_json(found.json()) if as_json else say(found.text())


@app.command()
def explain(code: opt.Code = None, as_json: opt.Json = False) -> None:
    """Explain a diagnostic code by an example."""
    with settled(as_json):
        from symbp.language import codes as of_language
        from symbp.verify.check import codes as of_check
        from symbp.verify.student import codes as of_student

        CODES = of_language.CODES | of_check.CODES | of_student.CODES
        if code is None:
            _table({key: value.title for key, value in CODES.items()}, as_json)
            return
        wanted = code.upper()
        if wanted not in CODES:
            raise BadInput(_unknown("code", code, CODES))
        found = CODES[wanted]
        if as_json:
            facts = {"title": found.title, "text": found.text, "wrong": found.wrong, "right": found.right}
            say_json({"code": wanted, **facts})
        else:
            say(found.explain(wanted))


# ---------------------------------------------------------------------------------------------------------
# derive, generate, verify


@app.command()
def derive(
    file: opt.OptionalFile = None, output: opt.Document = None, steps: opt.Steps = False, brief: opt.Brief = False,
    why: opt.Why = None,
    form: opt.Form = "matrix", notation: opt.Notation = "bar", products: opt.Products = "hadamard",
    samples: opt.Samples = None,
    weights: opt.Weights = None, mode: opt.Mode = "training", claims: opt.Claims = False, wrt: opt.Wrt = None,
    expr: opt.Expr = None, shapes: opt.Shapes = None, verified: opt.Verified = True, jacobian: opt.Jacobian = None,
    plan: opt.Plan = False, size: opt.Size = None, function: opt.Function = None, ascii: opt.Ascii = False,
    templates: opt.Templates = None, as_json: opt.Json = False, quiet: opt.Quiet = False, seed: opt.Seed = 0,
) -> None:
    """Derive the backward pass, with reasons."""
    with settled(as_json):
        from symbp.cli import deriving
        from symbp.render.notation import Notation
        from symbp.settings import DeriveSettings, PlanSettings, VerifySettings

        settings = DeriveSettings.model_validate({"wrt": wrt, "samples": samples, "weights": weights, "mode": mode})
        title, text, program = _declared(file) if expr is None else _expression(expr, shapes, settings.wrt, file)
        chosen = Notation(notation, products, "ascii" if ascii or not _unicode() else "unicode")
        if jacobian is not None:
            say(deriving.jacobian(program, jacobian, chosen, as_json))
            return
        found = deriving.derivation(program, settings)
        if claims:
            from symbp.readings import with_readings

            found = with_readings(found)
        if form == "index" and steps:
            raise BadInput("--steps are moves of matrices: they go with --form matrix")
        if brief and (output is None or steps):
            raise BadInput("--brief leaves the steps out of a document: it goes with -o, and not with --steps")
        if not plan and (size or function):
            raise BadInput("--size and --function go with --plan: equations are derived for all sizes and functions")
        if plan:
            deriving.need_number(found.source)
            settings_of_plan = PlanSettings.model_validate({"sizes": size or [], "functions": function or []})
            say(deriving.plan(found, settings_of_plan, as_json))
        elif why is not None:
            say(deriving.reason(found, why, chosen, as_json))
        elif output is not None:
            path = deriving.write(
                deriving.in_form(found, form), output, chosen, title=title, text=text, detail=steps,
                brief=brief or form == "index", templates=templates,
            )
            _written([path], as_json, quiet)
        elif as_json:
            say_json(deriving.data(deriving.in_form(found, form), chosen, title=title))
        else:
            verdicts = deriving.verdicts(found, VerifySettings(seed=seed)) if verified else None
            if not quiet:
                say(deriving.page(deriving.in_form(found, form), chosen, verdicts, title=title, steps=steps))
            if any(v.verdict == "fails" for v in verdicts or ()):
                leave(Exit.CHECK_FAILED)


@app.command()
def generate(
    file: opt.File, output: opt.Folder, target: opt.Target = "numpy", name: opt.Name = None, size: opt.Size = None,
    function: opt.Function = None, dtype: opt.Dtype = "float64", templates: opt.Templates = None,
    memory: opt.Memory = None, optimizer: opt.Optimizer = None, largest: opt.Largest = None,
    workspace: opt.Workspace = False, clip: opt.Clip = False,
    samples: opt.Samples = None, weights: opt.Weights = None, wrt: opt.Wrt = None, check: opt.Check = False,
    as_json: opt.Json = False, quiet: opt.Quiet = False,
) -> None:
    """Write a module that trains on its own."""
    with settled(as_json):
        from symbp.cli import deriving
        from symbp.render.files import compare_files, write_files
        from symbp.render.sizes import size_names
        from symbp.settings import DeriveSettings, GenerateSettings

        settings = GenerateSettings.model_validate({
            "name": name or _module_name(file), "target": target, "sizes": size or [], "dtype": dtype,
            "templates": templates, "functions": function or [], "memory": memory, "optimizer": optimizer,
            "largest": largest or [], "workspace": workspace, "clip": clip,
        })
        _, text, program = _declared(file)
        deriving.need_number(program)
        known = size_names(program)
        for unknown in sorted({*settings.sizes, *settings.largest} - set(known)):
            raise BadInput(_unknown("size", unknown, known))
        chosen = DeriveSettings.model_validate({"wrt": wrt, "samples": samples, "weights": weights})
        files = deriving.module(deriving.derivation(program, chosen), settings, text)
        if not check:
            _written(write_files(output, files), as_json, quiet, files.summary)
            return
        stale = compare_files(output, files)
        if as_json:
            say_json({"stale": [str(difference) for difference in stale]})
        for difference in stale:
            note(f"{output}: {difference}")
        if stale:
            leave(Exit.CHECK_FAILED)
        if not (quiet or as_json):
            say(f"current    {', '.join(str(output / f) for f in files)}")


@app.command()
def verify(
    files: opt.OptionalFiles = None, rules: opt.RuleBook = False, draws: opt.Draws = 3, junit: opt.Junit = None,
    as_json: opt.Json = False, quiet: opt.Quiet = False, seed: opt.Seed = 0,
) -> None:
    """Check derivations and generated modules."""
    with settled(as_json):
        from symbp.cli import deriving, verifying
        from symbp.settings import VerifySettings

        if not (files or rules):
            raise BadInput("which files? symbp verify FILE..., or symbp verify --rules")
        declared = [_declared(f) for f in files or ()]
        for _, _, program in declared:
            deriving.need_parameters(program)
            deriving.need_number(program)
        settings = VerifySettings(draws=draws, seed=seed)
        reports = [*([verifying.rule_book(settings)] if rules else []), *verifying.reports(declared, settings)]
        if junit is not None:
            verifying.write_junit(reports, junit)
        if as_json:
            say(verifying.as_json(reports))
        elif not quiet:
            verifying.show(reports)
        if not verifying.all_hold(reports):
            leave(Exit.CHECK_FAILED)


@app.command()
def check(
    net: opt.OptionalNet = None, line: opt.One = None, mine: opt.Mine = None, code: opt.StudentCode = None,
    bind: opt.Bind = None, draw: opt.Draw = None, loss: opt.OwnLoss = "", hint: opt.Hint = False,
    reveal: opt.Reveal = True, stuck: opt.Stuck = False, data: opt.Data = "xor", rate: opt.Rate = 0.5,
    steps: opt.TrainingSteps = 500, start: opt.Start = None, run: opt.Run = False,
    as_json: opt.Json = False, quiet: opt.Quiet = False, seed: opt.Seed = 0,
) -> None:
    """Check somebody's equations or NumPy code: right, or the first mistake."""
    with settled(as_json):
        if code is not None:
            from symbp.cli import coding

            network = None if net is None else _declared(net)[2]
            said = coding.told(code, bind or [], draw or [], loss, network, hint or not reveal, run, seed)
            if as_json:
                say_json(said.data)
            elif not quiet:
                say(said.text)
            if said.code:
                leave(Exit.CHECK_FAILED if said.code == 1 else Exit.BAD_INPUT)
            return
        from symbp.cli import checking

        if net is None:
            raise BadInput("which network? symbp check NET --mine FILE, or symbp check --code FILE.py")
        _, _, program = _declared(net)
        if mine == "":
            raise BadInput("--mine: the name of the file is empty")
        work = None if mine is None else Path(mine)
        if work is not None and is_folder(work):
            from symbp.cli import submissions

            table = submissions.checked(program, work, seed)
            if as_json:
                say_json(table.json())
            elif not quiet:
                say(table.text())
            if not table.good:
                leave(Exit.CHECK_FAILED)
            return
        found = checking.judged(program, checking.given(work, line), seed, loss)
        if stuck:
            found = checking.with_training(found, program, checking.Training(data, start, rate, steps), seed)
        if as_json:
            say_json(found.json())
        elif not quiet:
            say(checking.text_of(found, hint=hint, reveal=reveal))
        if not found.good:
            leave(Exit.CHECK_FAILED)


@app.command()
def demo(output: opt.Folder = Path("symbp-demo"), quiet: opt.Quiet = False, seed: opt.Seed = 0) -> None:
    """Derive, write, verify, train: iris, digits."""
    with settled():
        from symbp.demo import run

        if not run(output, seed=seed, quiet=quiet):
            leave(Exit.CHECK_FAILED)


# ---------------------------------------------------------------------------------------------------------
# What the user gave, and what is told


def _declared(file: str | None) -> tuple[str, str, Program]:
    """Return title, text and program of a file, or of standard input."""
    from symbp.language import read_text
    from symbp.language.files import file_text, input_text

    if file is None:
        raise BadInput("which file? symbp derive FILE, or symbp derive --expr E --shapes S --wrt X")
    if file == "-":
        text = input_text()
        return "standard input", text, read_text(text, "<stdin>")
    text = file_text(file)
    return Path(file).name, text, read_text(text, file, name=_module_name(file))


def _expression(
    expr: str, shapes: str | None, wrt: tuple[str, ...] | None, file: str | None
) -> tuple[str, str, Program]:
    """Return title, text and program of an expression that was given instead of a file."""
    from symbp.language import read_expression

    if file is not None:
        raise BadInput("--expr stands in place of a file")
    if shapes is None:
        raise BadInput("--expr needs --shapes, for example --shapes 'A[n,d] x[d,1] b[n,1]'")
    if wrt is None:
        raise BadInput("--expr needs --wrt, for example --wrt x")
    return "expression", "", read_expression(expr, shapes, wrt)


def _module_name(file: str) -> str:
    stem = Path(file).stem if file != "-" else "network"
    return stem if stem.isidentifier() else "network"


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    from symbp.language.diagnostics import did_you_mean

    names = list(known)
    meant = did_you_mean(name, names) or (f"there are: {', '.join(names)}" if len(names) <= 20 else "")
    return "; ".join(part for part in (f"there is no {what} {name}", meant) if part)


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") in ("utf8", "utf16", "utf32")


def _table(rows: dict[str, str], as_json: bool) -> None:
    width = max(len(key) for key in rows)
    say_json(rows) if as_json else say("\n".join(f"{key:<{width}}  {value}" for key, value in rows.items()))


def _written(paths: list[Path], as_json: bool, quiet: bool, summary: str = "") -> None:
    if as_json:
        say_json({"written": [shown(p) for p in paths], **({"summary": summary} if summary else {})})
    elif not quiet:
        say("\n".join([*(f"written    {shown(p)}" for p in paths), *([summary] if summary else [])]))


def spread(words: Iterable[str]) -> list[str]:
    """Return the words of a command with ``--size n0=3 n1=8`` written as ``--size n0=3 --size n1=8``."""
    found: list[str] = []
    option = ""
    for word in words:
        if option and not word.startswith("-") and "=" in word and found[-1] != option:
            found.append(option)
        elif found[-1:] != [option]:
            option = word if word in REPEATED else ""
        found.append(word)
    return found


REPEATED = ("--size", "--largest", "--function")
"""Options after which several words of the form ``name=value`` may stand."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit; an error of our own becomes a short message and exit code 4."""
    words = sys.argv[1:] if arguments is None else arguments
    # A derivation is one large graph that lives until the end: to walk it again and again would cost a third more.
    gc.set_threshold(*COLLECTION)
    try:
        app(spread(words), prog_name="symbp")
    except Exception as error:
        if "--debug" in words[:1]:
            raise
        note(f"internal error: {type(error).__name__}: {error}")
        note("This is our fault, not yours. `symbp --debug ...` shows where it happened; please report it.")
        sys.exit(int(Exit.OUR_FAULT))
    sys.exit(int(Exit.WELL))
