"""Convolution and pooling over feature maps: windows by a static map, then a product, a largest entry or a mean.

Feature maps are a matrix, channels x (samples, rows, columns): its column ``(n*h + i)*w + j`` is the place (i, j) of
sample n.  Where samples are rows of the data, all of it is transposed.  Sources: formula sheet F3; LeCun et al. 1998.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from symbp.expr import (
    Embed, Gather, MatMul, MaxAxis, Node, Reshape, Scatter, Slice, StaticMap, add, digits, expanded, is_one,
    permutation, plus, same_size, scaled, shape_text, static_map, sum_axis, windows,
)
from symbp.layers.registry import Maps, Writer, layer

ONE = sp.S.One
Activation = Callable[[Node, int], Node]


def _rule(rule: StaticMap, axis: int) -> StaticMap:
    """Return a map for data whose samples are columns (axis 1), or the one for samples that are rows."""
    return rule if axis == 1 else rule.T


def _maps(writer: Writer, X: Node) -> Maps:
    found = writer.maps(X)
    if found is None:
        raise ValueError(
            f"a matrix of shape {shape_text(X.shape)} is not known to hold feature maps: make them of the data by "
            "`image(X, c, h, w)`, and use elementwise functions and layers of maps only in between"
        )
    return found


def _orders(c: sp.Expr, m: sp.Expr, h: sp.Expr, w: sp.Expr, scan: str) -> StaticMap:
    """Return the map from flattened samples, features x samples, to feature maps."""
    if scan not in ("rows", "columns"):
        raise ValueError(f"scan is 'rows' or 'columns', not {scan!r}")
    sizes = (c, h, w, m) if scan == "rows" else (c, w, h, m)
    i, j = (1, 2) if scan == "rows" else (2, 1)
    return permutation("maps", "flat", (0,), (3, i, j), sizes, 3, f"{h} x {w}" + (", by columns" if j == 1 else ""))


@layer(
    "image(X, c, h, w, scan='rows')",
    "the feature maps of samples that are flattened images with c channels of h rows and w columns: channels x "
    "(samples, rows, columns); scan 'rows' or 'columns' says which pixels follow each other in a channel",
)
def image(writer: Writer, X: Node, c: sp.Expr, h: sp.Expr, w: sp.Expr, scan: str) -> Node:
    """Return feature maps; ``X`` is (c h w) x samples, or samples x (c h w)."""
    axis = writer.sample_axis(X)
    features, m = X.shape[1 - axis], X.shape[axis]
    if not same_size(features, c * h * w):
        raise ValueError(f"an image with {c} channel(s) of {h} x {w} has {expanded(c * h * w)} entries, not {features}")
    rule = _orders(c, m, h, w, scan)
    return writer.keep(Gather(X, _rule(rule, axis)), Maps(c, m, h, w, axis))


@layer(
    "flatten_maps(X, scan='rows')",
    "the feature maps of each sample as one column (channel by channel), a row where samples are rows",
)
def flatten_maps(writer: Writer, X: Node, scan: str) -> Node:
    """Return features x samples, or samples x features: ``[vec(A_1); ...; vec(A_c)]`` for scan 'columns'."""
    maps = _maps(writer, X)
    rule = _orders(maps.channels, maps.samples, maps.height, maps.width, scan)
    return X if is_one(maps.height) and is_one(maps.width) else Scatter(X, _rule(rule, maps.axis))


@layer("concat_maps(arrays)", "the channels of several feature maps, one after the other")
def concat_maps(writer: Writer, arrays: list[Node]) -> Node:
    """Return feature maps with the channels of all; their images have one size."""
    every = [_maps(writer, A) for A in arrays]
    first = every[0]
    for maps in every[1:]:
        if not maps.same_images(first):
            raise ValueError(f"images of one size are put together, not {maps.image} and {first.image}")
    channels = expanded(sum((maps.channels for maps in every), sp.S.Zero))
    whole = (channels, arrays[0].cols) if first.axis == 1 else (arrays[0].rows, channels)
    parts, start = [], sp.S.Zero
    for A, maps in zip(arrays, every, strict=True):
        parts.append(Embed(A, *((start, 0) if first.axis == 1 else (0, start)), *whole))
        start = expanded(start + maps.channels)
    return writer.keep(parts[0] if len(parts) == 1 else add(*parts), first.of(channels))


# ---------------------------------------------------------------------------------------------------------
# Convolution


def _extent(
    writer: Writer, word: str, n: sp.Expr, kernel: sp.Expr, stride: sp.Expr, padding: sp.Expr, dilation: sp.Expr
) -> sp.Expr:
    """Return the number of windows along a side of n: ``floor((n + 2p - d(k-1) - 1)/s) + 1``."""
    room = expanded(n + 2 * padding - dilation * (kernel - 1) - 1)
    if room.is_Integer and room < 0:
        raise ValueError(f"a window of {expanded(dilation * (kernel - 1) + 1)} does not fit a side of {n}")
    constant, rest = room.as_coeff_Add()
    steps = sp.cancel(rest / stride)
    if sp.denom(steps) == 1 and stride.is_Integer:
        return writer.size(word, expanded(steps + sp.floor(constant / stride) + 1))
    return writer.size(word, sp.floor(room / stride) + 1)


def _check(kernel: sp.Expr, stride: sp.Expr, padding: sp.Expr, dilation: sp.Expr) -> None:
    if padding.is_integer is False or padding.is_negative or not (padding.is_Integer or padding.free_symbols):
        raise ValueError(f"padding is a whole number of at least 0, not {padding}")


@layer(
    "conv2d(X, filters, kernel, stride=1, padding=0, dilation=1, groups=1, activation=linear, bias='separate')",
    "activation(K @ im2col(X) + b): the correlation of feature maps with a kernel x kernel window for each filter and "
    "channel; bias 'separate' or 'none'",
)
def conv2d(
    writer: Writer, X: Node, filters: sp.Expr, kernel: sp.Expr, stride: sp.Expr, padding: sp.Expr, dilation: sp.Expr,
    groups: sp.Expr, activation: Activation, bias: str,
) -> Node:
    """Return feature maps with a channel for each filter.

    ``P`` holds the windows, (channel, row, column of the window) x (samples, rows, columns), and ``K`` is filters x
    (channel, row, column of the window).  With groups a filter sees the channels of its group only.
    """
    return _convolution(
        writer, X, filters, (kernel, kernel), (stride, stride), (padding, padding), (dilation, dilation), groups,
        activation, bias,
    )


@layer(
    "conv1d(X, filters, kernel, stride=1, padding=0, dilation=1, groups=1, activation=linear, bias='separate')",
    "the same along sequences: feature maps of one row, `image(X, c, 1, w)`",
)
def conv1d(
    writer: Writer, X: Node, filters: sp.Expr, kernel: sp.Expr, stride: sp.Expr, padding: sp.Expr, dilation: sp.Expr,
    groups: sp.Expr, activation: Activation, bias: str,
) -> Node:
    """Return feature maps of one row with a channel for each filter."""
    if not is_one(_maps(writer, X).height):
        raise ValueError("conv1d wants maps of one row, `image(X, c, 1, w)`; for images there is conv2d")
    return _convolution(
        writer, X, filters, (ONE, kernel), (ONE, stride), (sp.S.Zero, padding), (ONE, dilation), groups, activation,
        bias,
    )


Pair = tuple[sp.Expr, sp.Expr]


def _convolution(
    writer: Writer, X: Node, filters: sp.Expr, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: sp.Expr, activation: Activation, bias: str,
) -> Node:
    maps = _maps(writer, X)
    for k in (0, 1):
        _check(kernel[k], stride[k], padding[k], dilation[k])
    out = tuple(
        _extent(writer, word, n, k, s, p, d)
        for word, n, k, s, p, d in zip("hw", maps.image, kernel, stride, padding, dilation, strict=True)
    )
    rule = windows(maps.channels, maps.samples, maps.image, kernel, out, stride, padding, dilation)
    P = writer.equation("P", Gather(X, _rule(rule, maps.axis)))
    place = kernel[0] * kernel[1]
    seen, each = (_share(n, groups, what) for n, what in ((maps.channels, "channels"), (filters, "filters")))
    inputs = expanded(seen * place)
    if maps.axis == 1:
        K = writer.parameter("K", filters, inputs)
    else:
        K = writer.parameter("K", inputs, filters)
    Z = _product(K, P, maps.axis) if groups == 1 else _grouped(K, P, groups, each, inputs, maps.axis)
    return _activated(writer, Z, filters, maps.of(filters, *out), activation, bias)


def _share(n: sp.Expr, groups: sp.Expr, what: str) -> sp.Expr:
    """Return how many channels or filters each group has."""
    if not groups.is_Integer:
        raise ValueError(f"groups are written out one by one: how many there are is a number, not {groups}")
    share = expanded(n / groups)
    if any(not coefficient.is_Integer for coefficient in share.as_coefficients_dict().values()):
        raise ValueError(f"{n} {what} cannot be divided among {groups} groups")
    return share


def _product(K: Node, P: Node, axis: int) -> Node:
    return MatMul(K, P) if axis == 1 else MatMul(P, K)


def _grouped(K: Node, P: Node, groups: sp.Expr, each: sp.Expr, inputs: sp.Expr, axis: int) -> Node:
    """Return the products of the groups, their filters one after the other."""
    whole = (expanded(each * groups), P.cols) if axis == 1 else (P.rows, expanded(each * groups))
    parts = []
    for g in range(int(groups)):
        first, seen = expanded(g * each), expanded(g * inputs)
        if axis == 1:
            mine = MatMul(Slice(K, first, first + each, 0, inputs), Slice(P, seen, seen + inputs, 0, P.cols))
            parts.append(Embed(mine, first, 0, *whole))
        else:
            mine = MatMul(Slice(P, 0, P.rows, seen, seen + inputs), Slice(K, 0, inputs, first, first + each))
            parts.append(Embed(mine, 0, first, *whole))
    return add(*parts)


def _activated(
    writer: Writer, Z: Node, filters: sp.Expr, maps: Maps, activation: Activation, bias: str
) -> Node:
    """Return the activation of weighted sums, with a bias for each filter."""
    if bias not in ("separate", "none"):
        raise ValueError(f"bias is 'separate' or 'none', not {bias!r}")
    axis = maps.axis
    if bias == "separate":
        Z = plus(Z, writer.parameter("b", filters, ONE) if axis == 1 else writer.parameter("b", ONE, filters))
    writer.keep(Z, maps)
    if activation(Z, 1 - axis) is Z:
        return Z
    return activation(writer.equation("Z", Z), 1 - axis)


@layer(
    "conv_transpose2d(X, filters, kernel, stride=1, padding=0, dilation=1, activation=linear, bias='separate')",
    "activation(col2im(K @ X) + b): the transpose of a convolution, whose images are larger by the stride",
)
def conv_transpose2d(
    writer: Writer, X: Node, filters: sp.Expr, kernel: sp.Expr, stride: sp.Expr, padding: sp.Expr, dilation: sp.Expr,
    activation: Activation, bias: str,
) -> Node:
    """Return feature maps with a channel for each filter and ``s(h-1) + d(k-1) + 1 - 2p`` rows; ``K`` is the transpose
    of the matrix of a convolution from those to these."""
    maps = _maps(writer, X)
    _check(kernel, stride, padding, dilation)
    image = tuple(
        writer.size(word, expanded(stride * (n - 1) + dilation * (kernel - 1) + 1 - 2 * padding))
        for word, n in zip("hw", maps.image, strict=True)
    )
    square, step, around, gap = ((x, x) for x in (kernel, stride, padding, dilation))
    rule = windows(filters, maps.samples, image, square, maps.image, step, around, gap)
    places = expanded(filters * kernel**2)
    if maps.axis == 1:
        K = writer.parameter("K", places, maps.channels)
    else:
        K = writer.parameter("K", maps.channels, places)
    P = writer.equation("P", _product(K, X, maps.axis))
    return _activated(writer, Scatter(P, _rule(rule, maps.axis)), filters, maps.of(filters, *image), activation, bias)


# ---------------------------------------------------------------------------------------------------------
# Pooling


def _pooled(
    writer: Writer, X: Node, size: Pair, stride: Pair, reduce: Callable[[Node, int], Node], factor: sp.Expr = ONE
) -> Node:
    """Return one entry for each window of each channel: ``factor`` times a reduction along an axis of the windows."""
    maps = _maps(writer, X)
    none: Pair = (sp.S.Zero, sp.S.Zero)
    out = tuple(
        _extent(writer, word, n, k, s, sp.S.Zero, ONE)
        for word, n, k, s in zip("hw", maps.image, size, stride, strict=True)
    )
    rule = windows(maps.channels, maps.samples, maps.image, size, out, stride, none, (ONE, ONE), each_channel=True)
    P = writer.equation("P", Gather(X, _rule(rule, maps.axis)))
    places = expanded(maps.samples * out[0] * out[1])
    value = reduce(P, 1 - maps.axis)
    if maps.axis == 1:
        found = Reshape(value, maps.channels, places, "F")
    else:
        found = Reshape(value, places, maps.channels, "C")
    return writer.keep(scaled(factor, found), maps.of(maps.channels, *out))


def _largest(P: Node, axis: int) -> Node:
    return MaxAxis(P, sp.Integer(axis))


@layer(
    "max_pool(X, size, stride=None)",
    "the largest entry of each size x size window of each channel; at ties the first in the window, by rows, wins; the "
    "stride is the size if it is not given",
)
def max_pool(writer: Writer, X: Node, size: sp.Expr, stride: sp.Expr | None) -> Node:
    """Return smaller feature maps; the gradient goes to the places of the largest entries."""
    step = size if stride is None else stride
    return _pooled(writer, X, (size, size), (step, step), _largest)


@layer("avg_pool(X, size, stride=None)", "the mean of each size x size window of each channel")
def avg_pool(writer: Writer, X: Node, size: sp.Expr, stride: sp.Expr | None) -> Node:
    """Return smaller feature maps."""
    step = size if stride is None else stride
    return _pooled(writer, X, (size, size), (step, step), sum_axis, 1 / size**2)


@layer("global_avg_pool(X)", "the mean of each channel of each sample: channels x samples")
def global_avg_pool(writer: Writer, X: Node) -> Node:
    """Return one number for each channel and sample."""
    h, w = _maps(writer, X).image
    return _pooled(writer, X, (h, w), (ONE, ONE), sum_axis, 1 / (h * w))


@layer("global_max_pool(X)", "the largest entry of each channel of each sample: channels x samples")
def global_max_pool(writer: Writer, X: Node) -> Node:
    """Return one number for each channel and sample."""
    return _pooled(writer, X, _maps(writer, X).image, (ONE, ONE), _largest)


# ---------------------------------------------------------------------------------------------------------
# Other readings of a convolution with stride 1, without padding: formula sheet F3.1, F3.2


def toeplitz(K: Node, filters: sp.Expr, channels: sp.Expr, image: Pair, kernel: Pair) -> Node:
    """Return M(K) with ``vec Y = M(K) vec X`` for one sample: doubly block Toeplitz, its entries tied to those of K.

    Its row is (filter, row, column) of an output, its column (channel, row, column) of an input; the entry is
    ``K[f, (c, y - i, x - j)]``, and 0 where that leaves the kernel.
    """
    f, i, j, c, y, x = digits("f i j c y x")
    out = tuple(n - k + 1 for n, k in zip(image, kernel, strict=True))
    rows, cols = {f: filters, i: out[0], j: out[1]}, {c: channels, y: image[0], x: image[1]}
    source = [(channels, c), (kernel[0], y - i), (kernel[1], x - j)]
    return Gather(K, static_map("toeplitz", "tied", rows, cols, [(filters, f)], source))


def rotated(K: Node, filters: sp.Expr, channels: sp.Expr, kernel: Pair) -> Node:
    """Return the kernel rotated by half a turn, channels x (filters, row, column).

    The gradient of the input is its full correlation with the gradient of the output:
    ``rot180(K) @ im2col(Ybar; padding k - 1)``.
    """
    c, f, u, v = digits("c f u v")
    rows, cols = {c: channels}, {f: filters, u: kernel[0], v: kernel[1]}
    source = [(channels, c), (kernel[0], kernel[0] - 1 - u), (kernel[1], kernel[1] - 1 - v)]
    return Gather(K, static_map("rot180", "rot180_back", rows, cols, [(filters, f)], source))
