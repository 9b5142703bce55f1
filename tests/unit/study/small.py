"""A study small enough for a test: four cells of a fraction of a second each."""

from leaq.study import Study
from leaq.training import TrainingConfig

HEAD = TrainingConfig(hidden=(8,), epochs=6, checkpoints=4, chunk=2, learning_rate=0.02)


def small(**options):
    """Two data sets, two seeds, two chunks of two models each."""
    chosen = {"data": ("wine", "diabetes"), "heads": (HEAD,), "seeds": (0, 1), "quantizers": ("sign",)}
    return Study(**{**chosen, "audit": {"replicates": 4, "draws": 20}, **options})
