"""Losses of several targets a record with holes, and their gradient: a label that is missing counts for nothing."""

from leaq.lazy import Tensor
from leaq.types.tasks import Layout


def entry_losses(outputs: "Tensor", targets: "Tensor", layout: Layout) -> "Tensor":
    """Return the loss of every label, (..., n, t), and 0 where there is none.

    Cross-entropy of classes (natural logarithm), the squared error of values.

    Parameters
    ----------
    outputs : (..., n, k), values in the unit of `targets`.
    targets : (..., n, t), class codes and values, NaN where a label is missing.

    Examples
    --------
    >>> import torch
    >>> from leaq.types.tasks import TaskSpec
    >>> layout = Layout((TaskSpec("a", "classification", ("no", "yes")), TaskSpec("b", "regression")))
    >>> entry_losses(torch.tensor([[0.0, 3.0]]), torch.tensor([[float("nan"), 1.0]]), layout).tolist()
    [[0.0, 4.0]]
    """
    import torch

    known, labels = ~targets.isnan(), targets.nan_to_num()
    if not layout.several:
        return torch.where(known, _single(outputs, labels, layout), 0.0)
    single = _single(outputs[..., _firsts(layout)], labels[..., list(layout.single)], layout)
    parts = dict(zip(layout.single, single.unbind(-1), strict=True))
    for task in layout.several:
        logp = torch.log_softmax(outputs[..., layout.columns(task)], dim=-1)
        index = labels[..., task].long().expand(logp.shape[:-1]).unsqueeze(-1)
        parts[task] = -logp.gather(-1, index).squeeze(-1)
    return torch.where(known, torch.stack([parts[task] for task in range(len(layout.tasks))], dim=-1), 0.0)


def mean_entry_losses(outputs: "Tensor", targets: "Tensor", layout: Layout, unit: "Tensor") -> "Tensor":
    """Return each record's mean loss over the labels it has, (..., n), values in units of `unit` (t,), 1 of classes."""
    found = entry_losses(outputs.double(), targets, layout) / unit.to(outputs.device) ** 2
    mean: Tensor = found.sum(-1) / (~targets.isnan()).sum(-1)
    return mean


def entry_weights(targets: "Tensor", weights: "Tensor") -> "Tensor":
    """Spread the weights of records (..., n) over their labels (..., n, t), so that those of a model sum to 1.

    The loss is then the mean over the labels of a batch, as in chemprop: a record with more labels counts more.
    """
    spread = (~targets.isnan()) * weights.unsqueeze(-1)
    total = spread.flatten(-2).sum(-1)[..., None, None]
    return spread / total.clamp_min(1e-30)


def loss_gradient(outputs: "Tensor", targets: "Tensor", weights: "Tensor", layout: Layout) -> "Tensor":
    """Return the derivative of the weighted losses by the outputs, (..., n, k).

    Parameters
    ----------
    weights : (..., n, t), what each label's loss counts; see `entry_weights`.
    """
    import torch

    labels = targets.nan_to_num()
    if not layout.several:
        return _single_gradient(outputs, labels, layout) * weights
    found, single = torch.empty_like(outputs), list(layout.single)
    columns = _firsts(layout)
    found[..., columns] = _single_gradient(outputs[..., columns], labels[..., single], layout) * weights[..., single]
    for task in layout.several:
        delta = torch.softmax(outputs[..., layout.columns(task)], dim=-1)
        index = labels[..., task].long().expand(delta.shape[:-1]).unsqueeze(-1)
        delta = delta.scatter_add(-1, index, delta.new_full(index.shape, -1.0))
        found[..., layout.columns(task)] = delta * weights[..., task].unsqueeze(-1)
    return found


def task_outputs(outputs: "Tensor", layout: Layout, task: int) -> "Tensor":
    """Return what a network of this task alone would return: logits (..., n, classes), or values (..., n, 1)."""
    import torch

    own = outputs[..., layout.columns(task)]
    if layout.tasks[task].kind == "regression" or own.shape[-1] > 1:
        return own
    return torch.cat([torch.zeros_like(own), own], dim=-1)


def joint_margin(losses: "Tensor") -> "Tensor":
    """Return the log-odds of the probability that mean losses (...,) stand for: of one label of two classes its margin.

    Examples
    --------
    >>> import torch
    >>> joint_margin(torch.tensor([0.6931, 40.0])).round(decimals=2).tolist()
    [0.0, -40.0]
    """
    import torch

    floored = losses.double().clamp_min(1e-300)
    return -(floored + torch.log(-torch.expm1(-floored)))


def _firsts(layout: Layout) -> list[int]:
    return [layout.starts[task] for task in layout.single]


def _is_value(like: "Tensor", layout: Layout) -> "Tensor":
    import torch

    return torch.tensor([layout.tasks[task].kind == "regression" for task in layout.single], device=like.device)


def _single(outputs: "Tensor", labels: "Tensor", layout: Layout) -> "Tensor":
    """Losses of tasks with one output each, (..., t)."""
    import torch

    # softplus((1 - 2 y) z) never cancels, unlike softplus(z) - z y.
    return torch.where(
        _is_value(outputs, layout),
        (outputs - labels) ** 2,
        torch.nn.functional.softplus((1 - 2 * labels) * outputs),
    )


def _single_gradient(outputs: "Tensor", labels: "Tensor", layout: Layout) -> "Tensor":
    import torch

    return torch.where(_is_value(outputs, layout), 2 * (outputs - labels), torch.sigmoid(outputs) - labels)
