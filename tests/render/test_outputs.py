"""Markdown, JSON and notebook forms of programs, derivations and steps."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from xml.etree import ElementTree

import pytest
from symbp.calculus import derive
from symbp.derivation import Derivation
from symbp.language import read_text
from symbp.networks import network
from symbp.render import Notation
from symbp.render.data import derivation_data, derivation_json
from symbp.render.markdown import markdown
from symbp.render.notebook import mimebundle
from syrupy.assertion import SnapshotAssertion


@lru_cache
def derived(name: str) -> Derivation:
    """Return the derivation of a bundled network."""
    return derive(read_text(network(name).text))


def test_markdown(snapshot: SnapshotAssertion) -> None:
    assert markdown(derived("rnn"), text=network("rnn").text, title="rnn.net") == snapshot


def test_markdown_has_every_equation_and_its_fences_hold() -> None:
    found = derived("mlp")
    shown = markdown(found, text="# ``` and ~~~\nX: input[n, m]", title="a_b*.net")
    assert shown.count("$$") % 2 == 0
    assert [int(k) for k in re.findall(r"\\tag\{(\d+)\}", shown)] == [r.number for r in found.results]
    assert r"a\_b\*" in shown
    assert "\n~~~~~~\n# ``` and ~~~\n" in shown
    assert "Step by step" not in markdown(found, steps=False)


def test_json_says_results_steps_and_shapes() -> None:
    found = derived("rnn")
    data = json.loads(derivation_json(found, title="rnn.net"))
    assert data["name"] == "rnn.net"
    assert data["samples"] == {"size": "m", "axis": "columns"}
    assert [r["number"] for r in data["results"]] == [r.number for r in found.results]
    assert len(data["steps"]) == len(found.steps)
    by_name = {r["name"]: r for r in data["results"]}
    assert by_name["Z_bar"]["value"]["text"] == "(V^T Obar[t] + W^T Zbar[t+1]) o (1 - H[t]^2)"
    assert by_name["Z_bar"]["shape"] == ["h", "m"]
    assert by_name["Z_bar"]["ranges"] == [{"index": "t", "first": "T", "last": "1"}]
    assert by_name["Z_bar"]["notes"] == [{"zero": "Zbar[t]", "index": "t", "relation": ">", "end": "T"}]
    assert data["gradients"]["W"] == {"adjoint": "W_bar", "number": by_name["W_bar"]["number"]}


def test_json_is_byte_stable_and_ascii() -> None:
    again = derive(read_text(network("rnn").text))
    assert derivation_json(again) == derivation_json(derived("rnn"))
    assert derivation_json(again).isascii()


def test_json_follows_the_notation() -> None:
    data = derivation_data(derived("nielsen"), Notation("delta"))
    assert sorted(r["tag"] for r in data["results"]) == ["BP1", "BP2", "BP3", "BP4"]


@pytest.mark.parametrize("name", ["mlp", "iris", "rnn", "lstm", "dropout"])
def test_notebook(name: str) -> None:
    found = derived(name)
    values = [found.source, found, *found.results, *found.steps, *(r.value for r in found.results)]
    for value in values:
        shown = mimebundle(value)
        assert set(shown) == {"text/plain", "text/latex", "text/html"}
        assert shown["text/latex"].startswith("$\\displaystyle ")
        # Well-formed MathML without a trace of LaTeX.
        root = ElementTree.fromstring(shown["text/html"])
        assert root.tag.endswith("math")
        assert "\\" not in "".join(root.itertext())


def test_notebook_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="int has no typeset form"):
        mimebundle(3)
