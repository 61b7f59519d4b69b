"""What a module needs to train: first parameters, mini-batches, updates, files."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from symbp.expr import SizeMember, expanded, same_size
from symbp.render.initial import biases, first_words
from symbp.render.numpy.layout import Field, Layout, hull
from symbp.render.numpy.pieces import FunctionText, call, indented
from symbp.render.numpy.scalars import PLUS, GenerateError
from symbp.render.numpy.scope import FunctionScope, Kernels, unpacked


def init_params(layout: Layout, kernels: Kernels) -> FunctionText:
    """Return ``init_params``: Glorot's uniform weights, zero biases; its arguments are the sizes of the parameters."""
    return first_values("init_params", "Params", layout, kernels, layout.params, first_words(layout.program))


def first_values(
    name: str, record: str, layout: Layout, kernels: Kernels, fields: Sequence[Field], drawn: str = ""
) -> FunctionText:
    """Return a function of sizes that fills a NamedTuple with first values.

    fields: those of the NamedTuple.
    drawn:  says how entries are drawn; empty if they all have start values.
    """
    arguments: dict[sp.Expr | str, str] = {}
    values = [value for known in fields for value in (*known.lengths, *known.shape)]
    atoms = {atom for value in values for atom in value.atoms(sp.Symbol, SizeMember)} - layout.indices
    # From the inputs on: n0, n1, n2.
    order: dict[str, int] = {}
    for value in (v for known in layout.fields for v in (*known.lengths, *known.shape)):
        for atom in sorted(value.atoms(sp.Symbol, SizeMember), key=str):
            order.setdefault(atom.name, len(order))
    for atom in sorted(atoms, key=lambda a: (order[a.name], str(a))):
        arguments.setdefault(atom.name if isinstance(atom, SizeMember) else atom, layout.identifiers(atom.name))
    scope = FunctionScope(layout, kernels, sizes=arguments)
    types = {name: "tuple[int, ...]" if isinstance(key, str) else "int" for key, name in arguments.items()}
    document, body = [], []
    for family in [key for key in arguments if isinstance(key, str)]:
        every = layout.members[family]
        first, last = hull([(a.lo, a.hi) for a in every], layout.bounds, family)
        document.append(f"{arguments[family]}: the sizes {family}[{first}], ..., {family}[{last}]")
        # The number of layers follows from the number of sizes.
        symbol = next((s for s in sorted(last.free_symbols, key=str) if s in arguments and last.coeff(s) == 1), None)
        if symbol is not None:
            count = sp.Symbol(f"len({arguments[family]})")
            types.pop(arguments[symbol], None)
            body.append(f"{arguments[symbol]} = {_plain(expanded(count + first - 1 - (last - symbol)))}")
    given = {name: layout.given[name] for name in types if name in layout.given}
    parts = ["rng: np.random.Generator"] if drawn else []
    parts += [f"{name}: {kind}" for name, kind in types.items() if name not in given]
    parts += [f"{name}: {kind} = {given[name]}" for name, kind in types.items() if name in given]
    zero = biases(layout.program)
    first = [f"{known.name}={_initial(scope, known, known.var.name in zero)}" for known in fields]
    return FunctionText(
        f"{name}({', '.join(parts)}) -> {record}:",
        f"Return first parameters: {drawn}." if drawn else f"Return the {record.lower()} before the first step.",
        indented(body) + call(record, first), document,
    )


def _plain(value: sp.Expr) -> str:
    terms = sorted(value.as_ordered_terms(), key=lambda t: t.is_number)
    out = ""
    for term in terms:
        negative = term.could_extract_minus_sign()
        out += (" - " if negative else " + " if out else "") + str(abs(term) if term.is_number else term)
    return out


def _initial(scope: FunctionScope, known: Field, bias: bool) -> str:
    steps = [scope.steps(known.var.indices[k], *known.ends[k]) for k in known.free[: known.depth]]
    sizes = (*known.lengths[known.depth :], *known.shape)
    shape = f"({', '.join(scope.size(s, PLUS) for s in sizes)})"
    start = known.var.start
    if start is not None:
        plain = {0: f"np.zeros({shape}, DTYPE)", 1: f"np.ones({shape}, DTYPE)"}
        text = plain.get(start, f"np.full({shape}, {scope.size(start)}, DTYPE)")
    elif bias:
        text = f"np.zeros({shape}, DTYPE)"
    else:
        text = f"{scope.kernel('glorot')}(rng, {shape})"
    if "positive" in known.var.facts and start is None:
        text = f"np.abs({scope.kernel('glorot')}(rng, {shape})) + 0.1"
    if "symmetric" in known.var.facts and start is None:
        text = f"{scope.kernel('symmetric')}({text})"
    for step in reversed(steps):
        text = f"tuple({text} for {step})"
    for k in known.free[: known.depth]:
        scope.leave(known.var.indices[k])
    return text


def batches(layout: Layout) -> dict[str, object] | None:
    """Return how inputs are cut into mini-batches along the axis of samples; None if they cannot be.

    They cannot be when the size of samples is not known, or occurs in a parameter or in more than a plain axis.
    """
    m = layout.program.samples
    if m is None or any(v.has(m) for k in layout.params for v in (*k.shape, *k.lengths)):
        return None
    lines, count = [], ""
    for known in layout.inputs:
        axes = [k for k, value in enumerate(known.shape) if same_size(value, m)]
        stacked = [k for k, value in enumerate(known.lengths) if same_size(value, m)]
        others = [v for k, v in enumerate(known.shape) if k not in axes]
        others += [v for k, v in enumerate(known.lengths) if k not in stacked]
        mixed = any(v.has(m) for v in others)
        if mixed or len(axes) + len(stacked) > 1 or ((axes or stacked) and known.depth > (0 if stacked else 1)):
            return None
        text = f"inputs.{known.name}"
        if stacked:
            count = count or (f"len({text})" if stacked[0] == 0 else f"{text}.shape[{stacked[0]}]")
            text += f"[{':, ' * stacked[0]}samples]"
        if axes:
            count = count or f"{text}{'[0]' * known.depth}.shape[{axes[0] - 2}]"
            cut = "[..., samples]" if axes[0] == 1 else "[..., samples, :]"
            text = f"tuple(a{cut} for a in {text})" if known.depth else f"{text}{cut}"
        lines.append(f"{known.name}={text},")
    lines += [f"{size}=inputs.{size}," for size in layout.loose]
    return {"lines": lines, "count": count} if count else None


def train_step(
    trained: Sequence[Field], gradients: Sequence[Field], layout: Layout, output: str, clip: bool
) -> FunctionText:
    """Return ``train_step``; it unpacks the tuples once, since small networks feel every look-up.

    Shorter gradients, all of them by one factor, are a shorter step.
    """
    names = [layout.identifiers(known.name) for known in layout.params]
    bars = {known: layout.identifiers(f"{known.name}_bar") for known in gradients}
    lines = ["cache = forward(params, inputs)"]
    lines += unpacked(names, "params") if len(names) > 1 else [f"{names[0]} = params.{layout.params[0].name}"]
    source = "backward(params, inputs, cache)"
    if clip:
        lines += [f"gradients = {source}", "learning_rate *= _shrink(_arrays(gradients), max_norm)"]
        source = "gradients"
    lines += unpacked(list(bars.values()), source) if len(bars) > 1 else [f"({next(iter(bars.values()))},) = {source}"]
    values = []
    for known, name in zip(layout.params, names, strict=True):
        if known not in trained:
            values.append(f"{known.name}={name}")
        elif known.depth == 0:
            values.append(f"{known.name}={name} - learning_rate * {bars[known]}")
        elif known.depth == 1:
            both = f"zip({name}, {bars[known]}, strict=True)"
            values.append(f"{known.name}=tuple(w - learning_rate * g for w, g in {both})")
        else:
            raise GenerateError(f"the shape of {known.name} depends on two indices, which is not laid out")
    more, limit = (", max_norm: float = np.inf", ", its gradients clipped") if clip else ("", "")
    # By position, which small networks feel too.
    values = [value.partition("=")[2] for value in values]
    returned = call(f"cache.{output}, Params", values)
    if not layout.states:
        return FunctionText(
            f"train_step(params: Params, inputs: Inputs, learning_rate: float{more}) -> tuple[float, Params]:",
            f"Return {output} before, and the parameters after, one step of gradient descent{limit}.",
            indented(lines) + returned,
        )
    returned[-1] += ", update_state(state, cache)"
    arguments = "params: Params, state: State, inputs: Inputs, learning_rate: float"
    return FunctionText(
        f"train_step({arguments}{more}) -> tuple[float, Params, State]:",
        f"Return {output} before, and parameters and state after, one step of gradient descent{limit}.",
        ["    _check_state(params, state, inputs)", *indented(lines), *returned],
    )


def arrays(fields: Sequence[Field], of: str) -> list[str]:
    """Return all arrays of some fields, as the entries of a list."""
    return [f"*{of}.{k.name}" if k.depth else f"{of}.{k.name}" for k in fields]


def copied(states: Sequence[Field]) -> list[str]:
    """Return the fields of a state in arrays of its own."""
    return [
        f"{known.name}=tuple(np.array(a, DTYPE) for a in {known.access}),"
        if known.depth else f"{known.name}=np.array({known.access}, DTYPE),"
        for known in states
    ]


def copies(trained: list[Field], layout: Layout) -> list[str]:
    """Return the fields of parameters in arrays of their own."""
    lines = []
    for known in layout.params:
        p = f"params.{known.name}"
        if known in trained:
            p = f"tuple(a.copy() for a in {p})" if known.depth else f"{p}.copy()"
        lines.append(f"{known.name}={p},")
    return lines


def saved(layout: Layout) -> list[str]:
    """Return the lines that collect the arrays of a file."""
    lines = []
    for known in (*layout.params, *layout.states):
        if known.depth == 0:
            lines.append(f'arrays["{known.name}"] = {known.access}')
        else:
            lines.append(f'arrays |= {{f"{known.name}.{{k}}": a for k, a in enumerate({known.access})}}')
    return lines


def loaded(fields: Sequence[Field]) -> list[str]:
    """Return the fields that are read from a file."""
    lines = []
    for known in fields:
        if known.depth == 0:
            lines.append(f'{known.name}=data["{known.name}"],')
        else:
            count = f'sum(name.startswith("{known.name}.") for name in data.files)'
            lines.append(f'{known.name}=tuple(data[f"{known.name}.{{k}}"] for k in range({count})),')
    return lines
