"""Bots as containers of Docker engines."""
