"""Java's regular expressions, matched in time that is bounded by pattern and text."""
