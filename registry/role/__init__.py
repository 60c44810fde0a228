"""What every server role shares: addresses, the doors and their publisher, pages, signals, guard, start and end."""
