import torch
from torch import nn


def zero(width=2):
    module = nn.Linear(width, 1, bias=False)
    with torch.no_grad():
        module.weight.zero_()
    return module
