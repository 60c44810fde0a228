"""What a lookup answers: the cache of ZooKeeper facts, its snapshots, the hand-out and the encoded answers."""
