"""What the text of a function says about its parameters: keys, ranks, comparisons, how they are unpacked."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass
class Usage:
    """How one name is used in a few functions.

    keys:      the constant keys with which it is read: ``params['W1']``.
    patterns:  the beginnings of keys that are made of text and a number: ``params['W' + str(l)]``.
    rank:      the number of axes that its shape is unpacked into; 0 if that is not told.
    least:     the number of axes that are indexed at least.
    words:     the strings with which it is compared.
    is_list:   whether its members are read by whole numbers or looped over, and its length is asked.
    is_index:  whether it indexes something.
    is_called: whether it is called as a function.
    indices:   the names by which its members are read: ``E[ids]``.
    is_factor: whether it stands in a matrix product.
    is_square: whether of its last two axes only one is looked at: they are alike.
    """

    keys: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    rank: int = 0
    least: int = 0
    words: list[str] = field(default_factory=list)
    is_list: bool = False
    is_index: bool = False
    is_called: bool = False
    is_factor: bool = False
    is_square: bool = False
    members: set[str] = field(default_factory=set)
    indices: set[str] = field(default_factory=set)


def usage(name: str, functions: Iterable[ast.AST]) -> Usage:
    """Return how a name (``X``, ``self.W``) is used in functions."""
    found = Usage()
    for function in functions:
        for node in ast.walk(function):
            _note(name, node, found)
    return found


def _is(name: str, node: ast.AST | None) -> bool:
    return isinstance(node, (ast.Name, ast.Attribute)) and ast.unparse(node) == name


def _note(name: str, node: ast.AST, found: Usage) -> None:
    if isinstance(node, ast.Subscript):
        if _is(name, node.value):
            _note_key(node.slice, found)
        elif isinstance(node.value, ast.Attribute) and node.value.attr == "shape" and _is(name, node.value.value):
            at = node.slice
            if isinstance(at, ast.Constant) and isinstance(at.value, int) and at.value >= 0:
                found.least = max(found.least, at.value + 1)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        found.is_index = found.is_index or any(_indexes(name, p) for p in parts)
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
        value = node.value
        if isinstance(value, ast.Attribute) and value.attr == "shape" and _is(name, value.value):
            found.rank = len(node.targets[0].elts)
            words = [ast.unparse(e) for e in node.targets[0].elts]
            found.is_square = found.is_square or "_" in words[2:] or len(set(words)) < len(words)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        found.is_factor = found.is_factor or any(_is(name, n) for n in (node.left, node.right))
    elif isinstance(node, ast.Compare) and _is(name, node.left):
        found.words += [c.value for c in node.comparators if isinstance(c, ast.Constant) and isinstance(c.value, str)]
    elif isinstance(node, ast.Call):
        if _is(name, node.func):
            found.is_called = True
        elif _is_product(node) and any(_is(name, n) for n in (*node.args, getattr(node.func, "value", None))):
            found.is_factor = True
            found.rank = found.rank or _subscripts(name, node)
        elif isinstance(node.func, ast.Attribute) and _is(name, node.func.value):
            if node.func.attr == "get" and node.args:
                _note_key(node.args[0], found)
            elif node.func.attr in ("items", "keys", "values"):
                found.members.add(node.func.attr)
        elif isinstance(node.func, ast.Name) and any(_is(name, a) for a in node.args):
            found.members.add(node.func.id)
    elif isinstance(node, (ast.For, ast.comprehension)) and _is(name, node.iter):
        found.members.add("for")
    elif isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        for key in _keys_in_turn(name, node):
            _note_key(key, found)


def _keys_in_turn(name: str, node: ast.ListComp | ast.GeneratorExp) -> list[ast.expr]:
    """Return the keys with which something is read one after the other: ``params[k] for k in ('W1', 'b1')``."""
    first = node.generators[0]
    reads = any(
        isinstance(n, ast.Subscript) and _is(name, n.value) and ast.unparse(n.slice) == ast.unparse(first.target)
        for n in ast.walk(node.elt)
    )
    return list(first.iter.elts) if reads and isinstance(first.iter, (ast.List, ast.Tuple)) else []


def _is_product(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("dot", "matmul", "einsum", "tensordot")


def _subscripts(name: str, call: ast.Call) -> int:
    """Return how many axes an ``einsum`` says that an operand has; 0 if it does not say it."""
    first = call.args[0] if call.args else None
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str) or "." in first.value:
        return 0
    parts = first.value.replace(" ", "").partition("->")[0].split(",")
    return next((len(p) for p, a in zip(parts, call.args[1:], strict=False) if _is(name, a)), 0)


def _note_key(key: ast.expr, found: Usage) -> None:
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        if key.value not in found.keys:
            found.keys.append(key.value)
    elif prefix(key):
        if prefix(key) not in found.patterns:
            found.patterns.append(prefix(key))
    elif isinstance(key, ast.Tuple):
        found.least = max(found.least, sum(not (isinstance(k, ast.Constant) and k.value is None) for k in key.elts))
    elif not isinstance(key, ast.Slice) and not isinstance(key, ast.Compare):
        found.is_list = True
        if isinstance(key, ast.Name):
            found.indices.add(key.id)


def _indexes(name: str, node: ast.expr) -> bool:
    """Tell whether a name stands in an index as it is, perhaps flattened or converted."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in (
        "astype", "ravel", "flatten", "reshape", "squeeze"
    ):
        node = node.func.value
    if isinstance(node, ast.Subscript):
        node = node.value
    return _is(name, node)


def prefix(key: ast.expr) -> str:
    """Return the text with which a key that ends in a number begins, or nothing."""
    if isinstance(key, ast.BinOp) and isinstance(key.left, ast.Constant) and isinstance(key.left.value, str):
        return key.left.value.split("%")[0]
    if isinstance(key, ast.JoinedStr) and key.values and isinstance(key.values[0], ast.Constant):
        return str(key.values[0].value)
    if isinstance(key, ast.Call) and isinstance(key.func, ast.Attribute) and key.func.attr == "format":
        base = key.func.value
        return str(base.value).split("{")[0] if isinstance(base, ast.Constant) else ""
    return ""


def parameters(function: ast.FunctionDef) -> list[tuple[str, ast.expr | None]]:
    """Return the parameters of a function with their defaults, without the receiver of a method."""
    spec = function.args
    names = [a.arg for a in (*spec.posonlyargs, *spec.args)]
    defaults: list[ast.expr | None] = [None] * (len(names) - len(spec.defaults)) + list(spec.defaults)
    both = list(zip(names, defaults, strict=True))
    both += [(a.arg, d) for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    return [pair for pair in both if pair[0] not in ("self", "cls")]


def returns(function: ast.FunctionDef) -> list[ast.expr]:
    """Return what a function returns: the parts of the tuple of its last ``return``, else the one value."""
    found = [n for n in own_nodes(function) if isinstance(n, ast.Return) and n.value is not None]
    if not found:
        return []
    value = max(found, key=lambda n: n.lineno).value
    return list(value.elts) if isinstance(value, ast.Tuple) else [value] if value is not None else []


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Go through a function without the functions that are defined in it."""
    todo = [function]
    while todo:
        node = todo.pop(0)
        yield node
        todo += [
            child for child in ast.iter_child_nodes(node) if not isinstance(child, (ast.FunctionDef, ast.Lambda))
        ]


def unpackings(function: ast.FunctionDef) -> dict[str, list[str]]:
    """Return the names into which parameters are unpacked: ``A_prev, W, b = cache``."""
    found: dict[str, list[str]] = {}
    for node in own_nodes(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Name):
            found.setdefault(node.value.id, [ast.unparse(e) for e in node.targets[0].elts])
    return found


def free_names(functions: Iterable[ast.AST]) -> set[str]:
    """Return the names that functions read and do not give themselves."""
    found: set[str] = set()
    for function in functions:
        for inner in ast.walk(function):
            if isinstance(inner, ast.FunctionDef):
                nodes = list(own_nodes(inner))
                stored = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
                read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
                found |= read - stored - {a.arg for a in ast.walk(inner.args) if isinstance(a, ast.arg)}
    return found
