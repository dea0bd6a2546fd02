"""The bot: one process for one visit to one meeting. It knows the manager by protocol only."""
