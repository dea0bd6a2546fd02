"""Launchers: what runs workloads. They know nothing of each other."""
