"""What names mean in homework: gradients, targets, sizes, rates, biases, upstream gradients, caches."""

from __future__ import annotations

import re

_GRADIENT = tuple(re.compile(p + r"\Z") for p in (
    r"d(?:L|J|E|C|[Ll]oss|[Cc]ost)_*d_?(\w+)", r"d_?(\w+)", r"(?:grads?|gradient|nabla|delta|del|partial)_?(\w+)",
    r"g_?(\w+)", r"(\w+?)_?(?:grads?|gradient|bar|deriv)", r"D(\w+)",
))
TARGET = re.compile(r"[yY]|[yY]s|labels?|targets?|[yY]_?(true|train|batch|real|onehot|one_hot|oh|hot|enc|label|labels)|"
                    r"[tT]|[yY]b|truth|ground_truth|[yY]_?mb|true_?[yY]|answers?|next_ids?")
LABELS = re.compile(r"labels?|targets?|ids?|idx|idxs|indices|index|tokens?|[yY]_?(idx|ids|labels?)|words?|inputs?_ids|inputs|xs|ix")
UPSTREAM = re.compile(r"dout|d_?out(put)?s?|grad(ient)?s?(_?out(put)?)?|output_?grad(ient)?|upstream|dvalues|dy|dY|"
                      r"grad_y|delta|d_?next|dL_?d\w+|dA|da|dZ|dz|dH|dh|dS|error|err|accumulated_?grad|g|G|d[A-Za-z]\w*")
CACHE = re.compile(r"caches?|memory|memo|ctx|context|store[ds]?|saved|tape|state|activations?|intermediates?|fwd|vars|"
                   r"values|layer_?outputs?|cache_\w+|\w+_cache|history|tmp")
BIAS = re.compile(r"b\w{0,3}|bias\w*|b_\w+|\w+_b(ias)?|beta\w*|gamma\w*|g|scale|shift")
RATE = re.compile(r"lr|learning_?rate|alpha|eta|rate|step_?size|lrate")
SMALL = re.compile(r"eps|epsilon\w*|tol")
FRACTION = re.compile(r"keep_?prob|p|drop(out)?(_?(rate|prob|p))?|momentum|beta[12]|rho|decay|prob|keep")
PENALTY = re.compile(r"reg\w*|lam\w*|lambda_?\w*|l2\w*|weight_?decay|wd|mu|margin|delta_margin|C|temperature|scale")
SIZE = re.compile(r"n|m|k|d|h|v|c|n_?\w*|\w*_?(dim|dims|size|units|features|width|nodes|neurons|channels|classes|nodes|count)|"
                  r"hidden\w*|input\w*|output\w*|(in|out)_\w+|num_\w+|vocab\w*|\w*_(in|out|hidden|input|output)|"
                  r"fan_?(in|out)|[NMDHKCVTE]|D_?\w+|embed\w*|emb|layer_?size|batch\w*")
SIZES = re.compile(r"layers?(_?(dims|sizes|units))?|dims|sizes|layer_?\w*|architecture|arch|units|nodes|shape|structure|topology|n_units")
STEPS = re.compile(r"epochs?|n_?epochs|num_?iter\w*|iterations?|n_?iter\w*|steps|max_?iter|seed|random_state|verbose|print_\w+")
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
