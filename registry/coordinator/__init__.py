"""The embedded coordinator: one node that speaks ZooKeeper's client protocol."""
