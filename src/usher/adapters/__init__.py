"""Adapters: each connects the ports to one thing outside."""
