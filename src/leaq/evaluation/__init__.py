"""Models and records become loss tables: what outputs and targets mean, what one record's loss is, all in batches."""

from leaq.evaluation.tables import evaluate_checkpoints, with_numbers, with_whitebox

__all__ = ["evaluate_checkpoints", "with_numbers", "with_whitebox"]
