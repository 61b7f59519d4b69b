"""What a user may choose, checked where it enters: the options of the verbs as frozen models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt

from symbp.choices import Dtype, Samples, Target, Weights


def _names(value: Any) -> Any:
    """Read ``X, W1`` as names."""
    return tuple(re.split(r"[\s,]+", value.strip(" ,\t\n"))) if isinstance(value, str) else value


def _sizes(value: Any) -> Any:
    """Read ``["m=32", "n0=4"]`` as sizes by name."""
    if isinstance(value, dict) or not isinstance(value, Iterable):
        return value
    found: dict[str, str] = {}
    for item in value:
        name, equals, number = str(item).partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"{item!r} is not of the form m=32")
        if name.strip() in found:
            raise ValueError(f"the size {name.strip()} is given twice")
        found[name.strip()] = number.strip()
    return found


def _functions(value: Any) -> Any:
    """Read ``["sigma=tanh"]`` as functions by name."""
    if isinstance(value, dict) or not isinstance(value, Iterable):
        return value
    pairs = [str(item).partition("=") for item in value]
    for name, equals, law in pairs:
        if not (equals and name.strip().isidentifier() and law.strip().isidentifier()):
            raise ValueError(f"{name + equals + law!r} is not of the form sigma=tanh")
    return {name.strip(): law.strip() for name, _, law in pairs}


Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]


class Settings(BaseModel):
    """Options that do not change once they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeriveSettings(Settings):
    """What is derived, and in which convention.

    wrt:     the names whose gradients are wanted; by default the parameters.
    samples: where the samples stand; by default as declared.
    weights: how weights are stored; by default turned with the data.
    """

    wrt: Annotated[tuple[Name, ...] | None, BeforeValidator(_names)] = None
    samples: Samples | None = None
    weights: Weights | None = None


class GenerateSettings(Settings):
    """What the generated module is called, and what it takes for granted.

    name:      the module's name.
    target:    the language.
    sizes:     sizes as numbers: defaults of ``init_params``.
    dtype:     the type of its numbers.
    templates: a folder whose templates take the place of symbp's own.
    functions: what the functions are that the declaration leaves unspecified.
    """

    name: Name = "network"
    target: Target = "numpy"
    sizes: Annotated[dict[str, PositiveInt], BeforeValidator(_sizes)] = {}
    dtype: Dtype = "float64"
    templates: Path | None = None
    functions: Annotated[dict[Name, Name], BeforeValidator(_functions)] = {}


class VerifySettings(Settings):
    """How much is checked: the number of draws and the seed of the first one."""

    draws: Annotated[int, Field(ge=1, le=100)] = 3
    seed: Annotated[int, Field(ge=0)] = 0
