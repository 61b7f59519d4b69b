"""The version, which headers of generated files name."""

VERSION = "0.1.0"
