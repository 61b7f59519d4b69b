"""A forked process that is given hostile inputs one after the other, and is watched.

It may write below one folder of its own and read the files of Python and of this checkout.  An audit hook notes what
would touch any other file, a process or the network, and code that is run but is in no file; the parent sees what takes
too long, needs too much memory, raises, or leaves something behind.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import site
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

SECONDS = 2.0
"""So much time of the processor one input may take."""
PATIENCE = 10.0
"""So many seconds by the clock an answer is waited for; other processes may run."""
MEMORY = 512 * 2**20
"""So much memory reading may take, above what is mapped before."""

ROOM = "room"
"""The folder, in the one where the child runs, below which it may write."""
ROOT = Path(__file__).resolve().parents[1]

FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.fork", "subprocess.Popen", "pty.spawn",
    "socket.", "urllib.Request", "http.client", "ftplib.", "smtplib.", "os.kill",
    "ctypes.dlopen", "pickle.find_class", "builtins.input", "builtins.breakpoint", "code.__new__", "sys.settrace",
    "sys.setprofile", "webbrowser.open", "signal.pthread_kill", "os.chown", "os.lchown", "mmap.__new__",
)
"""Events that no reader of texts has any business with."""
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
"shutil.")
"""Events that change files, and say which."""
WRITERS_OF_CODE = ("sympy/polys/monomials.py", "collections/__init__.py", "dataclasses.py", "/inspect.py",
"/typing.py", "/jinja2/environment.py")
"""Modules that write code and run it: loops over as many exponents as there are names, tuples and classes with fields
whose names they check, the annotations of our own functions, our own templates.  None of it is text that was read."""


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    what:    read, refused, or failed with a reason.
    seconds: the time of the processor that it took; by the clock, if no answer came.
    """

    what: str
    seconds: float

    @property
    def failed(self) -> bool:
        """Tell whether something happened that must not."""
        return self.what.startswith("failed")


class Child:
    """A forked process that reads texts; it is forked anew where one has ended it.

    reader:  returns ``read``, ``refused``, or ``failed`` with a reason for a text.
    seconds: of the processor, for one text.
    memory:  bytes above what is mapped before.
    reads:   whether any file may be read: a command line names the files that it wants.
    patience: seconds by the clock.
    """

    def __init__(
        self, reader: Callable[[str], str], seconds: float = SECONDS, memory: int = MEMORY, reads: bool = False,
        patience: float = PATIENCE,
    ) -> None:
        self.reader, self.seconds, self.memory, self.reads = reader, seconds, memory, reads
        self.patience = patience
        self._folder = tempfile.TemporaryDirectory(prefix="hostile-")
        self.folder = Path(self._folder.name)
        (self.folder / ROOM).mkdir()
        self._fork()

    def _fork(self) -> None:
        ask, self._asks = os.pipe()
        self._answers, answer = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn where threads run
            self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._asks)
                os.close(self._answers)
                _serve(self.reader, ask, answer, self.folder, self.memory, self.reads)
            finally:
                os._exit(1)
        os.close(ask)
        os.close(answer)

    def ask(self, text: str) -> Outcome:
        """Return what became of a text."""
        outcome = self._asked(text)
        left = sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*"))
        if left != [ROOM] and not outcome.failed:
            outcome = Outcome(f"failed: wrote {' '.join(left)[:80]}", outcome.seconds)
        if outcome.seconds > self.seconds and not outcome.failed:
            outcome = Outcome(f"failed: took {outcome.seconds:.1f} s", outcome.seconds)
        if outcome.failed:
            self._end()
            self._folder.cleanup()
            (self.folder / ROOM).mkdir(parents=True)
            self._fork()
        return outcome

    def _asked(self, text: str) -> Outcome:
        start = time.perf_counter()
        data = text.encode("utf-8", "surrogatepass")
        answer = b""
        try:
            os.write(self._asks, len(data).to_bytes(8, "little"))
            view = memoryview(data)
            while view:
                view = view[os.write(self._asks, view[:65536]) :]
            while not answer.endswith(b"\n"):
                left = self.patience - (time.perf_counter() - start)
                ready, _, _ = select.select([self._answers], [], [], max(0.0, left))
                if not ready:
                    return Outcome("failed: no answer in time", time.perf_counter() - start)
                part = os.read(self._answers, 65536)
                if not part:
                    return Outcome("failed: the child ended", time.perf_counter() - start)
                answer += part
        except BrokenPipeError:
            return Outcome("failed: the child ended", time.perf_counter() - start)
        return Outcome(*json.loads(answer))

    def _end(self) -> None:
        os.close(self._asks)
        os.close(self._answers)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def close(self) -> None:
        """End the child."""
        self._end()
        self._folder.cleanup()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _serve(reader: Callable[[str], str], ask: int, answer: int, folder: Path, memory: int, reads: bool) -> NoReturn:
    """Answer until nobody asks any more."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory, mapped + memory))
    seen: list[str] = []
    _watch(seen, folder, reads)

    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = os.read(ask, count - len(data))
            if not part:
                os._exit(0)
            data += part
        return data

    while True:
        text = exactly(int.from_bytes(exactly(8), "little")).decode("utf-8", "surrogatepass")
        seen.clear()
        start = time.process_time()
        try:
            what = reader(text)
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            what = f"failed: {type(error).__name__} {error!s:.60} at {os.path.basename(last.filename)}:{last.lineno}"
        seconds = time.process_time() - start
        if seen:
            what = f"failed: {seen[0]}"
        os.write(answer, json.dumps([what, seconds]).encode() + b"\n")


def _watch(seen: list[str], folder: Path, reads: bool) -> None:
    """Note every event that must not be."""
    room = str(folder.resolve() / ROOM)
    readable = tuple({str(ROOT), str(folder.resolve()), sys.prefix, sys.base_prefix, *site.getsitepackages(),
    os.devnull})

    def below(path: Any, *places: str) -> bool:
        if isinstance(path, int):  # a file that is open already
            return True
        name = os.path.realpath(os.fsdecode(path))
        return within(name, *places)

    def within(name: str, *places: str) -> bool:
        return any(name == place or name.startswith(place + os.sep) for place in places)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
            if not (below(arguments[0], room) or (not writes and (reads or below(arguments[0], *readable)))):
                seen.append(f"open {arguments!r:.80}")
        elif event == "exec":
            file = getattr(arguments[0], "co_filename", "")
            if not (os.path.isabs(file) or file.startswith("<frozen")) and not _is_written_by_a_library():
                seen.append(f"exec of code from {file!r} by {sys._getframe(1).f_code.co_filename[-40:]}")
        elif event.startswith(CHANGES):
            # A link is made where its second path says; it may lead anywhere.
            changed = arguments[1:] if event in ("os.link", "os.symlink") else arguments
            paths = [os.fsdecode(a) for a in changed if isinstance(a, (str, bytes, os.PathLike))]
            # It is the entry of a folder that changes, wherever a link may lead.
            if not all(within(os.path.join(os.path.realpath(os.path.dirname(p)), os.path.basename(p)),
            room) for p in paths):
                seen.append(f"{event} {arguments!r:.80}")
        elif event.startswith(FORBIDDEN):
            seen.append(f"{event} {arguments!r:.80}")

    sys.addaudithook(hook)


def _is_written_by_a_library() -> bool:
    # This function, the hook, and whoever runs the code.
    return sys._getframe(2).f_code.co_filename.endswith(WRITERS_OF_CODE)
