"""The command line: ``symbp new | derive | generate | verify | show | explain | demo``.

Exit codes: 0 all is well, 1 a check failed, 2 bad usage or input, 3 an optional tool is missing, 4 our fault.
"""

from symbp.cli.app import main

__all__ = ["main"]
