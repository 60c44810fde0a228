"""`hbeacon dev`: a coordinator and masters on one machine by one command; loaded once, forked, watched."""
