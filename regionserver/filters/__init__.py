"""HBase's filters and comparators, as a region asks them row by row and cell by cell."""
