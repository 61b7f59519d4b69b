"""Every diagnostic code with its title, an explanation, and an example of what is wrong and what is right.

Families: P parse, N names, S shapes and sizes, B families, boxes and single assignment, O operations, F facts and
bounds, L limits, E internal.  The tests read every example.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """What a diagnostic code means.

    title:   a few words.
    text:    why it is an error, and what to do.
    wrong:   a small declaration with this error; empty for codes that no declaration can reach.
    right:   the same declaration as it is meant.
    """

    title: str
    text: str
    wrong: str = ""
    right: str = ""

    def explain(self, code: str) -> str:
        """Return the explanation as it is printed."""
        parts = [f"{code}: {self.title}", "", self.text]
        for head, example in (("wrong", self.wrong), ("right", self.right)):
            if example:
                parts += ["", f"{head}:", *("    " + line for line in example.rstrip().split("\n"))]
        return "\n".join(parts)


_XW = "X: input[n, m]\nW: param[k, n]\n"
_H = "H[0]: input[h, m]\nW: param[h, h]\n"
_LOOP = "for t in range(1, T+1):\n"
_OK = "loss = sum(W @ X)\n"

CODES: dict[str, Code] = {
    # -- parse
    "P001": Code(
        "a character that is not ASCII",
        "Outside comments a declaration is printable ASCII, so that it reads the same in every "
        "editor and every generated language. Greek names are written out (`sigma`, `lam`) and print as Greek letters.",
        _XW + "Z = W × X\n",
        _XW + "Z = W @ X\n",
    ),
    "P002": Code(
        "a tab",
        "A tab has no certain width, so indentation with tabs is ambiguous. Write spaces.",
        _H + _LOOP + "\tH[t] = W @ H[t-1]\n",
        _H + _LOOP + "    H[t] = W @ H[t-1]\n",
    ),
    "P003": Code(
        "a bracket that is never closed",
        "Brackets join lines, so an unclosed one would swallow the rest of the file. The place is "
        "that of the opening bracket.",
        _XW + "Z = tanh(W @ X\nloss = sum(Z)\n",
        _XW + "Z = tanh(W @ X)\nloss = sum(Z)\n",
    ),
    "P004": Code(
        "a bracket that closes nothing",
        "Each closing bracket closes the last open one of its kind.",
        _XW + "Z = W @ X)\n",
        _XW + "Z = W @ X\n",
    ),
    "P005": Code(
        "a backslash within a line",
        "A backslash joins two lines, at the end of the first.",
        _XW + "Z = W \\ X\n",
        _XW + "Z = W @ \\\n  X\n",
    ),
    "P006": Code(
        "a quote that is never closed",
        "The transpose is `.T`; quotes stand around the few words that options take.",
        _XW + "Z = X'\n",
        _XW + "Z = X.T\n",
    ),
    "P007": Code(
        "wrong indentation",
        "The lines of a block begin in one column; only `for ...:` and `def ...:` open a block.",
        _XW + "  Z = W @ X\n",
        _XW + "Z = W @ X\n",
    ),
    "P008": Code(
        "a block without a statement",
        "Behind `for ...:` stands at least one statement, indented.",
        _H + _LOOP + "Z = W\n",
        _H + _LOOP + "    H[t] = W @ H[t-1]\n",
    ),
    "P009": Code(
        "a line that is not understood",
        "The line is no statement of the language. Often an operator or a bracket is missing.",
        _XW + "Z = W X\n",
        _XW + "Z = W @ X\n",
    ),
    "P010": Code(
        "not a statement of the language",
        "A declaration has declarations, equations, loops, functions, `assert` and `samples`. "
        "Python's other statements have no meaning here; nothing is executed.",
        _XW + "import os\n" + _OK,
        _XW + _OK,
    ),
    "P011": Code(
        "a declaration in another form",
        "A declaration is `name: kind[rows, columns] & facts`, where the kind is input, target, param "
        "or const. Only a const has its value in the file, and a param the number at which its entries start.",
        "X = input[n, m]\nloss = sum(X)\n",
        "X: input[n, m]\nloss = sum(X)\n",
    ),
    "P012": Code(
        "a left side that is no name",
        "An equation is `name = expression` or `name[t] = expression`.",
        _XW + "W @ X = Z\n",
        _XW + "Z = W @ X\n",
    ),
    "P013": Code(
        "an assignment that changes a name",
        "Each name has one value. Give the new value a new name, or add up with a sum.",
        _XW + "Z = W @ X\nZ += 1\n",
        _XW + "Z = W @ X\nZ1 = Z + 1\n",
    ),
    "P014": Code(
        "a function in another form",
        "A function has plain arguments and one statement, `return ...`; it is applied to each entry.",
        "X: input[n, m]\ndef f(x, a=1): return a*x\nloss = sum(f(X))\n",
        "X: input[n, m]\ndef f(x): return x/(1 + exp(-x))\nloss = sum(f(X))\n",
    ),
    "P015": Code(
        "a loop in another form",
        "A loop, and a sum over an index, has one index and runs over `range(...)` or `reversed(range(...))`.",
        _H + "for t in T:\n    H[t] = W @ H[t-1]\n",
        _H + _LOOP + "    H[t] = W @ H[t-1]\n",
    ),
    "P016": Code(
        "nothing is computed",
        "A declaration has at least one equation.",
        "X: input[n, m]\n",
        "X: input[n, m]\nloss = sum(X**2)\n",
    ),
    # -- names
    "N001": Code(
        "a name that is not declared",
        "Every name is declared, assigned above, or a size that occurs in a shape or in the bounds of a loop.",
        _XW + "Z = W @ Y\n",
        _XW + "Z = W @ X\n",
    ),
    "N002": Code(
        "a name that is declared twice",
        "A name stands for one thing.",
        "X: input[n, m]\nX: input[k, m]\nloss = sum(X)\n",
        "X: input[n, m]\nloss = sum(X)\n",
    ),
    "N003": Code(
        "the name lambda",
        "`lambda` is a reserved word of Python. Write `lam`; it prints as the Greek letter.",
        "X: input[n, m]\nlambda: input\nloss = sum(X)\n",
        "X: input[n, m]\nlam: input\nloss = lam*sum(X)\n",
    ),
    "N004": Code(
        "a reserved word",
        "Names travel into generated code unchanged, so no reserved word of a target language can be a name, nor a "
        "method of Python's tuples.",
        "float: input[n, m]\nloss = sum(float)\n",
        "X: input[n, m]\nloss = sum(X)\n",
    ),
    "N005": Code(
        "a word of the language",
        "Operations, kinds and layers keep their meaning; a variable has another name.",
        "X: input[n, m]\nsum = X + 1\n",
        "X: input[n, m]\nS = X + 1\n",
    ),
    "N006": Code(
        "no name",
        "A name has letters, digits and underscores and begins with a letter.",
        "X: input[n, m]\n_Z = X + 1\n",
        "X: input[n, m]\nZ = X + 1\n",
    ),
    "N007": Code(
        "a name that is too long",
        "Names have at most 24 letters: C tells apart 31, and suffixes such as `_bar` need room.",
        "X: input[n, m]\nactivation_of_the_hidden_layer = X + 1\n",
        "X: input[n, m]\nA_hidden = X + 1\n",
    ),
    "N008": Code(
        "a name that derived variables have",
        "Adjoints are called `X_bar`, tangents `d_X`, messages `M_X`: a declared name must not look like one.",
        "X: input[n, m]\nX_bar = X + 1\n",
        "X: input[n, m]\nX_mean = X + 1\n",
    ),
    "N009": Code(
        "a name that is private to a loop",
        "A name without an index that a loop assigns belongs to one iteration. To read it elsewhere, add the index.",
        _H + _LOOP + "    Z = W @ H[t-1]\n    H[t] = tanh(Z)\nloss = sum(Z)\n",
        _H + _LOOP + "    Z[t] = W @ H[t-1]\n    H[t] = tanh(Z[t])\nloss = sum(Z[T])\n",
    ),
    "N010": Code(
        "a size with and without an index",
        "A size is plain (`n`) or a family (`n[l]`), not both.",
        "X: input[n, n[1]]\nloss = sum(X)\n",
        "X: input[n[0], n[1]]\nloss = sum(X)\n",
    ),
    "N011": Code(
        "a variable where a size stands, or the other way round",
        "Sizes come from shapes and bounds; they have no equation and no entries.",
        _XW + "n = 3\n",
        _XW + "Z = W @ X\n",
    ),
    "N012": Code(
        "a name that a function does not know",
        "A function sees its arguments and numbers only; anything else is handed over as an argument.",
        "X: input[n, m]\ns: input\ndef f(x): return s*x\nloss = sum(f(X))\n",
        "X: input[n, m]\ns: input\ndef f(s, x): return s*x\nloss = sum(f(s, X))\n",
    ),
    # -- shapes and sizes
    "S001": Code(
        "inner sizes differ",
        "In a product `A @ B` the columns of A are the rows of B. Sizes are compared as symbols: different "
        "letters are different sizes.",
        _XW + "Z = X @ W\n",
        _XW + "Z = W @ X\n",
    ),
    "S002": Code(
        "shapes differ",
        "Sums, entrywise products and comparisons want equal shapes; a size of 1 is broadcast, as in NumPy.",
        _XW + "Z = W * X\n",
        _XW + "Z = W @ X\n",
    ),
    "S003": Code("a scalar factor that is not 1 x 1", "A matrix is multiplied by a 1 x 1 matrix entry by entry."),
    "S004": Code(
        "a column is wanted",
        "Columns have one column, rows one row.",
        _XW + "Z = outer(W, X)\n",
        _XW + "Z = outer(W[:, 0:1], X[:, 0:1])\n",
    ),
    "S005": Code(
        "a square matrix is wanted",
        "Only a square matrix has a diagonal and a trace.",
        _XW + "loss = trace(X)\n",
        _XW + "loss = trace(X.T @ X)\n",
    ),
    "S006": Code(
        "a reshape that changes the number of entries",
        "Rows times columns stay what they are, for all sizes.",
        _XW + "Z = reshape(X, (2, m))\n",
        _XW + "Z = reshape(X, (m, n))\n",
    ),
    "S007": Code(
        "terms of a sum that differ in shape",
        "`sum(E for l in ...)` adds matrices of one shape; this one changes with the index.",
        "for l in range(1, L+1):\n    W[l]: param[n[l], 1]\nR = sum(W[l] for l in range(1, L+1))\n",
        "for l in range(1, L+1):\n    W[l]: param[n[l], 1]\nR = sum(sum(W[l]) for l in range(1, L+1))\n",
    ),
    "S008": Code(
        "a scalar as a factor of @",
        "Numbers, sizes and names declared without brackets are scalars: they are multiplied with `*`.",
        _XW + "lam: input\nZ = lam @ X\n",
        _XW + "lam: input\nZ = lam * X\n",
    ),
    "S010": Code(
        "the two sides of an equation differ in shape",
        "A stated shape, or the other pieces of a family, say what the left side is.",
        _XW + "Z: [n, m] = W @ X\n",
        _XW + "Z: [k, m] = W @ X\n",
    ),
    "S020": Code(
        "an array that is not two-dimensional",
        "Every variable has rows and columns: a vector is a column `[n, 1]` or a row `[1, n]`. A third "
        "size becomes the index of a family.",
        "x: input[n]\nloss = sum(x)\n",
        "x: input[n, 1]\nloss = sum(x)\n",
    ),
    "S021": Code(
        "a size that may be less than 1",
        "Sizes are integers of at least 1, for all values of their symbols.",
        "X: input[n-1, m]\nloss = sum(X)\n",
        "assert n >= 2\nX: input[n-1, m]\nloss = sum(X)\n",
    ),
    "S022": Code(
        "a size that is no polynomial",
        "Sizes are made of names, integers, + - * and powers. A quotient gets a name and a stated equation.",
        "X: input[d/heads, m]\nloss = sum(X)\n",
        "assert d == k*heads\nX: input[k, m]; Z: input[d, m]\nloss = sum(X) + sum(Z)\n",
    ),
    "S023": Code(
        "no size and no index",
        "Sizes and indices are made of names, integers, + - * and **.",
        "X: input[sqrt(n), m]\nloss = sum(X)\n",
        "X: input[n, m]\nloss = sum(X)\n",
    ),
    "S024": Code(
        "a size that changes with a loop",
        "A size that changes from iteration to iteration is written `n[l]`.",
        "for t in range(1, T+1):\n    X[t]: input[t, m]\nloss = sum(X[1])\n",
        "for t in range(1, T+1):\n    X[t]: input[n[t], m]\nloss = sum(X[1])\n",
    ),
    "S025": Code(
        "a reduction without keepdims",
        "Along an axis NumPy would return a 1-D array, which the language does not have. With keepdims=True the result "
        "is a row or a column.",
        _XW + "Z = X - mean(X, axis=1)\n",
        _XW + "Z = X - mean(X, axis=1, keepdims=True)\n",
    ),
    "S026": Code(
        "a loss that is not 1 x 1", "The loss is one number.", _XW + "loss = W @ X\n", _XW + "loss = sum((W @ X)**2)\n"
    ),
    "S027": Code(
        "pieces of a family that differ",
        "All pieces of a family have one kind, one set of facts, and shapes of one pattern.",
        "H[0]: input[h, m]\nH[1]: input[k, m]\nloss = sum(H[0])\n",
        "H[0]: input[h, m]\nH[1]: input[h, m]\nloss = sum(H[0])\n",
    ),
    "S028": Code(
        "a family whose shape can be read in two ways",
        "The first member does not say with which index its sizes move. State the shape on an equation.",
        "H[0, 0]: input[n[0], m]\nloss = sum(H[0, 0])\n",
        "H[0, 0]: input[n[0], m]\nfor t in range(1, T+1):\n    H[0, t]: [n[0], m] = 2*H[0, t-1]\nloss = sum(H[0, T])\n",
    ),
    "S029": Code(
        "samples that are no size",
        "`samples: m` names the size that counts samples; it occurs in a shape.",
        _XW + "samples: 2*m\n" + _OK,
        _XW + "samples: m\n" + _OK,
    ),
    "S030": Code(
        "a slice that may leave its matrix",
        "The ends of a slice lie within the matrix for all sizes.",
        _XW + "Z = X[0:3, :]\n",
        "assert n >= 3\n" + _XW + "Z = X[0:3, :]\n",
    ),
    "S031": Code(
        "a subscript of another form",
        "A matrix takes two subscripts, `A[0:k, :]`; a family as many as it has indices.",
        _XW + "Z = X[0]\n",
        _XW + "Z = X[0:1, :]\n",
    ),
    "S032": Code(
        "whole numbers in the wrong place",
        "A variable with the fact `index[v]` holds whole numbers from 0 to v-1: it names columns or rows of a matrix "
        "that has v of them, `E[:, ids]`, and is no operand.",
        "E: param[d, v]\nids: input[1, T] & index[v]\nloss = sum(E @ ids.T)\n",
        "E: param[d, v]\nids: input[1, T] & index[v]\nloss = sum(E[:, ids])\n",
    ),
    # -- boxes
    "B001": Code(
        "a read of what is not defined",
        "Every member that is read is declared, or assigned earlier. For a family this is proved for all sizes; the "
        "message has the smallest counterexample.",
        _H + _LOOP + "    H[t] = W @ H[t-1]\nloss = sum(H[T+1])\n",
        _H + _LOOP + "    H[t] = W @ H[t-1]\nloss = sum(H[T])\n",
    ),
    "B002": Code(
        "a second value",
        "Each name, and each member of a family, has one value.",
        _XW + "Z = W @ X\nZ = 2*X\n",
        _XW + "Z = W @ X\nZ2 = 2*X\n",
    ),
    "B003": Code(
        "an index that is lacking",
        "What a loop declares or assigns carries the index of the loop; a loss stands behind the loop.",
        _H + _LOOP + "    V: param[h, h]\n    H[t] = V @ W @ H[t-1]\n",
        _H + "V: param[h, h]\n" + _LOOP + "    H[t] = V @ W @ H[t-1]\n",
    ),
    "B004": Code(
        "an index of another form",
        "An index is a loop index plus or minus a constant (`t-1`, `T+1-t`, `t-D`), or free of loop indices (`T`).",
        _H + _LOOP + "    X[t]: input[h, m]\n    H[t] = W @ H[t-1] + X[2*t]\n",
        _H + _LOOP + "    X[t]: input[h, m]\n    H[t] = W @ H[t-1] + X[t]\n",
    ),
    "B005": Code(
        "the wrong number of indices",
        "A family is read with as many indices as it is declared with.",
        _H + _LOOP + "    H[t] = W @ H[t-1]\nloss = sum(H)\n",
        _H + _LOOP + "    H[t] = W @ H[t-1]\nloss = sum(H[T])\n",
    ),
    "B006": Code(
        "an index that is used twice",
        "A loop inside a loop, and a sum, has an index of its own.",
        "for t in range(1, 3):\n    for t in range(1, 3):\n        A[t]: input[n, m]\nloss = sum(A[1])\n",
        "for t in range(1, 3):\n    for s in range(1, 3):\n        A[s, t]: input[n, m]\nloss = sum(A[1, 2])\n",
    ),
    "B007": Code(
        "a read that cannot be shown to be defined",
        "No counterexample was found, and no proof. State bounds of the sizes, or write the index in a simpler way.",
        "Q: input[a+b, c+d]\nfor t in range(1, T+1):\n    X[t]: input[n, m]\nloss = sum(X[a+b+c+d])\n",
        "for t in range(1, T+1):\n    X[t]: input[n, m]\nloss = sum(X[1])\n",
    ),
    "B008": Code(
        "a range of another form",
        "The ends of a range are made of sizes and integers, of degree 1; the step is 1 or -1: members lie in boxes.",
        _H + "for t in range(1, T+1, 2):\n    H[t] = W @ H[t-1]\n",
        _H + _LOOP + "    H[t] = W @ H[t-1]\n",
    ),
    "B009": Code(
        "a cell that continues no earlier state",
        "A cell in a loop hands its state on: the state that it takes is a member from another iteration. "
        "Along that loop its parameters are shared.",
        "H[0]: input[h, m]\nfor t in range(1, T+1):\n    X[t]: input[n, m]\n    H[t] = rnn(X[t], H[0], tanh)\n",
        "H[0]: input[h, m]\nfor t in range(1, T+1):\n    X[t]: input[n, m]\n    H[t] = rnn(X[t], H[t-1], tanh)\n",
    ),
    # -- operations
    "O001": Code(
        "no operation of the language",
        "The reference lists all operations. A function of your own is written `def f(x): return ...`.",
        "X: input[n, m]\nloss = sum(sigmiod(X))\n",
        "X: input[n, m]\nloss = sum(sigmoid(X))\n",
    ),
    "O002": Code(
        "an operation that comes later",
        "The operation is known, and this version has no rule for it.",
        "A: param[n, n]\nloss = trace(inv(A))\n",
        "A: param[n, n]\nloss = trace(A)\n",
    ),
    "O003": Code(
        "arguments that do not fit",
        "The reference has the signature of each operation.",
        "X: input[n, m]\nZ = exp(X, 2)\n",
        "X: input[n, m]\nZ = exp(X)\n",
    ),
    "O004": Code(
        "a number where a matrix stands",
        "Matrices are declared with a shape; a number has no transpose and no sum.",
        _XW + "loss = sum(2*m)\n",
        _XW + "loss = sum(2*m*X)\n",
    ),
    "O005": Code(
        "an argument of the wrong kind",
        "An axis is 0 or 1, a flag True or False, an option one of its words, a parameter an exact number.",
        "X: input[n, m]\nZ = sum(X, axis=2, keepdims=True)\n",
        "X: input[n, m]\nZ = sum(X, axis=1, keepdims=True)\n",
    ),
    "O006": Code(
        "a comparison in the wrong place",
        "A comparison is a 0/1 matrix: it stands in `where` or as a factor.",
        "X: input[n, m]\nZ = (X > 0) + (X < 1)\n",
        "X: input[n, m]\nZ = (X > 0) * (X < 1)\n",
    ),
    "O007": Code(
        "no expression of the language",
        "Expressions are made of names, numbers, operators and operations.",
        "X: input[n, m]\nZ = [X, X]\n",
        "X: input[n, m]\nZ = hstack([X, X])\n",
    ),
    "O008": Code(
        "not used in this way",
        "Functions are called, matrices are not; matrices have `.T` and a few methods such as `.sum()`.",
        "X: input[n, m]\nZ = X.exp()\n",
        "X: input[n, m]\nZ = exp(X)\n",
    ),
    "O009": Code(
        "an operator of another language",
        "The operators are + - * / @ and **; the transpose is `.T`.",
        "X: input[n, m]\nZ = X^T @ X\n",
        "X: input[n, m]\nZ = X.T @ X\n",
    ),
    "O010": Code(
        "no decimal number",
        "Numbers are decimal and exact: 12, 0.5, 1e-3.",
        "X: input[n, m]\nZ = 0x10 * X\n",
        "X: input[n, m]\nZ = 16 * X\n",
    ),
    "O011": Code(
        "a scalar that is not finite or not real",
        "A division by zero, or a root or a logarithm of a negative number.",
        "X: input[n, m]\nZ = X / 0\n",
        "X: input[n, m]\nZ = X / 2\n",
    ),
    "O012": Code(
        "a function of a number that is not exact",
        "Of numbers and sizes exp, log, sqrt and a few more are taken.",
        "X: input[n, m]\nZ = gelu(2) * X\n",
        "X: input[n, m]\nZ = exp(2) * X\n",
    ),
    "O013": Code(
        "not part of a scalar function",
        "A function is applied to each entry: in it are numbers, its arguments, + - * / ** and elementwise functions.",
        "X: input[n, n]\ndef f(x): return x @ x\nloss = sum(f(X))\n",
        "X: input[n, n]\ndef f(x): return x * x\nloss = sum(f(X))\n",
    ),
    "O014": Code(
        "several results",
        "A layer with several results stands alone behind as many names; nothing else has several results.",
        _XW + "H, C = tanh(W @ X)\n",
        _XW + "H = tanh(W @ X)\n",
    ),
    # -- facts and bounds
    "F001": Code(
        "no fact",
        "The reference lists the facts.",
        "Y: target[n, m] & onehot_columns\nloss = sum(Y)\n",
        "Y: target[n, m] & one_hot_columns\nloss = sum(Y)\n",
    ),
    "F002": Code(
        "facts that exclude each other",
        "No matrix has both facts, or its shape forbids one.",
        "Y: target[n, m] & binary & signs\nloss = sum(Y)\n",
        "Y: target[n, m] & signs\nloss = sum(Y)\n",
    ),
    "F003": Code(
        "an assertion of another form",
        "`assert T >= 3` bounds one size from below by an integer; `assert d == k*heads` defines one size.",
        "assert n > m\nX: input[n, m]\nloss = sum(X)\n",
        "assert n >= 2\nX: input[n, m]\nloss = sum(X)\n",
    ),
    # -- limits
    "L001": Code("a text that is too long", "A declaration has at most 1,000,000 characters."),
    "L002": Code(
        "nested too deep",
        "Brackets, blocks and operands are nested at most 64 deep. Give parts of the expression names.",
        "X: input[n, m]\nZ = " + "(" * 65 + "X" + ")" * 65 + "\n",
        "X: input[n, m]\nZ = (X)\n",
    ),
    "L003": Code("too many parts", "A declaration has at most 100,000 parts, a statement at most 200,000 characters."),
    "L004": Code(
        "too many statements",
        "A declaration has at most 10,000 statements and 5,000 equations; families and loops say more with less.",
    ),
    "L005": Code(
        "a number that is too large",
        "Numbers are exact, so they are kept short; large ones are declared: `s: input`.",
        "X: input[n, m]\nZ = 9**9**9 * X\n",
        "X: input[n, m]\nZ = 9**9 * X\n",
    ),
    "L006": Code("a file that cannot be read", "The file does not exist, is no file, or may not be read."),
    "L007": Code(
        "loops that are too long",
        "Loops with numbers as ends have at most 10,000 iterations, all loops around one line together. A size as the "
        "end says more and costs nothing.",
        "for t in range(0, 20000):\n    X[t]: input[n, m]\nloss = sum(X[0])\n",
        "for t in range(0, T):\n    X[t]: input[n, m]\nloss = sum(X[0])\n",
    ),
    # -- internal
    "E900": Code("an unknown mask", "Internal: a pass built a mask of an unknown kind. Please report it."),
    "E901": Code(
        "a function with the wrong number of arguments",
        "Internal: a pass built an ill-formed elementwise operation. Please report it.",
    ),
    "E902": Code(
        "a wrong axis", "Internal: a pass built an operation along an axis other than 0 and 1. Please report it."
    ),
}
"""Every diagnostic code."""


def explain(code: str) -> str:
    """Return the explanation of a code; raise ``KeyError`` if there is no such code."""
    return CODES[code.upper()].explain(code.upper())
