"""The database schema, step by step, in plain SQL, forward only."""
