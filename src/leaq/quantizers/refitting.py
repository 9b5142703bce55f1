"""Refit: codes stay, one scale an output channel and the biases are fitted anew to the model in full precision.

Layer after layer in closed form: with t the layer's outputs in full precision and u those of its rounded weight behind
rounded predecessors, gain and shift of channel j minimise E(t_j - g_j u_j - c_j)^2 over the calibration records, with
g >= 0.
Then, where asked for, all gains and shifts together by gradient steps on the mean squared difference of the model's
outputs, in units of their spread. No label is looked at, so public records without one will do.

Few numbers are fitted (one scale and one bias an output channel), so little about members passes through them: what
the codes dropped stays dropped. Source: own; the closed form is the two-parameter case of the layer-wise
reconstruction of He, Zhang, Sun, "Channel Pruning for Accelerating Very Deep Neural Networks" (arXiv 1707.06168v2),
eq. 1; imitating one's own outputs is distillation (Hinton, Vinyals, Dean, arXiv 1503.02531v1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from leaq.lazy import Tensor, torch

STEPS, RATE = 60, 0.05
"""Steps of Adam on the model's outputs, and the first one's size in logarithms of gains; it falls along a cosine."""
BATCH = 256
"""Records of one step."""


def line_through(u: Tensor, t: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Return gain and shift (b, out) of the line that takes u to t (b, r, out), by records' shares (b, r).

    A channel that is constant over the records keeps gain 1 and is moved to the mean; no gain is negative.

    Examples
    --------
    >>> u = torch.tensor([[[0.0], [1.0], [2.0]]])
    >>> gain, shift = line_through(u, 3 * u + 1, torch.ones(1, 3))
    >>> round(gain.item(), 4), round(shift.item(), 4)
    (3.0, 1.0)
    """
    weight = (shares / shares.sum(1, keepdim=True)).unsqueeze(-1)
    centre, goal = (u * weight).sum(1, keepdim=True), (t * weight).sum(1, keepdim=True)
    about = u - centre
    spread = (about.square() * weight).sum(1)
    told = spread > (torch.finfo(u.dtype).eps * u.abs().amax(1)) ** 2
    slope = (about * (t - goal) * weight).sum(1) / torch.where(told, spread, 1.0)
    gain = torch.where(told, slope.clamp_min(0.0), 1.0)
    return gain, goal.squeeze(1) - gain * centre.squeeze(1)


def jointly(
    outputs: Callable[[Mapping[str, Tensor], Tensor], Tensor],
    exact: Mapping[str, Tensor],
    start: Mapping[str, Tensor],
    *,
    pairs: Mapping[str, str],
    given: tuple[Tensor, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return further factors (b, out, 1, ...) by weight and further shifts (b, out) by bias, fitted on the outputs.

    Parameters
    ----------
    outputs, given : as of `imitate`.
    exact, start : the weights in full precision, and rounded.
    pairs : which bias, "" if none, goes with each weight that is fitted.
    """
    logs = {w: start[w].new_zeros(*start[w].shape[:2], *[1] * (start[w].ndim - 2)) for w in pairs}  # one an output
    shifts = {b: torch.zeros_like(start[b]) for b in pairs.values() if b}

    def now() -> dict[str, Tensor]:
        return {**start, **{w: start[w] * logs[w].exp() for w in pairs}, **{b: start[b] + c for b, c in shifts.items()}}

    imitate(outputs, exact, now, [*logs.values(), *shifts.values()], given=given, pace=(STEPS, RATE))
    return {w: log.detach().exp() for w, log in logs.items()}, {b: shift.detach() for b, shift in shifts.items()}


def imitate(
    outputs: Callable[[Mapping[str, Tensor], Tensor], Tensor],
    exact: Mapping[str, Tensor],
    now: Callable[[], Mapping[str, Tensor]],
    free: Sequence[Tensor],
    *,
    given: tuple[Tensor, Tensor],
    pace: tuple[int, float],
) -> None:
    """Move `free`, in place, until the weights that `now` makes of it answer as the exact ones do.

    Adam on the mean squared difference of the outputs in units of their spread: as many steps as `pace` says, from its
    step size down along a cosine; of more than `BATCH` records, as many a step, in turn. Each stacked model is fitted
    as if it were alone.

    Parameters
    ----------
    outputs : weights (b, ...) and records (b, r, ...) to outputs (b, r, k); differentiable.
    given : the calibration records, (b, r, ...), in random order, and their shares (b, r).
    """
    (steps, rate), (inputs, shares) = pace, given
    parts = torch.split(torch.arange(inputs.shape[1], device=inputs.device), BATCH)
    with torch.no_grad():
        goal = torch.cat([_flat(outputs(exact, inputs[:, rows])) for rows in parts], dim=1)
    weights = (shares / shares.sum(1, keepdim=True)).unsqueeze(-1)
    centre = (goal * weights).sum(1, keepdim=True)
    unit = ((goal - centre).square() * weights).sum(1, keepdim=True).clamp_min(torch.finfo(goal.dtype).tiny)
    for tensor in free:
        tensor.requires_grad_()
    optimizer = torch.optim.Adam(list(free), lr=rate)
    with torch.enable_grad():
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * step / steps)) / 2
            rows = parts[step % len(parts)]
            apart = _flat(outputs(now(), inputs[:, rows])) - goal[:, rows]
            loss = len(parts) * (apart.square() / unit * weights[:, rows]).sum(1).mean(1)
            optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def _flat(outputs: Tensor) -> Tensor:
    """Return outputs (b, r, ...) with one axis of numbers a record, (b, r, k)."""
    return outputs.flatten(2) if outputs.ndim > 2 else outputs.unsqueeze(-1)
