"""The natures of mistakes: what each is, whence it mostly comes, and the question that leads to it."""

from __future__ import annotations

from dataclasses import dataclass

from symbp.language.codes import Code


@dataclass(frozen=True)
class Nature:
    """One kind of mistake in a backward pass.

    code:     the diagnostic code, which ``symbp explain`` knows.
    title:    a few words, as they stand behind the code.
    text:     what it is, with the usual cause.
    question: what ``--hint`` asks; it leads to the mistake and does not mend it.
    """

    code: str
    title: str
    text: str
    question: str


NATURES: dict[str, Nature] = {
    # -- products
    "transpose missing": Nature(
        "C010",
        "transpose missing",
        "A product goes back through the transposed matrix: from <G, W dA> = <W^T G, dA>. Where all sides have "
        "different sizes the shapes show it; with square matrices only the values do.",
        "Through which matrix does the gradient go back, and on which side of the inner product did it stand?",
    ),
    "transpose extra": Nature(
        "C011",
        "transpose too many",
        "A matrix is transposed that was already in the layout that the product needs, often because the transpose "
        "was taken over from the other layout (samples as rows).",
        "Which layout do your samples have, and what are the shapes of the two factors?",
    ),
    "recurrent not transposed": Nature(
        "C015",
        "recurrent matrix not transposed",
        "The gradient of a step reaches the step before it through the transposed recurrent matrix. The matrix is "
        "square, so no shape complains.",
        "The forward step multiplies by the recurrent matrix; what does its inner product make of it on the way back?",
    ),
    "order swapped": Nature(
        "C016",
        "order of the factors swapped",
        "A matrix product depends on its order: the gradient of W in W A is G A^T, with the rows of W from G and its "
        "columns from A.",
        "Which of the two factors gives the rows of the result, and which its columns?",
    ),
    "elementwise for product": Nature(
        "C017",
        "elementwise product in place of the matrix product",
        "`*` multiplies entry by entry. Where the forward pass has a matrix product, the backward pass has matrix "
        "products; where shapes can be broadcast nothing complains.",
        "Does the forward pass multiply matrices here, or entries?",
    ),
    "product for elementwise": Nature(
        "C018",
        "matrix product in place of the elementwise product",
        "A function that is applied to each entry has a diagonal derivative: the gradient is multiplied by its slope "
        "entry by entry (`*`), not by a matrix product.",
        "Does the forward pass multiply matrices here, or entries?",
    ),
    # -- slopes
    "slope missing": Nature(
        "C012",
        "slope missing",
        "What stands here is the gradient of the value of a function. The gradient of its argument has the slope of "
        "the function as a factor: dA = f'(Z) * dZ.",
        "Of which quantity is this the gradient: of what goes into the function, or of what comes out?",
    ),
    "slope doubled": Nature(
        "C013",
        "slope taken twice",
        "The slope of a function stands twice, mostly once in an earlier line and once here. Each function that lies "
        "between two quantities gives one factor.",
        "How many functions lie between the quantity of this line and those that it is made of?",
    ),
    "slope at the wrong argument": Nature(
        "C014",
        "slope at the wrong argument",
        "A slope is written through the argument of its function (`f'(Z)`) or through its value (`1 - A**2`); here "
        "the formula of the one is used with the other, or with another function's.",
        "Is this formula of the slope meant for what goes into the function, or for what comes out?",
    ),
    "activation in place of the slope": Nature(
        "C019",
        "activation in place of its slope",
        "The gradient is multiplied by the value of the function, not by its derivative.",
        "By what does a small change of the argument change the value of the function?",
    ),
    "slope of another function": Nature(
        "C028",
        "slope of another function",
        "The slope belongs to another function than the one that was applied: 1 - A**2 is that of tanh, A*(1 - A) "
        "that of sigmoid. In cells with several gates the two are easily mixed up.",
        "Which function was applied here in the forward pass, and what is its derivative?",
    ),
    "softmax as diagonal": Nature(
        "C029",
        "softmax treated as if it worked entry by entry",
        "Each value of a softmax depends on all entries of its column (or row), so its derivative is diag(p) - p p^T, "
        "not a diagonal: the gradient is P*(G - sum(P*G)).",
        "If one entry before the softmax grows, what happens to the other values of its column or row?",
    ),
    "factor missing": Nature(
        "C030",
        "factor missing",
        "A product of entries has the other factor in its gradient: d(F*C) = C*dF + F*dC. The other factor is not "
        "here.",
        "With what was this quantity multiplied in the forward pass?",
    ),
    "factor extra": Nature(
        "C031",
        "factor too many",
        "The gradient is multiplied by a quantity that is no factor of it.",
        "Which factors did the forward pass have between this quantity and the next?",
    ),
    # -- constants
    "wrong constant": Nature(
        "C020",
        "wrong constant",
        "The line is right up to a number: a size, a 2 from a square, or a 1/2 of the loss.",
        "Which number stands in front of the loss, and what does the derivative of a square add to it?",
    ),
    "1/m missing": Nature(
        "C021",
        "1/m missing",
        "The loss is a mean over the samples, so the factor 1/m belongs into every gradient: once, in the first error "
        "signal or in the gradients of the parameters.",
        "Is the loss a sum or a mean over the samples, and where does its factor appear?",
    ),
    "1/m extra": Nature(
        "C022",
        "1/m too many",
        "The factor 1/m of the loss stands twice, mostly in the first error signal and again in the gradient of the "
        "parameters; or the loss is a sum and has none.",
        "How often does the factor of the loss appear on the way to this line?",
    ),
    "sign": Nature(
        "C023",
        "wrong sign",
        "The line, or one term of it, is the negative of what it should be, often because prediction and target are "
        "exchanged in the error, or a minus of the loss is lost.",
        "If the prediction grows beyond the target, should the loss grow or fall?",
    ),
    "wrong exponent": Nature(
        "C024",
        "wrong exponent",
        "A power in the line has another exponent than the derivative gives: d(x**p) = p * x**(p-1) * dx.",
        "Which power does the forward pass have, and which one does its derivative have?",
    ),
    # -- reductions
    "sum for mean": Nature(
        "C025",
        "sum in place of the mean",
        "The line adds up where it should average, so it is too large by the number of summands.",
        "Is the factor 1/m already in what is summed here?",
    ),
    "mean for sum": Nature(
        "C026",
        "mean in place of the sum",
        "The line averages where it should add up: what is broadcast in the forward pass is summed in the backward "
        "pass. Mostly the factor 1/m is there already.",
        "Is the factor 1/m already in what is averaged here?",
    ),
    "not summed": Nature(
        "C027",
        "bias gradient not summed over the batch",
        "A bias is added to every sample, so its gradient is the sum over the samples; without the sum it has the "
        "shape of the error signal and not that of the bias.",
        "What is the shape of the parameter, and what is the shape of this line?",
    ),
    "wrong axis": Nature(
        "C032",
        "wrong axis",
        "The reduction runs along the other axis than the one that the forward pass broadcasts or normalises along.",
        "Along which axis lie the samples, and along which the features?",
    ),
    "summed over everything": Nature(
        "C047",
        "summed over everything",
        "The sum runs over all entries and gives one number; one axis was meant: a bias has one gradient for each "
        "unit, the sum over the samples.",
        "How many numbers does this line give, and how many does the parameter have?",
    ),
    # -- paths
    "path dropped": Nature(
        "C033",
        "a path is missing",
        "A quantity that is used in several places hears from each of them, and its gradient is the sum: the skip "
        "connection, the mean and the variance of a normalisation, the next time step.",
        "In how many places does the forward pass use this quantity?",
    ),
    "path extra": Nature(
        "C034",
        "a path too many",
        "The sum has a term that does not belong to it: a message from a place that does not use the quantity, or one "
        "that was counted before.",
        "From which places that use this quantity does each term of the sum come?",
    ),
    "paths averaged": Nature(
        "C035",
        "paths averaged",
        "The messages of several paths are added, not averaged.",
        "If two paths lead from a quantity to the loss, is its effect the sum or the mean of the two?",
    ),
    "only the last step": Nature(
        "C036",
        "only the last step is kept",
        "A parameter that every step uses has a gradient that is a sum over the steps; here one step overwrites the "
        "others, or only one is taken.",
        "In how many steps of the loop is this parameter used?",
    ),
    "repeated indices overwritten": Nature(
        "C037",
        "repeated indices overwritten",
        "`d[ids] += g` writes each place once, so of repeated indices only the last one counts; `np.add.at` adds all.",
        "What happens here if the same index occurs twice?",
    ),
    # -- names
    "time index": Nature(
        "C038",
        "index off by one",
        "The step before or after is used in place of the right one: the recurrent weight of step t meets the state "
        "of step t - 1, and its error comes from step t + 1.",
        "Which step's value does the forward pass use here, and which step hears of it?",
    ),
    "updated weights": Nature(
        "C039",
        "updated weights used in the backward pass",
        "The gradient is that of the loss at the weights of the forward pass; here weights are used that were already "
        "changed.",
        "Do the weights here have the value that the forward pass used?",
    ),
    "own output": Nature(
        "C040",
        "another value in place of the layer's input",
        "The gradient of a weight is the error signal times the input of its layer; here a layer's own output, or "
        "another value, stands in its place.",
        "With what is this weight multiplied in the forward pass?",
    ),
    "stale cache": Nature(
        "C041",
        "a value from an earlier pass",
        "A value of another pass, or of before an update, is used where that of this forward pass is meant.",
        "When was the value computed that this line reads?",
    ),
    "another quantity": Nature(
        "C042",
        "another quantity in its place",
        "One name of the line should be another: the formula is right for another layer, gate or signal.",
        "Which quantity of the forward pass does each name of the line stand for?",
    ),
    "complement": Nature(
        "C048",
        "a gate turned around",
        "A gate lets one signal pass by `z` and the other by `1 - z`; here the one stands in the place of the other.",
        "By which of the two does the forward pass weigh this signal?",
    ),
    # -- arrays
    "kernel not rotated": Nature(
        "C043",
        "kernel not rotated",
        "The gradient of the input of a convolution is the full correlation with the kernel turned by 180 degrees.",
        "Which output did the first weight of the kernel make from this input, and which did the last one?",
    ),
    "silent broadcast": Nature(
        "C044",
        "silent broadcast",
        "Arrays of shapes (m,) and (m, 1) were combined, and broadcasting made an (m, m) array of them.",
        "What are the shapes of the two operands, and what is the shape of the result?",
    ),
    "changed in place": Nature(
        "C045",
        "an input is changed in place",
        "The line gives an array a second name and a later one writes into it, so the first one changes too; a copy "
        "keeps it.",
        "Do two names here stand for the same array?",
    ),
    "wrong condition": Nature(
        "C046",
        "wrong condition",
        "The mask selects the wrong entries: the comparison is turned around, or it tests another quantity.",
        "For which entries does the function let a change pass?",
    ),
}
"""Every nature, by the key that the table of edits uses."""

CODES: dict[str, Code] = {nature.code: Code(nature.title, nature.text) for nature in NATURES.values()}
"""The codes of the natures, as ``symbp explain`` reads them."""
