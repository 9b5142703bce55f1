"""A convolution network of one's own on 8 x 8 images, trained by leaq: ``--model convolution.py:make``.

leaq audit digits --model examples/recipes/convolution.py:make --standardise none
"""

from torch import nn


def make(features: int = 64, outputs: int = 10) -> nn.Module:
    """Return one fresh network; leaq says how wide a record is and how many classes there are."""
    side = int(features**0.5)
    return nn.Sequential(
        nn.Unflatten(1, (1, side, side)),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * (side // 2) ** 2, outputs),
    )
