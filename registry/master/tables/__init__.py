"""Tables and namespaces as clients see them on the active master: requests, checks, descriptors, and their znodes."""
