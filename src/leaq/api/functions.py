"""The public functions, `leaq.audit`, `run`, `report`, `quantize`, ...: one call each, nothing computed here.

What is audited decides who does it: on records models are trained; of a finished model nothing is.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaq.errors import InvalidInput
from leaq.lazy import Tensor

if TYPE_CHECKING:
    from torch import nn

    from leaq.reporting.html import Edition
    from leaq.results import CellResult
    from leaq.study import Store, Study
    from leaq.study.engines import Engine
    from leaq.types import Checkpoints, LossTable


def audit(
    subject: Any,
    *,
    members: Any = None,
    nonmembers: Any = None,
    quantizers: Sequence[Any] | str | None = None,
    loss: "str | Callable[[Tensor, Tensor], Tensor] | None" = None,
    **options: Any,
) -> "CellResult":
    """Tell what quantized models give away about their training records, and what the privacy costs in accuracy.

    Parameters
    ----------
    subject : a finished model, audited as it is on `members` and `nonmembers`: a torch module, a scikit-learn
        estimator, a causal language model with tokenizer=..., anything that can be called, or a file (weights with
        model=..., a program such as ONNX, a folder of a language model). Or what models are trained on: a data set's
        name, a file, a data frame (with target=...), a pair ``(X, y)``; or an `AuditConfig`.
    members, nonmembers : records that did and did not train the finished model: a file, ``(inputs, targets)``, a data
        frame, loaders, data sets, or texts. With ``released=...``, members says which records of `subject` trained it:
        a table (file, frame or pair), a mask, or row numbers.
    quantizers : specifications such as "ternary(sparsity=0.9)", quantizers, or a family such as "study".
    loss : of a finished model: "auto", a named loss, or a function (outputs, targets) -> one value per record.
    options : every field of `AuditConfig`, in the words of the command line or as what these name: model, recipe and
        loss as functions, released as a module, public as records, shipped as models by name, reference as a model,
        recorded as a recorder's checkpoints, paths anywhere. And what no command line can hold: calibration=,
        tokenizer=, progress=.

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
    from leaq.pipeline import audit as run
    from leaq.pipeline.subjects import request
    from leaq.types import silent

    progress = options.pop("progress", silent)
    if not callable(progress):
        raise InvalidInput(
            f"progress must be a function of (step, done, total). Found {type(progress).__name__}. Leave it out."
        )
    named = {"members": members, "nonmembers": nonmembers, "quantizers": quantizers, "loss": loss}
    config, given = request(subject, {**{key: one for key, one in named.items() if one is not None}, **options})
    return run(config, given=given, progress=progress)


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
    recorded = scheme.recorded(checkpoints)
    candidates: Checkpoints = scheme.fitted_to(recorded.last(), calibration)(recorded)
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
    from leaq.pipeline.finished.evaluating import ModelEvaluator
    from leaq.pipeline.finished.records import read_records

    inside = read_records(members, name="members")
    outside = read_records(nonmembers, name="nonmembers")
    return ModelEvaluator.build(model, inside, outside, loss=loss).table(checkpoints)


def run(
    study: "Study",
    folder: str | Path,
    *,
    engine: "str | Engine" = "local",
    workers: int | None = None,
    retry_failed: bool = False,
    allow_missing: bool = False,
) -> "Store":
    """Compute every cell of a study that is not finished yet, and return the folder with all numbers.

    The same call again computes nothing twice and goes on where it was interrupted. Cells that failed do not stop the
    others; a warning names the first, and `retry_failed` tries them again.

    Parameters
    ----------
    engine, workers : where tasks run and how many at a time; the numbers are the same.
    allow_missing : go on without data sets that are not to be had; otherwise all of them are named before the start.

    Examples
    --------
    >>> import tempfile
    >>> from leaq.study import Study
    >>> quick = {"hidden": (8,), "epochs": 2, "checkpoints": 4}
    >>> study = Study(data=("wine",), heads=(quick,), quantizers=("sign",), audit={"replicates": 4})
    >>> store = run(study, Path(tempfile.mkdtemp()) / "wine")
    >>> store.count(), "quantizer" in store.frame()
    (1, True)
    """
    from leaq.study import Rules, Store, run_study

    rules = Rules(retry_failed=retry_failed, allow_missing=allow_missing)
    outcome = run_study(study, folder, engine=engine, workers=workers, rules=rules)
    if outcome.failures:
        warnings.warn(outcome.describe(), stacklevel=2)
    return Store(outcome.folder)


def report(
    results: "Store | CellResult | Sequence[CellResult]", path: str | Path, *, edition: "Edition" = "shareable"
) -> Path:
    """Write one self-contained HTML page about an audit, several, or a whole study.

    Parameters
    ----------
    results : what `leaq.run` or `leaq.audit` returned.
    edition : "shareable" holds aggregates only; "internal" names records by row number and is not to be shared.

    Examples
    --------
    ``leaq.report(leaq.audit("breast_cancer"), "breast_cancer.html")``
    """
    from leaq.reporting.html import write_report
    from leaq.study import Store

    if isinstance(results, Store):
        results = results.with_risks() if edition == "internal" else results.finished()
    return write_report(results, path, edition)
