"""What quantization buys next to training with differential privacy, on the same data. Needs the extra `dp`."""

import sys

import leaq
from leaq.training import TrainingConfig

training = TrainingConfig(hidden=(32,), epochs=int(sys.argv[1]) if len(sys.argv) > 1 else 20, checkpoints=4)
asked = {"quantizers": "sign,uniform(bits=4)", "dp_sgd": ("1", "3", "8", "inf"), "replicates": 4}
result = leaq.audit("breast_cancer", training=training, **asked)
for row in result.rows:
    print(row.label, row.metrics["roc_auc"], row.attacks["threshold"].advantage)
for row in result.rows:
    for flag in row.flags:
        if flag.code == "dp-sgd":
            print(row.label, flag.text)
