"""Which tasks, which rows, and how models are trained."""

from leaq.training import TrainingConfig

__all__ = [
    "CONTROLS",
    "EMBEDDER",
    "EXISTING",
    "MODELS",
    "OURS",
    "PUBLIC",
    "RECORDS",
    "TASKS",
    "TRAINING",
]

TASKS = (
    *("freesolv", "bbb_martins", "esol", "herg", "lipophilicity_astrazeneca", "bace"),
    *("caco2_wang", "hia_hou", "bace_pic50", "ames", "solubility_aqsoldb", "dili"),
)
"""Six regressions, six classifications."""
EMBEDDER = "ecfp4(size=512)"
RECORDS, PUBLIC = 600, 0.3
"""Records of a task at most, drawn once, and the share of them that is public: no model trains on it."""
MODELS = 16
TRAINING = TrainingConfig(checkpoints=20)
EXISTING = (
    *("none", "uniform(bits=3)", "uniform(bits=2)", "stochastic(bits=2)", "gaussian(sd=0.5)"),
    *("sign", "ternary(sparsity=0.75)", "ternary(sparsity=0.9)"),
    *("none(stop=0.1)", "none(stop=0.25)", "uniform(bits=2, stop=0.1)", "sign(stop=0.1)"),
)
"""What there is without a refit: quantizers, noise, and training less. Beside them a student, trained anew."""
OURS = (
    *(f"sparse_refit(sparsity={s}, calibrated=elsewhere)" for s in (0.8, 0.9, 0.95)),
    *(f"sparse_refit(sparsity={s}, calibrated=elsewhere, stop=0.25)" for s in (0.8, 0.9)),
    "ternary(sparsity=0.9, calibrated=elsewhere, refit=outputs)",
)
CONTROLS = (
    "sparse_refit(sparsity=0.9)",
    "pruned(sparsity=0.9, keep=inputs, calibrated=elsewhere, refit=outputs)",
    "sign(calibrated=elsewhere, refit=last)",
)
"""What the parts do alone, and what calibrating on members gives away; in neither front."""
