"""The master registry and what every hbeacon server shares. Not public API: import `hbeacon`."""
