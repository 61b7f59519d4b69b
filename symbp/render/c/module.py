"""The C module of a derivation: what the templates of its files are filled with."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import sympy as sp

from symbp.calculus.passes import Passes
from symbp.expr import SizeMember, is_one
from symbp.plan.cost import total
from symbp.plan.entries import MOMENTS, Entries, Optimizer, predictions
from symbp.plan.fields import PlanError
from symbp.plan.ir import Buffer, Order, Plan, Role, Source
from symbp.plan.module import C, module_plans
from symbp.program import loops
from symbp.render.c.functions import Functions
from symbp.render.c.products import Products
from symbp.render.c.scalars import REALS, GenerateError, ScalarPrinter
from symbp.render.c.statements import Names, Writer
from symbp.render.facts import facts_text
from symbp.render.notation import samples_text
from symbp.render.notes import Notes
from symbp.render.parts import sample_sum
from symbp.version import VERSION
from symbp.render.initial import biases, first_words

FORMAT = 1
"""The version of the form of generated modules; it changes when their functions do."""

Memory = Literal["static", "block"]

KEPT = ("backward", "update_state")
"""The functions that read what the forward pass has kept."""

RESERVED = frozenset(
    {
        "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
        "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
        "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "bool",
        "true", "false", "asm", "typeof", "main", "NULL", "EOF", "size_t", "acos", "asin", "atan", "atan2", "cos",
        "sin", "tan", "cosh", "sinh", "tanh", "exp", "frexp", "ldexp", "log", "log10", "modf", "pow", "sqrt",
        "ceil", "fabs", "floor", "fmod", "acosh", "asinh", "atanh", "cbrt", "copysign", "erf", "erfc", "exp2",
        "expm1", "fdim", "fma", "fmax", "fmin", "hypot", "ilogb", "lgamma", "llrint", "llround", "log1p", "log2",
        "logb", "lrint", "lround", "nan", "nearbyint", "nextafter", "remainder", "remquo", "rint", "round",
        "scalbn", "tgamma", "trunc", "gamma", "signgam", "j0", "j1", "jn", "y0", "y1", "yn", "drem", "significand",
        "finite", "isnan", "isinf", "signbit", "index", "rindex", "div", "abs", "labs", "memcpy", "memset", "time",
        "clock", "params", "inputs", "cache", "gradients", "optimizer", "memory", "out", "rate", "max_norm", "steps",
        "seed", "state", "first", "count", "i", "j", "top", "place", "sum", "flat", "momentum", "decay", "mean_weight",
        "square_weight", "epsilon", "next", "back",
    }
)
"""Names of the language, of its library, and those that the module uses itself."""


@dataclass(frozen=True)
class Member:
    """A member of a struct: its declaration, what it holds, and how it lies in memory."""

    declaration: str
    text: str


@dataclass(frozen=True)
class Struct:
    """A struct of the header."""

    name: str
    text: str
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Prototype:
    """A function of the header, with its body."""

    head: str
    text: tuple[str, ...]
    body: tuple[str, ...]


class Module:
    """A C module in the making.

    passes:    what is written.
    name:      the module's name, the beginning of all its names.
    sizes:     numbers of sizes.
    dtype:     ``float32`` or ``float64``.
    memory:    where temporaries lie: in static memory of the module, or in a block that the caller brings.
    optimizer: how a training step moves the parameters.
    clip:      whether it scales the gradients down to a largest norm.
    largest:   sizes that are known at run time only, with their largest value: the number of samples.

    Raises ``GenerateError`` where a derivation cannot be written in C.
    """

    def __init__(
        self, passes: Passes, *, name: str, sizes: Mapping[str, Any], dtype: str, memory: Memory, optimizer: Optimizer,
        clip: bool, largest: Mapping[str, int], declaration: str, templates: Path | None,
    ) -> None:
        self.derivation = passes.derivation
        self.program = self.derivation.program
        self.p, self.P = name, name.upper()
        self.real = REALS[dtype]
        self.mixed = passes.parts.mixed
        self.memory, self.optimizer, self.clip = memory, optimizer, clip
        self.declaration, self.templates = declaration, templates
        self.notes = Notes(self.derivation, passes.tangent, passes.parts.factor)
        self.capacity = {s: largest[s.name] for s in self.program.sizes if s.is_Symbol and s.name in largest}
        self._need_sizes({**sizes, **largest})
        self._need_fixed_loops()
        try:
            self.entries: Entries = module_plans(
                self.derivation, sizes, C, predicted=predictions(passes.inference or self.derivation), capacity=largest,
                optimizer=optimizer, inference=passes.inference, clip=clip, apart=sample_sum(passes.parts),
            )
        except PlanError as error:
            raise GenerateError(str(error)) from error
        self.plans = self.entries.plans
        self.functions = Functions(name, self.real, templates)
        self.products = Products(name, self.real, templates)
        self.windows, self.libraries, self.short = 0, False, False
        self.sizes = sizes
        self.output = self.derivation.output

    def _need_sizes(self, known: Mapping[str, Any]) -> None:
        defined = {s for s, _ in self.program.definitions}
        missing = [
            str(s.name if isinstance(s, SizeMember) else s) for s in self.program.sizes
            if s not in defined and (s.name if isinstance(s, SizeMember) else str(s)) not in known
        ]
        missing = list(dict.fromkeys(missing))
        if missing:
            ways = " ".join(f"--size {m}=4" for m in missing)
            raise GenerateError(
                f"C has fixed sizes, and no number is given for {', '.join(missing)}: for example {ways}"
            )

    def _need_fixed_loops(self) -> None:
        for lp in loops(self.program.body):
            for symbol in self.capacity:
                if lp.lo.has(symbol) or lp.hi.has(symbol):
                    raise GenerateError(
                        f"--largest {symbol}: {symbol} is how often the loop over {lp.index} runs, and that is a fixed "
                        f"number in C: for example --size {symbol}={self.capacity[symbol]}"
                    )

    # -- buffers --------------------------------------------------------------------------------------------------
    @cached_property
    def labels(self) -> dict[str, str]:
        """The name of the struct member of each declared buffer."""
        found = {}
        for field in self.entries.fields.declared:
            for buffer in field.buffers.values():
                found[buffer.name] = field.name if buffer.name.endswith("_given") else buffer.name
        for known, bar in self.entries.gradients.items():
            own = self._buffer(bar)
            alike = own.shape == self._buffer(known).shape and own.extents == self._buffer(known).extents
            found[bar] = found[known] if alike else bar
        return found

    @cached_property
    def buffers(self) -> dict[str, Buffer]:
        """Every buffer that a struct holds, as the plans see it, by name."""
        found: dict[str, Buffer] = {}
        for plan in self.plans.values():
            for buffer in plan.buffers.values():
                if buffer.role != "scratch":
                    found.setdefault(buffer.name, buffer)
        for field in self.entries.fields.declared:
            for buffer in field.buffers.values():
                found.setdefault(buffer.name, buffer)
        return found

    def _buffer(self, name: str) -> Buffer:
        return self.buffers[name]

    def held(self, *roles: str) -> list[Buffer]:
        """Return the declared buffers of some roles, in order."""
        return [
            self._buffer(b.name) for f in self.entries.fields.declared for b in f.buffers.values() if b.role in roles
        ]

    def entries_of(self, buffer: Buffer) -> int:
        """Return how many entries a buffer holds."""
        return int(buffer.entries.xreplace(dict(self.capacity)))

    def member(self, buffer: Buffer, label: str | None = None) -> Member:
        """Return a buffer as a member of a struct."""
        name = label or self.labels.get(buffer.name, buffer.name)
        if buffer.scalar and buffer.role == "input":
            return Member(f"{self.real.name} {name};", "a number")
        return Member(f"{self.real.name} {name}[{self.entries_of(buffer)}];", self._described(buffer))

    def _described(self, buffer: Buffer) -> str:
        """Return the shape of a buffer and where its entries lie."""
        var = self.program.variables.get(buffer.of)
        rows, cols = (str(n) for n in buffer.shape)
        text = f"{rows} x {cols}"
        ends = [
            f"{i} = {lo}..{hi}" for i, lo, hi in zip(buffer.indices, buffer.lows, buffer.highs, strict=True)
        ]
        if ends:
            text += f" for {', '.join(ends)}, one after the other"
        if not (is_one(buffer.rows) or is_one(buffer.cols)):
            held = [int(n.xreplace(dict(self.capacity))) for n in buffer.shape]
            inside = f"i * {held[1]} + j" if buffer.order == "C" else f"i + j * {held[0]}"
            text += f"; entry (i, j) at [{inside}]" if not ends else f"; entry (i, j) of one at [{inside}]"
        if var is not None and var.facts and buffer.role == "input":
            text += f"; {facts_text(var)}"
        return text

    # -- structs --------------------------------------------------------------------------------------------------
    def structs(self) -> list[Struct]:
        """Return the structs of the header."""
        p, given = self.p, self.held("input")
        sizes = tuple(
            Member(f"size_t {s};", f"how many there are, 1 to {n}") for s, n in self.capacity.items()
        )
        found = [
            Struct(f"{p}_params", "The parameters.", tuple(self.member(b) for b in self.held("param"))),
            Struct(
                f"{p}_inputs", "What the network is given; a prediction needs no targets.",
                (*sizes, *(self.member(b) for b in given)),
            ),
            Struct(
                f"{p}_cache", "What the forward pass keeps for the backward pass.",
                tuple(self.member(self._plan_buffer("forward", n)) for n in self._kept("forward")),
            ),
            Struct(
                f"{p}_gradients", f"The gradients of {self.output}, each as its variable lies.",
                tuple(self.member(self._buffer(bar)) for bar in self.gradients),
            ),
        ]
        if self.held("state"):
            found.insert(1, Struct(
                f"{p}_state", "Running statistics, which training moves and a prediction uses.",
                tuple(self.member(b) for b in self.held("state")),
            ))
        if "predict" in self.plans:
            found.append(Struct(
                f"{p}_predictions", "What the network computes without targets.",
                tuple(self.member(self._plan_buffer("predict", n)) for n in self._kept("predict")),
            ))
        if MOMENTS[self.optimizer]:
            found.append(Struct(
                f"{p}_optimizer", f"What the optimizer ({self.optimizer}) remembers of each parameter.",
                (Member("unsigned long step;", "how many steps were taken"), *(
                    self.member(b) for b in self.plans["train_step"].buffers.values() if b.role == "moment"
                )),
            ))
        return [s if s.members else replace(s, members=(Member("char none;", "there is none"),)) for s in found]

    @property
    def gradients(self) -> list[str]:
        """The gradient buffers that the caller gets, in the order of what they are gradients of."""
        plan = self.plans["loss_and_gradients"]
        return [bar for bar in dict.fromkeys(self.entries.gradients.values()) if bar in plan.outputs]

    def _kept(self, entry: str) -> list[str]:
        known = self.plans[entry].buffers
        return [n for n in self.plans[entry].outputs if known[n].of != self.output and known[n].role == "value"]

    def _plan_buffer(self, entry: str, name: str) -> Buffer:
        return self.plans[entry].buffers[name]

    # -- functions ------------------------------------------------------------------------------------------------
    def _base(self, entry: str) -> Callable[[Buffer], tuple[str, bool]]:
        plan = self.plans[entry]

        def base(buffer: Buffer) -> tuple[str, bool]:
            label = self.labels.get(buffer.name, buffer.name)
            if buffer.role == "param":
                return f"params->{label}", entry != "train_step"
            if buffer.role == "input":
                return f"inputs->{label}", True
            if buffer.role == "const":
                return f"{self.p}_{buffer.name}", True
            if buffer.role == "moment":
                return f"optimizer->{label}", False
            if buffer.role == "state":
                return f"state->{label}", entry == "predict"
            if buffer.role == "gradient":
                return f"gradients->{label}", False
            if buffer.role == "value":
                if buffer.of == self.output:
                    return "", False
                place = "out" if entry == "predict" else "cache"
                return f"{place}->{label}", entry in KEPT
            where = plan.storage[buffer.name]
            block = "memory->at" if self.memory == "block" else f"{self.p}_memory"
            return (f"&{block}[{where}]" if where else block), False

        return base

    def note(self, entry: str) -> Callable[[Source], str]:
        """Return what gives the text of an equation of a function, with its number."""
        forward = {s.equation for s in self.derivation.forward.sites}

        def note(source: Source) -> str:
            text = (
                self.notes.forward(source.equation) if source.equation in forward or entry == "predict"
                else self.notes.backward(source.equation)
            )
            where = ", ".join(f"{i} = {v}" for i, v in source.at)
            return f"{text}   [{where}]" if where else text

        return note

    def body(self, entry: str) -> list[str]:
        """Return the statements of a function."""
        plan: Plan = self.plans[entry]
        names = Names(RESERVED)
        for symbol in self.capacity:
            names(str(symbol))
        writer = Writer(
            plan, self.real, self.functions, self.products, names, self._base(entry), self.note(entry),
            self.capacity, self.p,
        )
        lines = writer.lines()
        self.short = self.short or writer.short
        self.windows, self.libraries = max(self.windows, writer.windows), self.libraries or writer.libraries
        text = "\n".join(lines)
        head = []
        for symbol, limit in self.capacity.items() if "inputs" in self.arguments(entry) else ():
            local = names(str(symbol))
            head.append(f"const size_t {local} = inputs->{symbol} < {limit}u ? inputs->{symbol} : {limit}u;")
            if not re.search(rf"\b{local}\b", text):
                head.append(f"(void){local};")
        number = names(self.output)
        if self.output in plan.outputs:
            head.append(f"{self.real.name} {number} = {self.real.literal(sp.S.Zero)};")
        unused = [a for a in self.arguments(entry) if not re.search(rf"\b{a}\b", "\n".join(head) + text)]
        head += [f"(void){a};" for a in unused]
        tail = [f"return {number};"] if self.output in plan.outputs else []
        return [*head, *lines, *tail]

    def arguments(self, entry: str) -> list[str]:
        """Return the names of the arguments of a function."""
        state = ["state"] if self.held("state") else []
        if entry == "update_state":
            return [*state, "cache"]
        found = {
            "forward": ["params", "inputs", "cache"], "backward": ["params", "inputs", "cache", "gradients"],
            "loss_and_gradients": ["params", "inputs", "gradients"], "predict": ["params", *state, "inputs", "out"],
            "train_step": [
                "params", *state, "inputs", *(["optimizer"] if MOMENTS[self.optimizer] else []), "rate",
                *(["max_norm"] if self.clip else []),
            ],
        }[entry]
        return [*found, "memory"] if self.memory == "block" and self.block else found

    @property
    def block(self) -> int:
        """How many numbers of memory for temporaries the module needs."""
        return max(p.block for p in self.plans.values())

    def head(self, entry: str) -> str:
        """Return the head of a function."""
        p, real = self.p, self.real.name
        types = {
            "params": f"{'' if entry == 'train_step' else 'const '}{p}_params *params",
            "inputs": f"const {p}_inputs *inputs",
            "state": f"{'const ' if entry == 'predict' else ''}{p}_state *state",
            "cache": f"{'const ' if entry in KEPT else ''}{p}_cache *cache",
            "gradients": f"{p}_gradients *gradients", "out": f"{p}_predictions *out",
            "optimizer": f"{p}_optimizer *optimizer", "rate": f"{real} rate",
            "max_norm": f"{real} max_norm", "memory": f"{p}_scratch *memory",
        }
        result = real if self.output in self.plans[entry].outputs else "void"
        return f"{result} {p}_{entry}({', '.join(types[a] for a in self.arguments(entry))})"

    def prototypes(self) -> list[Prototype]:
        """Return the functions that compute, in the order of the header."""
        said = {
            "forward": (f"Return {self.output}, and keep in cache what the backward pass needs.",),
            "backward": (f"Compute the gradients of {self.output}; cache is what {self.p}_forward left.",),
            "loss_and_gradients": (f"Return {self.output} and compute its gradients.",),
            "train_step": (
                f"Take one step of {self._optimizer_text()} and return {self.output} before it.",
                *(
                    ("rate is the length of the step. If the norm of all gradients together is above max_norm, they",
                     "are scaled down to it; all of them are stored before the first parameter moves.")
                    if self.clip else ("rate is the length of the step. No gradient is stored.",)
                ),
            ),
            "update_state": (f"Move the running statistics towards those that {self.p}_forward left in cache.",),
            "predict": (f"Compute {', '.join(self.entries.predicted)}, for which no target is needed.",),
        }
        if self.held("state"):
            said["train_step"] = (said["train_step"][0], f"{said['train_step'][1]} The running statistics move, too.")
        found = []
        for entry in ("forward", "backward", "loss_and_gradients", "update_state", "train_step", "predict"):
            if entry not in self.plans or (entry == "train_step" and not self.trained):
                continue
            body = self.body(entry)
            if entry == "train_step":
                body = [*self._moments(), *body]
            found.append(Prototype(self.head(entry), said[entry], tuple(body)))
        return found

    @property
    def trained(self) -> bool:
        """Tell whether there are parameters that a step moves."""
        return any(self._buffer(b).role == "param" for b in self.entries.gradients)

    def _train(self, *, head: bool) -> str:
        """Return the head of the function that takes many steps, or the call of one step."""
        if not head:
            return f"{self.p}_train_step({', '.join(self.arguments('train_step'))})"
        one = self.head("train_step").replace("_train_step(", "_train(")
        last = f"{self.real.name} {'max_norm' if self.clip else 'rate'}"
        return one.replace(last, f"{last}, size_t steps")

    def _loss_name(self) -> str:
        return Names(RESERVED | {"step", "steps"})(self.output)

    def _optimizer_text(self) -> str:
        return {
            "sgd": "gradient descent", "momentum": "gradient descent with momentum 0.9",
            "adam": "Adam (0.9, 0.999, 1e-8)",
        }[self.optimizer]

    def _moments(self) -> list[str]:
        """Return the numbers of the optimizer."""
        real, literal = self.real.name, self.real.literal
        if self.optimizer == "sgd":
            return []
        lines = [f"const {real} momentum = {literal(sp.Rational(9, 10))};"]
        if self.optimizer == "adam":
            power = self.real.call("pow")
            lines += [
                f"const {real} decay = {literal(sp.Rational(999, 1000))};",
                f"const {real} epsilon = {literal(sp.Float('1e-8'))};",
                "const unsigned long next = optimizer->step + 1u;",
                f"const {real} step = ({real})next;",
                f"const {real} mean_weight = {literal(sp.S.One)} - {power}(momentum, step);",
                f"const {real} square_weight = {literal(sp.S.One)} - {power}(decay, step);",
            ]
        return [*lines, "optimizer->step += 1u;"]

    # -- first parameters, flat arrays ------------------------------------------------------------------------------
    def initial(self, role: Role) -> list[dict[str, object]]:
        """Return for each parameter or state its label, how many entries it has, and their first value or its range."""
        zero = biases(self.derivation.forward)
        found = []
        for buffer in self.held(role):
            rows, cols = (int(n.xreplace(dict(self.capacity))) for n in buffer.shape)
            start = self.program.variables[buffer.of].start
            drawn = start is None and buffer.of not in zero
            found.append({
                "label": self.labels[buffer.name], "entries": self.entries_of(buffer),
                "limit": self.real.literal(sp.sqrt(sp.Rational(6, rows + cols))) if drawn else None,
                "start": self.real.literal(start) if start else "0",
            })
        return found

    def flat(self, buffers: Iterable[Buffer]) -> list[dict[str, object]]:
        """Return how buffers stand in a flat array: one after the other, each row by row, members in order."""
        found, start = [], 0
        for buffer in buffers:
            rows, cols = (int(n.xreplace(dict(self.capacity))) for n in buffer.shape)
            members = self.entries_of(buffer) // (rows * cols)
            by_rows = buffer.order == "C" or rows == 1 or cols == 1
            found.append({
                "label": self.labels.get(buffer.name, buffer.name), "start": start, "rows": rows, "cols": cols,
                "members": members, "entries": rows * cols * members, "by_rows": by_rows,
                "scalar": buffer.scalar and buffer.role == "input",
            })
            start += rows * cols * members
        return found

    def flat_buffers(self) -> dict[str, list[Buffer]]:
        """Return the buffers that each flat array holds, in order."""
        predicted = self._kept("predict") if "predict" in self.plans else []
        return {
            "params": self.held("param"), "state": self.held("state"), "inputs": self.held("input"),
            "gradients": [self._buffer(b) for b in self.gradients],
            "predictions": [self._plan_buffer("predict", n) for n in predicted],
        }

    # -- figures --------------------------------------------------------------------------------------------------
    def figures(self) -> dict[str, int]:
        """Return what the module needs: numbers of entries, bytes, floating-point operations."""
        size = 4 if self.real.suffix else 8
        parameters = sum(self.entries_of(b) for b in self.held("param"))
        gradients = sum(self.entries_of(self._buffer(b)) for b in self.gradients)
        cached = sum(self.entries_of(self._plan_buffer("forward", n)) for n in self._kept("forward"))
        flop, moved = total(self.plans["train_step"])
        known = dict(self.capacity)
        return {
            "parameters": parameters, "parameter_bytes": parameters * size, "gradient_bytes": gradients * size,
            "state_bytes": sum(self.entries_of(b) for b in self.held("state")) * size,
            "cache_bytes": cached * size, "scratch_bytes": self.block * size,
            "step_scratch_bytes": self.plans["train_step"].block * size,
            "struct_bytes": sum(self.entries_of(b) for b in self.held("input")) * size + 8 * len(self.capacity),
            "optimizer_bytes": sum(
                self.entries_of(b) for b in self.plans["train_step"].buffers.values() if b.role == "moment"
            ) * size,
            "input_bytes": sum(self.entries_of(b) for b in self.held("input")) * size,
            "flash_bytes": sum(self.entries_of(b) for b in self.buffers.values() if b.role == "const") * size,
            "step_flop": int(sp.expand(flop).xreplace(known)),
            "step_bytes": int(sp.expand(moved).xreplace(known)) * size,
        }

    def constants(self) -> list[str]:
        """Return the arrays of constants whose entries the declaration gives."""
        printer = ScalarPrinter(self.real, str, lambda name: self.functions.named(name))
        lines = []
        for var in self.program.declared("const"):
            if var.value is None or not any(b.of == var.name for p in self.plans.values() for b in p.buffers.values()):
                continue
            order: Order = next(b.order for p in self.plans.values() for b in p.buffers.values() if b.of == var.name)
            rows = [[self.entries.fields.sizes.value(x) for x in row] for row in var.value]
            table = rows if order == "C" else [list(c) for c in zip(*rows, strict=True)]
            inside = ", ".join(printer.text(x) for row in table for x in row)
            lines.append(f"static const {self.real.name} {self.p}_{var.name}[{sum(map(len, rows))}] = {{{inside}}};")
        return lines

    def header_lines(self) -> list[str]:
        """Return the lines of the header's first comment."""
        made = f"Generated by symbp {VERSION} (C, format {FORMAT})"
        lines = [f"{made}. It needs libm and nothing else, and it is yours."]
        if self.declaration:
            lines.append(f"Declaration: SHA-256 {hashlib.sha256(self.declaration.encode()).hexdigest()}")
        shown = [f"{k} = {_shown(v)}" for k, v in self.sizes.items()]
        shown += [f"{s} <= {n}" for s, n in self.capacity.items()]
        if shown:
            lines.append(f"Sizes: {', '.join(shown)}. Numbers: {self.real.name}.")
        samples = samples_text(self.derivation.forward)
        gradient = "a gradient has the shape of its variable"
        lines.append(f"Conventions: {samples + '; ' if samples else ''}{gradient}.")
        lines.append("At kinks and ties: step(0) = 0, sign(0) = 0, the first of several largest entries counts.")
        if self.mixed:
            lines.append(f"Not shardable: {self.mixed}.")
        facts = [f"{b.name} ({facts_text(self.program.variables[b.of])})" for b in self.held("input", "param")
                 if self.program.variables[b.of].facts]
        if facts:
            lines.append(f"Assumed: {'; '.join(facts)}.")
        if self.memory == "static" and self.block:
            lines.append("Not re-entrant: the functions share static memory for temporaries.")
        return lines

    # -- files ----------------------------------------------------------------------------------------------------
    def values(self) -> dict[str, object]:
        """Return what the templates are given."""
        functions = self.prototypes()
        figures = self.figures()
        return {
            "shared": any("_THREADS)" in line for f in functions for line in f.body),
            "p": self.p, "P": self.P, "real": self.real.name,
            "suffix": self.real.suffix, "version": VERSION,
            "title": f"{self.program.name}: forward pass, backward pass and training, in C99.",
            "header": self.header_lines(), "structs": self.structs(), "functions": functions, "figures": figures,
            "largest": {str(s): n for s, n in self.capacity.items()}, "first_words": first_words(self.program),
            "memory": self.memory, "block": self.block, "constants": self.constants(),
            "prelude": self.products.prelude(), "elementwise": list(self.functions.texts.values()),
            "products": list(self.products.texts.values()), "initial": self.initial("param"),
            "initial_state": self.initial("state"),
            "output": self.output, "zero": self.real.literal(sp.S.Zero),
            "optimizer": self.optimizer if MOMENTS[self.optimizer] else "", "trained": self.trained,
            "optimizer_text": self._optimizer_text(), "clip": self.clip,
            "train_head": self._train(head=True), "train_call": self._train(head=False), "loss": self._loss_name(),
            **{f"flat_{what}": self.flat(buffers) for what, buffers in self.flat_buffers().items()},
            "predicts": "predict" in self.plans, "windows": self.windows, "libraries": self.libraries,
            "short": self.short or "small" in self.products.forms,
        }


def _shown(value: Any) -> str:
    return str([value[k] for k in sorted(value)]) if isinstance(value, Mapping) else str(value)


def check_name(name: str) -> str:
    """Return a module's name; raise ``GenerateError`` for one that C or the limits of names do not allow."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,10}", name.lower()) or name.lower() in RESERVED:
        raise GenerateError(
            f"{name!r} is no name of a C module: at most 11 letters, digits and underscores, beginning with a letter "
            "(--name says another one)"
        )
    return name.lower()


__all__ = ["Memory", "Module", "check_name"]
