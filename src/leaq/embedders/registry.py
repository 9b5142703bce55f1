"""Names of embedders, what is known about each, and the one function that applies them."""

from dataclasses import replace
from typing import Any

import numpy as np

from leaq.config import Registry
from leaq.embedders import cache, parallel
from leaq.embedders.base import Embedder, EmbedderEntry, Encoded, MoleculeEmbedder, molecules_of, reasons, refusal
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.stats.outliers import clipped, clipped_flag, limited, outlier_flag
from leaq.types import Flag, Floats, Progress, Samples, silent

FEWEST = 20
"""Molecules that must be left when some cannot be encoded."""


EMBEDDERS: Registry[Embedder] = Registry("embedder", "leaq.embedders")
"""Each embedder is a file of this room, whose ENTRIES say the names it goes by, and found there."""


def entries() -> tuple[EmbedderEntry, ...]:
    """Return what is known about every named embedder."""
    entries: list[Any] = [EMBEDDERS.get(name) for name in EMBEDDERS]
    return tuple(entries)


def locate(embedder: str, *, progress: Progress = silent) -> None:
    """Make sure that what an embedder needs is there, downloading known weights that are not; nothing is embedded.

    Raises
    ------
    InvalidInput
        If weights are neither here nor to be had.
    """
    built = EMBEDDERS.build(embedder) if embedder != "auto" else None
    if isinstance(built, MoleculeEmbedder):
        built.locate(progress=progress)


def embed(
    samples: Samples,
    embedder: str | Embedder = "auto",
    *,
    skip_invalid: bool = False,
    jobs: int | None = None,
    progress: Progress = silent,
) -> Samples:
    """Return the same records with float32 inputs (n, d).

    Parameters
    ----------
    embedder : a specification such as ``ecfp4`` or ``morgan(radius=3, counts=true)``, any object with `transform`,
        or "auto": ecfp4 for molecules, the columns themselves for tables.
    skip_invalid : drop molecules the embedder cannot encode and count them in the flags, instead of refusing.
    jobs : processes that share the work; the numbers do not depend on it.

    Raises
    ------
    InvalidInput
        Naming rows and reasons, if molecules cannot be encoded.

    Examples
    --------
    >>> from leaq.data import load
    >>> embed(load("wine")).inputs.shape
    (178, 13)
    """
    if embedder == "auto":
        embedder = "ecfp4" if samples.kind == "smiles" else "identity"
    built = EMBEDDERS.build(embedder) if isinstance(embedder, str) else embedder
    flags: tuple[Flag, ...] = ()
    if isinstance(built, MoleculeEmbedder):
        found = _encoded(samples, built, jobs, progress)
        flags = built.flags()
        if found.failed:
            if not skip_invalid:
                raise refusal(built.describe(), found.failed, samples)
            kept = np.setdiff1d(np.arange(len(samples)), list(found.failed))
            text = f"{built.describe()}: dropped {reasons(found.failed, samples)}."
            flags = (*flags, Flag("dropped-molecules", text))
            samples, found = _kept(samples, kept), Encoded(found.features[kept])
        features = np.asarray(found.features, dtype=np.float32)
        if built.columns:
            features, told = _within(features, built)
            flags = (*flags, *told)
    else:
        features = np.asarray(built.transform(samples), dtype=np.float32)
    shaped = features.ndim == 2 or features.shape == samples.inputs.shape  # images stay what they are
    if not shaped or len(features) != len(samples):
        raise InvalidInput(f"An embedder must return ({len(samples)}, d) features. Found shape {features.shape}.")
    embedded = samples.with_inputs(features, *flags)
    if samples.public is None:
        return embedded
    if samples.public.features != samples.features:
        raise InvalidInput("Public records must have the columns and levels of the pool. Found others.")
    public = embed(samples.public, built, skip_invalid=skip_invalid, jobs=jobs, progress=progress)
    return replace(embedded, public=public)


def _encoded(samples: Samples, built: MoleculeEmbedder, jobs: int | None, progress: Progress) -> Encoded:
    smiles = molecules_of(samples, built.describe())
    return cache.cached(built, smiles, lambda: parallel.encode(built, smiles, jobs=jobs, progress=progress))


def _within(features: Floats, built: MoleculeEmbedder) -> tuple[Floats, tuple[Flag, ...]]:
    """Limit what lies far outside all others, and say so."""
    features, outside = limited(features)
    flags: tuple[Flag, ...] = ()
    if outside.any():
        where = f"{int(outside.any(1).sum())} molecules, {int(outside.any(0).sum())} features of {built.describe()}"
        flags = (outlier_flag(outside, where, alone=not built.learned),)
    if built.learned:
        features, moved = clipped(features)
        flags = (*flags, clipped_flag(moved)) if moved.any() else flags
    return features, flags


def _kept(samples: Samples, rows: np.ndarray) -> Samples:
    """Take the molecules that could be encoded, if they still make an audit."""
    kept = samples.take(rows)
    if len(kept) < FEWEST:
        raise NotEnoughEvidence(
            f"{samples.name}: an audit needs at least {FEWEST} molecules. The embedder can encode {len(kept)} of "
            f"{len(samples)}. Choose another embedder."
        )
    rare = [
        label
        for values, task in kept.each_target
        for code, label in enumerate(task.classes)
        if len(np.unique(kept.groups[values == code])) < 2
    ]
    if rare:
        raise NotEnoughEvidence(
            f"{samples.name}: every class needs at least 2 molecules the embedder can encode. Too few are left of "
            f"{', '.join(rare)}. Choose another embedder."
        )
    return kept
