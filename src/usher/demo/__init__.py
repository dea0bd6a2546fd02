"""The demo: a scripted meeting with a bot in it, from the first request to the stored transcript."""
