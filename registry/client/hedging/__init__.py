"""When to ask a second server, and which: pure machines; clock and chance are passed in."""
