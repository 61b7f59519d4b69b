"""Passes over values: copies read where they come from, equal values computed once, values that nobody reads gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace


from symbp.expr import same_size
from symbp.plan.dependence import writers
from symbp.plan.ir import (
    ZERO, Apply, Call, Gemm, Kernel, Loop, Nest, Plan, Put, Read, View, map_kernels, map_views, puts, reads, walk,
    writes,
)


def copy_propagation(plan: Plan) -> Plan:
    """Read the source of a copy in place of the copy: members of families, blocks and transposes are views.

    A copy stays if the caller gets it, or if its source is written again.
    """
    count = writers(plan)
    changed = plan
    for kernel in list(walk(plan.body)):
        if not (isinstance(kernel, Nest) and len(kernel.puts) == 1):
            continue
        (put,) = kernel.puts
        if not (_is_copy(put) and isinstance(put.value, Read)):
            continue
        target, source = put.target, put.value.view
        whole = plan.buffers[target.buffer].whole(*target.where)
        if (
            target.buffer in plan.outputs or count[target.buffer] != 1 or not target.same_place(whole)
            or not _same_shape(put) or not all(w.is_Symbol for w in target.where)
            or _rewritten(changed, source.buffer, plan)
        ):
            continue
        changed = _without(changed, kernel)
        changed = _redirected(changed, target, source)
    return changed.used()


def _is_copy(put: Put) -> bool:
    return not put.over and not put.accumulate


def _same_shape(put: Put) -> bool:
    return all(same_size(a, b) for a, b in zip(put.target.shape, put.value.shape, strict=True))


def _rewritten(plan: Plan, buffer: str, whole: Plan) -> bool:
    """Tell whether a buffer changes after it got its value: a parameter that is updated, a sum."""
    if plan.buffers[buffer].role in ("param", "state", "input", "const"):
        return any(v.buffer == buffer for k in walk(whole.body) for v in writes(k))
    return writers(plan).get(buffer, 0) > 1


def _without(plan: Plan, gone: Kernel) -> Plan:
    return plan.with_body(map_kernels(plan.body, lambda k: () if k is gone else (k,)))


def _redirected(plan: Plan, target: View, source: View) -> Plan:
    """Replace reads of a copy by reads of its source."""
    def change(view: View) -> View:
        if view.buffer != target.buffer:
            return view
        at = dict(zip(target.where, view.where, strict=True))
        found = source.at(at) if at else source
        # The block of the copy, seen in the source: the copy is the whole matrix, perhaps a turned one.
        rows, cols = (view.cols, view.rows) if view.turned else (view.rows, view.cols)
        found = found.block(view.row, view.col, rows, cols)
        return found.T if view.turned else found

    return plan.with_body(tuple(map_views(k, change) for k in plan.body))


def common_subexpressions(plan: Plan) -> Plan:
    """Compute equal values once: entrywise statements and products of the same operands, at one level of loops."""
    count = writers(plan)
    changed: dict[str, View] = {}

    def visit(body: Sequence[Kernel]) -> list[Kernel]:
        known = _Known()
        out: list[Kernel] = []
        for kernel in body:
            kernel = map_views(kernel, lambda v: _moved(v, changed)) if changed else kernel
            if isinstance(kernel, Loop):
                out.append(replace(kernel, body=tuple(visit(kernel.body))))
                known.forget({v.buffer for v in writes(kernel)})
                continue
            key, target = _key(kernel)
            buffer = plan.buffers.get(target.buffer) if target is not None else None
            single = (
                target is not None and buffer is not None and count[target.buffer] == 1 and not buffer.indices
                and target.same_place(buffer.whole())
            )
            if key is not None and single and target is not None and buffer is not None:
                earlier = known.values.get(key)
                if earlier is not None and buffer.role == "scratch" and buffer.name not in plan.outputs:
                    changed[buffer.name] = earlier
                    continue
            known.forget({v.buffer for v in writes(kernel)})
            if key is not None and single and target is not None and target.buffer not in _key_reads(key):
                known.values.setdefault(key, target)
                known.reads(key)
            out.append(kernel)
        return out

    body = visit(plan.body)
    return plan.with_body(body).used()


def _moved(view: View, changed: dict[str, View]) -> View:
    known = changed.get(view.buffer)
    return view if known is None else replace(view, buffer=known.buffer, where=known.where)


def _key(kernel: Kernel) -> tuple[object, View | None]:
    if isinstance(kernel, Nest) and len(kernel.puts) == 1:
        (put,) = kernel.puts
        if put.accumulate or put.value == ZERO:
            return None, None
        return (put.value, put.over, put.op, put.target.shape), put.target
    if isinstance(kernel, Call):
        return (kernel.routine, kernel.map, *kernel.reads), kernel.writes[0]
    if isinstance(kernel, Gemm) and not kernel.accumulate and kernel.epilogue is None:
        return (kernel.left, kernel.right, kernel.alpha, kernel.stacked), kernel.out
    return None, None


def _key_reads(key: object) -> set[str]:
    found: set[str] = set()
    stack = [key]
    while stack:
        part = stack.pop()
        if isinstance(part, View):
            found.add(part.buffer)
        elif isinstance(part, tuple):
            stack.extend(part)
        elif hasattr(part, "view"):
            found.add(part.view.buffer)
        elif isinstance(part, Apply):
            stack.extend(part.args)
    return found


class _Known:
    """Values that were computed already, by what they are; those whose operands change are forgotten."""

    def __init__(self) -> None:
        self.values: dict[object, View] = {}
        self._readers: dict[str, set[object]] = {}

    def reads(self, key: object) -> None:
        """Remember what a value is computed from."""
        for name in _key_reads(key):
            self._readers.setdefault(name, set()).add(key)

    def forget(self, written: set[str]) -> None:
        """Forget the values that are computed from what is written."""
        for name in written:
            for key in self._readers.pop(name, ()):
                self.values.pop(key, None)


def dead_equations(plan: Plan) -> Plan:
    """Remove statements whose result nobody reads, again and again until nothing changes."""
    while True:
        needed = set(plan.outputs) | {v.buffer for k in plan.body for v in _read_elsewhere(k)}
        before = sum(1 for _ in walk(plan.body))

        def keep(kernel: Kernel, needed: set[str] = needed) -> Sequence[Kernel]:
            if isinstance(kernel, Nest):
                left = tuple(p for p in kernel.puts if p.target.buffer in needed)
                return (replace(kernel, puts=left),) if left else ()
            return (kernel,) if any(v.buffer in needed for v in writes(kernel)) else ()

        plan = plan.with_body(map_kernels(plan.body, keep)).used()
        if sum(1 for _ in walk(plan.body)) == before:
            return plan


def _read_elsewhere(kernel: Kernel) -> Iterator[View]:
    """Yield what a kernel reads for the sake of something else than the place that is read."""
    if isinstance(kernel, Loop):
        for inner in kernel.body:
            yield from _read_elsewhere(inner)
        return
    own = {p.target.buffer for p in puts(kernel)}
    if isinstance(kernel, Gemm):
        own.add(kernel.out.buffer)
        yield kernel.left
        yield kernel.right
    if isinstance(kernel, Call):
        written = {v.buffer for v in kernel.writes}
        yield from (v for v in kernel.reads if v.buffer not in written)
        return
    if isinstance(kernel, Nest) and len(kernel.puts) == 1:
        yield from (v for v in reads(kernel) if v.buffer not in own)
    else:
        for put in puts(kernel):
            from symbp.plan.ir import views

            yield from (v for v in views(put.value) if v.buffer != put.target.buffer)


