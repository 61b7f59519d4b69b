"""Random programs as C modules, under sanitizers, against the reference evaluator.

    python benchmarks/random_c.py --programs 1000
    python benchmarks/random_c.py --programs 20 --seed 7 --plain      without sanitizers

Each program becomes a module in double precision and one in single precision, in the four ways in which modules are
written, one after the other.  Compared are losses, gradients, every parameter after each of three steps, and
predictions.  Programs come in batches; each batch is compiled and run in a process of its own, so that what a sanitizer
stops is found by running its programs one by one.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from symbp.calculus import derive
from symbp.derivation import Derivation
from symbp.language import read_text
from symbp.pipeline import generate, program_of
from symbp.program import Program
from symbp.render.c import GenerateError
from symbp.verify import compiled as c
from symbp.verify.draws import choose_sizes
from symbp.verify.evaluate import evaluate, value_of
from symbp.verify.module import declarations, input_order, load_module, record, unpacked
from symbp.verify.programs import specified
from symbp.verify.witnesses import difference

ROOT = Path(__file__).resolve().parents[1]
BATCH = 10
SPREAD = 12
"""How many programs are drawn for each that is taken."""

SANITIZED = (
    "-std=c99", "-O0", "-g1", "-ffp-contract=off", "-fPIC", "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined,float-divide-by-zero", "-fno-sanitize-recover=all",
)
DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Outcome:
    """What became of one program in one precision.

    program:  its number.
    dtype:    the precision.
    worst:    the largest error.
    tight:    which comparison had it.
    failures: what does not hold.
    refused:  why there is no module.
    conditioned: an error above the tolerance that single precision has in NumPy just as well.
    """

    program: int
    dtype: str
    worst: float = 0.0
    tight: str = ""
    failures: tuple[str, ...] = ()
    refused: str = ""
    conditioned: float = 0.0


def strategies() -> Any:
    """Return the module of the strategies that the tests use."""
    name = "random_programs"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "verify" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def batch(number: int, count: int = BATCH, start: int = 0) -> list[Program]:
    """Return the programs of a batch: graphs of operations, loops, and networks from text in both conventions.

    The same number and seed give the same programs.
    """
    known = strategies()
    found: dict[str, Program] = {}
    kind = st.one_of(
        known.graphs(), known.graphs(), known.loop_programs(),
        st.tuples(known.declarations(), st.sampled_from(["columns", "rows"])),
    )

    @seed(start * 100_003 + number)
    @settings(
        max_examples=SPREAD * count + SPREAD, database=None, phases=[Phase.generate], deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(kind)
    def draw(value: Any) -> None:
        program = value if isinstance(value, Program) else program_of(read_text(value[0]), samples=value[1])
        found.setdefault(text_of(program), program)

    draw()
    # The smallest ones come first in every batch, and neighbours resemble each other.
    every = list(found.values())
    return [every[-1 - k * len(every) // (count + 1)] for k in range(count)]


def text_of(program: Program) -> str:
    """Return a program as text, to find it again."""
    known = [v for v in program.variables.values() if v.declared]
    lines = [f"{v.kind} {v.name}: {v.rows} x {v.cols} {v.indices or ''}" for v in known]
    for site in program.sites:
        around = "".join(f"for {x.index} in {x.lo}..{x.hi}{' down' if x.down else ''}: " for x in site.loops)
        lines.append(f"{around}{site.equation.target} = {site.equation.value}")
    return "\n".join(lines)


def outcomes(
    programs: Sequence[Program], number: int, only: int | None = None, flags: Sequence[str] = c.FLAGS
) -> Iterator[Outcome]:
    """Compile the modules of all programs of a batch together, and compare each with the evaluator."""
    chosen: list[tuple[int, str, Any, c.Case]] = []
    for k, program in enumerate(programs):
        if only is not None and k != only:
            continue
        turn = number * len(programs) + k
        derivation = derive(specified(program))
        sizes = choose_sizes(derivation.source, turn=turn)
        for n, dtype in enumerate(DTYPES):
            variant = c.VARIANTS[(turn + n) % len(c.VARIANTS)]
            assignment = sizes[turn % len(sizes)]
            try:
                made = c.cases(derivation, [assignment], dtype, (variant,), prefix=f"p{k}{dtype[-1]}_")
                made = made or c.cases(derivation, [assignment], dtype, (c.Variant(),), prefix=f"p{k}{dtype[-1]}_")
            except GenerateError as error:
                yield Outcome(k, dtype, refused=str(error))
                continue
            chosen += [(k, dtype, derivation, case) for case in made]
    if not chosen:
        return
    with c.compiled([case for *_, case in chosen], flags) as library:
        for k, dtype, derivation, case in chosen:
            rng = np.random.default_rng(zlib.crc32(text_of(programs[k]).encode()))
            sys.stderr.write(f"@{k}\n")
            comparison = c.Comparison(derivation, library, case, rng, [case.sizes])
            findings = comparison.findings()
            tight = max(findings, key=lambda f: f.error)
            if dtype == "float32" and c.SINGLE < tight.error <= CONDITION * numpy_error(derivation, comparison):
                yield Outcome(k, dtype, conditioned=tight.error, tight=tight.witness)
                continue
            bad = tuple(
                f"{f.witness}: {f.detail or f.outcome}, {f.error:.1e}, {f.sizes}, {case.module.memory} "
                f"{case.module.optimizer}{' batch' if case.module.capacity else ''}"
                for f in findings if f.outcome not in ("holds", "refused")
            )
            yield Outcome(k, dtype, c.worst_of(findings), tight.witness, bad)


CONDITION = 8
"""By how much single precision in C may be further off than in NumPy, where it is above its tolerance."""


def numpy_error(derivation: Derivation, comparison: c.Comparison) -> float:
    """Return the largest error of the NumPy module in single precision on the same values: gradients and three steps.

    A program may magnify rounding; then every code for it is as far off.
    """
    module = numpy_module(generate(derivation, name="net", dtype="float32")["net.py"])
    program, sizes, values = derivation.source, comparison.sizes, dict(comparison.values)
    order = declarations(program, "param")
    inputs = record(module.Inputs, input_order(program), values, sizes, np.float32)
    rate, worst = comparison.rate(), 0.0
    for _ in range(c.STEPS):
        truth = evaluate(derivation.program, values, sizes)
        params = record(module.Params, order, values, sizes, np.float32)
        loss, gradients = module.loss_and_gradients(params, inputs)
        true = float(value_of(truth, derivation.output))
        worst = max(worst, abs(float(loss) - true) / max(abs(true), 1.0))
        moved = module.train_step(params, inputs, rate)[1]
        for (var, box), after, gradient in zip(order, moved, gradients, strict=True):
            slope = truth[derivation.gradients[var.name]]
            found = unpacked(var, box, gradient, sizes)
            wanted = {k: slope[k] for k in found} if isinstance(found, dict) else slope
            worst = max(worst, difference(found, wanted, comparison.floor))
            new = unpacked(var, box, after, sizes)
            old = values[var.name]
            right = {k: old[k] - rate * slope[k] for k in new} if isinstance(new, dict) else old - rate * slope
            worst = max(worst, difference(new, right))
            values[var.name] = {**old, **new} if isinstance(new, dict) else new
    return worst


def numpy_module(text: str) -> Any:
    """Return a generated NumPy module."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.py"
        path.write_text(text, encoding="utf-8")
        return load_module(path)


# ---------------------------------------------------------------------------------------------------------
# Processes


def sanitizer() -> str | None:
    """Return the library that must be loaded before others so that a sanitized module can be, or None."""
    program = c.compiler()
    if program is None:
        return None
    done = subprocess.run([program, "-print-file-name=libasan.so"], capture_output=True, text=True, check=False)
    path = done.stdout.strip()
    return path if done.returncode == 0 and Path(path).is_absolute() and Path(path).exists() else None


def run(number: int, start: int, sanitized: bool, only: int | None = None) -> tuple[list[Outcome], str]:
    """Run a batch in a process of its own; return what it found, and what stopped it, if something did."""
    environment = dict(os.environ)
    if sanitized:
        environment |= {"LD_PRELOAD": sanitizer() or "", "ASAN_OPTIONS": "detect_leaks=0"}
    words = [sys.executable, __file__, "--worker", str(number), "--seed", str(start)]
    words += ["--only", str(only)] if only is not None else []
    words += [] if sanitized else ["--plain"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    found = [Outcome(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
    lines = [line for line in done.stderr.splitlines() if not line.startswith("@")]
    return found, "" if done.returncode == 0 else "\n".join(lines[:12]) or f"exit code {done.returncode}"


def examined(number: int, start: int, sanitized: bool) -> list[tuple[int, int, Outcome]]:
    """Return the outcomes of a batch; where its process was stopped, those of its programs one by one."""
    found, stopped = run(number, start, sanitized)
    if not stopped:
        return [(number, o.program, o) for o in found]
    every = []
    for k in range(BATCH):
        found, stopped = run(number, start, sanitized, only=k)
        every += [(number, k, o) for o in found]
        if stopped:
            every.append((number, k, Outcome(k, "float64", failures=(f"stopped: {stopped}",))))
    return every


def work(number: int, start: int, only: int | None, sanitized: bool) -> None:
    """Run a batch in this process and print its outcomes as JSON."""
    os.environ.pop("LD_PRELOAD", None)  # compilers need none of it
    for outcome in outcomes(batch(number, start=start), number, only, SANITIZED if sanitized else c.FLAGS):
        sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
        sys.stdout.flush()


def report(results: Iterable[tuple[int, int, Outcome]], start: int) -> int:
    """Print failures with their programs, why programs were refused, and the worst errors; return how many failed."""
    known = list(results)
    failed = [r for r in known if r[2].failures]
    for number, k, outcome in failed:
        sys.stdout.write(f"--- batch {number} program {k} {outcome.dtype}\n{text_of(batch(number, start=start)[k])}\n")
        sys.stdout.write("".join(f"  {failure}\n" for failure in outcome.failures))
    refused = Counter(o.refused for _, _, o in known if o.refused)
    for reason, times in refused.most_common():
        sys.stdout.write(f"refused {times} times: {reason}\n")
    for dtype in DTYPES:
        compared = [
            o for _, _, o in known if o.dtype == dtype and not (o.refused or o.failures or o.conditioned)
        ]
        worst = max(compared, key=lambda o: o.worst, default=Outcome(0, dtype))
        sys.stdout.write(f"{dtype}: {len(compared)} modules hold, worst error {worst.worst:.1e} ({worst.tight})\n")
    for number, k, outcome in (r for r in known if r[2].conditioned):
        sys.stdout.write(
            f"--- batch {number} program {k} magnifies rounding in single precision, in NumPy as well: "
            f"{outcome.conditioned:.1e} ({outcome.tight})\n{text_of(batch(number, start=start)[k])}\n"
        )
    sys.stdout.write(f"{len(failed)} modules fail\n")
    return len(failed)


def main() -> int:
    """Check random programs; return 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="without sanitizers")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sanitized = not options.plain
    if options.worker is not None:
        work(options.worker, options.seed, options.only, sanitized)
        return 0
    if sanitized and sanitizer() is None:
        sys.stdout.write("there is no sanitizer here: --plain runs without\n")
        return 3
    began = time.perf_counter()
    numbers = range(-(-options.programs // BATCH))
    results: list[tuple[int, int, Outcome]] = []
    with ThreadPoolExecutor(options.jobs) as pool, contextlib.suppress(KeyboardInterrupt):
        for k, part in enumerate(pool.map(lambda n: examined(n, options.seed, sanitized), numbers)):
            results += part
            sys.stderr.write(f"\r{(k + 1) * BATCH} programs, {time.perf_counter() - began:.0f} s")
    sys.stderr.write("\n")
    return 1 if report(results, options.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
