"""A limited child process: a function runs there with little memory, little time, no files and no network.

What comes back is read as JSON, never unpickled: a child that was taken over can say something wrong, and nothing more.
The limits hold where the system has them (Linux): address space, CPU and wall time, size and number of files, number of
processes, and - where an unprivileged user may ask for it - a network name space of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import resource
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MOST_ANSWER = 20_000_000
"""Bytes of an answer that are read."""
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
_confined = False


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    memory:  bytes beyond what is mapped when it starts.
    seconds: of the processor, from its start.
    """

    memory: int = 512 * 2**20
    seconds: float = 10.0

    @property
    def wall(self) -> float:
        """Seconds on the wall: a machine has other work, and a child that waits for nothing ends too."""
        return 5 * self.seconds


class Exceeded(Exception):
    """A child that was stopped or died; the message says at which limit."""


def run(function: Callable[[], Any], limits: Limits | None = None) -> Any:
    """Run a function in a limited child and return what it returned, which is plain data that JSON can hold.

    Raises ``Exceeded`` where the child used up its time or its memory, died, or answered with something else.
    """
    limits = limits or Limits()
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _serve(function, writer, limits)
    os.close(writer)
    try:
        data = _received(reader, time.monotonic() + limits.wall)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if data is None:
        raise Exceeded(f"it took longer than {limits.seconds:g} s")
    try:
        answer = json.loads(data)
        kind, value = answer["kind"], answer["value"]
    except (ValueError, KeyError, TypeError):
        raise Exceeded(_died(status, limits)) from None
    if kind != "answer":
        raise Exceeded(str(value)[:300])
    return value


def _died(status: int, limits: Limits) -> str:
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM):
        return f"it took longer than {limits.seconds:g} s"
    return "the child process ended without an answer; most likely it ran out of memory"


def _received(reader: int, until: float) -> bytes | None:
    """Return what a child writes; None if it takes too long."""
    parts: list[bytes] = []
    size = 0
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            return None
        part = os.read(reader, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > MOST_ANSWER:
            return b""


def _serve(function: Callable[[], Any], writer: int, limits: Limits) -> None:
    """Run the function in the child, write its answer, and end the process."""
    code = 1
    try:
        confine(limits, writer)
        try:
            answer = json.dumps({"kind": "answer", "value": function()})
        except MemoryError:
            answer = json.dumps({"kind": "limit", "value": "it needs too much memory"})
        except RecursionError:
            answer = json.dumps({"kind": "limit", "value": "it is nested too deeply"})
        except Exception as error:  # whatever it is, it ends here
            answer = json.dumps({"kind": "error", "value": f"{type(error).__name__}: {error}"[:300]})
        data = memoryview(answer.encode())
        while data:
            data = data[os.write(writer, data):]
        code = 0
    finally:
        os._exit(code)


def confine(limits: Limits, keep: int) -> None:
    """Limit this process: for good, and for all that it starts.

    keep: the file that stays open; all others but those of the standard streams, which lead nowhere, are closed.

    The root of all files becomes a folder that is removed, if the system allows it, so that nothing can be removed,
    renamed or made either.
    """
    global _confined
    mapped = _mapped()
    _leave()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.closerange(3, keep)
    os.closerange(keep + 1, 4096)
    for unshared in (CLONE_NEWUSER | CLONE_NEWNET, CLONE_NEWNET):
        if _unshared(unshared):
            break
    with contextlib.suppress(OSError):
        os.chroot(".")
    for what, most in (
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_NPROC, 0), (resource.RLIMIT_AS, mapped + limits.memory),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))
    seconds = max(1, math.ceil(limits.seconds))
    with contextlib.suppress(ValueError, OSError):
        # The soft limit ends it by a signal that says why, the hard one whatever it does about the signal.
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    sys.setrecursionlimit(20_000)
    _confined = True


def is_confined() -> bool:
    """Tell whether this process is a child that was confined."""
    return _confined


def _leave() -> None:
    """Go to a folder that is removed at once: nothing can be made there."""
    with contextlib.suppress(OSError):
        empty = tempfile.mkdtemp()
        os.chdir(empty)
        os.rmdir(empty)


def _unshared(flags: int) -> bool:
    """Leave the network of the parent, if the system allows it."""
    try:
        return ctypes.CDLL(None, use_errno=True).unshare(flags) == 0
    except (OSError, AttributeError):
        return False


def _mapped() -> int:
    """Return how much memory is mapped, in bytes."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return 2**33
