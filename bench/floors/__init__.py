"""Floors: the least code that does the same work with the same driver and the same durability."""
