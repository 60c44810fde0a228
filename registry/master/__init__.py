"""The master role: election, epoch and lease, and what a master answers."""
