"""A picture of a network with symbolic sizes: boxes, arrows, and a frame around each loop, as SVG."""

from __future__ import annotations

from symbp.program import Program
from symbp.render.notation import Notation
from symbp.render.picture.svg import Drawing


class Picture(str):
    """The text of an SVG file, which a notebook shows as a picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def picture(program: Program, notation: Notation | None = None) -> Picture:
    """Return the picture of a program; the same program gives the same bytes.

    program:  as it was declared; loops stay loops, so that the picture is that of all sizes.
    notation: how names are written.
    """
    return Picture(Drawing(program, notation).svg())


__all__ = ["Drawing", "Picture", "picture"]
