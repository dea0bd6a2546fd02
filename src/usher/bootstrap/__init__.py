"""Puts the system together from settings. Nothing else knows which adapter is behind a port."""
