"""From statements to what they say: each is parsed by itself with ``ast`` and sorted into a few kinds.

Nothing is executed.  What Python's grammar takes and the language does not is refused here or where the expression
is read, with a word on what to write instead.
"""

from __future__ import annotations

import ast
import keyword
import re

from symbp.language.diagnostics import Report, nearest
from symbp.language.forms import (
    Assert,
    Assign,
    Broken,
    Declare,
    Define,
    For,
    Free,
    Parsed,
    Samples,
    Unpack,
    place,
    source,
)
from symbp.language.lines import Statement
from symbp.language.names import KINDS

MOST_NODES = 100_000
MOST_STATEMENTS = 10_000

_FORBIDDEN_STATEMENTS = {
    ast.Import: "import",
    ast.ImportFrom: "import",
    ast.While: "while",
    ast.If: "if",
    ast.With: "with",
    ast.ClassDef: "class",
    ast.Try: "try",
    ast.Raise: "raise",
    ast.Delete: "del",
    ast.Global: "global",
    ast.Nonlocal: "nonlocal",
    ast.Return: "return",
    ast.Pass: "pass",
    ast.Break: "break",
    ast.Continue: "continue",
    ast.AsyncFunctionDef: "async def",
    ast.AsyncFor: "async for",
    ast.AsyncWith: "async with",
    ast.Match: "match",
}
_INSTEAD = {
    "if": "a choice by entries is `where(M, A, B)`",
    "while": "a loop is `for t in range(1, T+1):`",
    "import": "operations need no import; `np.` before a name is allowed",
    "pass": "delete it",
}
_GUESS = re.compile(r"\s*(?:def\s+([A-Za-z_]\w*)|([A-Za-z_]\w*)\s*(?:\[[^\]=]*\])?\s*[:=])")
_KIND_FIRST = re.compile(r"(input|target|param|const)\s+([A-Za-z_]\w*)\s*(\[.*\])?\s*$")
_WORD = re.compile(r"[A-Za-z_]\w*")
_FIRST_WORDS = {"for", "def", "assert", "not", "True", "False", "None"}
_DIGITS = re.compile(r"\d{401}")


class Parser:
    """Parses the statements of one text, counting what it sees."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.nodes = 0
        self.count = 0

    def all(self, written: list[Statement]) -> list[Parsed]:
        """Return what the statements say, in order; broken ones included."""
        found = []
        for statement in written:
            self.count += 1
            if self.count > MOST_STATEMENTS:
                if self.count == MOST_STATEMENTS + 1:
                    self.report.add("L004", f"more than {MOST_STATEMENTS} statements", statement.span())
                break
            if self.nodes > MOST_NODES:
                break
            found.append(self.one(statement))
        return found

    def one(self, statement: Statement) -> Parsed:
        """Return what one statement says."""
        if statement.broken:
            return self.broken(statement)
        if not self.words_are_fine(statement):
            return self.broken(statement)
        node = self.tree(statement)
        if node is None:
            return self.broken(statement)
        if isinstance(node, ast.For):
            return self.loop(statement, node)
        if isinstance(node, ast.FunctionDef):
            return self.function(statement, node)
        if isinstance(node, ast.AnnAssign):
            return self.annotated(statement, node)
        if isinstance(node, ast.Assign):
            return self.assignment(statement, node)
        if isinstance(node, ast.Assert):
            return Assert(statement, "", (), None, node.test)
        return self.refused(statement, node)

    # -- errors ------------------------------------------------------------------------------------------
    def broken(self, statement: Statement) -> Broken:
        """Return a statement that could not be read, with the name that it probably assigns."""
        guess = _GUESS.match(statement.text)
        body = [] if statement.text.startswith("def") else self.all(statement.body)
        return Broken(statement, guess.group(1) or guess.group(2) if guess else "", (), None, body)

    def error(
        self, code: str, message: str, statement: Statement, node: ast.AST | None = None, help: str = ""
    ) -> Broken:
        """Report an error at a node (or at the whole statement)."""
        self.report.add(code, message, place(statement, node), help)
        return self.broken(statement)

    def words_are_fine(self, statement: Statement) -> bool:
        """Refuse Python's keywords where a name is meant, before the parser trips over them."""
        rows = statement.text.split("\n")
        for row, text in enumerate(rows, 1):
            if "lambda" in text:
                for match in _WORD.finditer(text):
                    if match.group() == "lambda":
                        self.report.add(
                            "N003",
                            "`lambda` is a reserved word of Python",
                            statement.span(row, match.start(), match.end()),
                            "write `lam`; it prints as the Greek letter",
                        )
                        return False
            digits = _DIGITS.search(text)
            if digits:
                self.report.add(
                    "L005",
                    "a number of more than 400 digits",
                    statement.span(row, digits.start(), digits.end()),
                    "the language is exact; numbers of this size are declared: `s: input`",
                )
                return False
        first = _WORD.match(statement.text)
        if first and first.group() in keyword.kwlist and first.group() not in _FIRST_WORDS:
            word = first.group()
            rest = statement.text[first.end() :].strip()
            if rest[:1] in (":", "=", "[") and rest[:2] != "==" and rest != ":":
                self.report.add(
                    "N004",
                    f"`{word}` is a reserved word of Python",
                    statement.span(1, 0, first.end()),
                    f"write another name, for example `{word}1`",
                )
            else:
                self.report.add(
                    "P010",
                    f"`{word}` is not part of the language",
                    statement.span(1, 0, first.end()),
                    _INSTEAD.get(word, ""),
                )
            return False
        return True

    def tree(self, statement: Statement) -> ast.stmt | None:
        """Return the syntax tree of one statement, or None after reporting why there is none."""
        text = statement.text
        if statement.is_header:
            text = self.with_body(statement)
            if not text:
                return None
        try:
            module = ast.parse(text)
        except SyntaxError as error:
            self.syntax_error(statement, error)
            return None
        except (RecursionError, MemoryError):
            self.report.add("L002", "the statement is nested too deep, or its chain is too long", statement.span())
            return None
        except ValueError as error:
            self.report.add("P009", f"not readable: {error}", statement.span())
            return None
        self.nodes += sum(1 for _ in ast.walk(module))
        if self.nodes > MOST_NODES:
            self.report.add("L003", f"the declaration has more than {MOST_NODES} nodes", statement.span())
            return None
        if len(module.body) != 1:
            self.report.add("P009", "one statement for each line", statement.span())
            return None
        return module.body[0]

    def with_body(self, statement: Statement) -> str:
        """Return a header with a body that Python's grammar takes: its own one for ``def``, else ``pass``."""
        if not statement.text.startswith("def"):
            return statement.text + " pass"
        body = statement.body
        if len(body) != 1 or not body[0].text.startswith("return") or body[0].broken:
            if not any(s.broken for s in body) and body:
                self.report.add(
                    "P014",
                    "a function has one statement, `return ...`",
                    body[0].span(),
                    "write the expression in one piece: def f(x): return x/(1 + exp(-x))",
                )
            return ""
        # The rows and columns of the body stay what they are in the file, so that places are right.
        gap = "\n" * (body[0].line - statement.line - statement.text.count("\n"))
        statement.text += gap + " " * (body[0].column - 1) + body[0].text
        return statement.text

    def syntax_error(self, statement: Statement, error: SyntaxError) -> None:
        """Turn Python's complaint into ours, with the usual mistakes by name."""
        text = statement.text
        row = max(1, min(error.lineno or 1, text.count("\n") + 1))
        rows = text.split("\n")
        start = max(0, min((error.offset or 1) - 1, len(rows[row - 1]) - 1))
        end = error.end_offset - 1 if error.end_offset and error.end_lineno == error.lineno else start + 1
        span = statement.span(row, start, min(max(end, start + 1), max(len(rows[row - 1]), start + 1)))
        message = (error.msg or "invalid syntax").split("(<unknown>")[0].strip().rstrip(".")
        if "nested" in message:
            self.report.add("L002", "the statement is nested too deep", statement.span())
            return
        kind_first = _KIND_FIRST.match(text)
        if kind_first:
            kind, name, shape = kind_first.groups()
            self.report.add(
                "P011",
                "a declaration begins with its name",
                statement.span(),
                f"write `{name}: {kind}{shape or '[n, m]'}`",
            )
        elif message.startswith("only single target"):
            self.report.add("P011", "one name for each declaration", span, "separate declarations by `;` or by lines")
        elif "decimal literal" in message or "imaginary literal" in message:
            self.report.add(
                "P009", "a number and a name without an operator", span, "write the operator, for example `2*X`"
            )
        elif message.startswith(("cannot assign to", "illegal target")):
            self.report.add(
                "P012",
                "the left side of `=` is not a name",
                span,
                "write `name = expression` or `name[t] = expression`",
            )
        else:
            help = ""
            said = f"not understood: {message[:1].lower()}{message[1:]}"
            before, after = rows[row - 1][:start].rstrip(), rows[row - 1][start:]
            ending = re.search(r"(\*\*|[-+*/@=&|<>~^%])$", text.rstrip())
            if ending:
                said = f"an expression is missing behind `{ending.group(1)}`"
                span = statement.span(len(rows), len(rows[-1].rstrip()) - len(ending.group(1)), len(rows[-1].rstrip()))
            elif (re.search(r"[\w\])]$", before) and re.match(r"[A-Za-z0-9_(]", after)) or "forgot a comma" in message:
                said = "an operator is missing between two expressions"
                help = "`@` is the matrix product, `*` the entrywise product"
            elif message == "expected ':'":
                said, help = "a colon is missing at the end of the line", "write `for t in range(1, T+1):`"
            self.report.add("P009", said, span, help)

    def refused(self, statement: Statement, node: ast.stmt) -> Broken:
        """Refuse what Python has and the language does not."""
        if isinstance(node, ast.AugAssign):
            return self.error(
                "P013",
                "a name is assigned once; there is no `+=`",
                statement,
                None,
                "give the new value a new name, or add up with `sum(E[t] for t in range(1, T+1))`",
            )
        if isinstance(node, ast.Expr):
            value = node.value
            if isinstance(value, ast.Compare) and isinstance(value.ops[0], ast.Eq):
                return self.error(
                    "P012", "`==` compares; an equation is written with `=`", statement, None, "write `name = ...`"
                )
            return self.error(
                "P010",
                "an expression alone says nothing",
                statement,
                None,
                "write `name = expression`, or `name: input[n, m]` to declare a name",
            )
        word = _FORBIDDEN_STATEMENTS.get(type(node), type(node).__name__.lower())
        return self.error("P010", f"`{word}` is not part of the language", statement, None, _INSTEAD.get(word, ""))

    # -- kinds of statements -------------------------------------------------------------------------------
    def head(self, statement: Statement, target: ast.expr) -> tuple[str, tuple[ast.expr, ...]] | None:
        """Return the name and the subscripts on a left side."""
        if isinstance(target, ast.Name):
            return target.id, ()
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            inside = target.slice
            subscripts = tuple(inside.elts) if isinstance(inside, ast.Tuple) else (inside,)
            if any(isinstance(s, (ast.Slice, ast.Starred)) for s in subscripts):
                self.error(
                    "P012", "a part of a matrix cannot be assigned", statement, target, "build it with vstack or hstack"
                )
                return None
            return target.value.id, subscripts
        if isinstance(target, (ast.Tuple, ast.List)):
            self.error("P012", "one name for each equation", statement, target)
        else:
            self.error("P012", "the left side of `=` is not a name", statement, target)
        return None

    def loop(self, statement: Statement, node: ast.For) -> Parsed:
        """Read ``for t in range(...):``; its body is read even if the header is wrong."""
        if not isinstance(node.target, ast.Name):
            return self.error("P015", "a loop has one index", statement, node.target, "write `for t in range(1, T+1):`")
        return For(statement, node.target.id, (), node.target, node.iter, self.all(statement.body))

    def function(self, statement: Statement, node: ast.FunctionDef) -> Parsed:
        """Read ``def f(x): return ...``."""
        a = node.args
        if a.vararg or a.kwarg or a.kwonlyargs or a.defaults or a.kw_defaults or node.decorator_list or node.returns:
            return self.error(
                "P014", "a function has plain arguments only", statement, None, "def f(x): return x/(1 + exp(-x))"
            )
        if len(node.body) != 1 or not isinstance(node.body[0], ast.Return) or node.body[0].value is None:
            return self.error(
                "P014",
                "a function has one statement, `return ...`",
                statement,
                None,
                "def f(x): return x/(1 + exp(-x))",
            )
        names = tuple(x.arg for x in (*a.posonlyargs, *a.args))
        if not names or len(set(names)) != len(names):
            return self.error("P014", "a function has at least one argument, each of another name", statement)
        return Define(statement, node.name, (), None, names, node.body[0].value)

    def assignment(self, statement: Statement, node: ast.Assign) -> Parsed:
        """Read ``name = expression``."""
        if len(node.targets) != 1:
            return self.error("P012", "one name for each equation", statement, None, "write two equations")
        target = node.targets[0]
        if isinstance(target, ast.Tuple) and len(target.elts) > 1 and isinstance(node.value, ast.Call):
            return self.unpacking(statement, target, node.value)
        head = self.head(statement, target)
        if head is None:
            return self.broken(statement)
        value = node.value
        kind = value.value if isinstance(value, ast.Subscript) else value
        if isinstance(kind, ast.Name) and kind.id in KINDS:
            return self.error(
                "P011",
                "a declaration has a colon",
                statement,
                node.targets[0],
                f"write `{source(statement, node.targets[0])}: {source(statement, value)}`",
            )
        return Assign(statement, head[0], head[1], node.targets[0], value)

    def unpacking(self, statement: Statement, target: ast.Tuple, value: ast.expr) -> Parsed:
        """Read ``name, name = layer(...)``."""
        parts = []
        for element in target.elts:
            head = self.head(statement, element)
            if head is None:
                return self.broken(statement)
            parts.append(Assign(statement, *head, element, None))
        return Unpack(statement, parts[0].name, (), target, value, tuple(parts))

    def annotated(self, statement: Statement, node: ast.AnnAssign) -> Parsed:
        """Read everything that has a colon behind a name."""
        head = self.head(statement, node.target)
        if head is None:
            return self.broken(statement)
        name, subscripts = head
        note = node.annotation
        if name == "samples" and not subscripts:
            return Samples(statement, name, (), node.target, note)
        if isinstance(note, ast.Name) and note.id == "elementwise":
            if subscripts or node.value:
                return self.error(
                    "P011", "a free function has no index and no value", statement, None, f"write `{name}: elementwise`"
                )
            return Free(statement, name, (), node.target)
        if isinstance(note, (ast.List, ast.Tuple)):
            return Assign(statement, name, subscripts, node.target, node.value, tuple(note.elts))
        facts: list[ast.expr] = []
        while isinstance(note, ast.BinOp) and isinstance(note.op, ast.BitAnd):
            facts.append(note.right)
            note = note.left
        facts.reverse()
        shape: tuple[ast.expr, ...] | None = None
        kind = note
        if isinstance(note, ast.Subscript):
            shape = tuple(note.slice.elts) if isinstance(note.slice, ast.Tuple) else (note.slice,)
            kind = note.value
        if isinstance(kind, ast.Call) and isinstance(kind.func, ast.Name) and kind.func.id in KINDS:
            inside = ", ".join(source(statement, a) for a in kind.args)
            return self.error(
                "P011",
                "a shape stands in square brackets",
                statement,
                kind,
                f"write `{name}: {kind.func.id}[{inside}]`",
            )
        if not isinstance(kind, ast.Name):
            return self.error(
                "P011",
                "behind the colon of a declaration stands input, target, param, const or a shape",
                statement,
                note,
                f"if this is an equation, write `{source(statement, node.target)} = ...`",
            )
        if kind.id not in KINDS:
            return self.unknown_kind(statement, node, kind)
        if node.value is not None and kind.id not in ("const", "param"):
            return self.error(
                "P011",
                "only a const has its value in the file, and a param its start value",
                statement,
                node.value,
                f"write `{name}: const{'' if shape is None else '[...]'} = ...`, or leave the value out",
            )
        return Declare(statement, name, subscripts, node.target, kind.id, shape, tuple(facts), node.value)

    def unknown_kind(self, statement: Statement, node: ast.AnnAssign, kind: ast.Name) -> Broken:
        """Say what may stand behind the colon."""
        meant = {
            "parameter": "param",
            "params": "param",
            "weight": "param",
            "weights": "param",
            "bias": "param",
            "variable": "param",
            "inputs": "input",
            "data": "input",
            "output": "target",
            "label": "target",
            "labels": "target",
            "targets": "target",
            "constant": "const",
            "scalar": "input",
            "function": "elementwise",
        }
        wanted = meant.get(kind.id.lower()) or nearest(kind.id, (*KINDS, "elementwise"))
        help = (
            f"did you mean `{wanted}`?"
            if wanted
            else (
                "declarations are input, target, param, const; an equation is written "
                f"`{source(statement, node.target)} = ...`"
            )
        )
        return self.error("P011", f"`{kind.id}` is no kind of declaration", statement, kind, help)
