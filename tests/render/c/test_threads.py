"""Threads that share the rows of a product: what belongs to a row, or to a block of rows, is each thread's own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from symbp.calculus import derive
from symbp.calculus.passes import passes
from symbp.language import read_text
from symbp.networks import network
from symbp.render import c
from symbp.render.c import statements
from symbp.verify.draws import choose_sizes
from symbp.verify.programs import specified

REGION = re.compile(
    r"#pragma omp parallel for.*\n#endif\n"
    r"(?P<space> *)for \(size_t (?P<first>\w+) = .*\n(?P<body>(?:.*\n)*?)(?P=space)\}\n"
)
WRITTEN = re.compile(r"\b(?P<name>\w+)\[(?P<place>[^\]]*)\] \+?= ")
OWN = re.compile(r"\*(?:restrict )?const (?P<name>\w+) = &\w+_windows\[\(size_t\)omp_get_thread_num\(\)")
STEP = re.compile(r"for \(size_t (?P<name>\w+) = first; ")


def shared_places(text: str) -> Iterator[str]:
    """Yield what is written in a region of threads at a place that is the same for every row of a product."""
    for region in REGION.finditer(text):
        body = region["body"]
        own = {m["name"] for m in OWN.finditer(body)}
        steps = {m["name"] for m in STEP.finditer(body)} | {region["first"]}
        for write in WRITTEN.finditer(body):
            if write["name"] not in own and not steps & set(re.findall(r"\w+", write["place"])):
                yield write[0]


def source_of(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the C of a network in which all products are shared, as they are in a large one."""
    monkeypatch.setattr(statements, "SHARED", 1)
    derivation = derive(specified(read_text(network(name).text)))
    sizes = {**choose_sizes(derivation.source)[-1], "m": 300}
    module = c.planned(
        passes(derivation), name="net", sizes=sizes, dtype="float64", memory="static", optimizer="sgd", clip=False,
        largest={},
    )
    return c.files(module)["net.c"]


@pytest.mark.parametrize("name", ["batch_norm", "digits", "iris", "layer_norm", "mlp", "residual"])
def test_no_two_threads_write_to_one_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = source_of(name, monkeypatch)
    assert len(REGION.findall(text)) >= 2
    assert list(shared_places(text)) == []


def test_a_place_that_threads_share_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of one column of a softmax in memory of the module: as they once were."""
    monkeypatch.setattr(statements.Writer, "_of_a_step", lambda self, nest: [])
    assert any("_exp[" in place for place in shared_places(source_of("digits", monkeypatch)))
