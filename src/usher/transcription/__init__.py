"""Speech to text over WebSocket: one server, many live streams, one shared model."""
