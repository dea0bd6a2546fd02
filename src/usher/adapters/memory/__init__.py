"""Adapters that live in one process: for tests, simulations and the demo."""
