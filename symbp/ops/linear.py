"""Operations that are linear in each slot: sums, products, transposes, blocks.  Each states its pull."""

from __future__ import annotations

from collections.abc import Sequence

from symbp.expr import (
    Add,
    Diag,
    DiagOf,
    Einsum,
    Embed,
    Gather,
    Hadamard,
    Kron,
    MatMul,
    Node,
    Reshape,
    Scale,
    Scatter,
    Slice,
    SMul,
    StaticMap,
    T,
    Transpose,
    Where,
    Zero,
    contract,
    had,
    matmul,
    scaled,
    total,
)
from symbp.expr import add as add_
from symbp.ops.rule import Op, linear


def _pull_matmul(G: Node, node: Node, k: int) -> Node:
    left, right = node.operands[:k], node.operands[k + 1 :]
    return matmul(*(T(A) for A in reversed(left)), G, *(T(B) for B in reversed(right)))


def _pull_smul(G: Node, node: Node, k: int) -> Node:
    s, A = node.operands
    return total(had(G, A)) if k == 0 else SMul(s, G)


def _pull_slice(G: Node, node: Node, k: int) -> Node:
    r0, _, c0, _ = node.parameters
    return Embed(G, r0, c0, *node.operands[0].shape)


def _pull_embed(G: Node, node: Node, k: int) -> Node:
    A, (r0, c0, _, _) = node.operands[0], node.parameters
    return Slice(G, r0, r0 + A.rows, c0, c0 + A.cols)


def _turn_slice(node: Node) -> Node:
    r0, r1, c0, c1 = node.parameters
    return Slice(T(node.operands[0]), c0, c1, r0, r1)


def _turn_embed(node: Node) -> Node:
    r0, c0, rows, cols = node.parameters
    return Embed(T(node.operands[0]), c0, r0, cols, rows)


def _turn_reshape(node: Node) -> Node:
    assert isinstance(node, Reshape)
    return Reshape(T(node.operands[0]), node.cols, node.rows, "F" if node.order == "C" else "C")


def _column(A: Node) -> Node:
    return Reshape(A, A.rows * A.cols, 1, "F")


def _pull_kron(G: Node, node: Node, k: int) -> Node:
    # Van Loan & Pitsianis: the blocks of G as rows; then kron is an outer product vec(A) vec(B)^T.
    A, B = node.operands
    m, n, p, q = A.rows, A.cols, B.rows, B.cols
    blocks = Gather(G, m * n, p * q, StaticMap("kron_blocks", m, n, p, q))
    if k == 0:
        return Reshape(matmul(blocks, _column(B)), m, n, "F")
    return Reshape(matmul(T(blocks), _column(A)), p, q, "F")


def _pull_einsum(G: Node, node: Node, k: int) -> Node:
    # The same contraction, the factor and the result in each other's place.
    assert isinstance(node, Einsum)
    return contract(node.spec.adjoint(k), (*node.operands[:k], G, *node.operands[k + 1 :]))


def _d_add(node: Node, Y: Node, dA: Sequence[Node | None]) -> Node | None:
    moving = [tangent for tangent in dA if tangent is not None]
    return add_(*moving) if moving else None


def _d_where(node: Node, Y: Node, dA: Sequence[Node | None]) -> Node | None:
    M, A, B = node.operands
    if dA[1] is None and dA[2] is None:
        return None
    return Where(M, dA[1] or Zero(*A.shape), dA[2] or Zero(*B.shape))


add = linear(
    "add",
    Add,
    "{A} + {B}",
    "(r,c),(r,c)->(r,c)",
    pull=lambda G, node, k: G,
    differential=_d_add,
    reason="sum",
    quiet=True,
)
scale = linear(
    "scale",
    Scale,
    "{c}\\,{A}",
    "(r,c)->(r,c)",
    pull=lambda G, node, k: scaled(node.parameters[0], G),
    reason="coefficient",
    quiet=True,
)
smul = linear(
    "smul",
    SMul,
    "{A}\\,{B}",
    "(1,1),(r,c)->(r,c)",
    pull=_pull_smul,
    reason="scalar factor",
)
matmul_ = linear(
    "matmul",
    MatMul,
    "{A}\\,{B}",
    "(m,n),(n,p)->(m,p)",
    pull=_pull_matmul,
    batch="reversed",
    reason="product",
    source="Magnus & Neudecker; F0.4",
)
hadamard = linear(
    "hadamard",
    Hadamard,
    "{A} \\odot {B}",
    "(r,c),(r,c)->(r,c)",
    pull=lambda G, node, k: had(G, *(A for j, A in enumerate(node.operands) if j != k)),
    reason="Hadamard product",
    source="F0.4",
)
transpose = linear(
    "transpose",
    Transpose,
    "{A}^{{\\top}}",
    "(m,n)->(n,m)",
    pull=lambda G, node, k: T(G),
    batch="own",
    turned=lambda node: node.operands[0],
    reason="transpose",
    quiet=True,
    source="F0.4",
)
diag = linear(
    "diag",
    Diag,
    "\\operatorname{{diag}}({A})",
    "(n,1)->(n,n)",
    pull=lambda G, node, k: DiagOf(G),
    batch="own",
    turned=lambda node: node,
    reason="diagonal matrix",
)
diagof = linear(
    "diagof",
    DiagOf,
    "\\operatorname{{diagof}}({A})",
    "(n,n)->(n,1)",
    pull=lambda G, node, k: Diag(G),
    batch="opaque",
    reason="diagonal",
)
slice_ = linear(
    "slice",
    Slice,
    "[{A}]",
    "(m,n)->(r,c)",
    pull=_pull_slice,
    batch="own",
    turned=_turn_slice,
    reason="block",
)
embed = linear(
    "embed",
    Embed,
    "\\operatorname{{embed}}({A})",
    "(r,c)->(m,n)",
    pull=_pull_embed,
    batch="own",
    turned=_turn_embed,
    reason="block in zeros",
)
reshape = linear(
    "reshape",
    Reshape,
    "\\operatorname{{reshape}}({A})",
    "(r,c)->(p,q), r c = p q",
    pull=lambda G, node, k: Reshape(G, *node.operands[0].shape, node.parameters[2]),
    batch="own",
    turned=_turn_reshape,
    reason="reshape",
)
kron = linear(
    "kron",
    Kron,
    "{A} \\otimes {B}",
    "(m,n),(p,q)->(mp,nq)",
    pull=_pull_kron,
    reason="Kronecker product",
    source="Van Loan & Pitsianis 1993",
)
einsum = linear(
    "einsum",
    Einsum,
    "\\operatorname{{einsum}}({A}, {B})",
    "(m,n),(n,p)->(m,p)",
    pull=_pull_einsum,
    batch="own",
    turned=lambda node: contract(node.parameters[0].turned, node.operands),
    reason="contraction",
    source="Laue et al. 2018",
)
gather = linear(
    "gather",
    Gather,
    "\\operatorname{{gather}}({A})",
    "(m,n)->(r,c)",
    pull=lambda G, node, k: Scatter(G, *node.operands[0].shape, node.parameters[2]),
    batch="opaque",
    reason="gather",
)
scatter_add = linear(
    "scatter_add",
    Scatter,
    "\\operatorname{{scatter}}({A})",
    "(r,c)->(m,n)",
    pull=lambda G, node, k: Gather(G, *node.operands[0].shape, node.parameters[2]),
    batch="opaque",
    reason="scatter",
)


def _pull_where(G: Node, node: Node, k: int) -> Node:
    M, nothing = node.operands[0], Zero(*G.shape)
    return Where(M, G, nothing) if k == 1 else Where(M, nothing, G)


where = Op(
    "where",
    Where,
    "\\operatorname{{where}}({A}, {B}, {C})",
    "(r,c),(r,c),(r,c)->(r,c)",
    linear=(1, 2),
    pull=_pull_where,
    differential=_d_where,
    reason="selection",
)

LINEAR: tuple[Op, ...] = tuple(entry for entry in list(globals().values()) if isinstance(entry, Op))
