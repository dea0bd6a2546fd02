"""What one machine needs and does not have: PostgreSQL, Redis, Chromium, a speech model."""
