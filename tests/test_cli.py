"""The command line: verbs, options, exit codes."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from symbp import __version__, networks
from symbp.cli import app as cli
from symbp.cli import main
from symbp.cli.outcome import ToolMissing
from symbp.language.codes import CODES
from symbp.ops import ELEMENTWISE, RULES
from symbp.verify.check.codes import CODES as OF_CHECK
from symbp.verify.student.codes import CODES as OF_CODE

MLP = networks.network("mlp").text
WRONG = MLP.replace("W2 @ A1", "A1 @ W2").replace("tanh", "tahn")

EXPLAINED = CODES | OF_CHECK | OF_CODE


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in an empty folder that holds mlp.net and wrong.net."""
    monkeypatch.chdir(tmp_path)
    Path("mlp.net").write_text(MLP)
    Path("wrong.net").write_text(WRONG)

    def runs(*words: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        return Ran(int(ended.value.code or 0), captured.out, captured.err)

    return runs


# ---------------------------------------------------------------------------------------------------------
# help


def test_help_loads_nothing_that_takes_long() -> None:
    probe = (
        "import sys\n"
        "from symbp.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'sympy', 'numpy', 'pydantic', 'jinja2'} & set(sys.modules)\n"
        "print('heavy', heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "heavy set()" in done.stdout


def test_help_names_the_verbs(run: Run) -> None:
    ran = run("--help")
    assert ran.code == 0
    for verb in ("new", "derive", "generate", "verify", "check", "show", "explain", "demo"):
        assert f"\n  {verb} " in ran.out


def test_version(run: Run) -> None:
    assert run("--version").out == f"symbp {__version__}\n"


def test_no_words_print_the_help(run: Run) -> None:
    ran = run()
    assert "Usage: symbp" in ran.out + ran.err


# ---------------------------------------------------------------------------------------------------------
# new, show, explain


@pytest.mark.parametrize("name", networks.names())
def test_new_prints_a_declaration_that_can_be_read_again(run: Run, name: str) -> None:
    ran = run("new", name)
    assert ran.code == 0
    assert ran.out == networks.network(name).text
    assert networks.network(name).title, "the first line says what the network is"
    again = run("derive", "-", "--no-verify", stdin=ran.out)
    assert again.code == 0, again.err


def test_new_lists_and_suggests(run: Run) -> None:
    assert [line.split()[0] for line in run("new").out.splitlines()] == networks.names()
    ran = run("new", "mpl")
    assert ran.code == 2
    assert "mlp" in ran.err
    assert json.loads(run("new", "mlp", "--json").out)["text"] == MLP


@pytest.mark.parametrize("name", [*RULES, *ELEMENTWISE])
def test_show_has_every_rule(run: Run, name: str) -> None:
    ran = run("show", name, "--ascii")
    assert ran.code == 0
    assert "notation" in ran.out
    assert ran.out.isascii()


def test_show_tells_the_rule(run: Run) -> None:
    shown = run("show", "matmul", "--ascii").out
    assert "Abar = Ybar B^T" in shown
    assert "Bbar = A^T Ybar" in shown
    assert "A @ B" in shown
    assert "dY = (1 - Y^2) o dX" in run("show", "tanh", "--ascii").out
    assert "softmax" in run("show", "sofmax").err
    assert run("show", "sofmax").code == 2
    assert json.loads(run("show", "exp", "--json").out)["name"] == "exp"


def test_derive_tells_how_a_state_depends_on_an_earlier_one(run: Run) -> None:
    text = networks.network("rnn").text
    ran = run("derive", "-", "--jacobian", "H", "--ascii", stdin=text)
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "dH[t]/dH[s] = prod(r=s+1..t) diag(1 - H[r]^2) W"
    assert ran.out.isascii()
    data = json.loads(run("derive", "-", "--jacobian", "H", "--json", stdin=text).out)
    assert data["state"] == "H"
    for name in ("O", "nothing", "0; x"):
        refused = run("derive", "-", "--jacobian", name, stdin=text)
        assert refused.code == 2
        assert "Traceback" not in refused.err
        assert "--jacobian" in refused.err


@pytest.mark.parametrize("code", EXPLAINED)
def test_explain_has_every_code(run: Run, code: str) -> None:
    ran = run("explain", code.lower())
    assert ran.code == 0
    assert (EXPLAINED)[code].title in ran.out


def test_explain_lists_and_refuses(run: Run) -> None:
    assert len(run("explain").out.splitlines()) == len(EXPLAINED)
    assert run("explain", "X999").code == 2


# ---------------------------------------------------------------------------------------------------------
# derive


def test_derive_prints_the_numbered_equations(run: Run) -> None:
    ran = run("derive", "mlp.net", "--ascii")
    assert ran.code == 0
    assert ran.out.isascii()
    for part in (
        "mlp.net   samples are columns   loss 1x1", "(1)  Z2bar = (Z2 - Y)/m", "(2)  W2bar = Z2bar A1^T",
        "(4)  Z1bar = (W2^T Z2bar) o (1 - A1^2)", "tanh, slope through its value", "6 of 6 equations proved",
        "symbp generate mlp.net --target numpy -o out",
    ):
        assert part in ran.out


def test_derive_in_unicode(run: Run) -> None:
    assert "W̄₂ = Z̄₂ A₁ᵀ" in run("derive", "mlp.net", "--no-verify").out


def test_derive_reads_standard_input(run: Run) -> None:
    assert "W2bar = Z2bar A1^T" in run("derive", "-", "--ascii", "--no-verify", stdin=MLP).out


def test_derive_one_expression(run: Run) -> None:
    ran = run("derive", "--expr", "sum((A@x-b)**2)", "--shapes", "A[n,d] x[d,1] b[n,1]", "--wrt", "x", "--ascii")
    assert ran.code == 0
    assert "xbar = 2 A^T" in ran.out


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--notation", "dvar"], "dW2 = dZ2 A1^T"),
        (["--notation", "partial"], "dL/dW2 ="),
        (["--products", "diag"], "Z1bar"),
        (["--samples", "rows"], "W2bar = A1^T Z2bar"),
        (["--samples", "rows", "--weights", "out_in"], "W2bar = Z2bar^T A1"),
        (["--wrt", "X"], "Xbar = W1^T Z1bar"),
        (["--steps"], "because"),
        (["--mode", "inference"], "Z1bar = "),
    ],
)
def test_derive_options(run: Run, options: list[str], part: str) -> None:
    ran = run("derive", "mlp.net", "--ascii", "--no-verify", *options)
    assert ran.code == 0, ran.err
    assert part in ran.out


def test_the_network_of_inference(run: Run) -> None:
    Path("bn.net").write_text(networks.network("batch_norm").text)
    training, inference = (run("derive", "bn.net", "--ascii", "--mode", mode) for mode in ("training", "inference"))
    assert training.code == inference.code == 0, inference.err
    assert "v_run_N1" in inference.out and "v_run_N1" not in training.out
    assert "in inference" in inference.out.splitlines()[0] and "in inference" not in training.out
    assert "Z1bar = N1bar o (gamma_N1 1^T) o (V_N1 1^T)" in inference.out
    assert "proved for all sizes" in inference.out


def test_claims_are_printed_where_there_are_some(run: Run) -> None:
    Path("bn.net").write_text(networks.network("batch_norm").text)
    said = "o (m N1bar - betabar_N1 1^T - Xhat_N1 o (gammabar_N1 1^T))"
    assert said in run("derive", "bn.net", "--ascii", "--no-verify", "--claims").out
    assert said not in run("derive", "bn.net", "--ascii", "--no-verify").out
    assert "equivalently" not in run("derive", "mlp.net", "--no-verify", "--claims").out
    found = json.loads(run("derive", "bn.net", "--claims", "--json").out)
    assert [r["name"] for r in found["readings"]] == ["projector form", "compact form"]


def test_wrt_gives_what_was_asked_for(run: Run) -> None:
    shown = run("derive", "mlp.net", "--ascii", "--no-verify", "--wrt", "X, W2").out
    assert "Xbar" in shown
    assert "W2bar" in shown
    assert "W1bar" not in shown


def test_why(run: Run) -> None:
    ran = run("derive", "mlp.net", "--why", "W1", "--ascii")
    assert ran.code == 0
    for part in ("W1bar = Z1bar X^T", "<Z1bar, dW1 X>", "the transpose", "the order"):
        assert part in ran.out
    assert run("derive", "mlp.net", "--why", "W7").code == 2


@pytest.mark.parametrize(
    ("name", "begins"), [("x.tex", "\\documentclass"), ("x.md", "#"), ("x.json", "{"), ("x.svg", "<svg")]
)
def test_documents(run: Run, name: str, begins: str) -> None:
    ran = run("derive", "mlp.net", "-o", f"sub/{name}")
    assert ran.code == 0, ran.err
    assert name in ran.out
    text = (Path("sub") / name).read_text()
    assert text.startswith(begins)
    assert "W" in text


def test_documents_have_known_endings(run: Run) -> None:
    ran = run("derive", "mlp.net", "-o", "x.docx")
    assert ran.code == 2
    assert ".tex" in ran.err
    assert not Path("x.docx").exists()


def test_derive_json_is_the_json_document(run: Run) -> None:
    printed = json.loads(run("derive", "mlp.net", "--json").out)
    run("derive", "mlp.net", "-o", "x.json")
    assert printed == json.loads(Path("x.json").read_text())
    assert [r["number"] for r in printed["results"]] == [1, 2, 3, 4, 5, 6]


def test_quiet_prints_nothing(run: Run) -> None:
    assert run("derive", "mlp.net", "--quiet") == Ran(0, "", "")
    assert run("generate", "mlp.net", "-o", "out", "-q") == Ran(0, "", "")


# ---------------------------------------------------------------------------------------------------------
# generate, verify


def test_generate_writes_a_module_that_trains(run: Run) -> None:
    np = pytest.importorskip("numpy")
    sizes = ["--size", "n0=3", "--size", "n1=5", "--size", "n2=2"]
    ran = run("generate", "mlp.net", "--target", "numpy", "-o", "out", "--name", "little", *sizes)
    assert ran.code == 0, ran.err
    assert "little.py" in ran.out
    text = Path("out/little.py").read_text()
    assert not [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom) and "symbp" in str(n.module)]
    spec = importlib.util.spec_from_file_location("little", "out/little.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["little"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["little"]
    rng = np.random.default_rng(0)
    params = module.init_params(rng)
    assert params.W1.shape == (5, 3)
    inputs = module.Inputs(X=rng.normal(size=(3, 9)), Y=rng.normal(size=(2, 9)))
    first, params = module.train_step(params, inputs, 0.1)
    second, _ = module.train_step(params, inputs, 0.1)
    assert second < first


def test_generate_check_tells_stale_from_current(run: Run) -> None:
    assert run("generate", "mlp.net", "-o", "out", "--check").code == 1
    assert not Path("out").exists(), "--check writes nothing"
    run("generate", "mlp.net", "-o", "out")
    assert run("generate", "mlp.net", "-o", "out", "--check").code == 0
    ran = run("generate", "mlp.net", "-o", "out", "--check", "--dtype", "float32")
    assert ran.code == 1
    assert "mlp.py" in ran.err


def test_generate_needs_to_know_open_functions(run: Run) -> None:
    Path("deep.net").write_text(networks.network("deep").text)
    assert run("generate", "deep.net", "-o", "out").code == 2
    assert run("generate", "deep.net", "-o", "out", "--function", "sigma=tanh").code == 0


MLP_SIZES = ("--size", "n0=3", "n1=8", "n2=2", "m=4")


def test_generate_writes_a_c_module_and_says_what_it_takes(run: Run) -> None:
    ran = run("generate", "mlp.net", "--target", "c", "-o", "out", "--dtype", "float32", *MLP_SIZES)
    assert ran.code == 0, ran.err
    for name in ("mlp.h", "mlp.c", "mlp_test.c", "CMakeLists.txt"):
        assert f"out/{name}" in ran.out
        assert Path("out", name).exists()
    summary = ran.out.splitlines()[-1]
    # 3*8 + 8 + 8*2 + 2 numbers of 4 bytes, and the inputs: (3 + 2) * 4.
    assert summary.startswith("RAM ")
    assert "parameters 200, gradients 200, inputs 80, scratch" in summary
    assert "heap 0   recursion 0   libm: " in summary
    assert summary.endswith("a step")
    figures = [int(word.strip(",")) for word in summary.split("    ")[0].split() if word.strip(",").isdigit()]
    assert figures[0] == sum(figures[1:])
    data = json.loads(run("generate", "mlp.net", "--target", "c", "-o", "out", "--json", *MLP_SIZES).out)
    assert data["summary"].startswith("RAM ")
    assert run("generate", "mlp.net", "--target", "c", "-o", "out", "--check", *MLP_SIZES).code == 0
    stale = run("generate", "mlp.net", "--target", "c", "-o", "out", "--check", "--memory", "block", *MLP_SIZES)
    assert stale.code == 1


def test_generate_in_c_for_every_choice(run: Run) -> None:
    words = ["generate", "mlp.net", "--target", "c", "-o", "out", "--size", "n0=3,n1=8 n2=2"]
    ran = run(*words, "--largest", "m=16", "--memory", "block", "--optimizer", "adam", "--name", "late")
    assert ran.code == 0, ran.err
    header = Path("out/late.h").read_text()
    assert "size_t m;" in header
    assert "late_scratch *memory" in header
    assert "late_optimizer_reset" in header
    assert "optimizer 800" in ran.out


@pytest.mark.parametrize(("numbers", "layers"), [("n=4,16,3", 2), ("n=4,16,8,3", 3)])
def test_families_of_sizes_are_lists(run: Run, numbers: str, layers: int) -> None:
    Path("deep.net").write_text(networks.network("deep").text)
    words = ["generate", "deep.net", "--target", "c", "-o", "out", "--function", "sigma=tanh"]
    ran = run(*words, "--size", numbers, f"L={layers}", "m=5")
    assert ran.code == 0, ran.err
    assert f"W_{layers}[" in Path("out/deep.h").read_text()
    ran = run(*words, "--size", numbers, f"L={layers + 1}", "m=5")
    assert ran.code == 2
    assert f"with L = {layers + 1} there are n[0] to n[{layers + 1}]" in ran.err


def test_verify_holds_and_reports(run: Run) -> None:
    ran = run("verify", "mlp.net", "--junit", "report.xml", "--draws", "1")
    assert ran.code == 0, ran.out
    assert "holds, proved for all sizes" in ran.out
    suites = ElementTree.parse("report.xml").getroot()
    assert [s.get("failures") for s in suites] == ["0"]
    data = json.loads(run("verify", "mlp.net", "--json", "--draws", "1").out)
    assert {v["verdict"] for v in data["mlp.net"]} == {"holds"}


def test_derive_in_components(run: Run) -> None:
    shown = run("derive", "mlp.net", "--ascii", "--no-verify", "--form", "index").out
    assert "W1bar[i,j] = sum(s=1..m) Z1bar[i,s] X[j,s]" in shown
    assert run("derive", "mlp.net", "--form", "index", "-o", "mlp.tex").code == 0
    assert "\\sum_{s=1}^{m} \\bar{Z}_{1,i,s}" in Path("mlp.tex").read_text()
    data = json.loads(run("derive", "mlp.net", "--form", "index", "--json").out)
    assert [e["index"] for e in data["results"][0]["entries"]] == ["i", "s"]
    refused = run("derive", "mlp.net", "--form", "index", "--steps")
    assert refused.code == 2 and "--form matrix" in refused.err


def test_verify_checks_the_rule_book(run: Run) -> None:
    ran = run("verify", "--rules")
    assert ran.code == 0, ran.out
    header, *lines, last = ran.out.rstrip().splitlines()
    assert header.startswith("rule book") and any(line.split()[0] == "matmul" for line in lines)
    assert "not" not in last and "equations proved for all sizes" in last


def test_verify_without_a_compiler_says_so_and_is_well(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symbp.verify.compiled.compiler", lambda: None)
    ran = run("verify", "mlp.net", "--draws", "1", "--junit", "report.xml")
    assert ran.code == 0, ran.out
    assert "skipped" in ran.out
    assert "there is no C compiler" in ran.out
    suites = ElementTree.parse("report.xml").getroot()
    assert [(s.get("failures"), s.get("skipped")) for s in suites] == [("0", "1")]


def test_verify_fails_with_exit_code_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(ELEMENTWISE["tanh"], slopes=(lambda x, y: 1 + y**2,))
    monkeypatch.setitem(ELEMENTWISE, "tanh", wrong)
    ran = run("verify", "mlp.net", "--draws", "1")
    assert ran.code == 1
    assert "fails" in ran.out
    assert run("derive", "mlp.net").code == 1


# ---------------------------------------------------------------------------------------------------------
# bad usage and input, and our own faults


def test_bad_declarations_end_with_diagnostics(run: Run) -> None:
    ran = run("derive", "wrong.net")
    assert ran.code == 2
    assert ran.out == ""
    assert "error[" in ran.err
    assert "wrong.net:" in ran.err
    assert "did you mean `tanh`" in ran.err
    assert "Traceback" not in ran.err


def test_bad_declarations_in_json(run: Run) -> None:
    data = json.loads(run("derive", "wrong.net", "--json").out)
    assert data["exit_code"] == 2
    assert {"code", "line", "column", "message"} <= set(data["errors"][0])


@pytest.mark.parametrize(
    "words",
    [
        ["derive"],
        ["derive", "nothing.net"],
        ["derive", "mlp.net", "--wrt", "W9"],
        ["derive", "mlp.net", "--wrt", "W1; import os"],
        ["derive", "mlp.net", "--notation", "hat"],
        ["derive", "mlp.net", "--expr", "sum(x)"],
        ["derive", "--expr", "sum(x)"],
        ["derive", "--expr", "sum(x)", "--shapes", "x[n,1]"],
        ["derive", "--expr", "sum(x", "--shapes", "x[n,1]", "--wrt", "x"],
        ["generate", "mlp.net"],
        ["generate", "mlp.net", "-o", "out", "--size", "m"],
        ["generate", "mlp.net", "-o", "out", "--size", "m=0"],
        ["generate", "mlp.net", "-o", "out", "--size", "m=2", "--size", "m=3"],
        ["generate", "mlp.net", "-o", "out", "--size", "q=3"],
        ["generate", "mlp.net", "-o", "out", "--name", "../x"],
        ["generate", "mlp.net", "-o", "out", "--name", "a-b"],
        ["generate", "mlp.net", "-o", "out", "--target", "cobol"],
        ["generate", "mlp.net", "-o", "out", "--dtype", "int8"],
        ["generate", "mlp.net", "-o", "out", "--templates", "nowhere"],
        ["generate", "mlp.net", "-o", "mlp.net"],
        ["generate", "wrong.net", "-o", "out"],
        ["generate", "mlp.net", "-o", "out", "--memory", "block"],
        ["generate", "mlp.net", "-o", "out", "--optimizer", "adam"],
        ["generate", "mlp.net", "-o", "out", "--largest", "m=4"],
        ["generate", "mlp.net", "-o", "out", "--size", "n0=4,3"],
        ["generate", "mlp.net", "--target", "c", "-o", "out"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", "--size", "n0=3", "n1=8", "n2=2"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", *MLP_SIZES, "--size", "q=3"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", *MLP_SIZES, "--largest", "q=3"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", *MLP_SIZES, "--largest", "m=8"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", "--size", "n0=3", "n1=8", "n2=2", "m=4,5"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", "--size", "n0=3", "n1=8", "n2=2", "m=4.5"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", "--size", "n0=3", "n1=8", "n2=2", "m=900000000"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", "--size", "n0=3", "n1=8", "n2=2", "m=9999999999"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", *MLP_SIZES, "--name", "longer_than_it_may_be"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", *MLP_SIZES, "--name", "double"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", *MLP_SIZES, "--memory", "heap"],
        ["generate", "mlp.net", "--target", "c", "-o", "out", *MLP_SIZES, "--optimizer", "lion"],
        ["derive", "mlp.net", "--mode", "dreaming"],
        ["verify", "mlp.net", "wrong.net"],
        ["verify", "mlp.net", "--draws", "0"],
        ["verify"],
        ["check", "mlp.net"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_bad_usage_ends_with_exit_code_2_and_writes_nothing(run: Run, words: list[str]) -> None:
    ran = run(*words)
    assert ran.code == 2, ran
    assert ran.err.strip()
    assert "Traceback" not in ran.err
    assert sorted(p.name for p in Path().iterdir()) == ["mlp.net", "wrong.net"]


@pytest.mark.parametrize("verb", [["verify", "-"], ["generate", "-", "-o", "out"]], ids=["verify", "generate"])
@pytest.mark.parametrize(
    ("text", "part"),
    [("W: param[n, m]\nY = W @ W.T\n", "matrix"), ("X: input[n, m]\nloss = sum(X)\n", "parameters")],
)
def test_what_has_no_gradient_is_refused(run: Run, verb: list[str], text: str, part: str) -> None:
    ran = run(*verb, stdin=text)
    assert ran.code == 2
    assert part in ran.err


def test_a_matrix_is_derived_with_its_adjoint_left_open(run: Run) -> None:
    ran = run("derive", "--expr", "A @ X", "--shapes", "A[n, m] X[m, k]", "--wrt", "X", "--ascii")
    assert ran.code == 0
    assert "Xbar = A^T valuebar" in ran.out
    assert "verified" not in ran.out


def test_a_missing_tool_ends_with_exit_code_3(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    ran = run("demo", "-o", "out")
    assert ran.code == 3
    assert "scikit-learn" in ran.err
    assert not Path("out").exists()


def test_our_fault_ends_with_exit_code_4(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(file: str) -> object:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr(cli, "_declared", broken)
    ran = run("derive", "mlp.net")
    assert ran.code == 4
    assert "ZeroDivisionError: by design" in ran.err
    assert "Traceback" not in ran.err
    with pytest.raises(ZeroDivisionError):
        main(["--debug", "derive", "mlp.net"])


def test_tool_missing_is_no_fault_of_ours() -> None:
    assert not isinstance(ToolMissing("x"), (ValueError, OSError))


# ---------------------------------------------------------------------------------------------------------
# check

HOMEWORK = """# backward pass
dZ2 = (Z2 - Y) / m
dW2 = dZ2 @ A1.T
db2 = sum(dZ2, axis=1)
dZ1 = W2.T @ dZ2
dL/dW1 = dZ1 @ X.T
grads['b1'] = sum(dZ1, axis=1)
"""


def test_check_tells_line_nature_and_mend(run: Run) -> None:
    Path("hw.txt").write_text(HOMEWORK)
    ran = run("check", "mlp.net", "--mine", "hw.txt")
    assert ran.code == 1
    for part in (
        "wrong   at line 5; 2 gradients of 4 are affected: W1, b1", "error[C012]: slope missing", "--> hw.txt:5:7",
        " 5 | dZ1 = W2.T @ dZ2\n", "^^^^^^^^^^ gradient of A1; Z1 lies before it",
        "= mend: dZ1 = (W2.T @ dZ2) * (1 - A1**2)", "then all 4 gradients are right",
        "= why:  dL = <A1bar, dA1> and dA1", "lines 6, 7 (dL/dW1, grads['b1']) are wrong only because of line 5",
        "lines 2 to 4 are right", "3 draws", "adjoint, complex step", "tolerance 1e-8",
    ):
        assert part in ran.out, part
    last = ran.out.splitlines()[-1]
    assert last == "Wrong, first in line 5 (slope missing): 2 of 4 gradients are not right (W1, b1)."


def test_check_reads_standard_input_and_one_line(run: Run) -> None:
    right = HOMEWORK.replace("W2.T @ dZ2", "(W2.T @ dZ2) * (1 - A1**2)")
    ran = run("check", "mlp.net", "-", stdin=right)
    assert (ran.code, ran.out.splitlines()[0]) == (0, "right   all 4 gradients are right: W1, b1, W2, b2")
    assert run("check", "mlp.net", "--mine", "-", stdin=right).code == 0
    assert run("check", "mlp.net", "dW1 = dZ1 @ X.T").code == 0
    assert run("check", "mlp.net", "dW1 = dZ1 @ X").code == 1


def test_check_up_to_a_constant(run: Run) -> None:
    text = HOMEWORK.replace("W2.T @ dZ2", "(W2.T @ dZ2) * (1 - A1**2)").replace(" / m", "")
    ran = run("check", "mlp.net", "-", stdin=text)
    assert ran.code == 1
    assert "right up to a constant   every gradient is m times the truth (W1, b1, W2, b2)" in ran.out
    assert "error[C021]: 1/m missing" in ran.out
    assert "not both" in ran.out


def test_check_hints_without_the_mend(run: Run) -> None:
    ran = run("check", "mlp.net", "-", "--hint", stdin=HOMEWORK)
    assert ran.code == 1
    assert "look at line 5" in ran.out and "?" in ran.out
    assert "mend" not in ran.out and "slope missing" not in ran.out and "(1 - A1**2)" not in ran.out
    kept = run("check", "mlp.net", "-", "--no-reveal", stdin=HOMEWORK)
    assert "slope missing" in kept.out and "mend" not in kept.out


def test_check_as_data(run: Run) -> None:
    data = json.loads(run("check", "mlp.net", "-", "--json", stdin=HOMEWORK).out)
    assert data["verdict"] == "wrong"
    assert data["affected"] == ["W1", "b1"]
    assert data["witnesses"] == ["adjoint", "complex step"]
    (fault,) = data["faults"]
    assert (fault["line"], fault["code"], fault["nature"], fault["caused"]) == (5, "C012", "slope missing", [6, 7])


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("import os\nos.system('ls')\n", ["P010", "P010"]), ("dW1 = dZ1 @ Q\ndb1 = Q @ Q\n", ["N001", "N001"]),
        ("dW1 = (\n", ["P003"]), ("dW1 = 10**10**10 * W1\n", ["L005"]), ("", ["P016"]), ("dW1 = f(X)\n", ["O001"]),
        ("X = 3*X\n", ["B002"]), ("m = 3\n", ["N011"]), ("dW1 = dense(X, 3)\n", ["O008"]), ("dW1 = 'a'*9\n", ["O007"]),
    ],
)
def test_check_of_what_cannot_be_read_tells_every_error(run: Run, text: str, codes: list[str]) -> None:
    ran = run("check", "mlp.net", "-", stdin=text)
    assert ran.code == 2
    for code in codes:
        assert f"error[{code}]" in ran.err
    assert ran.err.count("error[") >= len(codes)


def test_check_of_a_folder_is_one_table(run: Run) -> None:
    Path("works").mkdir()
    right = HOMEWORK.replace("W2.T @ dZ2", "(W2.T @ dZ2) * (1 - A1**2)")
    works = {"ada": right, "ben": HOMEWORK, "cleo": HOMEWORK, "dan": "dW1 = (\n", "eve": "import os\n"}
    for name, text in works.items():
        Path("works", f"{name}.txt").write_text(text)
    ran = run("check", "mlp.net", "--mine", "works")
    assert ran.code == 1
    rows = [line.split("  ") for line in ran.out.splitlines()]
    assert [row[0] for row in rows[:6]] == ["file", "ada.txt", "ben.txt", "cleo.txt", "dan.txt", "eve.txt"]
    assert rows[1][1].strip() == "right" and "C012" in ran.out.splitlines()[2] and "P003" in ran.out.splitlines()[4]
    assert "   2 times  dZ1 = W2.T @ dZ2" in ran.out
    data = json.loads(run("check", "mlp.net", "--mine", "works", "--json").out)
    assert [r["verdict"] for r in data["submissions"]] == ["right", "wrong", "wrong", "unreadable", "unreadable"]


def test_check_with_a_loss_that_is_a_sum(run: Run) -> None:
    text = HOMEWORK.replace("W2.T @ dZ2", "(W2.T @ dZ2) * (1 - A1**2)").replace(" / m", "")
    assert run("check", "mlp.net", "-", "--loss", "sum", stdin=text).code == 0
    assert run("check", "mlp.net", "-", "--loss", "sum(Z2)", stdin=text).code == 2


def test_check_says_that_training_is_stuck_where_it_was_seen(run: Run) -> None:
    import numpy as np

    Path("xor.net").write_text(networks.network("xor").text)
    np.savez("zero.npz", W1=np.zeros((4, 2)), b1=np.zeros((4, 1)), W2=np.zeros((1, 4)), b2=np.zeros((1, 1)))
    words = ("check", "xor.net", "dZ2 = (P - Y) / m; dW2 = dZ2 @ A1.T", "--stuck", "--steps", "120")
    ran = run(*words, "--start", "zero.npz", "--rate", "1")
    assert (ran.code, ran.out.split("   ")[0]) == (0, "gradient right, training stuck")
    assert "all 4 rows of W1 are zero at the end" in ran.out
    assert run(*words, "--data", "mlp.net").code == 2
    Path("rnn.net").write_text(networks.network("rnn").text)
    assert run("check", "rnn.net", "dV = 2 * dV1", "--stuck").code == 2
    assert "2 inputs" in run("check", "rnn.net", "dV = V", "--stuck").err


def test_check_needs_a_work(run: Run) -> None:
    assert run("check", "mlp.net").code == 2
    assert run("check", "mlp.net", "--mine", "nowhere.txt").code == 2
    assert run("check", "mlp.net", "dW1 = dZ1 @ X.T", "--mine", "hw.txt").code == 2


def test_names_of_files_that_are_none_and_outputs_that_are_families(run: Run) -> None:
    Path("mlp.net").write_text(networks.network("mlp").text)
    for words in (("--mine", ""), ("--mine", "a" * 5000), ("--code", "a" * 5000), ("--mine", "a\0b")):
        ran = run("check", "mlp.net", *words)
        assert ran.code == 2, words
        assert (ran.out + ran.err).startswith("error")
    loops = "H[0]: input[h, m]\nW: param[h, h]\nfor t in range(1, T+1):\n    "
    for body, said in (("H[t] = tanh(W @ H[t-1])\n", "nothing to differentiate"),
                       ("H[t] = tanh(W @ H[t-1])\n    O[t] = W @ H[t]\n", "the output O is a family")):
        Path("loops.net").write_text(loops + body)
        ran = run("derive", "loops.net")
        assert ran.code == 2 and said in ran.err
