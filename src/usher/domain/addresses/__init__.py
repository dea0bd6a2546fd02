"""Addresses of meetings as people have them, platform by platform."""
