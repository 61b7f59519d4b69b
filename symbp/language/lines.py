"""From text to logical lines: the part of reading that looks at characters only.

The text must be ASCII outside comments, without tabs.  Brackets and a trailing backslash join physical lines, ``;``
separates statements, indentation makes blocks.  Every error has a place and reading goes on behind it, so that all
errors of a file are found.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from symbp.language.diagnostics import Report, Span

MOST_CHARACTERS = 1_000_000
MOST_NESTING = 64
MOST_STATEMENT = 200_000
MOST_LINES_OF_A_STATEMENT = 2_000
MOST_IN_A_LINE = 10_000
"""Statements of one line, empty ones among them."""

_INTERESTING = re.compile(r"""[()\[\]{};#"'\\]""")
_WRITTEN = re.compile(r"\S")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_BLOCK = re.compile(r"(for|def|if|elif|else|while|class|with|try|except|finally|match|case|async)\b")
# A line that looks like the beginning of a statement; used to find where an unclosed bracket should have ended.
_BEGINS = re.compile(
    r"\s*(for\s|def\s|assert\s|[A-Za-z_]\w*\s*(\[[^\[\]=]*\])?\s*(=(?!=)|:\s*(input|target|param|const|elementwise)\b))"
)
_SUBSTITUTES = {
    "\u2212": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u00d7": "@ or *",
    "\u00b7": "*",
    "\u2299": "*",
    "\u2218": "*",
    "\u22c5": "*",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2260": "!=",
    "\u1d40": ".T",
    "\u22a4": ".T",
    "\u00b2": "**2",
    "\u2018": "a straight quote",
    "\u2019": "a straight quote, or .T",
    "\u201c": "a straight quote",
    "\u201d": "a straight quote",
    "\u00a0": "an ordinary space",
    "\u03bb": "lam (it prints as the Greek letter)",
    "\u03c3": "sigma (it prints as the Greek letter)",
    "\u2211": "sum(... for t in range(1, T+1))",
}


@dataclass
class Statement:
    """One statement as it was written.

    text:   its characters without comments; it may contain newlines inside brackets.
    line:   the line of its first character, counted from 1.
    column: the column of its first character, counted from 1.
    body:   the statements of its block, for a header such as ``for ...:``.
    """

    text: str
    line: int
    column: int
    body: list[Statement] = field(default_factory=list)
    broken: bool = False
    _split: tuple[str, list[str]] = ("", [""])

    @property
    def rows(self) -> list[str]:
        """The physical lines of its text."""
        if self._split[0] is not self.text:
            self._split = self.text, self.text.split("\n")
        return self._split[1]

    def span(self, row: int = 1, start: int = 0, end: int | None = None) -> Span:
        """Return the place of the characters ``start..end-1`` of the ``row``-th line of the statement's text."""
        offset = self.column if row == 1 else 1
        if end is None:
            end = len(self.rows[min(row, len(self.rows)) - 1].rstrip())
        return Span(self.line + row - 1, offset + start, max(1, end - start))

    @property
    def is_header(self) -> bool:
        """Tell whether the statement opens a block."""
        return _BLOCK.match(self.text) is not None and self.text.rstrip().endswith(":")


def split_lines(text: str) -> list[str]:
    """Return the physical lines, for all conventions of line ends."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def statements(report: Report) -> list[Statement]:
    """Return the statements of a text as a tree; note every error of characters, brackets and indentation."""
    pieces = list(_logical(report))
    return _blocks(pieces, report)


def _comment_start(line: str) -> int:
    """Return where the comment of a physical line starts; the length of the line if there is none."""
    quote = ""
    for match in _INTERESTING.finditer(line):
        char = match.group()
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "#":
            return match.start()
    # An unclosed quote hides no comment: A' # transposed
    return line.index("#") if quote and "#" in line else len(line)


def _clean(line: str, number: int, report: Report) -> tuple[str, bool]:
    """Return a physical line without its comment, and whether its characters are all right."""
    code = line[: _comment_start(line)]
    if code.isascii() and code.isprintable():
        return code, True
    # one error for each line is enough
    k, char = next((k, c) for k, c in enumerate(code) if not (c.isascii() and c.isprintable()))
    if char == "\t":
        report.add("P002", "a tab", Span(number, k + 1), "write spaces: a tab has no certain width")
    elif char.isascii():
        report.add("P001", f"the control character U+{ord(char):04X}", Span(number, k + 1), "delete it")
    else:
        instead = _SUBSTITUTES.get(char)
        name = f"the character {char!r} (U+{ord(char):04X})" if char.isprintable() else f"U+{ord(char):04X}"
        report.add(
            "P001",
            f"{name} outside a comment",
            Span(number, k + 1),
            f"write {instead}" if instead else "outside comments a declaration is ASCII",
        )
    return code, False


def _logical(report: Report) -> Iterator[Statement]:
    """Yield logical lines, split at ``;``, in order."""
    lines = report.lines
    number = 1
    while number <= len(lines):
        number = yield from _one_logical(report, number)


def _one_logical(report: Report, first: int) -> Generator[Statement, None, int]:
    """Read one logical line that begins at physical line ``first``; return the number of the next one."""
    lines = report.lines
    code, fine = _clean(lines[first - 1], first, report)
    if not code.strip():
        return first + 1
    indent = len(code) - len(code.lstrip())
    opened: list[tuple[str, Span]] = []
    parts: list[str] = []  # the current statement's text, line by line
    start = (first, indent + 1)
    number, begin, broken = first, indent, not fine
    size = count = 0
    while True:
        continues = False
        text = code
        for match in _scan(code, begin, number, report):
            if match is None:
                broken = True
                continue
            char, at = match
            if char in "([{":
                opened.append((char, Span(number, at + 1)))
                if len(opened) == MOST_NESTING + 1:
                    report.add("L002", f"brackets are nested more than {MOST_NESTING} deep", opened[-1][1])
                    broken = True
            elif char in ")]}":
                if opened and opened[-1][0] == _PAIRS[char]:
                    opened.pop()
                    continue
                if not broken:
                    wanted = opened[-1] if opened else None
                    report.add(
                        "P004",
                        f"`{char}` closes nothing" if wanted is None else f"`{char}` does not close `{wanted[0]}`",
                        Span(number, at + 1),
                        "" if wanted is None else f"`{wanted[0]}` was opened at {wanted[1].line}:{wanted[1].column}",
                    )
                broken = True
                if opened:
                    opened.pop()
            elif char == ";" and not opened:
                count += 1
                if count > MOST_IN_A_LINE:
                    report.add("L004", f"more than {MOST_IN_A_LINE} statements in one line", Span(number, at + 1))
                    return number + 1
                yield _statement([*parts, text[begin:at]], start, broken)
                parts, broken = [], not fine
                begin = at + 1
                written = _WRITTEN.search(text, begin)
                begin = written.start() if written else len(text)
                start = (number, begin + 1)
            elif char == "\\":
                if text[at + 1 :].strip():
                    report.add("P005", "a backslash within a line", Span(number, at + 1), "delete it")
                    broken = True
                else:
                    continues = True
                text = text[:at] + ("\\" if continues else " ")
        parts.append(text[begin:])
        size += len(text)
        number += 1
        if not opened and not continues:
            break
        following = lines[number - 1] if number <= len(lines) else None
        unclosed = (
            following is None
            or size > MOST_STATEMENT
            or number - first > MOST_LINES_OF_A_STATEMENT
            or (_BEGINS.match(following) and text.rstrip()[-1:] not in ("", *",([{+-*/@=<>&|:"))
        )
        if opened and unclosed:
            char, span = opened[-1]
            report.add(
                "P003",
                f"`{char}` is never closed",
                span,
                f"close it with `{ {v: k for k, v in _PAIRS.items()}[char] }`",
            )
            if following is None:
                # Nothing closed it up to the end of the file: read on behind the line where it was opened.
                keep = span.line - start[0] + 1
                parts, number = parts[:keep], span.line + 1
            yield _statement(parts, start, True)
            return number
        if following is None:
            break
        code, fine_here = _clean(following, number, report)
        fine = fine and fine_here
        broken = broken or not fine_here
        begin = 0
    if size > MOST_STATEMENT:
        report.add("L003", f"a statement of more than {MOST_STATEMENT} characters", Span(*start))
        broken = True
    yield _statement(parts, start, broken)
    return number


def _scan(code: str, begin: int, number: int, report: Report) -> Iterator[tuple[str, int] | None]:
    """Yield the brackets, semicolons and backslashes outside strings; None for an unclosed string."""
    position = begin
    while True:
        match = _INTERESTING.search(code, position)
        if match is None:
            return
        char, at = match.group(), match.start()
        position = at + 1
        if char in "\"'":
            end = code.find(char, position)
            if end < 0:
                transposed = char == "'" and at > 0 and (code[at - 1].isalnum() or code[at - 1] in ")]_'")
                report.add(
                    "P006",
                    "a quote that is never closed",
                    Span(number, at + 1),
                    "the transpose is written `.T`" if transposed else "",
                )
                yield None
                return
            position = end + 1
        elif char != "#":
            yield char, at


def _statement(parts: list[str], start: tuple[int, int], broken: bool) -> Statement:
    return Statement("\n".join(parts).rstrip(), start[0], start[1], broken=broken)


def _blocks(flat: list[Statement], report: Report) -> list[Statement]:
    """Return the tree that indentation makes of the statements."""
    top: list[Statement] = []
    # (indentation of the block or None while it is unknown, its statements, its header)
    stack: list[tuple[int | None, list[Statement], Statement | None]] = [(None, top, None)]
    previous_line, neighbours = 0, top
    for k, statement in enumerate(flat):
        if not statement.text:
            continue
        indent = statement.column - 1
        if statement.line == previous_line:
            neighbours.append(statement)  # behind a `;`: in the block of the statement before it
            continue
        previous_line = statement.line
        depth, block, header = stack[-1]
        if depth is None:
            if header is None and indent > 0:
                report.add("P007", "the first statement is indented", statement.span(), "delete the spaces before it")
            if header is not None and indent <= header.column - 1:
                report.add("P008", "a block without a statement", header.span(), "indent the lines below it")
                stack.pop()
            else:
                stack[-1] = (indent, block, header)
        while stack[-1][0] is not None and indent < stack[-1][0] and len(stack) > 1:
            stack.pop()
        depth, block, header = stack[-1]
        if depth is not None and indent != depth and not statement.broken:
            report.add(
                "P007",
                f"indented by {indent} spaces where {depth} are expected",
                statement.span(),
                "lines of one block begin in one column; only `for ...:` and `def ...:` open a block",
            )
        block.append(statement)
        inline = _inline_body(statement)
        neighbours = block
        if inline is not None:
            statement.body.append(inline)
            neighbours = statement.body
        # A header without its colon still has its block: the colon is what is reported.
        lacks_colon = inline is None and statement.text.startswith("for ") and not statement.is_header
        if lacks_colon and not _opens_block(flat, k):
            continue
        if (statement.is_header and inline is None) or lacks_colon:
            if len(stack) > MOST_NESTING:
                report.add("L002", f"blocks are nested more than {MOST_NESTING} deep", statement.span())
                continue
            stack.append((None, statement.body, statement))
    if stack[-1][0] is None and stack[-1][2] is not None:
        report.add("P008", "a block without a statement", stack[-1][2].span(), "indent the lines below it")
    return top


def _opens_block(flat: list[Statement], k: int) -> bool:
    """Tell whether the statement behind the k-th one is indented deeper."""
    behind = next((s for s in flat[k:] if s.text and s.line > flat[k].line), None)
    return behind is not None and behind.column > flat[k].column


def _inline_body(statement: Statement) -> Statement | None:
    """Split ``for t in range(1, T+1): X[t]: input[n, m]`` into header and body; None if there is no such body."""
    if not statement.text.startswith("for ") or statement.is_header or "\n" in statement.text:
        return None
    depth = 0
    for k, char in enumerate(statement.text):
        depth += (char in "([{") - (char in ")]}")
        if char == ":" and depth == 0:
            rest = statement.text[k + 1 :]
            start = k + 1 + len(rest) - len(rest.lstrip())
            body = Statement(rest.strip(), statement.line, statement.column + start, broken=statement.broken)
            statement.text = statement.text[: k + 1]
            return body
    return None
