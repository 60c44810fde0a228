"""ZooKeeper behind one door: kazoo is imported in this package's watcher and nowhere else."""
