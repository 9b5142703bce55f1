"""Per-record losses and attack signals of stacked model outputs, in float64, never reduced."""

from leaq.lazy import Tensor
from leaq.types import Task


def per_record(outputs: "Tensor", targets: "Tensor", task: Task, *, scale: float = 1.0) -> "Tensor":
    """Return how badly each model does on each record.

    Natural-log cross-entropy (classification), or the squared residual in units of `scale` (regression).

    Parameters
    ----------
    outputs : (..., n, k) logits, or (..., n, 1) predictions in the unit of the targets.
    targets : (n,) class codes or values.
    scale : unit of the residual, one number for all models so that their losses compare.

    Returns
    -------
    (..., n) float64.

    Examples
    --------
    >>> import torch
    >>> per_record(torch.tensor([[0.0, 0.0]]), torch.tensor([1]), "classification").round(decimals=4)
    tensor([0.6931], dtype=torch.float64)
    """
    import torch

    if task == "regression":
        return residual(outputs, targets, scale=scale) ** 2
    logp = torch.log_softmax(outputs.double(), dim=-1)  # (..., n, k)
    index = targets.long().expand(logp.shape[:-1]).unsqueeze(-1)
    return -logp.gather(-1, index).squeeze(-1)


def margin(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Return how sure each model is of the true class: log p_y - log(1 - p_y), (..., n) float64.

    Computed from logits as ``z_y - logsumexp(z_others)``, so that it never saturates the way a probability
    rounded to 1 would. Higher looks more like a training record.

    Source: Carlini et al., "Membership Inference Attacks From First Principles" (arXiv 2112.03570v2), section IV-C.
    """
    import torch

    z = outputs.double()
    index = targets.long().expand(z.shape[:-1]).unsqueeze(-1)
    others = z.scatter(-1, index, -torch.inf)
    return z.gather(-1, index).squeeze(-1) - torch.logsumexp(others, dim=-1)


def residual(outputs: "Tensor", targets: "Tensor", *, scale: float = 1.0) -> "Tensor":
    """Return the signed error (target - prediction) / scale of each model on each record, (..., n) float64."""
    return (targets.double() - outputs.double().squeeze(-1)) / scale


def signals_of(outputs: "Tensor", targets: "Tensor", task: Task, *, scale: float) -> "Tensor":
    """Return the attack signal of each record, (..., n): the margin of its class, or its signed residual.

    Examples
    --------
    >>> import torch
    >>> signals_of(torch.tensor([[3.0]]), torch.tensor([1.0]), "regression", scale=2.0).tolist()
    [-1.0]
    """
    return margin(outputs, targets) if task == "classification" else residual(outputs, targets, scale=scale)
