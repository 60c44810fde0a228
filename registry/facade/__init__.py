"""The read-only ZooKeeper door for old clients, answered from the registry's snapshots."""
