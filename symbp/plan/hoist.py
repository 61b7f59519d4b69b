"""Hoisting: a function of a row or a column is computed once for it, not for each entry that it is spread over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symbp.expr import Function, Size, is_one, same_size
from symbp.plan.ir import Apply, Buffer, Expr, Gemm, Kernel, Loop, Nest, Plan, Put, Read, product, total
from symbp.program import fresh_name


def hoist(plan: Plan) -> Plan:
    """Give a temporary to each function whose operands lack an axis of the statement that it stands in."""
    hoisting = _Hoisting(plan)
    body = hoisting.body(plan.body)
    return plan.with_buffers(*hoisting.buffers).with_body(body)


class _Hoisting:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.buffers: list[Buffer] = []

    def body(self, body: Sequence[Kernel]) -> tuple[Kernel, ...]:
        out: list[Kernel] = []
        for kernel in body:
            if isinstance(kernel, Loop):
                out.append(replace(kernel, body=self.body(kernel.body)))
            elif isinstance(kernel, Nest) and kernel.axis is None and len(kernel.puts) == 1:
                before, put = self.put(kernel.puts[0])
                out += [*(Nest((p,)) for p in before), replace(kernel, puts=(put,))]
            else:
                assert not isinstance(kernel, Gemm) or kernel.epilogue is None
                out.append(kernel)
        return tuple(out)

    def put(self, put: Put) -> tuple[list[Put], Put]:
        """Return the statements that compute what is hoisted, and the statement that reads it."""
        before: list[Put] = []
        value = self._without(put.value, put.domain, before, put)
        return before, replace(put, value=value) if before else put

    def _without(self, e: Expr, domain: tuple[Size, Size], before: list[Put], put: Put) -> Expr:
        if not isinstance(e, Apply):
            return e
        if _calls(e) and _lacks(e.shape, domain):
            taken = [*self.plan.buffers, *(b.name for b in self.buffers)]
            name = fresh_name(f"{_root(e) or put.target.buffer}_part", taken)
            buffer = Buffer(name, *e.shape)
            self.buffers.append(buffer)
            before.append(Put(buffer.whole(), e, source=put.source))
            return Read(buffer.whole())
        if e.op == "where":
            return e  # what is not selected must not be computed
        args = tuple(self._without(a, domain, before, put) for a in e.args)
        if all(a is b for a, b in zip(args, e.args, strict=True)):
            return e
        return total(*args) if e.op == "+" else product(*args) if e.op == "*" else replace(e, args=args)


def _calls(e: Expr) -> bool:
    if not isinstance(e, Apply):
        return False
    own = isinstance(e.op, Function) and e.op.name != "recip"
    return own or any(_calls(a) for a in e.args)


def _lacks(shape: tuple[Size, Size], domain: tuple[Size, Size]) -> bool:
    """Tell whether something of a shape is spread over an axis of the domain, and is no number."""
    return any(is_one(a) and not is_one(b) for a, b in zip(shape, domain, strict=True)) and not all(
        same_size(a, b) for a, b in zip(shape, domain, strict=True)
    )


def _root(e: Expr) -> str:
    """Return the name of the first buffer that an expression reads."""
    if isinstance(e, Read):
        return e.view.buffer
    return next((name for name in map(_root, e.args) if name), "")
