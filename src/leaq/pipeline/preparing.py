"""Records from a source, read and embedded: what every audit starts from."""

from dataclasses import replace

from leaq.cell import AuditConfig
from leaq.data import load
from leaq.embedders import embed
from leaq.errors import InvalidInput, need
from leaq.subjects import Given, Heads, embedder_of, subject_of
from leaq.types import Progress, Samples, silent

__all__ = ["prepare"]


def prepare(
    config: AuditConfig, *, given: Given | None = None, progress: Progress = silent
) -> tuple[Samples, AuditConfig]:
    """Load and embed the records; return them with the configuration in which nothing is left to "auto".

    Raises
    ------
    InvalidInput
        If the configuration names what does not go together, before anything is read; or the records cannot be used.

    Examples
    --------
    >>> samples, resolved = prepare(AuditConfig(source="wine"))
    >>> samples.inputs.shape, resolved.embedder, resolved.task
    ((178, 13), 'identity', 'classification')
    """
    given = given or Given()
    subject = subject_of(config, given)
    if config.dp_sgd:
        if config.model or config.recipe or config.released:
            raise InvalidInput(
                "DP-SGD trains leaq's own perceptrons (dp_sgd). Found a network or a training of your own. Train it "
                "privately in a recipe, e.g. with Opacus, and audit that."
            )
        need("opacus", extra="dp", purpose="Training with differential privacy (dp_sgd)")
    source = config.source if given.data is None else given.data
    members = (config.members or None) if given.members is None else given.members
    samples = load(source, config, members=members, progress=progress)
    embedder = embedder_of(config, samples.kind, given)
    if config.public:
        public = config.public if given.public is None else given.public
        samples = replace(samples, public=load(public, config, progress=progress))
    if isinstance(subject, Heads) and samples.kind == "table":
        samples = replace(samples, inputs=samples.inputs.reshape(len(samples), -1))  # a perceptron reads rows
    embedded = embed(samples, embedder, skip_invalid=config.skip_invalid, progress=progress)
    if embedded.tasks:
        _refuse_several(config)
        return embedded, config.resolved(embedder=embedder)
    return embedded, config.resolved(task=embedded.task, embedder=embedder)


def _refuse_several(config: AuditConfig) -> None:
    """Refuse what has no meaning, or no account of its privacy, for several targets."""
    if config.dp_sgd:
        raise InvalidInput(
            "DP-SGD trains perceptrons of one target (dp_sgd). Found several. Name one of them, or leave dp_sgd out."
        )
