"""The update of a parameter behind its gradient product: gradients wait until nobody reads the old parameter."""

from __future__ import annotations



from collections.abc import Sequence

from symbp.plan.ir import Gemm, Kernel, Loop, Nest, Plan, reads, views, writes


def delay_gradients(plan: Plan) -> Plan:
    """Move each product behind the last reader of the parameter that its result updates (``dX`` before ``dW``).

    The update may then be fused into the product, and the gradient is never stored.
    """
    params = {n for n, b in plan.buffers.items() if b.role == "param"}
    return plan.with_body(_delayed(list(plan.body), params, set(plan.outputs)))


def _delayed(body: Sequence[Kernel], params: set[str], outputs: set[str]) -> tuple[Kernel, ...]:
    readers: dict[str, list[int]] = {}
    writers: dict[str, list[int]] = {}
    for k, kernel in enumerate(body):
        for name in {v.buffer for v in reads(kernel)}:
            readers.setdefault(name, []).append(k)
        for name in {v.buffer for v in writes(kernel)}:
            writers.setdefault(name, []).append(k)
    late: dict[int, list[int]] = {}
    moved: set[int] = set()
    for k, update in enumerate(body):
        target = _updated(update, params)
        if target is None:
            continue
        last = max((r for r in readers.get(target, ()) if r != k), default=-1)
        for name in {v.buffer for v in reads(update)} - {target} - outputs:
            for place in writers.get(name, ()):
                kernel = body[place]
                if not (isinstance(kernel, Gemm) and kernel.out.buffer == name) or place in moved:
                    continue
                operands = {kernel.left.buffer, kernel.right.buffer}
                near = {n for o in operands for n in writers.get(o, ())}
                near |= {*readers.get(name, ()), *writers.get(name, ())}
                end = min((n - 1 for n in near if place < n <= last), default=last)
                if end > place:
                    late.setdefault(end, []).append(place)
                    moved.add(place)
    out: list[Kernel] = []
    for k, kernel in enumerate(body):
        if k not in moved:
            out.append(kernel)
        out += [body[place] for place in late.get(k, ())]
    return tuple(out)


def _updated(kernel: Kernel, params: set[str]) -> str | None:
    """Return the parameter that an entrywise statement changes in place."""
    if isinstance(kernel, Loop):
        found = {_updated(k, params) for k in kernel.body}
        return found.pop() if len(found) == 1 else None
    if not isinstance(kernel, Nest) or len(kernel.puts) != 1:
        return None
    (put,) = kernel.puts
    name = put.target.buffer
    return name if name in params and any(v.buffer == name for v in views(put.value)) else None


