"""What a region server hosts: the stores it has open, the regions in them, and the orders that change both."""
