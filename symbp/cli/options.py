"""The options of the verbs, each stated once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from symbp import choices

File = Annotated[str, Argument(metavar="FILE", help="A declaration; - reads standard input.")]
OptionalFile = Annotated[str | None, Argument(metavar="FILE", help="A declaration; - reads standard input.")]
OptionalFiles = Annotated[list[str] | None, Argument(metavar="FILE...", help="Declarations; - reads standard input.")]
Network = Annotated[str | None, Argument(metavar="NAME", help="Which network; without it, the list.")]
Rule = Annotated[str | None, Argument(metavar="OP", help="An operation or an identity; without it, the list.")]
Code = Annotated[str | None, Argument(metavar="CODE", help="A diagnostic code; without it, the list.")]

Json = Annotated[bool, Option("--json", help="Print plain data instead of text.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Print errors only.")]
Seed = Annotated[int, Option("--seed", min=0, help="Seed of everything random.")]
Ascii = Annotated[bool, Option("--ascii", help="Plain characters only.")]

Document = Annotated[Path | None, Option("-o", "--output", metavar="FILE", help="Write x.tex, x.md, x.json or x.svg.")]
Steps = Annotated[bool, Option("--steps", help="Print every step with its reason.")]
Brief = Annotated[bool, Option("--brief", help="Leave the single steps out of a document.")]
Why = Annotated[str | None, Option("--why", metavar="NAME", help="Say why the gradient of NAME is what it is.")]
Notation = Annotated[choices.Adjoints, Option("--notation", help="How gradients are written.")]
Products = Annotated[choices.Products, Option("--products", help="Entrywise products or diagonal matrices.")]
Form = Annotated[choices.Form, Option("--form", help="Equations of matrices, or of their entries with sums.")]
Samples = Annotated[choices.Samples | None, Option("--samples", help="Where the samples are to stand.")]
Weights = Annotated[choices.Weights | None, Option("--weights", help="How weights are to be stored.")]
Mode = Annotated[choices.Mode, Option("--mode", help="Statistics of the batch, or running ones.")]
Wrt = Annotated[str | None, Option("--wrt", metavar="X,..", help="Whose gradients; default: the parameters.")]
Expr = Annotated[str | None, Option("--expr", metavar="E", help="One expression instead of a file.")]
Shapes = Annotated[str | None, Option("--shapes", metavar="S", help="Its shapes: 'A[n,d] x[d,1]'.")]
Claims = Annotated[bool, Option("--claims", help="Also the closed forms that books know, proved.")]
Jacobian = Annotated[
    str | None, Option("--jacobian", metavar="STATE", help="Print how a state depends on an earlier one, with a bound.")
]
Plan = Annotated[bool, Option("--plan", help="Print the plan of a training step after each pass.")]
Verified = Annotated[bool, Option("--verify/--no-verify", help="Check what is printed.")]
Templates = Annotated[Path | None, Option("--templates", metavar="DIR", help="Templates in place of symbp's own.")]

Folder = Annotated[Path, Option("-o", "--output", metavar="DIR", help="The folder that is written to.")]
Target = Annotated[choices.Target, Option("--target", help="The language.")]
Name = Annotated[str | None, Option("--name", metavar="N", help="The module's name; default: the file's.")]
Size = Annotated[list[str] | None, Option("--size", metavar="m=32", help="Sizes as numbers: m=32 n=4,16,3.")]
Memory = Annotated[choices.Memory | None, Option("--memory", help="C: temporaries static, or brought by the caller.")]
Optimizer = Annotated[choices.Optimizer | None, Option("--optimizer", help="C: how a step moves parameters.")]
Largest = Annotated[
    list[str] | None, Option("--largest", metavar="m=32", help="C: a size known at run time only, at most this.")
]
Function = Annotated[list[str] | None, Option("--function", metavar="f=tanh", help="A function left open; repeat it.")]
Dtype = Annotated[choices.Dtype, Option("--dtype", help="The type of its numbers.")]
Workspace = Annotated[bool, Option("--workspace", help="NumPy: the arrays of a training step are made once.")]
Clip = Annotated[bool, Option("--clip", help="A training step scales gradients down to a largest norm.")]
Check = Annotated[bool, Option("--check", help="Write nothing; exit 1 if the files are not current.")]

Draws = Annotated[int, Option("--draws", min=1, max=100, help="Draws of sizes and values.")]
RuleBook = Annotated[bool, Option("--rules", help="Check the rule book, before any network.")]
Junit = Annotated[Path | None, Option("--junit", metavar="FILE", help="Also write a JUnit report.")]

Net = Annotated[str, Argument(metavar="NET", help="A declaration; - reads standard input.")]
OptionalNet = Annotated[str | None, Argument(metavar="NET", help="A declaration; - reads standard input.")]
StudentCode = Annotated[
    str | None,
    Option("--code", metavar="FILE[:FORWARD,BACKWARD]", help="NumPy code to check, or a folder of submissions."),
]
Bind = Annotated[list[str] | None, Option("--bind", metavar="NAME=VALUE", help="What a parameter gets: cache=(A0,W1).")]
Draw = Annotated[list[str] | None, Option("--draw", metavar="NAME=KIND", help="How an argument is drawn: y=labels.")]
OwnLoss = Annotated[str, Option("--loss", metavar="EXPR", help="The loss of the code, in its names; beside NET: sum.")]
Run = Annotated[bool, Option("--run", help="With --code: let CPython run it, with limits; this is no sandbox.")]
Mine = Annotated[str | None, Option("--mine", metavar="FILE", help="The equations: a file, a folder, or - to read.")]
One = Annotated[str | None, Argument(metavar="LINE", help="One equation in place of a file; - reads standard input.")]
Stuck = Annotated[bool, Option("--stuck", help="Train too, and say what was seen: saturation, symmetry, plateau.")]
Data = Annotated[str, Option("--data", metavar="xor|FILE.npz", help="With --stuck: the samples.")]
Rate = Annotated[float, Option("--rate", min=0.0, help="With --stuck: the rate.")]
TrainingSteps = Annotated[int, Option("--steps", min=2, max=100_000, help="With --stuck: how many steps.")]
Start = Annotated[Path | None, Option("--start", metavar="FILE.npz", help="With --stuck: the first parameters.")]
Hint = Annotated[bool, Option("--hint", help="Say where to look and ask the question, without the mend.")]
Reveal = Annotated[bool, Option("--reveal/--no-reveal", help="With the mend of each mistake, or without.")]
