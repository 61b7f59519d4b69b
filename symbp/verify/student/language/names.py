"""What names mean in homework: gradients, targets, sizes, rates, biases, upstream gradients, caches."""

from __future__ import annotations

import re

_GRADIENT = tuple(re.compile(p + r"\Z") for p in (
    r"d(?:L|J|E|C|[Ll]oss|[Cc]ost)_*d_?(\w+)", r"d_?(\w+)", r"(?:grads?|gradient|nabla|delta|del|partial)_?(\w+)",
    r"g_?(\w+)", r"(\w+?)_?(?:grads?|gradient|bar|deriv)", r"D(\w+)",
))


def _words(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts))


TARGET = _words(
    r"[yY]", r"[yY]s", r"labels?", r"targets?", r"[yY]_?(true|train|batch|real|onehot|one_hot|oh|hot|enc|label|labels)",
    r"[tT]", r"[yY]b", r"(ground_)?truth", r"[yY]_?mb", r"true_?[yY]", r"answers?", r"next_ids?",
)
LABELS = _words(
    r"labels?", r"targets?", r"ids?", r"idxs?", r"indices", r"index", r"tokens?", r"[yY]_?(idx|ids|labels?)", r"words?",
    r"input_ids", r"inputs", r"xs", r"ix",
)
UPSTREAM = _words(
    r"grad(ient)?s?(_?out(put)?)?", r"output_?grad(ient)?", r"upstream", r"grad_y", r"delta", r"error", r"err",
    r"accumulated_?grad", r"[gG]", r"d[A-Za-z]\w*",
)
CACHE = _words(
    r"caches?",
    r"memory", r"memo", r"ctx", r"context", r"store[ds]?", r"saved", r"tape", r"state", r"activations?",
    r"intermediates?", r"fwd", r"vars", r"values", r"layer_?outputs?", r"cache_\w+", r"\w+_cache", r"history", r"tmp",
)
OUTPUT = _words(r"out(put)?", r"y_?(hats?|pred)", r"probs", r"preds?", r"AL", r"scores", r"o")
INPUT = _words(r"[xX]\w{0,2}", r"inputs?", r"data", r"features?", r"(in|input)_\w+")
VECTOR = re.compile(r"vec(tor)?\Z", re.I)
MATRIX = re.compile(r"(vec(tor)?s|matrix|mat|table|embeddings?)\Z", re.I)
BIAS = _words(
    r"b\w{0,3}", r"bias\w*", r"b_\w+", r"\w+_b(ias)?", r"beta\w*", r"gamma\w*", r"g", r"scale", r"shift",
)
SCALE = _words(r"beta\w*", r"gamma\w*", r"scale", r"shift")
RATE = _words(r"lr", r"learning_?rate", r"alpha", r"eta", r"rate", r"step_?size", r"lrate")
SMALL = _words(r"eps", r"epsilon\w*", r"tol")
FRACTION = _words(
    r"keep(_?prob)?", r"p", r"drop(out)?(_?(rate|prob|p))?", r"momentum", r"beta[12]", r"rho", r"decay", r"prob",
)
PENALTY = _words(
    r"reg\w*", r"lam\w*", r"lambda_?\w*", r"l2\w*", r"weight_?decay", r"wd", r"mu", r"margin", r"C", r"temperature",
)
SIZE = _words(
    r"[nmkdhvc]", r"n_?\w*", r"\w*_?(dims?|size|units|features|width|nodes|neurons|channels|classes|count)",
    r"hidden\w*", r"input\w*", r"output\w*", r"(in|out)_\w+", r"num_\w+", r"vocab\w*",
    r"\w*_(in|out|hidden|input|output)",
    r"fan_?(in|out)", r"[NMDHKCVTE]", r"D_?\w+", r"emb(ed\w*)?", r"batch\w*",
)
SIZES = _words(
    r"layers?(_?(dims|sizes|units))?", r"dims", r"sizes", r"layer_?\w*", r"arch(itecture)?", r"(n_)?units", r"nodes",
    r"shape", r"structure", r"topology",
)
STEPS = _words(
    r"(n_?)?epochs?", r"num_?iter\w*", r"iterations?", r"n_?iter\w*", r"steps", r"max_?iter", r"seed", r"random_state",
    r"verbose", r"print_\w+",
)
COUNTS = {"stride": 1, "strides": 1, "s": 1, "pad": 1, "padding": 1, "kernel_size": 3, "filter_size": 3, "f": 3,
          "pool": 2, "pool_size": 2, "pool_height": 2, "pool_width": 2, "L": 3, "num_layers": 3, "n_layers": 3,
          "T": 3, "seq_len": 3, "heads": 1, "num_heads": 1, "n_heads": 1, "n_head": 1}
"""Small whole numbers that are no sizes of layers."""


def gradient_of(name: str) -> list[str]:
    """Return the names of which a name may be the gradient, the likeliest first: ``dW1`` of ``W1``."""
    found: list[str] = []
    for pattern in _GRADIENT:
        match = pattern.match(name)
        if match and match[1] not in found:
            found.append(match[1])
    delta = re.fullmatch(r"(?:delta|error|err|d)_?(\d*)", name)
    if delta:
        found += [f"Z{delta[1]}", f"z{delta[1]}", f"z_{delta[1]}"]
    return found


def bare(name: str) -> str:
    """Return a name without underscores, in small letters, for comparison."""
    return name.replace("_", "").lower()


def tail(path: str) -> str:
    """Return the last word of a path: of ``params['W1']`` and of ``net.W1`` it is ``W1``."""
    key = re.search(r"\[['\"](\w+)['\"]\]\Z", path)
    if key:
        return key[1]
    number = re.search(r"(\w+)\[(\d+)\]\Z", path)
    if number:
        return f"{number[1]}[{number[2]}]"
    return path.rpartition(".")[2]
