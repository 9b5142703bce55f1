"""What leaq asks of the machine: files written whole and sealed, locks, downloads, the user's code, the environment."""
