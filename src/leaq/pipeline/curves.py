"""lambda_k of every quantizer of an audit: models are trained and their candidates evaluated, nothing is attacked."""

from leaq.cell import AuditConfig
from leaq.errors import NotEnoughEvidence
from leaq.measures.rate import rate
from leaq.pipeline import loss_tables
from leaq.quantizers import Scheme, build
from leaq.results import Curve
from leaq.types import Progress, silent

__all__ = ["rate_curves"]


def rate_curves(config: AuditConfig, *, progress: Progress = silent) -> dict[Scheme, Curve]:
    """Return lambda_k against k of each quantizer, full precision first; one without a second candidate is left out.

    The curves are those of an audit with the same configuration.

    Examples
    --------
    >>> from leaq.training import TrainingConfig
    >>> quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    >>> curves = rate_curves(AuditConfig(source="wine", quantizers=("sign",), replicates=4, training=quick))
    >>> [quantizer.label() for quantizer in curves]
    ['full precision', 'sign']
    """
    curves = {}
    for spec, table in loss_tables(config, progress=progress).items():
        try:
            curves[build(spec)] = rate(table, level=config.level, seed=config.seed, draws=config.draws).curve
        except NotEnoughEvidence:
            continue
    return curves
