"""Zoom, in its public web client."""
