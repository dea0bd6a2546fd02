"""Microsoft Teams in the browser, as a guest."""
