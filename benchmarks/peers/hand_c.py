"""C by hand, for networks with one hidden layer: ``hand_c.c``, with every size a constant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import Unavailable, _native

LABEL = "C by hand"
SERIAL = True


def setup(workload: Any, parameters: Any, data: Any, threads: int) -> Any:
    """Return the peer."""
    widths = getattr(workload, "widths", ())
    if len(widths) != 3 or widths[0] * widths[1] > 200_000 or widths[2] > 16:
        raise Unavailable("written for small networks with one hidden layer")
    n0, n1, n2 = widths
    sizes = {"N0": n0, "N1": n1, "N2": n2, "M": workload.batch, "TANH": int(workload.hidden == "tanh")}
    text = (Path(__file__).parent / "hand_c.c").read_text(encoding="utf-8")
    flags = ["-ffast-math", *(f"-D{name}={size}" for name, size in sizes.items())]
    return _native.Net({"net.c": text}, flags, [], workload, parameters, data)
