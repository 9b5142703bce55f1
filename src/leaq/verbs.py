"""The verbs behind `leaq.audit`, `leaq.quantize`, `leaq.evaluate` and `leaq.mis`: one call each, nothing computed here.

What is audited decides who does it: a configuration, a name or a file of records goes to the pipeline, which trains
the models itself; a finished model goes to the auditing room, which trains nothing.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor, nn

    from leaq.measures.rate import RateResult
    from leaq.results import CellResult
    from leaq.types import Checkpoints, LossTable

__all__ = ["audit", "evaluate", "mis", "quantize"]


def audit(
    subject: Any,
    *,
    members: Any = None,
    nonmembers: Any = None,
    quantizers: Sequence[Any] | str | None = None,
    loss: "str | Callable[[Tensor, Tensor], Tensor]" = "auto",
    **options: Any,
) -> "CellResult":
    """Tell what quantized models give away about their training records, and what the privacy costs in accuracy.

    Parameters
    ----------
    subject : a finished model (torch module, scikit-learn MLP, causal language model with tokenizer=...), audited as
        it is on `members` and `nonmembers`; or a data set's name, file or `AuditConfig`, for which models are trained.
    members, nonmembers : records that did and did not train the finished model: ``(inputs, targets)``, loaders, data
        sets, or texts.
    quantizers : specifications such as "ternary(sparsity=0.9)", quantizers, or a family such as "study".
    loss : for a finished model: "auto", a named loss, or a function (outputs, targets) -> one value per record.
    options : for a finished model those of `ModelAuditConfig` and checkpoints=, shipped=, calibration=, tokenizer=,
        reference=, progress=; otherwise those of `AuditConfig`.

    Returns
    -------
    One row a quantizer. `result.not_computed` names the missing ingredient of everything that is not there.

    Examples
    --------
    >>> import numpy as np, torch
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(80, 4)), np.arange(80) % 2
    >>> result = audit(torch.nn.Linear(4, 2), members=(x[:40], y[:40]), nonmembers=(x[40:], y[40:]), quantizers="sign")
    >>> [row.label for row in result.rows]
    ['full precision', 'sign']
    """
    if quantizers is not None:
        options["quantizers"] = (quantizers,) if isinstance(quantizers, str) else tuple(quantizers)
    if _is_source(subject):
        if members is not None or nonmembers is not None:
            raise InvalidInput("audit: members and nonmembers belong to a finished model. Found a data set.")
        return _audit_source(subject, options)
    if members is None or nonmembers is None:
        raise InvalidInput(
            "audit: a finished model needs members=... (records that trained it) and nonmembers=... (records that "
            "did not). Without them, give a data set to train on."
        )
    from leaq.auditing import audit_finished

    return audit_finished(subject, members, nonmembers, loss=loss, **options)


def _is_source(subject: Any) -> bool:
    from pathlib import Path

    from leaq.cell import AuditConfig

    return isinstance(subject, str | Path | AuditConfig)


def _audit_source(subject: Any, options: dict[str, Any]) -> "CellResult":
    from leaq.cell import AuditConfig
    from leaq.pipeline import audit as run
    from leaq.types import silent

    progress = options.pop("progress", silent)
    if "quantizers" in options:
        options["quantizers"] = tuple(q if isinstance(q, str) else q.spec() for q in options["quantizers"])
    if isinstance(subject, AuditConfig):
        config = AuditConfig.from_dict({**subject.to_dict(), **options}) if options else subject
    else:
        config = AuditConfig(source=str(subject), **options)
    return run(config, progress=progress)


def quantize(checkpoints: "Checkpoints", quantizer: Any, *, calibration: Any = None) -> "Checkpoints":
    """Return the checkpoints as one quantizer would release them, with the scales of the last one.

    Parameters
    ----------
    checkpoints : of `Recorder.checkpoints`, batch (s, c), or of finished models, batch (s,).
    quantizer : a quantizer or its specification.
    calibration : for quantizers that look at records (gptq, adaround, ...) or at the architecture (equalised):
        ``leaq.quantizers.Calibration(model, inputs)``.

    Examples
    --------
    >>> import torch
    >>> from leaq.types import Checkpoints
    >>> one = Checkpoints({"w": torch.tensor([[[0.5, -1.5]]])}, {"w": "linear"}, (1,))
    >>> quantize(one, "sign").params["w"]
    tensor([[[ 1., -1.]]])
    """
    from leaq.quantizers import build

    scheme = build(quantizer) if isinstance(quantizer, str) else quantizer
    if len(checkpoints.batch) < 2:
        quantized: Checkpoints = scheme(checkpoints, calibration)
        return quantized
    candidates: Checkpoints = scheme.frozen_to(checkpoints.last(), calibration)(checkpoints)
    return candidates


def evaluate(
    model: "nn.Module",
    checkpoints: "Checkpoints",
    *,
    members: Any,
    nonmembers: Any,
    loss: "str | Callable[[Tensor, Tensor], Tensor]" = "auto",
) -> "LossTable":
    """Return the losses of a model's candidates on members and non-members: what every measure starts from.

    Parameters
    ----------
    model : the architecture; its own weights are not used where `checkpoints` has others.
    checkpoints : batch (1, c) or (1,), quantized or not.
    """
    from leaq.auditing.evaluating import Bench
    from leaq.auditing.records import read_records

    inside = read_records(members, name="members")
    outside = read_records(nonmembers, name="nonmembers")
    return Bench.build(model, inside, outside, loss=loss).table(checkpoints)


def mis(table: "LossTable", **options: Any) -> "RateResult":
    """Return the membership inference security of a loss table's candidates: the rate r and its companions."""
    from leaq.measures.rate import rate

    return rate(table, **options)
