"""How a verb ends: exit codes, and errors of the user's input as messages on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn

import typer


class Exit(IntEnum):
    """The exit codes."""

    WELL = 0
    CHECK_FAILED = 1
    BAD_INPUT = 2
    TOOL_MISSING = 3
    OUR_FAULT = 4


class BadInput(Exception):
    """Something that the user asked for cannot be: the message says what, and what would be right."""


class ToolMissing(Exception):
    """An optional package or program is not there; the message says how to get it."""


def leave(code: Exit) -> NoReturn:
    """End the verb."""
    raise typer.Exit(int(code))


def say(text: str) -> None:
    """Print a text on standard output as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def say_json(data: Any) -> None:
    """Print plain data on standard output."""
    say(json.dumps(data, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """Print a message on standard error."""
    sys.stderr.write(text if text.endswith("\n") else text + "\n")


def shown(path: Path) -> str:
    """Return a path as a user would write it: from the current folder, where it lies inside."""
    here = Path.cwd().resolve()
    try:
        full = path.resolve()
    except (OSError, RuntimeError, ValueError):  # a link that leads to itself, a name with a zero byte
        return str(path)
    return str(full.relative_to(here) if full.is_relative_to(here) else path)


def is_folder(path: Path) -> bool:
    """Tell whether a path is that of a folder; one that the system does not take is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


@contextmanager
def settled(as_json: bool = False) -> Iterator[None]:
    """Turn the errors that a user's input can cause into a message and its exit code; let all others pass."""
    try:
        yield
    except ToolMissing as error:
        _refuse(Exit.TOOL_MISSING, f"error: {error}", [{"message": str(error)}], as_json)
    except Exception as error:
        found = _bad_input(error)
        if found is None:
            raise
        _refuse(Exit.BAD_INPUT, *found, as_json)


def _refuse(code: Exit, text: str, errors: list[Any], as_json: bool) -> NoReturn:
    if as_json:
        say_json({"errors": errors, "exit_code": int(code)})
    note(text)
    leave(code)


def _bad_input(error: Exception) -> tuple[str, list[Any]] | None:
    """Return the message and the plain data of an error of the user's input; None for any other error."""
    # Only here, after something went wrong, is it worth the time to import what can go wrong.
    from pydantic import ValidationError

    from symbp.calculus.batch import ConversionError
    from symbp.calculus.derive import NoOutput
    from symbp.calculus.passes import UnspecifiedFunction
    from symbp.language import DeclarationError
    from symbp.pipeline import OptionError
    from symbp.plan.fields import PlanError
    from symbp.render import c, numpy
    from symbp.render.files import OutputError
    from symbp.render.sizes import SizeError
    from symbp.render.templates import TemplateError
    from symbp.render.why import UnknownName
    from symbp.verify.draws import NoDraw
    from symbp.verify.evaluate import TooLarge

    if isinstance(error, DeclarationError):
        return error.render(), list(error.json())
    if isinstance(error, ValidationError):
        messages = [_told(item["loc"], item["msg"]) for item in error.errors()]
        return "\n".join(f"error: {m}" for m in messages), [{"message": m} for m in messages]
    refused = (
        BadInput, ConversionError, c.GenerateError, numpy.GenerateError, NoDraw, NoOutput, OptionError, OutputError,
        PlanError, SizeError, TemplateError, TooLarge, UnknownName, UnspecifiedFunction,
    )
    if isinstance(error, refused):
        message = str(error.args[0]) if error.args else str(error)
        return f"error: {message}", [{"message": message}]
    return None


def _told(place: tuple[int | str, ...], message: str) -> str:
    """Return what is wrong with an option: ``--size m: Input should be a valid integer``."""
    option, *inside = (str(part) for part in place)
    name = {"sizes": "size", "functions": "function"}.get(option, option)
    return f"--{' '.join([name, *inside])}: {message.removeprefix('Value error, ')}"
