"""Operations that are linear in each slot: sums, products, transposes, blocks.  Each states its pull."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import sympy as sp

from symbp.expr import (
    Add,
    AddAt,
    Diag,
    DiagOf,
    Einsum,
    Embed,
    Eye,
    Gather,
    Hadamard,
    Kron,
    MatMul,
    Node,
    Ones,
    Reshape,
    Scale,
    Scatter,
    Slice,
    SMul,
    T,
    Take,
    Transpose,
    Where,
    Zero,
    contract, expanded,
    had,
    is_one, kron_blocks,
    matmul,
    same_size,
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


def vec(A: Node) -> Node:
    """Return the columns of A below each other."""
    return A if is_one(A.cols) else _column(A)


def _beside(left: Node, J: Node) -> Node:
    """Return ``left @ J``: of a block in zeros what meets it, ``[A B] [0; J] = B J``; and ``1^T diag(v) = v^T``."""
    factors = list(J.operands) if isinstance(J, MatMul) else [J]
    if isinstance(left, Ones) and is_one(left.rows) and isinstance(factors[0], Diag):
        weights = [f.operands[0] for f in itertools.takewhile(lambda f: isinstance(f, Diag), factors)]
        return matmul(T(had(*weights)), *factors[len(weights) :])
    if isinstance(J, Embed) and same_size(J.operands[0].cols, J.cols):
        (inner,), first = J.operands, J.parameters[0]
        return matmul(Slice(left, 0, left.rows, first, expanded(first + inner.rows)), inner)
    return matmul(left, J)


def _jacobian_matmul(J: Node, node: Node, k: int) -> Node:
    left, right, moved = node.operands[:k], node.operands[k + 1 :], node.operands[k]
    # vec(L dA R) = (R^T kron L) vec(dA), where a factor that is missing is the identity
    first = T(matmul(*right)) if right else Eye(moved.cols)
    second = matmul(*left) if left else Eye(moved.rows)
    if not right and is_one(moved.cols):
        return _beside(second, J)
    if not left and is_one(moved.rows):
        return matmul(first, J)
    return matmul(Kron(first, second), J)


def _jacobian_hadamard(J: Node, node: Node, k: int) -> Node:
    others = had(*(A for j, A in enumerate(node.operands) if j != k))
    return matmul(Diag(vec(others)), J)


def _jacobian_smul(J: Node, node: Node, k: int) -> Node:
    s, A = node.operands
    return matmul(vec(A), J) if k == 0 else SMul(s, J)


def _chosen(first: sp.Expr, last: sp.Expr, count: sp.Expr) -> Node:
    """Return the rows first..last-1 of the identity."""
    return Slice(Eye(count), first, last, 0, count)


def _jacobian_slice(J: Node, node: Node, k: int) -> Node:
    (r0, r1, c0, c1), A = node.parameters, node.operands[0]
    if is_one(A.cols):
        return Slice(J, r0, r1, 0, J.cols)
    return matmul(Kron(_chosen(c0, c1, A.cols), _chosen(r0, r1, A.rows)), J)


def _jacobian_embed(J: Node, node: Node, k: int) -> Node:
    (r0, c0, rows, cols), A = node.parameters, node.operands[0]
    if is_one(cols):
        return Embed(J, r0, 0, rows, J.cols)
    block = Kron(_chosen(c0, expanded(c0 + A.cols), cols), _chosen(r0, expanded(r0 + A.rows), rows))
    return matmul(T(block), J)


def _jacobian_transpose(J: Node, node: Node, k: int) -> Node:
    if is_one(node.rows) or is_one(node.cols):
        return J
    raise ArithmeticError("the transpose of a matrix permutes its entries: write the equation for one sample")


def _jacobian_reshape(J: Node, node: Node, k: int) -> Node:
    assert isinstance(node, Reshape)
    A = node.operands[0]
    if node.order == "F" or all(is_one(X.rows) or is_one(X.cols) for X in (A, node)):
        return J
    raise ArithmeticError("a reshape by rows permutes the entries of a matrix: write order='F'")


def _jacobian_where(J: Node, node: Node, k: int) -> Node:
    M = vec(node.operands[0])
    kept = M if k == 1 else add_(Ones(*M.shape), scaled(-1, M))
    return matmul(Diag(kept), J)


def _pull_kron(G: Node, node: Node, k: int) -> Node:
    # Van Loan & Pitsianis: the blocks of G as rows; then kron is an outer product vec(A) vec(B)^T.
    A, B = node.operands
    m, n, p, q = A.rows, A.cols, B.rows, B.cols
    blocks = Gather(G, kron_blocks(m, n, p, q))
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
    jacobian=lambda J, node, k: J,
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
    jacobian=lambda J, node, k: scaled(node.parameters[0], J),
    reason="coefficient",
    quiet=True,
)
smul = linear(
    "smul",
    SMul,
    "{A}\\,{B}",
    "(1,1),(r,c)->(r,c)",
    pull=_pull_smul,
    jacobian=_jacobian_smul,
    reason="scalar factor",
)
matmul_ = linear(
    "matmul",
    MatMul,
    "{A}\\,{B}",
    "(m,n),(n,p)->(m,p)",
    pull=_pull_matmul,
    jacobian=_jacobian_matmul,
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
    jacobian=_jacobian_hadamard,
    reason="Hadamard product",
    source="F0.4",
)
transpose = linear(
    "transpose",
    Transpose,
    "{A}^{{\\top}}",
    "(m,n)->(n,m)",
    pull=lambda G, node, k: T(G),
    jacobian=_jacobian_transpose,
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
    jacobian=_jacobian_slice,
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
    jacobian=_jacobian_embed,
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
    jacobian=_jacobian_reshape,
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
    pull=lambda G, node, k: Scatter(G, node.parameters[0]),
    batch="own",
    turned=lambda node: Gather(T(node.operands[0]), node.parameters[0].T),
    reason="gather",
)
scatter_add = linear(
    "scatter_add",
    Scatter,
    "\\operatorname{{scatter}}({A})",
    "(r,c)->(m,n)",
    pull=lambda G, node, k: Gather(G, node.parameters[0]),
    batch="own",
    turned=lambda node: Scatter(T(node.operands[0]), node.parameters[0].T),
    reason="scatter",
)


take = Op(
    "take",
    Take,
    "{A}[:,\\, {B}]",
    "(m,n),(1,k)->(m,k)",
    linear=(0,),
    pull=lambda G, node, k: AddAt(G, node.operands[1], node.operands[0].shape[node.axis], node.axis),
    differential=lambda node, Y, dA: None if dA[0] is None else Take(dA[0], node.operands[1], node.axis),
    batch="own",
    turned=lambda node: Take(T(node.operands[0]), T(node.operands[1]), 1 - node.axis),
    reason="lookup",
)
add_at = Op(
    "add_at",
    AddAt,
    "\\operatorname{{add}}({A})",
    "(m,k),(1,k)->(m,n)",
    linear=(0,),
    pull=lambda G, node, k: Take(G, node.operands[1], node.axis),
    differential=lambda node, Y, dA: (
        None if dA[0] is None else AddAt(dA[0], node.operands[1], node.parameters[0], node.axis)
    ),
    batch="own",
    turned=lambda node: AddAt(T(node.operands[0]), T(node.operands[1]), node.parameters[0], 1 - node.axis),
    reason="sum by number",
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
    jacobian=_jacobian_where,
    differential=_d_where,
    reason="selection",
)

LINEAR: tuple[Op, ...] = tuple(entry for entry in list(globals().values()) if isinstance(entry, Op))
