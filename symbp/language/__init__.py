"""The language: text to Program, with every error in its place."""

from symbp.language.diagnostics import DeclarationError, Diagnostic
from symbp.language.reader import read, read_file, read_text

__all__ = ["DeclarationError", "Diagnostic", "read", "read_file", "read_text"]
