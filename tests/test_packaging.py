"""What is installed: templates and networks are there in a checkout, an editable install, a wheel and an sdist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import symbp
from symbp import networks
from symbp.render.templates import template_roots

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = sorted(p.relative_to(ROOT / "templates").as_posix() for p in (ROOT / "templates").rglob("*.j*"))
NETWORKS = [f"{name}.net" for name in networks.names()]

PROBE = """
import pathlib, symbp
from symbp.networks import network
text = network("mlp").text
derivation = symbp.derive(text)
assert "W1" in symbp.generate(derivation)["network.py"]
from symbp.render.document import latex_document
assert "documentclass" in latex_document(derivation)
print(pathlib.Path(symbp.__file__).parent)
"""


def test_templates_and_networks_are_found_here() -> None:
    assert TEMPLATES
    assert len(NETWORKS) >= 10
    assert [root for root in template_roots() if root.joinpath("numpy", "module.py.jinja").is_file()]


def test_the_version_is_stated_once() -> None:
    stated = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert stated is not None
    assert stated[1] == symbp.__version__


def test_the_readme_has_its_two_commands() -> None:
    """Each is one line, complete on a fresh machine, and found by its words."""
    lines = (ROOT / "README.md").read_text().splitlines()
    for word in ("symbp demo", "pytest"):
        found = [line for line in lines if re.search(rf"venv .*&&.*{word}", line)]
        assert len(found) == 1, word
        assert found[0].strip().startswith("python3 -m venv .venv && .venv/bin/pip install ")


def test_nothing_that_is_shipped_names_this_machine() -> None:
    """No absolute path of a developer's machine stands in a tracked text."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    home = re.compile(r"/(?:home|root|Users|work)/\w")
    named = [
        name for name in listed.stdout.splitlines()
        if (ROOT / name).is_file() and home.search((ROOT / name).read_text(encoding="utf-8", errors="ignore"))
        and name != "tests/test_packaging.py"
    ]
    assert not named


# ---------------------------------------------------------------------------------------------------------
# Builds (slow): with the installed build backend, without a network


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the sdist from the checkout and the wheel from the sdist, as an installer would."""
    folder = tmp_path_factory.mktemp("dist")
    backend = "import sys; from hatchling import build; print(getattr(build, sys.argv[1])(sys.argv[2]))"
    run = lambda what, where: subprocess.run(  # noqa: E731
        [sys.executable, "-c", backend, what, str(folder)], cwd=where, capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    sdist = folder / run("build_sdist", ROOT)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    return sdist, folder / run("build_wheel", source)


@pytest.mark.slow
def test_the_wheel_carries_templates_and_networks(built: tuple[Path, Path]) -> None:
    names = set(zipfile.ZipFile(built[1]).namelist())
    missing = [f"symbp/_templates/{t}" for t in TEMPLATES if f"symbp/_templates/{t}" not in names]
    missing += [f"symbp/networks/{n}" for n in NETWORKS if f"symbp/networks/{n}" not in names]
    assert not missing
    assert "symbp/py.typed" in names
    assert any(n.endswith("licenses/LICENSE") for n in names)
    assert {n.split("/")[0].split("-")[0] for n in names} == {"symbp"}


@pytest.mark.slow
def test_the_sdist_carries_what_is_tested(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("README.md", "LICENSE", "pyproject.toml", "tests/test_packaging.py", "docs/conf.py"):
        assert needed in names
    assert {f"templates/{t}" for t in TEMPLATES} <= names


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wheel", "sdist", "editable"])
def test_an_installation_works_outside_the_checkout(built: tuple[Path, Path], how: str, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True, system_site_packages=False)
    python = tmp_path / "env" / "bin" / "python"
    # The dependencies are those of the running interpreter; the package itself is not taken from there.
    outer = [p for p in sys.path if p.endswith("site-packages")]
    what = {"wheel": [str(built[1])], "sdist": [str(built[0])], "editable": ["-e", str(ROOT)]}[how]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(outer)}
    subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--ignore-installed", *what],
        env=environment, check=True, stdin=subprocess.DEVNULL,
    )
    # First on the path: what was just installed; its .pth file is read by -c site.addsitedir.
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    probe = f"import site, sys; sys.path[:0] = [{str(site)!r}]; site.addsitedir({str(site)!r})\n{PROBE}"
    done = subprocess.run(
        [str(python), "-I", "-c", f"import sys; sys.path += {outer!r}\n{probe}"], cwd=tmp_path, capture_output=True,
        text=True, check=True,
    )
    place = Path(done.stdout.split()[-1])
    assert place == (ROOT / "symbp" if how == "editable" else site / "symbp")
