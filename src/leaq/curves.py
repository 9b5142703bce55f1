"""lambda_k of every quantizer of an audit: models are trained and their candidates evaluated, nothing is attacked."""

from leaq.cell import AuditConfig
from leaq.environment import limited_threads
from leaq.errors import NotEnoughEvidence
from leaq.measures.rate import rate
from leaq.pipeline import collect
from leaq.planning import asked
from leaq.preparing import prepare
from leaq.quantizers import Scheme
from leaq.results import Curve
from leaq.subjects import subject_of
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
    with limited_threads(config.threads):
        samples, resolved = prepare(config, progress=progress)
        todo = asked(resolved, samples)
        found = collect(resolved, todo, subject_of(resolved), progress=progress)
        curves = {}
        for quantizer in todo.quantizers:
            table, _ = found[quantizer.spec()]
            try:
                curves[quantizer] = rate(table, level=config.level, seed=config.seed, draws=config.draws).curve
            except NotEnoughEvidence:
                continue
        return curves
