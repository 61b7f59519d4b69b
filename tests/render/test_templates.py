"""Where templates are found: inside an installed package, else beside it in a checkout; a folder of the user first."""

from __future__ import annotations

from pathlib import Path

import pytest

from symbp.render import templates
from symbp.render.templates import TemplateError, environment, rendered, template_roots


def test_a_checkout_has_them_beside_the_package() -> None:
    (root,) = template_roots()
    assert (root / "numpy" / "module.py.jinja").is_file()


def test_an_installed_package_has_them_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "symbp"
    (inside / "_templates" / "numpy").mkdir(parents=True)
    (inside / "_templates" / "numpy" / "x.jinja").write_text("installed")
    monkeypatch.setattr(templates.resources, "files", lambda package: {"symbp": inside}[package])
    assert template_roots() == [inside / "_templates"]
    assert rendered("numpy", "x.jinja", {}) == "installed"


def test_a_folder_of_the_user_comes_first(tmp_path: Path) -> None:
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "x.jinja").write_text("a {{ value }}\n")
    (tmp_path / "x.jinja").write_text("b {{ value }}\n")
    assert rendered("numpy", "x.jinja", {"value": "<1>"}, tmp_path) == "a <1>\n"
    assert rendered("latex", "x.jinja", {"value": 2}, tmp_path) == "b 2\n"
    assert environment("numpy", tmp_path).get_template("module.py.jinja")


def test_no_name_leads_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "mine").mkdir()
    for name in ("../secret", "/etc/hostname", "numpy/../../secret"):
        with pytest.raises(TemplateError, match="there is no template"):
            rendered("numpy", name, {}, tmp_path / "mine")


def test_values_are_no_source(tmp_path: Path) -> None:
    (tmp_path / "x.jinja").write_text("{{ value }}")
    assert rendered("numpy", "x.jinja", {"value": "{{ 7 * 7 }}"}, tmp_path) == "{{ 7 * 7 }}"
