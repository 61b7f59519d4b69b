"""The diagnostic codes of student NumPy: title, explanation, what is wrong and what is right."""

from __future__ import annotations

from symbp.language.codes import Code

CODES: dict[str, Code] = {
    "C101": Code(
        "code that Python does not read",
        "The file is not Python: a bracket, a colon or an indentation is missing, or it was written for Python 2.",
        "def forward(X, W)\n    return W @ X\n", "def forward(X, W):\n    return W @ X\n",
    ),
    "C102": Code(
        "a form of Python that is not read",
        "Code that is checked is interpreted, never executed, and the interpreter reads what homework is made of: "
        "functions, small classes, loops, comprehensions, dicts and lists. Stars in parameters, `try`, `with`, "
        "`global`, generators, decorators (but `staticmethod`), walrus and sets are left out.",
        "def forward(X, *rest):\n    return X\n", "def forward(X, W):\n    return W @ X\n",
    ),
    "C103": Code(
        "a module that is not read",
        "Only NumPy and math are there for code that is checked.",
        "import torch\ndef forward(X):\n    return torch.tanh(X)\n",
        "import numpy as np\ndef forward(X):\n    return np.tanh(X)\n",
    ),
    "C104": Code(
        "a name without a value",
        "The name is neither given in the function, nor in the file, nor built in. In a notebook, the cell that gives "
        "it its value must be part of the file.",
        "def forward(X):\n    return W @ X\n", "def forward(X, W):\n    return W @ X\n",
    ),
    "C105": Code(
        "a function that is closed",
        "Files, the network and the inside of Python are closed to code that is checked.",
        "def forward(X):\n    return X * float(open('a').read())\n", "def forward(X, a):\n    return X * a\n",
    ),
    "C106": Code(
        "a file that is too large",
        "A file that is checked has at most 1 MB, 20,000 nodes of syntax tree and 100 levels of nesting.",
    ),
    "C107": Code(
        "no functions to check",
        "A forward and a backward pass are looked for by their names: `forward`, `backward`, `loss`, `cost`, `grad`, "
        "`backprop`, `step`, or a class with such methods. Name them: `--code hw.py:my_forward,my_backward`. Code "
        "outside of functions is read too, if it makes arrays and names gradients: `dW1`, `grad_w1`.",
        "def f(X):\n    return X\n", "def forward(X):\n    return X\ndef backward(dout):\n    return dout\n",
    ),
    "C110": Code(
        "a value of the wrong kind",
        "A function or an operator was given something that it does not take.",
        "def forward(X):\n    return X + 'a'\n", "def forward(X):\n    return X + 1\n",
    ),
    "C111": Code(
        "a function of NumPy that is not read",
        "Functions of NumPy come from a table of those that forward and backward passes are made of.",
        "import numpy as np\ndef forward(X):\n    return np.load('X.npy')\n",
        "import numpy as np\ndef forward(X):\n    return np.exp(X)\n",
    ),
    "C112": Code(
        "a keyword that is not read",
        "Each function of the table has its own keywords.",
        "import numpy as np\ndef forward(X):\n    return np.sum(X, where=X > 0)\n",
        "import numpy as np\ndef forward(X):\n    return np.sum(X * (X > 0))\n",
    ),
    "C113": Code(
        "an attribute that is not read",
        "Attributes of arrays, lists and dicts come from a closed list; names with underscores are never read.",
        "def forward(X):\n    return X.__class__\n", "def forward(X):\n    return X.shape\n",
    ),
    "C114": Code("a key, an index or a divisor that is not there", "Reading it would stop Python too."),
    "C115": Code(
        "a format that is not read",
        "Strings are formatted plainly: `f'W{l}'`, `'W' + str(l)`, `'W%d' % l`, `'W{}'.format(l)`.",
        "def forward(X):\n    return '{0.T}'.format(X)\n", "def forward(X):\n    return f'{X.shape[0]}'\n",
    ),
    "C116": Code(
        "the code stops by itself", "An `assert` of the code does not hold, or it raises an error of its own."
    ),
    "C117": Code(
        "shapes that do not fit",
        "NumPy refuses the operation, because the shapes of its operands do not fit.",
    ),
    "C118": Code(
        "an attribute that the object does not have",
        "Nothing that ran gave the object this attribute, and no other function of the file would: Python stops here.",
        "class Layer:\n    def forward(self, X):\n        self.X = X\n        return 2 * X\n"
        "    def backward(self, dY):\n        self.dX = self.scale * dY\n        return self.dX\n",
        "class Layer:\n    def forward(self, X):\n        self.X = X\n        return 2 * X\n"
        "    def backward(self, dY):\n        self.dX = 2 * dY\n        return self.dX\n",
    ),
    "C119": Code(
        "a gradient that is computed and dropped",
        "The gradient of a parameter is made under its name, and nothing reads it: something else stands in its place "
        "where gradients are returned, or it was left out.",
        "def forward(X, W, b):\n    return W @ X + b, X\n"
        "def backward(dY, X):\n    dW = dY @ X.T\n    db = dY.sum(axis=1, keepdims=True)\n    return dW\n",
        "def forward(X, W, b):\n    return W @ X + b, X\n"
        "def backward(dY, X):\n    dW = dY @ X.T\n    db = dY.sum(axis=1, keepdims=True)\n    return dW, db\n",
    ),
    "C120": Code(
        "the code runs too long",
        "A run has a budget of 200,000 steps, all runs of a file together one of 1,200,000; a loop that does not end "
        "spends it.",
    ),
    "C121": Code(
        "arrays that are too large", "One array has at most two million entries, a run at most twenty million."
    ),
    "C122": Code(
        "lists or strings that are too large", "A run makes at most 200,000 items, and strings of 10,000 characters."
    ),
    "C123": Code("calls that are nested too deeply", "A function that calls itself without end spends this budget."),
    "C124": Code("an integer that is too large", "Powers, products and shifts of integers are bounded.",
                 "def forward(X):\n    return X * 10**10**10\n", "def forward(X):\n    return X * 10.0**10\n"),
    "C125": Code(
        "the check took too long or needed too much memory", "The child process in which code is checked is limited."
    ),
    "C131": Code(
        "no loss",
        "A gradient is that of a loss. The file has no function whose name says that it is one; write it, or give it "
        "as an expression in the names of the forward pass: `--loss 'np.sum((A2 - Y)**2) / 2'`.",
    ),
    "C132": Code(
        "the forward pass differs from the network",
        "With a network the forward pass is checked first: at the same values its loss must be that of the network.",
    ),
    "C130": Code(
        "an argument that is not bound",
        "What the function is given could not be told from its name, from the forward pass or from how it is unpacked. "
        "Say it: `--bind cache=(A0,W1,b1)`.",
    ),
}
