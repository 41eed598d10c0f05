"""Skillrunner: a committed skill file becomes a sandboxed agent run that opens a pull request."""

__version__ = "0.1.0"
