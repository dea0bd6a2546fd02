"""From the tracks in the page to segments: capture, receiver, ears, sessions with the speech service."""
