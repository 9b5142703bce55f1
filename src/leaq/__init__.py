"""leaq: how much does a quantized neural network give away about who was in its training data?

The public names are resolved on first use, so that ``import leaq`` loads neither torch nor pandas.
"""

import sys

from leaq.lazy import FormerModules, found_in

__version__ = "0.2.0"

# One line per public name: where it lives. At most 21; everything else is reached through its room.
_PUBLIC = {
    "audit": "leaq.api",
    "protect": "leaq.api",
    "quantize": "leaq.api",
    "evaluate": "leaq.api",
    "rate": "leaq.measures.rate",
    "mis": "leaq.measures.finite_sample",
    "Study": "leaq.study",
    "run": "leaq.api",
    "report": "leaq.api",
    "Store": "leaq.study",
    "Recorder": "leaq.training.recording",
    "Sign": "leaq.quantizers",
    "Ternary": "leaq.quantizers",
    "Uniform": "leaq.quantizers",
    "Calibration": "leaq.quantizers",
    "Samples": "leaq.types",
    "Checkpoints": "leaq.types",
    "LossTable": "leaq.types",
    "Estimate": "leaq.types",
    "AttackResult": "leaq.types",
    "LeaqError": "leaq.errors",
}

__all__ = list(_PUBLIC)
__getattr__ = found_in(__name__, _PUBLIC)
sys.meta_path.append(FormerModules())


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
