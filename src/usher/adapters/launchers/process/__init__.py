"""Bots as processes of one machine."""
