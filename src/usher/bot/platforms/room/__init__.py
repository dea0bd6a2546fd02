"""The built-in platform `room`."""
