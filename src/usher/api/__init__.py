"""The REST API, the Admin API, the bots' callbacks and the live WebSocket."""
