"""The use cases of the Bot Manager, over the ports. State lives in the store; any number of managers may run."""
