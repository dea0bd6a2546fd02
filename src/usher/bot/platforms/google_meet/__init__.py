"""Google Meet, as a guest without an account."""
