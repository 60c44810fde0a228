"""ClientService: what clients ask of regions, from messages and cell blocks to calls of a region and back."""
