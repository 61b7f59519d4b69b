"""One-edit changes of a line: those that mend a mistake, and those that make one."""

from symbp.verify.check.edits.known import Applied, Known, Meaning, Shape
from symbp.verify.check.edits.table import ROWS, Edit, Row, edits, plant, words

__all__ = ["ROWS", "Applied", "Edit", "Known", "Meaning", "Row", "Shape", "edits", "plant", "words"]
