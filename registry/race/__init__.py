"""`hbeacon race`: how long new clients take to find a cluster by each policy, with some of its servers hung."""
