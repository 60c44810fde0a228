"""The one command, `hbeacon`."""
