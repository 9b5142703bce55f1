"""Which release to take: how each stands, the best within a budget, the knee, and the gate of a CI."""
