"""What a user may choose, checked where it enters: the options of the verbs as frozen models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt

from symbp.choices import Dtype, Memory, Mode, Optimizer, Samples, Target, Weights


def _names(value: Any) -> Any:
    """Read ``X, W1`` as names."""
    return tuple(re.split(r"[\s,]+", value.strip(" ,\t\n"))) if isinstance(value, str) else value


def _sizes(value: Any) -> Any:
    """Read ``["m=32", "n=4,16,3"]`` as sizes by name; one item may hold several: ``"n0=3 n1=8"``."""
    if isinstance(value, dict) or not isinstance(value, Iterable):
        return value
    found: dict[str, int | tuple[int, ...]] = {}
    for item in (part for text in value for part in re.split(r"[\s,]+(?=[A-Za-z_]\w*\s*=)", str(text).strip())):
        name, equals, numbers = item.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"{item!r} is not of the form m=32, or of the form n=4,16,3 for n[0], n[1], n[2]")
        if name.strip() in found:
            raise ValueError(f"the size {name.strip()} is given twice")
        every = tuple(_size(name.strip(), number) for number in numbers.split(","))
        found[name.strip()] = every[0] if len(every) == 1 else every
    return found


def _size(name: str, text: str) -> int:
    """Read one number of a size."""
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()) or int(text) < 1:
        raise ValueError(f"{name}: {text.strip()!r} is no size, which is a whole number of at least 1")
    return int(text)


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
    mode:    whether statistics are those of the batch, or running ones.
    """

    wrt: Annotated[tuple[Name, ...] | None, BeforeValidator(_names)] = None
    samples: Samples | None = None
    weights: Weights | None = None
    mode: Mode = "training"


class GenerateSettings(Settings):
    """What the generated module is called, and what it takes for granted.

    name:      the module's name.
    target:    the language.
    sizes:     sizes as numbers, families of sizes as several: defaults of ``init_params``, fixed in C.
    dtype:     the type of its numbers.
    templates: a folder whose templates take the place of symbp's own.
    functions: what the functions are that the declaration leaves unspecified.
    memory:    where temporaries lie; None for the target's usual way, as in what follows.
    optimizer: how a training step moves the parameters.
    largest:   sizes that are known at run time only, with their largest value.
    workspace: NumPy: whether the arrays of a training step are made once.
    clip:      whether a training step scales gradients down to a largest norm.
    """

    name: Name = "network"
    target: Target = "numpy"
    sizes: Annotated[dict[str, int | tuple[int, ...]], BeforeValidator(_sizes)] = {}
    dtype: Dtype = "float64"
    templates: Path | None = None
    functions: Annotated[dict[Name, Name], BeforeValidator(_functions)] = {}
    memory: Memory | None = None
    optimizer: Optimizer | None = None
    largest: Annotated[dict[str, PositiveInt], BeforeValidator(_sizes)] = {}
    workspace: bool = False
    clip: bool = False


class PlanSettings(Settings):
    """What a plan is made for.

    sizes:     sizes as numbers; without them the passes that need numbers are left out.
    functions: what the functions are that the declaration leaves unspecified.
    """

    sizes: Annotated[dict[str, int | tuple[int, ...]], BeforeValidator(_sizes)] = {}
    functions: Annotated[dict[Name, Name], BeforeValidator(_functions)] = {}


class VerifySettings(Settings):
    """How much is checked: the number of draws and the seed of the first one."""

    draws: Annotated[int, Field(ge=1, le=100)] = 3
    seed: Annotated[int, Field(ge=0)] = 0
