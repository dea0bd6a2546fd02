"""Bots as jobs of Nomad."""
