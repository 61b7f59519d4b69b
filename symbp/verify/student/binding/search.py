"""How the functions of a task are called: of the ways that the text leaves open, the one that fits best."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

import numpy as np

from symbp.language.diagnostics import Mistake
from symbp.verify.student.binding.arguments import Form
from symbp.verify.student.binding.binder import Binder, Bound, Choice, Unbound, Wishes
from symbp.verify.student.binding.draws import DRAWS, Align
from symbp.verify.student.binding.fitting import Clash
from symbp.verify.student.binding.functions import Task
from symbp.verify.student.binding.hints import gradients_from, is_binary
from symbp.verify.student.binding.outputs import is_laid
from symbp.verify.student.binding.usage import usage
from symbp.verify.student.language import arithmetic as ar
from symbp.verify.student.language import names as nm
from symbp.verify.student.language.errors import Located, is_limit
from symbp.verify.student.language.reading import Reading

ZERO = 1e-13
"""A slope below this part of the loss is a rounding error."""
MOST_SHAPES = 16
"""Of candidates that can be run so many are compared."""
MOST_PROBES = 16
"""So many assignments of ranks are tried until the forward pass runs."""
MOST_CANDIDATES = 120
"""How many assignments of ranks are tried."""
TOGETHER = {"beta": "gamma", "shift": "scale"}
"""What has the shape of something else: the two of a normalisation."""
MOST_ALONE = 4
"""And how many with one sample."""


def bind(reading: Reading, task: Task, wishes: Wishes | None = None) -> Bound:
    """Return a task with everything that its functions are given.

    Where the text leaves the shapes open, those are taken at which every gradient has the shape of its parameter, and
    among them those at which the work is right, if there are such: nobody is blamed for shapes that were guessed.

    Raises ``Unbound`` where a parameter stays unbound, and ``Located`` where the forward pass cannot be run.
    """
    wishes = wishes or Wishes()
    best: tuple[float, Bound] | None = None
    failure: Exception | None = None
    seen: set[tuple[tuple[str, tuple[int, ...]], ...]] = set()
    plain: set[str] = set()
    for choice in _candidates(reading, task, wishes):
        same = f"{choice[0]} {choice[1]}"
        if same in plain and choice[2] in ("last", "first"):
            continue  # however a bias is aligned, nothing changes
        binder = Binder(reading, task, wishes, *choice)
        try:
            score, bound = binder.bind()
        except Clash as clash:
            failure = failure or clash.outcome.failure
            if is_limit(clash.outcome.failure):
                break
            continue
        except Mistake as mistake:
            raise Unbound(mistake, task.forward) from None
        except (Unbound, Located) as error:
            if is_limit(error) or (best is None and _is_late(error, task)):
                raise
            failure = failure if isinstance(failure, Unbound) else error
            continue
        finally:
            if choice[2] == "features" and not binder.arguments.draws.asked:
                plain.add(same)
        shapes = tuple((p, np.shape(v)) for p, v in bound.case(0).sources.items())
        if shapes in seen:
            continue
        seen.add(shapes)
        if len(seen) > MOST_SHAPES:
            break
        others = [bound.session.run(bound.case(turn), keeps=False) for turn in range(1, DRAWS)]
        chance = [o for o in others if o.failure is not None and o.phase in ("setup", "forward", "loss")]
        if chance:
            failure = failure or chance[0].failure  # it fits one draw by chance
            continue
        # A sample of its own is the last resort.
        fewer = best is not None and _axes(bound) < _axes(best[1]) and best[0] >= 1
        if fewer:
            continue
        if bound.session.plan.outputs and score >= 0:
            right = share_right(bound)
            is_whole = right == 1 and score >= 1 and not _is_single(bound)
            if is_whole and all(share_right(bound, t) == 1 for t in range(1, DRAWS)):
                return bound
            score += right
        score -= 0.5 * _is_square(bound) + 0.25 * _is_across(bound) + 1.5 * _is_flat(bound) + _is_mixed(bound)
        score -= 0.25 * (choice[2] == "alone") + 2 * _is_single(bound) + 0.1 * _is_number(bound)
        if best is None or score > best[0]:
            best = score, bound
    if best is None:
        raise failure or Unbound(Mistake("C107", "nothing to check is found"), task.forward)
    return best[1]


def _is_late(error: Exception, task: Task) -> bool:
    """Tell whether a function that does both broke off where it computes gradients: its forward pass was fine."""
    begins = gradients_from(task.forward) if task.backward is None else 0
    return isinstance(error, Located) and bool(begins) and getattr(error.node, "lineno", 0) >= begins


def _is_square(bound: Bound) -> bool:
    """Tell whether two axes of the data have one size: a square of numbers hides mistakes."""
    draws = bound.draws
    return any(
        len({draws.root(a) for a in d.axes}) < len(d.axes)
        for d in draws.arrays.values() if d.role in ("data", "target")
    )


def _is_flat(bound: Bound) -> bool:
    """Tell whether a parameter or data have one axis though the code transposes them: that would change nothing."""
    text = "\n".join(bound.session.reading.lines)
    return any(
        len(d.axes) == 1 and d.role in ("parameter", "data") and re.search(rf"\b{re.escape(nm.tail(path))}\.T\b", text)
        for path, d in bound.draws.arrays.items()
    )


def _is_single(bound: Bound) -> bool:
    """Tell whether an array of indices holds one number only: then none of two is there twice."""
    numbers = [bound.drawn(p) for p, d in bound.draws.arrays.items() if d.fill in ("labels", "index")]
    return any(np.ndim(n) > 0 and n.min() == n.max() for n in numbers)


def _is_number(bound: Bound) -> bool:
    """Tell whether the scale or the shift of a normalisation is read as one number."""
    return any(nm.SCALE.fullmatch(nm.tail(p)) and np.size(bound.drawn(p)) == 1 for p in bound.draws.arrays)


def _counts(probe: Binder) -> bool:
    """Tell whether the code asks how many samples there are."""
    uses = [usage(p, probe.functions) for p, d in probe.arguments.draws.arrays.items() if d.role in ("data", "target")]
    return any(u.rank or u.least or "len" in u.members for u in uses)


def _is_mixed(bound: Bound) -> bool:
    """Tell whether weights have one axis and a bias has two: then what is a vector becomes a matrix with one row."""
    axes = {(d.role, len(d.axes)) for d in bound.draws.arrays.values()}
    return ("parameter", 1) in axes and ("bias", 2) in axes


def _is_across(bound: Bound) -> bool:
    """Tell whether the samples are rows of the data and columns of a target, or the reverse."""
    draws = bound.draws

    def place(role: str) -> set[int]:
        return {
            k for d in draws.arrays.values() if d.role == role and len(d.axes) == 2 for k, a in enumerate(d.axes)
            if "data" in draws.roles(a) and "parameter" not in draws.roles(a)
        }

    data, target = place("data"), place("target")
    return len(data) == 1 and len(target) == 1 and data != target


def _axes(bound: Bound) -> int:
    return sum(len(d.axes) for d in bound.draws.arrays.values() if d.role == "data")


def share_right(bound: Bound, turn: int = 0) -> float:
    """Return the share of gradients that agree with the slope of the loss along a random direction."""
    count = 0
    case, session = bound.case(turn), bound.session
    ran = session.run(case)
    if ran.failure is not None:
        return 0.0
    outputs = ran.outputs
    rng = np.random.default_rng(5)
    for path, of in session.plan.outputs:
        direction = rng.normal(size=np.shape(case.sources[of]))
        try:
            slope = session.slope(case, of, direction)
        except (ar.NotAnalytic, Located):
            try:
                slope = session.slope(case, of, direction, complex_step=False)
            except Located:
                return 0.0
        mine = outputs[path]
        if is_laid(mine.shape, direction.shape):
            size = max(abs(slope), float(np.abs(mine * direction).sum()), 1e-300)
            gap = abs(float((mine * direction).sum()) - slope)
            count += gap <= max(1e-7 * size, ZERO * float(np.abs(np.asarray(ran.loss, dtype=float)).max(initial=0.0)))
    return count / max(len(outputs), 1)


def _candidates(reading: Reading, task: Task, wishes: Wishes) -> Iterator[Choice]:
    """Yield choices of what the text leaves open, the likeliest first."""
    probe = Binder(reading, task, wishes, {}, {}, "features")
    clash = _probed(probe)
    forms, words = dict(probe.arguments.choices.forms), probe.arguments.choices.words
    if clash:
        # What the loss and the backward pass are given is seen once the forward pass runs.
        for choice, _ in zip(_combinations(forms), range(MOST_PROBES), strict=False):
            other = Binder(reading, task, wishes, choice, {}, "features")
            if not _probed(other):
                forms = {**other.arguments.choices.forms, **forms}
                break
    combos = list(_combinations(forms))
    roles = {d.role for d in probe.arguments.draws.arrays.values()} | {f[0] for every in forms.values() for f in every}
    aligns: list[Align] = ["features", "last", "first"] if "bias" in roles else ["features"]
    if is_binary(probe.functions):
        aligns.insert(0, "single")
    tried = itertools.product(itertools.product(*words.values()), combos, aligns)
    for chosen, combo, align in itertools.islice(tried, MOST_CANDIDATES):
        yield combo, dict(zip(words, chosen, strict=True)), align
    if not probe.arguments.has_axes and not _counts(probe):
        # Nothing is summed over samples: there may be one only.
        for combo in combos[:MOST_ALONE]:
            yield combo, {w: choices[0] for w, choices in words.items()}, "alone"


def _probed(probe: Binder) -> bool:
    """Bind a task to see what its text leaves open; tell whether its shapes clash.

    Raises ``Unbound`` where it is no use to go on, and ``Located`` at a limit.
    """
    try:
        probe.bind()
    except Mistake as mistake:
        raise Unbound(mistake, probe.task.forward) from None
    except (Unbound, Located, Clash) as error:
        failure: Exception | None = error.outcome.failure if isinstance(error, Clash) else error
        if failure is not None and is_limit(failure):
            raise failure from None
        return isinstance(error, Clash)
    return False


def _combinations(forms: Mapping[str, list[Form]]) -> Iterator[dict[str, Form]]:
    """Yield a form for each array: all in their likeliest first, then those with one other choice, then two.

    Arrays that are called alike have the same form.
    """
    groups: dict[str, list[str]] = {}
    for path in forms:
        word = nm.tail(path).rstrip("0123456789[]")
        groups.setdefault(TOGETHER.get(word, word), []).append(path)
    lists = [forms[paths[0]] for paths in groups.values()]
    every = sorted(itertools.islice(itertools.product(*(range(len(c)) for c in lists)), 4096), key=sum)
    for combo in every:
        yield {p: lists[k][c] for k, (c, paths) in enumerate(zip(combo, groups.values(), strict=True)) for p in paths}


__all__ = ["Bound", "Unbound", "Wishes", "bind", "share_right"]
