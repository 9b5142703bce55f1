from leaq.training import TrainingConfig

QUICK = TrainingConfig(hidden=(8,), epochs=6, checkpoints=4)


TRIED = ("sign", "none(stop=0.25)", "sparse_refit(sparsity=0.6, calibrated=elsewhere)")


OPTIONS = {"quantizers": TRIED, "replicates": 8, "training": QUICK, "draws": 40, "threads": 1}
