"""What Usher knows without touching the world: no I/O, no clock, no third-party imports."""
