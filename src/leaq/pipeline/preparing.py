"""Records from a source, read and embedded: what every audit starts from."""

from dataclasses import replace
from functools import partial

from leaq.data import load
from leaq.data.loading import columns_of
from leaq.embedders import embed
from leaq.errors import InvalidInput, listed_names, need
from leaq.pipeline.cell import AuditConfig, unread_training
from leaq.pipeline.subjects import Given, Subject, embedder_of, subject_of
from leaq.pipeline.subjects.artefact import completed
from leaq.types import Flag, Progress, Samples, silent

NO_TEXTS = (
    *("references", "public", "group", "task", "ignore", "skip_invalid", "strip_salts", "log_target"),
    "split",
)
"""Options of records that are rows of numbers or molecules."""


def prepare(
    config: AuditConfig, *, given: Given | None = None, samples: Samples | None = None, progress: Progress = silent
) -> tuple[Samples, AuditConfig]:
    """Load and embed the records; return them with the configuration in which nothing is left to "auto".

    Parameters
    ----------
    samples : the records, where they were loaded already (`leaq.data.load`).

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
    source = config.source if given.data is None else given.data
    if config.released:
        config = completed(config, given, partial(columns_of, source))
    subject = subject_of(config, given)
    if config.dp_sgd:
        if config.model or config.recipe or config.released:
            raise InvalidInput(
                "DP-SGD trains leaq's own perceptrons (dp_sgd). Found a network or a training of your own. Train it "
                "privately in a recipe, e.g. with Opacus, and audit that."
            )
        need("opacus", extra="dp", purpose="Training with differential privacy (dp_sgd)")
    if samples is None:
        members = (config.members or None) if given.members is None else given.members
        samples = load(source, config, members=members, progress=progress)
    samples = replace(samples, flags=tuple(dict.fromkeys([*samples.flags, *_unread(config)])))
    if samples.text:
        _refuse_without_recipe(config, subject)
        return samples, config.but(embedder="identity")
    embedder = embedder_of(config, samples.kind, given)
    if config.public:
        public = config.public if given.public is None else given.public
        samples = replace(samples, public=load(public, config, progress=progress))
    if "arrays" not in subject.reads and samples.kind == "table":
        samples = replace(samples, inputs=samples.inputs.reshape(len(samples), -1))
    embedded = embed(samples, embedder, skip_invalid=config.skip_invalid, progress=progress)
    if embedded.tasks and config.dp_sgd:  # there is no account of its privacy
        raise InvalidInput(
            "DP-SGD trains perceptrons of one target (dp_sgd). Found several. Name one of them, or leave dp_sgd out."
        )
    if embedded.tasks:
        return embedded, config.but(embedder=embedder)
    return embedded, config.but(task=embedded.task, embedder=embedder)


def _unread(config: AuditConfig) -> tuple[Flag, ...]:
    """Doubt options of the training that are named, and that the user's own training or network does not read."""
    unread = unread_training(config.to_dict())
    named = [name for name in config.named if name in unread]
    who = "The recipe trains by itself" if config.recipe else "The network is made as it is"
    return (Flag("unread-options", f"{who}; not used: {', '.join(named)}."),) if named else ()


def _refuse_without_recipe(config: AuditConfig, subject: Subject) -> None:
    """Refuse what has no meaning for texts, which a language model of the user's learns."""
    if "texts" not in subject.reads:
        raise InvalidInput(
            "Texts are learnt by a language model, so its training must be named with recipe (file.py:function of "
            "records and seed that returns the model and its tokenizer). Found none. If this is a table, name its "
            "target."
        )
    needing = [one.spec() for one in config.schemes if one.needs.calibration or one.needs.model]
    found = [*(name for name in NO_TEXTS if name in config.named), *(["quantizers"] if needing else [])]
    if found:
        raise InvalidInput(
            f"Of texts, {listed_names(found)} {'have' if len(found) > 1 else 'has'} no meaning"
            f"{f' ({needing[0]} looks at arrays)' if needing else ''}. Leave out."
        )
