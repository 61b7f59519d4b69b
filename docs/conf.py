"""How the documentation is built: every page is executed, formulas are MathML, the rule book is read from symbp."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
# The pages call `symbp` as their reader does; the command stands beside the interpreter that builds them.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["PYTHONUTF8"] = "1"
# The kernels that execute the pages find the magic %%shell.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH")]))

from symbp import __version__

project = "symbp"
author = "The symbp developers"
copyright = author
release = version = __version__

extensions = ["myst_nb", "rulebook", "gallery", "mathml"]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_ext"]

nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

html_theme = "furo"
html_title = f"symbp {release}"
html_math_renderer = "mathml"
html_copy_source = False
