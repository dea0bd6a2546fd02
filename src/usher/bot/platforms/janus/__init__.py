"""The demo page of Janus' video room: a real third-party meeting server."""
