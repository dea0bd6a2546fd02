"""The Redis side: fast path of commands, accounts of bots, live frames, segment stream."""
