"""What quantization buys next to training with differential privacy, on the same data. Needs the extra `dp`."""

import sys

import leaq
from leaq.training import TrainingConfig
from leaq.yardstick import with_yardstick

training = TrainingConfig(hidden=(32,), epochs=int(sys.argv[1]) if len(sys.argv) > 1 else 20, checkpoints=4)
result = leaq.audit("breast_cancer", quantizers="sign,uniform(bits=4)", replicates=4, training=training)
result = with_yardstick(result)  # epsilon 1, 3, 8 and infinity
for row in result.rows:
    print(row.label, row.metrics["roc_auc"], row.attacks["threshold"].advantage)
for row in result.rows:
    for flag in row.flags:
        if flag.code == "dp-sgd":
            print(row.label, flag.text)
