"""The LaTeX document: compiles without overfull lines, tells everything, is byte-stable, is not fooled by its input."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest
from symbp.calculus import derive
from symbp.derivation import Derivation
from symbp.language import read_text
from symbp.networks import network
from symbp.render import Notation
from symbp.render.document import conventions, escape, formula, latex_document, listing, result_rows
from symbp.render.latex import Latex
from symbp.render.names import Names
from symbp.render.steps import program_of
from syrupy.assertion import SnapshotAssertion

WIDE = """
a_very_long_name_indeed: input[first_size, samples_of_data]
another_long_name_here: input[first_size, samples_of_data]
the_target_of_it: target[first_size, samples_of_data]
Weights_of_layer: param[first_size, first_size]
bias_of_the_layer: param[first_size, 1]
product = a_very_long_name_indeed * another_long_name_here + a_very_long_name_indeed
pre = Weights_of_layer @ product + bias_of_the_layer
hid = tanh(pre) * sigmoid(pre) + exp(pre) / (1 + exp(pre)) + where(pre > 0, sin(pre), cos(another_long_name_here)) * pre
loss = sum((hid - the_target_of_it)**2 * (1 + another_long_name_here)) / (2*first_size*samples_of_data)
"""


@lru_cache
def derived(name: str) -> Derivation:
    """Return the derivation of a bundled network, or of the wide one."""
    return derive(read_text(WIDE if name == "wide" else network(name).text))


def compiled(tex: str, folder: Path) -> str:
    """Run latexmk and return the log; fail where it fails."""
    (folder / "d.tex").write_text(tex, encoding="utf-8")
    done = subprocess.run(
        ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "d.tex"], cwd=folder, capture_output=True,
        check=False,
    )
    log = (folder / "d.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, log[-3000:]
    return log


needs_latex = pytest.mark.skipif(shutil.which("latexmk") is None, reason="latexmk is not installed")


@needs_latex
@pytest.mark.parametrize(
    ("name", "notation"), [("rnn", Notation()), ("wide", Notation("partial"))], ids=["rnn", "wide"]
)
def test_compiles_without_overfull_lines(name: str, notation: Notation, tmp_path: Path) -> None:
    log = compiled(latex_document(derived(name), notation, title=f"{name}.net", detail=True), tmp_path)
    assert re.findall(r"Overfull \\hbox.*", log) == []
    assert "LaTeX Warning: Reference" not in log


@needs_latex
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mlp", "iris", "deep", "delayed", "bidirectional", "stacked", "lstm", "dropout", "residual", "conv",
        "lenet",
    ]
)
@pytest.mark.parametrize("adjoints", ["bar", "partial", "delta", "dvar"])
def test_all_compile_without_overfull_lines(name: str, adjoints: str, tmp_path: Path) -> None:
    notation = Notation(adjoints, "diag")  # type: ignore[arg-type]
    log = compiled(latex_document(derived(name), notation, text=network(name).text, detail=True), tmp_path)
    assert re.findall(r"Overfull \\hbox.*", log) == []


@needs_latex
def test_hostile_text_is_printed_not_run(tmp_path: Path) -> None:
    hostile = "# \\end{document} \\input{/etc/passwd} $x_y^z$ {{ }} << 1 >> <% x %> \u2028 é σ → “q” ```\n" + "#" * 300
    log = compiled(latex_document(derived("mlp"), text=hostile, title="\\evil{}_$.net"), tmp_path)
    assert "/etc/passwd" not in log
    assert re.findall(r"Overfull \\hbox.*", log) == []


def test_escape() -> None:
    assert escape("a_b") == r"a\_b"
    assert escape("\\x{1}$") == r"\textbackslash{}x\{1\}\$"
    assert escape("é σ") == "e ?"
    assert all(" " <= c <= "~" for c in escape("\u2028\u0000→\t"))


def test_listing_keeps_blanks_and_folds_long_lines() -> None:
    assert listing("a\n  b = c") == ["a", r"\ \ b\ =\ c"]
    assert listing("a --b") == [r"a\ -{}-{}b"]
    folded = listing("x = " + " + ".join(["abcdefgh"] * 30))
    assert len(folded) > 1
    assert max(len(line.replace("\\ ", " ")) for line in folded) <= 92


@pytest.mark.parametrize("name", ["mlp", "deep", "rnn"])
def test_document(name: str, snapshot: SnapshotAssertion) -> None:
    assert latex_document(derived(name), text=network(name).text, title=f"{name}.net") == snapshot


def test_byte_stable() -> None:
    again = derive(read_text(network("rnn").text))
    assert latex_document(again, title="rnn.net") == latex_document(derived("rnn"), title="rnn.net")


def test_says_everything() -> None:
    found = derived("iris")
    tex = latex_document(found, text=network("iris").text, title="iris.net", detail=True)
    p = Latex(Names(program_of(found), None, found.output))
    for site in found.forward.sites:
        assert p(site.target) + " = " in tex
    for r in found.results:
        assert f"({r.number}) & $ \\displaystyle {p(r.target)} = " in tex
    for rule in ("product", "broadcast", "tanh", "log-sum-exp"):
        assert f"\n{rule} & $" in tex
    assert "because the columns (rows) of Y sum to one" in tex
    assert "Magnus" in tex
    assert "Samples are columns: there are $m$ of them." in tex
    assert "Assumed of $Y$" in tex
    without = latex_document(found, steps=False)
    assert "Step by step" not in without
    rnn = latex_document(derived("rnn"), steps=False)
    assert rnn.count("for $t = 1, \\dots, T$:") == 1 and "newline {\\small for" not in rnn
    assert r"\bar{Z}_{2} = \frac{1}{m} (P - Y)" in without


def test_steps_are_numbered_without_gap_and_a_vacuous_one_is_left_out() -> None:
    tex = latex_document(derived("rnn"), detail=True)
    numbers = [int(x) for x in re.findall(r"^S(\d+) &", tex, re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    for left, right in re.findall(r"^S\d+ & \$ \\displaystyle (.*?) = (.*?) \$ &", tex, re.M):
        assert left != right


def test_a_family_is_declared_piece_by_piece() -> None:
    tex = latex_document(derived("rnn"))
    assert r"$ H_{0} $ & $ h \times m $ & input \\" in tex
    assert r"$ X_{t} $ & $ n \times m $ & input, $t = 1, \dots, T$ \\" in tex


def test_kinks_are_in_the_header() -> None:
    found = derived("dropout")
    p = Latex(Names(program_of(found), None, found.output))
    assert any("relu" in sentence and "slope 0 at 0" in sentence for sentence in conventions(found, p))


def test_delta_numbers_the_four_equations() -> None:
    found = derived("nielsen")
    p = Latex(Names(program_of(found), Notation("delta"), found.output))
    assert sorted(row.number for row in result_rows(found, p)) == ["BP1", "BP2", "BP3", "BP4"]


def test_what_cannot_be_broken_is_made_smaller() -> None:
    assert formula("A = B", 100).startswith("$ ")
    assert formula("A = \\frac{" + "x + " * 60 + "y}{z}", 100).startswith("\\resizebox")


def test_a_template_of_the_user_replaces_ours(tmp_path: Path) -> None:
    (tmp_path / "derivation.tex.j2").write_text("<< title >>: << results|length >> equations {{ }}\n", encoding="utf-8")
    assert latex_document(derived("mlp"), title="x", templates=tmp_path) == "x: 6 equations {{ }}\n"
