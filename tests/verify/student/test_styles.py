"""Ways to write a backward pass that courses and books have: right as they are, and with a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from symbp.verify.student.binding.search import Wishes
from symbp.verify.student.check import check_file, check_text

FOLDER = Path(__file__).parent / "styles"
LOSSES = {
    "network_of_lists": "np.sum((a - y)**2) / 2", "script_of_updates": "np.sum((wanted - out)**2) / 2",
    "data_in_object": "np.sum((net.y - net.output)**2)",
}
NAMES = sorted(f.stem for f in FOLDER.glob("*.py"))

FAULTS = [
    ("einsum_attention", "dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))", "dS = P * dP"),
    ("einsum_attention", "dQ = np.einsum('bts,bsk->btk', dS, K)", "dQ = np.einsum('bts,btk->bsk', dS, K)"),
    ("gru_cell", "dh_prev = dh * (1 - z)", "dh_prev = dh * z"),
    ("gru_cell", "dar = dr * r * (1 - r)", "dar = dr * (1 - r)"),
    ("im2col_conv", "dcolumns = flat @ W.reshape(count, -1)", "dcolumns = flat @ W.reshape(-1, count).T"),
    ("im2col_conv", "q * step:q * step + k] += found[:, r, q]", "q * step:q * step + k] = found[:, r, q]"),
    ("stored_output", "self.dinputs[self.inputs <= 0] = 0", "self.dinputs[dvalues <= 0] = 0"),
    ("layer_objects", "return grad * self.mask", "return grad"),
    ("layer_objects", "self.db = grad.sum(axis=0)", "self.db = grad.mean(axis=0)"),
    ("loops_softmax", "dW = grad / samples + reg * W", "dW = grad / samples + 2 * reg * W"),
    ("network_of_lists", "nabla_w[-k] = delta @ outs[-k - 1].T", "nabla_w[-k] = delta @ outs[-k].T"),
    ("script_of_updates", "second += hidden.T @ out_delta", "second -= hidden.T @ out_delta"),
    ("loss_method", "dbefore = dhidden * (before > 0)", "dbefore = dhidden"),
    ("loss_method", "dW1 = X.T @ dbefore + 2 * reg * W1", "dW1 = X.T @ dbefore + reg * W1"),
    ("negative_sampling", "np.add.at(grad_vectors, noise_indices, np.outer(1 - spared, center_vec))",
     "grad_vectors[noise_indices] += np.outer(1 - spared, center_vec)"),
    ("main_guard", "dH[Z1 < 0] = 0", "dH[H < 0] = 0"),
    ("globals_as_parameters", "dW1 = X.T @ d1", "dW1 = X.T @ d2 @ W2.T"),
    ("normalised_dropout", "dr = dd * mask", "dr = dd"),
    ("normalised_dropout", "dxn = dbn * g", "dxn = dbn"),
    ("step_in_backward", "self.b1 -= self.lr * db1", "self.b1 += self.lr * db1"),
    ("data_in_object", "2 * (self.y - self.output) * sig_slope(self.output))\n", "2 * (self.y - self.output))\n"),
    ("dict_logistic", "error = A - Y", "error = A + Y"),
]


@pytest.mark.parametrize("name", NAMES)
def test_right_work_is_right(name: str) -> None:
    found = check_file(FOLDER / f"{name}.py", wishes=Wishes(loss=LOSSES.get(name, "")))
    assert {row["verdict"] for row in found.rows} == {"right"}, found.text


def test_every_style_is_spoiled_too() -> None:
    assert {name for name, _, _ in FAULTS} == set(NAMES)


@pytest.mark.parametrize(
    ("name", "old", "new"), [pytest.param(*f, marks=[pytest.mark.slow] if k % 3 else []) for k, f in enumerate(FAULTS)],
)
def test_the_line_of_a_fault_is_told(name: str, old: str, new: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    before, old, behind = text.partition(old)
    assert old
    found = check_text(before + new + behind, f"{name}.py", wishes=Wishes(loss=LOSSES.get(name, "")))
    wrong = [c.judgement for c in found if c.judgement.verdict != "right"]
    assert [[j.lines[k].line for k in j.faults[0].slice] for j in wrong] == [[before.count("\n") + 1]]


def test_a_penalty_that_is_left_out_is_not_zero() -> None:
    """With ``reg=0.0`` any factor before it would be right."""
    text = (FOLDER / "loss_method.py").read_text(encoding="utf-8").replace("2 * reg * W2", "3 * reg * W2")
    assert check_text(text)[0].judgement.affected == ("W2",)


def test_one_sample_at_a_time_is_said_to_be() -> None:
    (found,) = check_text(
        (FOLDER / "network_of_lists.py").read_text(encoding="utf-8"), wishes=Wishes(loss=LOSSES["network_of_lists"])
    )
    assert any("one sample at a time" in r for r in found.judgement.remarks)


def test_without_a_loss_the_names_of_the_file_are_in_the_way_out() -> None:
    (found,) = check_text((FOLDER / "network_of_lists.py").read_text(encoding="utf-8"))
    assert "--loss 'np.sum((a - y)**2) / 2'" in found.judgement.reason
