"""The language: text to Program, with every error in its place; and the same from Python."""

from symbp.language.builder import Dense, Dropout, Model, Sequential
from symbp.language.codes import CODES, explain
from symbp.language.diagnostics import DeclarationError, Diagnostic
from symbp.language.reader import read, read_file, read_text
from symbp.language.single import read_expression

__all__ = [
    "CODES",
    "DeclarationError",
    "Dense",
    "Diagnostic",
    "Dropout",
    "Model",
    "Sequential",
    "explain",
    "read",
    "read_expression",
    "read_file",
    "read_text",
]
