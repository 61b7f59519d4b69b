"""The update of a parameter behind its gradient product: gradients wait until nobody reads the old parameter."""

from __future__ import annotations



from symbp.plan.dependence import conflict
from symbp.plan.ir import Gemm, Kernel, Loop, Nest, Plan, reads, views


def delay_gradients(plan: Plan) -> Plan:
    """Move each product behind the last reader of the parameter that its result updates (``dX`` before ``dW``).

    The update may then be fused into the product, and the gradient is never stored.
    """
    params = {n for n, b in plan.buffers.items() if b.role == "param"}
    return plan.with_body(_delayed(list(plan.body), params, set(plan.outputs)))


def _delayed(body: list[Kernel], params: set[str], outputs: set[str]) -> tuple[Kernel, ...]:
    for update in [k for k in body if _updated(k, params) is not None]:
        target = _updated(update, params)
        gradients = {v.buffer for v in reads(update)} - {target} - outputs
        places = [k for k, other in enumerate(body) if isinstance(other, Gemm) and other.out.buffer in gradients]
        for place in reversed(places):
            moved = body[place]
            assert isinstance(moved, Gemm)
            last = max(
                (k for k, other in enumerate(body) if other is not update and any(v.buffer == target for v in reads(other))),
                default=-1,
            )
            end = place
            while end < last and not conflict(moved, body[end + 1]):
                end += 1
            body.insert(end, body.pop(place))
    return tuple(body)


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


