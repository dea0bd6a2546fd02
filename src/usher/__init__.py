"""Usher: self-hosted meeting bots whose state is always true."""

__version__ = "0.1.0"
