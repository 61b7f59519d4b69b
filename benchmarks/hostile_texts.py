"""What malformed and hostile texts are made of, written by hand: words, lines, bodies of functions, whole texts."""

from __future__ import annotations

# ---------------------------------------------------------------------------------------------------------
# What a text is made of

HARM = (
    "__import__('os').system('touch CANARY')", "open('CANARY', 'w')", "eval('1')", "exec('x = 1')",
    "compile('1', '', 'eval')", "(1).__class__.__bases__[0].__subclasses__()", "().__class__.__mro__",
    "getattr(X, '__class__')", "globals()", "'{0.__class__}'.format(X)", "'%s' % X", "f'{X.__class__}'",
    "(lambda: open('CANARY', 'w'))()", "X.tofile('CANARY')", "np.save('CANARY', X)", "np.load('CANARY')",
    "np.fromfile('CANARY')", "np.ctypeslib", "np.lib.npyio", "X.__array__()", "breakpoint()", "input()", "help()",
    "vars()", "dir()", "type('A', (), {})", "super()", "memoryview(b'')", "print(X, file=1)", "10**10**10",
    "2**(2**30)", "1 << (1 << 40)", "'a' * 10**9", "[0] * 10**9", "[[0]*10**5]*10**5", "range(10**18)",
    "np.zeros((10**6, 10**6))", "np.ones(10**12)", "np.eye(10**7)", "np.arange(10**13)",
    "np.outer(np.ones(10**5), np.ones(10**5))", "list(range(10**9))", "sum(range(10**10))", "factorial(10**6)",
    "X @ X @ X @ X", "(" * 500 + "X" + ")" * 500, "-" * 5000 + "X", "X" + ".T" * 5000, "[" * 300 + "]" * 300,
    "X if X else X", "X and X", "not X", "X == X", "X in X", "X is X", "yield X", "await X", "*X", "**X", "X := 1",
    "lambda: X", "{**X}", "{X: X}", "[x for x in X for y in X for z in X]", "...", "b'x'", "1j", "1e400", "-1e-400",
    "0x" + "f" * 400, "9" * 5000, "0.1" + "0" * 3000, "1_000", "None", "True", "__debug__", "nan", "X[::0]",
    "X[10**20]", "X[-10**20:]", "X[X[X]]", "X[:, :, :]", "X[None]", "X.T.T.T.T", "X.real", "X.data", "X.base",
    "X.flags",
)
STATEMENTS = (
    "import os", "from os import *", "del X", "global X", "nonlocal X", "raise X", "assert X", "assert 1 == 1",
    "pass", "break", "continue", "return X", "while True: pass", "while 1:\n    X = X", "for x in iter(int, 1): pass",
    "try:\n    X\nexcept:\n    X", "with X as Y: pass", "class A(metaclass=X): pass",
    "class A:\n    def __getattr__(self, n): return open", "@X\ndef f(): pass", "def f(): return f()",
    "def f(*a, **k): return a", "def f(x=open('CANARY', 'w')): return x", "async def f(): await X",
    "match X:\n    case _: pass", "X: int = 1", "X, *Y = Z", "(X) = 1", "X.y = 1", "X['a'] = 1", "X += 1", "X @= X",
    "X = Y = Z = 1", "f(x)(y)(z)", "lambda: 0", "if X:\n    X = 1", "for t in range(1, 10**12): X = 1",
    "for i in range(10**9):\n    pass", "x = [x]", "a = []; a.append(a)", "type X = int", "print(X)", ";;;", ":",
)
NAMES = (
    "X", "Y", "W", "Z", "b", "m", "n", "T", "t", "loss", "sum", "np", "self", "__class__", "__import__", "os", "sys",
    "open", "eval", "exec", "len", "range", "tanh", "softmax", "reshape", "conv2d", "lstm", "einsum", "param",
    "input", "target", "index", "count", "lambda", "class", "a" * 25, "a" * 5000, "double", "for", "if", "in", "is",
    "e", "E", "pi", "inf", "None",
)
SPELLED = (
    "\t", "\r", "\x00", "\x0c", "\x1b[31m", "\u202e", "\ufb01", "\u2212", "\u00d7", "\ufeff", "\u03c3", "\U0001d54f",
    "\ud7ff", "\\", "'", '"', "'''", "#", ";", "$", "?", "!", "`", "(", ")", "[", "]", "{", "}", ":", ",", ".", "@",
    "**", "->", ":=", "==", "...", "\n", "\n    ", "\n\n\n", "\\\n",
)
NUMBERS = ("0", "-1", "1", "2", "1/0", "0.1", "1e308", "1e-320", "10**30", "9" * 400, "1j", "0b1", "1.", ".5", "007")

HEAD = "X: input[n, m]\nY: target[n, m]\nW: param[n, n]\nb: param[n, 1]\n"
ROUNDS = "H[0]: input[h, m]\nW: param[h, h]\nfor t in range(1, T+1):\n    H[t] = "

# ---------------------------------------------------------------------------------------------------------
# Declarations

DECLARATIONS = (
    "", "\n", "\ufeff", "\ufeff" + HEAD + "loss = sum(W @ X - Y)\n", "\x00",
    HEAD.replace("\n", "\r\n") + "loss = sum(X)", HEAD.replace("\n", "\r") + "loss = sum(X)",
    HEAD + "# \u202e)X(mus = ssol\nloss = sum(X)\n", HEAD + "loss = sum(\u202eX)\n",
    HEAD + "loss = sum(X) # \ud800\n", HEAD + "los\ud800s = sum(X)\n", HEAD + "loss = sum(X)\u2028loss = 1\n",
    HEAD + "loss = sum(X) #" + "x" * 900_000, "#\n" * 490_000, " " * 900_000, ";" * 900_000, "Z = X\n" * 20_000,
    "a = b\n" * 160_000, HEAD + "Z = X\n" * 20_000, HEAD + "".join(f"Z{k} = Q{k}\n" for k in range(9_000)),
    "X: input[n, m]\n" * 30_000, HEAD + "".join(f"def f{k}(x): return x\n" for k in range(9_000)),
    "for t in range(1, T+1):\n" * 9_000, "".join(" " * k + "for t in range(1, T+1):\n" for k in range(70)),
    "".join(" " * k + f"for t{k} in range(1, 3):\n" for k in range(20)) + " " * 20 + "Z = 1\n",
    HEAD + "Z = n**n**n * X\n", HEAD + "Z = (n**n)**(m**m) * X\n", "X: input[n**n**n, m]\nloss = sum(X)\n",
    "X: input[2**n, m]\nloss = sum(X)\n", "X: input[n**10**9, m]\nloss = sum(X)\n",
    "X: input[10**9, 10**9]\nloss = sum(X)\n", "X: input[10**300, m]\nloss = sum(X)\n",
    "X: input[10**400, m]\nloss = sum(X)\n", f"X: input[{'9' * 400}, m]\nloss = sum(X)\n",
    f"X: input[{'9' * 401}, m]\nloss = sum(X)\n", "X: input[(n+m)*(n-m)*(n+1)*(m+1)*(n+2), m]\nloss = sum(X)\n",
    *(f"{ROUNDS}W @ H[t-{k}]\nloss = sum(H[T])\n" for k in ("10**9", "10**400", "9" * 401, "T", "t", "2*t", "0", "-1",
    "T**T", "1/2", "1e300")),
    *(f"for t in range({a}, {b}):\n    X[t]: input[n, m]\nloss = sum(X[1])\n" for a, b in (
        ("1", "10**400"), ("-10**400", "10**400"), ("T", "T"), ("T+1", "T"), ("0", "0"), ("1", "n**n"), ("1",
        "10_001"), ("0", "10_001"))),
    "A[10**30]: input[n, m]\nloss = sum(A[10**30])\n", "A[-1]: input[n, m]\nloss = sum(A[-1])\n",
    HEAD + "Z = X[10**30:10**31, :]\n", HEAD + "Z = reshape(X, (10**30, -1))\n",
    HEAD + "Z = ones(10**12, 10**12) * X\n", HEAD + "Z = concat([" + "X, " * 5_000 + "X])\n",
    HEAD + "Z = vstack([" + "X, " * 5_000 + "X])\nloss = sum(Z)\n",
    HEAD + "Z = einsum('" + ",".join("ij" for _ in range(500)) + "->ij', " + ", ".join("X" for _ in range(500)) + ")\n",
    HEAD + "Z = einsum('(" + " ".join(f"a{k}" for k in range(200)) + ") m -> m', X)\n",
    HEAD + "A0 = X\n" + "".join(f"A{k + 1} = A{k} + A{k}\n" for k in range(300)) + "loss = sum(A300)\n",
    HEAD + "def f0(x): return x*x\n" + "".join(f"def f{k}(x): return f{k - 1}(f{k - 1}(x))\n" for k in range(1,
    40)) + "Z = f39(X)\n",
    HEAD + "def f(x): return f(x)\nZ = f(X)\n", HEAD + "def f(x): return g(x)\ndef g(x): return f(x)\nZ = f(X)\n",
    HEAD + "c: const[3, 3] = [" + "[1, 2, 3], " * 3_000 + "]\n", HEAD + "c: const = " + "1+" * 3_000 + "1\n",
    HEAD + "assert n >= 10**400\nloss = sum(X)\n", HEAD + "assert n == m*n + n**7\nloss = sum(X)\n",
    HEAD + "Z = dropout(X, X, 10**-400)\n", HEAD + "Z = lstm(X, X, X)\n",
    HEAD + "Z = attention(X, X, X, heads=10**9)\n",
    "X: input[3*10**9, m]\nA = image(X, 3, 10**9, 1)\nloss = sum(conv2d(A, 10**9, 3))\n",
    "X: input[3*7*7, m]\nA = image(X, 3, 7, 7)\nloss = sum(conv2d(A, 4, 3, padding=10**30, stride=10**30))\n",
    "X: input[3*7*7, m]\nA = image(X, 3, 7, 7)\nloss = sum(conv2d(A, 4, 10**6))\n",
    *(f"{word}: input[n, m]\nloss = sum({word})\n" for word in (
        "int", "static", "restrict", "_Bool", "double", "register", "NULL", "main", "printf", "malloc", "errno",
        "sizeof",
        "function", "end", "let", "fn", "mut", "nil", "self", "None", "print", "range", "np", "os", "E", "I", "S",
        "N", "Q", "O", "pi",
        "grad", "params", "state", "batch", "count", "index", "_make", "_asdict", "__class__", "mro", "dtype",
        "shape", "T")),
)
"""Declarations by hand."""


# ---------------------------------------------------------------------------------------------------------
# Equations that somebody wrote down for mlp.net

MINE = (
    "dZ2 = (Z2 - Y) / m\ndW2 = dZ2 @ A1.T\ndb2 = sum(dZ2, axis=1)\ndZ1 = W2.T @ dZ2 * (1 - A1**2)\ndW1 = dZ1 @ X.T\n"
    "db1 = sum(dZ1, axis=1)\n",
    "delta2 = Z2 - Y\ngrads['W2'] = delta2 @ A1.T / m\ndL/db2 = delta2 @ ones(m, 1) / m\nU = W2.T @ delta2\n"
    "delta1 = U * (1 - tanh(Z1)**2)  # of: Z1\nW1_grad = delta1 @ X.T / m\nnabla_b1 = sum(delta1, axis=1) / m\n",
)
MINE_BY_HAND = (
    "", "#", "# of: ", "# is: ", "dW1 = X # of: __import__('os').system('true')\n",
    "dW1 = X # is: " + "(" * 5000 + "\n", "dW1 = X # of: " + "Z1" * 5000 + "\n", "grads[open('CANARY', 'w')] = X\n",
    "grads['W1'][0] = X\n", "dL/dW1/dW2/dW3 = X\n", "dL/d = X\n", "d" * 5000 + " = X\n",
    "/".join(["dL"] * 5000) + " = X\n", "grads['" + "a" * 5000 + "'] = X\n", "dW1 = dW1\n", "dW1 = dW2\ndW2 = dW1\n",
    "W1 = X\n", "X = X\n", "loss = 1\n", "dloss = 1\n", "n0 = 3\n", "dW1 = " + " + ".join(["W1"] * 3000) + "\n",
    "dW1 = W1\n" * 3000, "".join(f"A{k} = W1\n" for k in range(3000)), "for t in range(1, 10**9):\n    dW1 = X\n",
    "dW1 = W1 * 10**400\n", "dW1 = W1 / 0\n", "dW1 = W1 * (1e308 * 1e308)\n",
    "dW1 = exp(exp(exp(exp(W1 * 10**300))))\n", "dW1 = log(-W1**2)\n", "dW1 = inv(W1)\n",
    "dW1 = ones(10**6, 10**6)\n", "dW1 = zeros(n1, n0)\n", "dW1: param[n1, n0]\n",
    "def f(x): return f(x)\ndW1 = f(W1)\n", "dW1 = einsum('ij,kl->ijkl', W1, W1)\n", "samples: m\n",
    "\ufeffdW1 = W1\r\n", "dW1 = \ud800\n", "dW1 = W1 # \ud800\n", "\x00", "dW1 = W1.T.T.T.T\n",
    "dW1 = (X @ X.T) @ (X @ X.T)\n", "dW1 = sum(sum(sum(W1)))\n",
)
"""Equations by hand."""

# ---------------------------------------------------------------------------------------------------------
# Student code

STUDENT_HARM = (
    # what nests or shares so that looking at it takes exponential time
    "a = [0]\nb = [0]\nfor i in range(60):\n    a = [a, a]\n    b = [b, b]\nZ = a == b",
    "a = (0,)\nfor i in range(60):\n    a = (a, a)\nd = {}\nd[a] = 1",
    "a = (0,)\nfor i in range(60):\n    a = (a, a)\nd = {a: 1}",
    "a = (0,)\nfor i in range(30_000):\n    a = (a,)\nd = {a: 1}",
    "a = []\nfor i in range(30_000):\n    a = [a]\nZ = a == a[0]",
    "a = [0.0]\nfor i in range(60):\n    a = [a, a]\nZ = np.array(a)",
    "a = [0.0]\nfor i in range(60):\n    a = [a, a]\nZ = np.sum(a)",
    "a = [X]\nfor i in range(60):\n    a = [a, a]\nZ = a + X",
    "a = [0]\nfor i in range(60):\n    a = [a, a]\nZ = a in [a[0]]",
    "a = [0]\nfor i in range(60):\n    a = [a, a]\nZ = X[a]",
    "a = [0]\nfor i in range(60):\n    a = [a, a]\nreturn a", "a = []\na.append(a)\nZ = a == a",
    "a = []\na.append(a)\nZ = np.array(a)", "a = []\na.append(a)\nreturn a", "a = {}\na['a'] = a\nreturn a",
    "a = []\na.append(a)\nb = []\nb.append(b)\nZ = a == b", "d = {}\nd[d] = 1", "d = {[]: 1}",
    "a = []\na.extend(a)\na += a",
    # what a closed list forgot
    "Z = 1.5 in range(10**18)", "Z = X in range(10**18)", "Z = np.diff(X, n=10**9)", "Z = range(10**30)[10**29]",
    "Z = len(range(10**30))", "Z = X[np.ix_(np.zeros(10**5, int), np.zeros(10**5, int))]",
    "X[np.zeros((10**5, 1), int), np.zeros(10**5, int)] = 1",
    "np.add.at(X, (np.zeros((10**5, 1), int), np.zeros(10**5, int)), 1)", "Z = np.linalg.det(np.ones((1400, 1400)))",
    "for i in range(10**5):\n    Z = np.linalg.inv(np.eye(800))", "Z = np.linalg.norm(np.ones((1400, 1400)), ord=2)",
    "for i in range(1000):\n    Z = np.tensordot(np.ones((1000, 1000, 1)), np.ones((1000, 1000, 1)), axes=([1], [0]))",
    "for i in range(10**5):\n    Z = np.sort(np.ones(10**6))",
    "for i in range(10**5):\n    Z = np.random.randn(10**6)", "Z = np.unique(np.ones(2_000_000))",
    "a = []\nfor i in range(10**5):\n    a.append(('x y ' * 2000).split())",
    "a = []\nfor i in range(10**5):\n    a.append('x' * 9_000 + str(i))",
    "a = 1\nfor i in range(10**5):\n    a = a + a\nZ = a", "a = 1\nfor i in range(10**5):\n    a = a + a\nZ = str(a)",
    "a = 3\nfor i in range(10**5):\n    a *= a", "Z = 10**10**10", "Z = (-1)**10**30", "Z = 2.0**10**6",
    "Z = 1 << 10**10", "Z = 1 >> 10**30", "Z = 0**-1", "Z = int(1e308) * int(1e308)", "Z = int('9' * 39)",
    "Z = float('9' * 39)", "Z = int(float('inf'))", "Z = int(float('nan'))", "Z = np.zeros(10**9)",
    "Z = np.zeros((10**5, 10**5))", "Z = np.zeros(-1)", "Z = np.zeros((1,) * 70)", "Z = np.tile(X, (10**3,) * 5)",
    "Z = np.repeat(X, 10**9)", "Z = np.pad(X, 10**9)", "Z = np.linspace(0, 1, 10**12)",
    "Z = np.arange(0, 1e308, 1e-300)", "Z = np.bincount([10**12])", "Z = np.eye(10**6)",
    "Z = np.kron(np.ones(10**4), np.ones(10**4))", "Z = np.outer(np.ones(10**5), np.ones(10**5))",
    "Z = np.meshgrid(np.ones(10**5), np.ones(10**5))", "Z = np.broadcast_to(X, (10**6,) + X.shape)",
    "Z = np.einsum('ij,kl,mn,op->ijklmnop', X, X, X, X)",
    "Z = np.einsum('ij,jk,kl,lm->im', *[np.ones((200, 200))] * 4)", "Z = np.einsum('ii' * 60, X)",
    "Z = np.einsum('...', X)", "Z = np.einsum('->', X)",
    "Z = np.ones((10**3, 1)) + np.ones((1, 10**4)) + np.ones((10, 1, 1))", "Z = [[0] * 10**5] * 10**5",
    "Z = 'a' * 10**9", "Z = list(range(10**9))", "Z = sum(range(10**10))", "Z = [i for i in range(10**9)]",
    "Z = [i for i in range(10**4) for j in range(10**4)]", "Z = {i: i for i in range(10**7)}",
    "while True:\n    pass", "while 1:\n    X = X + 1", "for i in range(10**9):\n    pass",
    "x = [1]\nfor i in x:\n    x.append(i)", "def f(x):\n    return f(x)\nZ = f(X)", "f = lambda x: f(x)\nZ = f(X)",
    "def f(x):\n    return g(x)\ndef g(x):\n    return f(x)\nZ = f(X)",
    "class A:\n    def __init__(self):\n        self.a = A()\nZ = A()",
    "class A:\n    def __call__(self):\n        return self()\nZ = A()()",
    "class A:\n    def __getattr__(self, name):\n        return open\nZ = A().x('CANARY', 'w')",
    "class A:\n    def __eq__(self, o):\n        return o.__class__\nZ = A() == X",
    "class A:\n    def __index__(self):\n        return 1\nZ = X[A()]",
    "class A:\n    def __len__(self):\n        return 10**18\nZ = len(A())",
    "class A:\n    def __add__(self, o):\n        return open('CANARY', 'w')\nZ = X + A()",
    "class A:\n    __class__ = 1\nZ = A().__class__", "class A(A):\n    pass", "class A(list):\n    pass",
    "class A(object, list):\n    pass", "class A(metaclass=open):\n    pass",
    "class A(open('CANARY', 'w')):\n    pass",
    # forged tuples, attribute chains, formats
    "Z = ('open', 'CANARY', 'w')\nZ = Z('CANARY', 'w')", "Z = np[('open',)]", "Z = np.open",
    "Z = np.os.system('true')", "Z = np.__dict__", "Z = np.lib.npyio", "Z = np.load.__globals__", "Z = X.__class__",
    "Z = X.__array_interface__", "Z = X.ctypes", "Z = X.data", "Z = X.base", "Z = X.flags", "Z = X.tofile('CANARY')",
    "Z = X.dump('CANARY')", "Z = X.setflags(write=True)", "Z = X.view(object)", "Z = X.astype(object)",
    "Z = X.astype('O')", "Z = X.astype('S9')", "Z = np.zeros(3, dtype=object)", "Z = np.zeros(3, dtype='O')",
    "Z = np.array([X, 1], dtype=object)", "Z = np.array(['a', 'b'])", "Z = np.array([None])", "Z = np.array([np])",
    "Z = np.array([open])", "Z = np.array([{}])", "Z = np.array([lambda: 1])", "Z = np.vectorize(open)",
    "Z = np.frompyfunc(open, 1, 1)", "Z = np.fromfunction(open, (1, 1))", "Z = np.apply_along_axis(open, 0, X)",
    "Z = np.piecewise(X, [X > 0], [open])", "Z = np.save('CANARY', X)", "Z = np.savetxt('CANARY', X)",
    "Z = np.load('CANARY')", "Z = np.loadtxt('CANARY')", "Z = np.memmap('CANARY')", "Z = np.fromfile('CANARY')",
    "Z = np.random.bit_generator", "Z = np.random.default_rng(0).bit_generator", "Z = np.random.seed(open)",
    "Z = np.random.__loader__", "Z = np.random.get_state()", "Z = np.sum.__call__", "Z = np.add.reduce(X)",
    "Z = np.add.at.__self__", "Z = len.__self__", "Z = (lambda: 0).__globals__", "Z = (lambda: 0).__code__",
    "Z = [].__class__.__base__.__subclasses__()", "Z = ''.__class__.__mro__[1]", "Z = '{0.__class__}'.format(X)",
    "Z = '{0[0]}'.format(X)", "Z = '{:{}}'.format(1, 99)", "Z = '{!r}'.format(X)", "Z = f'{X.__class__}'",
    "Z = f'{X!r:>{10**9}}'", "Z = f'{1:{10**9}}'", "Z = f'{1:99999d}'", "Z = '%99999d' % 1", "Z = '%s' % X",
    "Z = '%(a)s' % {'a': X}", "Z = '%*d' % (10**9, 1)", "Z = '{:99999d}'.format(1)", "Z = f'{1e308:.99f}'",
    "Z = '%.99f' % 1e308", "Z = 'a'.join(['b' * 9000] * 9000)", "Z = ('a' * 9000).replace('a', 'b' * 9000)",
    "Z = 'a'.center(10**9)", "Z = 'a'.zfill(10**9)", "Z = 'a'.ljust(10**9)", "Z = 'a'.encode()",
    "Z = 'a'.translate({97: 'b' * 10**9})", "Z = 'a'.expandtabs(10**9)", "Z = getattr(X, 'T')",
    "Z = setattr(X, 'T', 1)", "Z = type('A', (), {})", "Z = vars()", "Z = dir()", "Z = globals()['open']",
    "Z = locals()", "Z = __builtins__", "Z = __name__", "Z = __file__", "Z = __loader__", "Z = super().__init__",
    "Z = super(1, 2)", "Z = map(open, ['CANARY'])", "Z = sorted([X, X], key=open)", "Z = max([1], key=open)",
    "Z = sum([[1], [2]], [])", "Z = isinstance(X, open)", "Z = isinstance(X, (np.ndarray, (np.ndarray,)))",
    "Z = callable(open)", "Z = zip(*X)", "Z = enumerate(X, 10**400)", "X.shape = (1, 1)", "X.T = 1", "np.sum = open",
    "np.pi = 3", "X[...] = open", "X[None] = [X, X]", "X[0] = 'a'", "X[0] = None", "X[0] = [open]", "X['a'] = 1",
    "X[{}] = 1", "print(open('CANARY', 'w'))", "print(X, file=open('CANARY', 'w'))", "Z = print",
    "Z = X if print else X", "import os\nZ = os.system('true')", "from os import system\nZ = system('true')",
    "import numpy.ctypeslib as c\nZ = c.x", "from numpy import *\nZ = load('CANARY')",
    "from numpy.lib import npyio\nZ = npyio.x", "import math\nZ = math.factorial(10**6)",
    "import math\nZ = math.__loader__",
    "import matplotlib.pyplot as plt\nplt.savefig('CANARY')\nplt.plot(open('CANARY', 'w'))",
    "import sys\nsys.exit()\nsys.stdout.write('x')\nZ = sys.modules", "raise SystemExit", "raise KeyboardInterrupt",
    "assert X, open('CANARY', 'w')", "assert 10**10**10 == 1", "assert False", "return return", "Z = yield",
    "global Z\nZ = 1", "nonlocal Z", "del X", "Z: open('CANARY', 'w') = 1", "X.fill(open)", "X.fill('a')",
    "X.item(10**30)", "X.reshape(-1, 10**30)", "X.reshape((1,) * 70)", "X.transpose(5, 5)", "X.repeat(10**9)",
    "X.take([10**30])", "X.clip(None, None)", "X.round(10**30)", "Z = np.round(X, 10**9)", "Z = round(1.5, 10**30)",
    "Z = round(10**300, -10**9)", "Z = np.roll(X, 10**30)", "Z = np.rot90(X, 10**30)", "Z = np.expand_dims(X, 10**9)",
    "Z = np.transpose(X, (0,) * 70)", "Z = np.split(X, 10**9)", "Z = np.array_split(X, 10**7)",
    "Z = np.stack([X] * 10**5)", "Z = np.concatenate([X] * 10**5)", "Z = np.full(10, 'a')",
    "Z = np.full((2, 2), open)", "Z = np.where(X)", "Z = np.select([X > 0] * 100, [X] * 100)",
    "Z = np.histogram(X, 10**9)", "Z = np.random.choice(10**9)", "Z = np.random.permutation(10**9)",
    "Z = np.random.binomial(10**18, 0.5, 10)", "Z = np.random.normal(size=(10**5, 10**5))",
    "Z = np.random.randint(0, 10**30)", "Z = np.random.randint(5, 1)", "Z = np.random.choice([1, 2], p=[5, 5])",
    "Z = np.random.shuffle((1, 2))", "Z = np.float64(10**400)", "Z = np.int8(300)", "Z = np.uint8(-1)",
    "Z = np.float128(1)", "Z = np.longdouble(1)", "Z = np.complex128(1)", "Z = np.str_('a')", "Z = np.object_(X)",
    "Z = np.void(10**9)", "Z = X ** X ** X ** X", "Z = np.power(10, 10**6)", "Z = np.power(X, -10**300)",
    "Z = X // 0", "Z = X % 0", "Z = 1 % 0", "Z = X @ X @ X", "Z = X @ None", "Z = X @ 'a'", "Z = -None", "Z = ~X",
    "Z = not X",
)
"""Bodies of a function that would do harm, take for ever, or fill the memory, if nobody counted."""

STUDENT_BY_HAND = (
    "", "import numpy as np", "def forward", "def forward(X: open('CANARY', 'w')): return X",
    "def forward(X=open('CANARY', 'w')): return X", "@open('CANARY', 'w')\ndef forward(X): return X",
    "open('CANARY', 'w')", "import os; os.system('true')",
    "X = open('CANARY', 'w')\ndef forward(): return X\ndef backward(): return X", "def forward(X, *a, **k): return X",
    "def forward(X): return X\n" * 5_000, "def f(x): return " + "(" * 150 + "x" + ")" * 150,
    "def f(x): return " + "-" * 3_000 + "x", "def f(x): return x" + " + x" * 3_000,
    "def f(x): return x" + ".T" * 3_000, "\ufeffdef forward(X):\r\n    return X\r\n",
    "def forward(X):\n\treturn X\n        return X", "def forward(X): return X\x00", "def forward(X): return \ud800",
    "# -*- coding: rot13 -*-\nqrs sbejneq(K): erghea K", "# coding: utf-7\n+AG8-pen('CANARY', 'w')", "#" * 1_000_001,
    "x = 1\n" * 30_000, "class Net:\n    pass\n" * 3_000,
    "if 1:\n" + "".join(" " * k + "if 1:\n" for k in range(1, 90)) + " " * 90 + "x = 1",
    "def forward(W0, X):\n    return W0 @ X\n\ndef backward(cache):\n    return cache",
    "def forward(X): return X\ndef backward(dZ, cache, memo, ctx, saved, tape): return dZ",
    "def forward(" + ", ".join(f"W{k}" for k in range(250)) + "): return W0\ndef backward(dZ): return dZ",
    "def forward(X, layers_dims): return X\ndef backward(dA): return dA",
)
"""Files of student code by hand."""

FRAMES = (
    "import numpy as np\n\ndef forward(X, W):\n    {body}\n    return W @ X\n\n"
    "def backward(X, W, dZ):\n    dW = dZ @ X.T\n    return dW\n",
    "import numpy as np\n\ndef forward(X, W):\n    return W @ X\n\n"
    "def backward(X, W, dZ):\n    {body}\n    dW = dZ @ X.T\n    return dW\n",
    "import numpy as np\n\nclass Net:\n    def __init__(self, n, p):\n        self.W = np.random.randn(p, n)\n\n"
    "    def forward(self, X):\n        self.X = X\n        {body}\n        return self.W @ X\n\n"
    "    def backward(self, dZ):\n        self.dW = dZ @ self.X.T\n        return self.W.T @ dZ\n",
)
"""Files in which a body is put."""

# ---------------------------------------------------------------------------------------------------------
# Command lines: words, and the files that lie there

BYTES = {
    "utf-8 with a mark": b"\xef\xbb\xbfX: input[n, m]\nloss = sum(X)\n",
    "utf-16": "X: input[n, m]\nloss = sum(X)\n".encode("utf-16"),
    "utf-32": "X: input[n, m]\nloss = sum(X)\n".encode("utf-32"),
    "latin-1": "# größe\nX: input[n, m]\nloss = sum(X)\n".encode("latin-1"),
    "a surrogate": b"X: input[n, m]\n# \xed\xa0\x80\nloss = sum(X)\n",
    "overlong": b"X: input[n, m]\nloss = sum(X)\xc0\xaf\n",
    "zeros": b"\0" * 5_000, "two megabytes": b"X: input[n, m]\n" + b"#" * 2_000_000, "five megabytes": b"#" * 5_000_000,
    "a program": b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 40, "returns": b"X: input[n, m]\rloss = sum(X)\r",
    "nothing": b"",
}
"""Files of bytes that are no plain text."""

SPECIAL = ("folder", "fifo", "loop", "zero", "missing", "closed")
"""What may lie in the place of a file: a folder, a pipe, a link to itself, a device without an end, nothing, a file
that may not be read."""

SIZES = (
    "m=10**12", "m=999999999", "m=9999999999", "m=0", "m=-1", "m=1e9", "m=1.5", "m=", "=3", "m", "m=3,4", "q=3",
    "m=٣", "m=0x10",
    "m=" + "9" * 5_000, "n0=999999999 n1=999999999 n2=999999999 m=999999999", "n0=100000 n1=100000 n2=3 m=5",
    "m=__import__('os')",
    "n0=1 n1=1 n2=1 m=1", "m=2 m=3", "\ud800=3", "n0=999999999", "m=3;n=4", "n0=30000 n1=30000 n2=30000 m=30000",
)
WORDS = (
    "", "-", "--", "---", "../../x", "/etc/passwd", "/dev/null", "/dev/full", "x\ny", "\ud800", "\udcff", "a" * 5_000,
    "$(true)", "`true`",
    "; true", "{{ 7*7 }}", "{% for x in y %}", "%s%n", "__import__('os')", "out/../..", "con", "x.net.tex",
    "\\input{/etc/passwd}", "٣", "1e9",
)
"""Words that stand where an option wants something else."""
