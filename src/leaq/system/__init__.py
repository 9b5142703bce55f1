"""What leaq asks of the machine: whole files with checksums, locks, downloads, the user's code, the environment."""
