"""The codes of the judge: those of the natures of mistakes, and those of what is known where no nature is."""

from __future__ import annotations

from symbp.language.codes import Code
from symbp.verify.check import natures

CODES: dict[str, Code] = {
    "C001": Code(
        "not the truth",
        "The line is no multiple of the gradient that it is named after, and no single change of its text makes it so. "
        "What it is made of is right.",
    ),
    "C002": Code(
        "the mistake is in one of several lines",
        "A line is wrong, and the lines that it is made of have names that do not say what they are, so that each of "
        "them may be the one. A comment says it: `# of: Z1` behind a line means the gradient of Z1.",
    ),
    "C003": Code(
        "a line without a value",
        "The line can be read, but not evaluated, for example because shapes do not fit at the sizes that were drawn.",
    ),
    "C004": Code(
        "mixed layouts",
        "The gradient is transposed while others are not. Either layout is fine, one at a time: the gradient of a "
        "matrix has the shape of the matrix, or all are the other way.",
    ),
    "C005": Code(
        "a gradient that is not computed for all members",
        "A family has a member for every layer or time step. The loops of the work do not reach all of them.",
    ),
    "C006": Code("a line that reads another one that cannot be read", "Mend the other line first."),
    **natures.CODES,
}
"""Every code of the judge."""
