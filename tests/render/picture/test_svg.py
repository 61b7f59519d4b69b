"""The SVG itself: well-formed, self-contained, stable, with text that fits."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from symbp.language import read_text
from symbp.networks import network
from symbp.render.picture import Drawing, picture
from symbp.render.picture.svg import (
    ASIDE_NAME, CARRIED, FAINT, FILL, FILLS, GAP, INK, LINE, NAME, SMALL, WORD, runs, runs_width,
)
from symbp.render.picture.widths import width

SVG = "{http://www.w3.org/2000/svg}"


def test_text_fits_its_box(draw: Any, any_name: str) -> None:
    drawing = draw(any_name)
    for vertex in drawing.graph.around:
        extent = drawing.extent(vertex)
        label, shape = drawing.label(vertex.ref), drawing.shape(vertex.ref)
        assert runs_width(label, NAME) + GAP + runs_width(shape, WORD) < extent.box
        told = drawing.told(vertex)
        assert all(width(line, WORD) < extent.box for line in told)
        assert 28 + 15 * len(told) <= extent.height
        for ref in vertex.side:
            written = runs_width(drawing.label(ref), ASIDE_NAME) + GAP + runs_width(drawing.shape(ref), SMALL)
            assert written < drawing.pill(ref) < extent.width - extent.box


def test_it_is_well_formed_and_refers_to_nothing(draw: Any, any_name: str) -> None:
    text = draw(any_name).svg()
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert kinds <= {"svg", "g", "title", "rect", "path", "text", "tspan"}
    assert not [name for e in root.iter() for name in e.attrib if "href" in name or name in ("style", "class", "id")]
    x, y, w, h = map(float, root.attrib["viewBox"].split())
    for rect in root.iter(f"{SVG}rect"):
        left, top, wide, high = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
        assert x <= left and y <= top and left + wide <= x + w and top + high <= y + h


def test_every_equation_is_named_once(draw: Any, any_name: str) -> None:
    drawing = draw(any_name)
    titles = [e.text or "" for e in ET.fromstring(drawing.svg()).iter(f"{SVG}title")]
    wanted = [drawing.equation(v) for v in drawing.graph.around]
    assert sorted(titles) == sorted(wanted)
    for site in drawing.program.sites:
        assert len([t for t in titles if t.startswith(f"{drawing.label(site.target)} = ")]) == 1


def test_names_are_escaped() -> None:
    program = read_text("X: input[n, m]\nW: param[n, n]\nloss = sum(where(W @ X < 1, X, 0))\n", "x.net")
    text = Drawing(program.replace(name='<script>"&')).svg()
    root = ET.fromstring(text)
    assert root.attrib["aria-label"] == 'Network <script>"&'
    assert "<script" not in text


def test_subscripts() -> None:
    assert runs("W₁") == [("W", False), ("1", True)]
    assert runs("Z_A₁[t-1]") == [("Z", False), ("A1,t−1", True)]
    assert runs("n[l]×m") == [("n", False), ("l", True), ("×m", False)]
    assert runs("4h×n₀") == [("4h×n", False), ("0", True)]
    assert runs("X\u0302_N₁") == [("X\u0302", False), ("N1", True)]
    assert runs("Wq[j]") == [("W", False), ("q,j", True)]


def test_a_letter_that_the_table_lacks_is_wide() -> None:
    assert width("字", 10) == 10
    assert width("i", 10) < width("m", 10) <= 10
    assert width("X\u0302", 10) == width("X", 10)


@pytest.mark.parametrize("name", ["mlp", "rnn"])
def test_pictures(name: str, snapshot: SnapshotAssertion) -> None:
    assert picture(read_text(network(name).text, f"{name}.net", name=name)) == snapshot


def test_the_same_network_gives_the_same_bytes() -> None:
    code = (
        "import symbp; from symbp.networks import network\n"
        "print(symbp.picture(network('stacked').text) + symbp.picture(network('lstm').text), end='')"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, encoding="utf-8",
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "PYTHONUTF8": "1"},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(made) == 1
    assert next(iter(made)).count("<svg") == 2


def test_a_notebook_shows_it() -> None:
    import symbp

    shown = symbp.picture(network("xor").text)
    assert shown._repr_svg_().startswith("<svg")


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_it_can_be_read_on_white_and_on_black() -> None:
    for colour in (LINE, CARRIED):
        assert min(contrast(colour, page) for page in ("#ffffff", "#131416", "#000000")) > 4
    for ground, _ in (FILL, *FILLS.values()):
        assert min(contrast(ink, ground) for ink in (INK, FAINT)) > 6
