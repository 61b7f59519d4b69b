"""What a notebook shows of an object: a place that the renderers fill in, so that nothing here knows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar


class Displayed:
    """Something that shows itself as typeset mathematics once ``symbp.render`` is loaded, and as text before."""

    __slots__ = ()

    show: ClassVar[Callable[[Any], dict[str, str]] | None] = None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return Displayed.show(self) if Displayed.show is not None else {"text/plain": repr(self)}
