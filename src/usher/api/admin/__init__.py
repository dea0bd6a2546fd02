"""The Admin API: users, their tokens and limits."""
