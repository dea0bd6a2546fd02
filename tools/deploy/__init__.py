"""Checks of what is in `deploy/`."""
