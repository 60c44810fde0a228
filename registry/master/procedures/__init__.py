"""Long-running operations of the active master: steps that survive it, locks, nonces and results."""
