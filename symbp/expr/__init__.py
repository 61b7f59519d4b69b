"""Matrix expressions that keep their form, with strict symbolic shapes, sizes, indices and boxes."""

from symbp.expr.boxes import Bounds, Box, Interval, affine, at_most, least, uncovered
from symbp.expr.nodes import (
    MASK_KINDS, RECIPROCAL, Add, ArgmaxMask, AxisNode, Compare, Constant, Diag, DiagOf, Embed, Eye, Function, Gather,
    Hadamard, Kron, LogSumExp, Map, Mask, MatMul, MaxAxis, Node, Ones, Ref, Reshape, Scale, Scatter, Shape, ShapeError,
    Slice, SMul, Softmax, StaticMap, SumOver, T, Transpose, Where, Zero, add, apply, as_node, broadcast, common_shape,
    compare, constant, fresh_index, had, matmul, ones, plus, power, refs, scaled, shape_text, shift, sum_axis, times,
    total, transform, walk, where,
)
from symbp.expr.sizes import (
    Size, SizeMember, evaluate_scalar, evaluate_size, expanded, has_size, index, is_one, same_size, size, size_atoms,
)

__all__ = [name for name in dir() if not name.startswith("_")]
