"""Embeddings on disk, found again by what they were made of.

A file's name is a hash of the molecules, in order, and of the embedder: its options, its weights and the version of
what computes it. Files appear whole or not at all, so that concurrent runs share them; a damaged one is made again.
Embeddings of confidential molecules are confidential, so folder and files are readable by their owner alone.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from leaq.embedders.base import Encoded, MoleculeEmbedder
from leaq.errors import StoreError
from leaq.system.checksummed import read_arrays, write_arrays
from leaq.system.downloads import cache_folder
from leaq.system.files import private_folder, sweep

FORM = 1
"""Version of the stored form and of the encoders; raised when either changes."""
WORTHWHILE = 2.0
"""Seconds of work below which looking it up is not worth a file."""


def cached(embedder: MoleculeEmbedder, smiles: Sequence[str], compute: Callable[[], Encoded]) -> Encoded:
    """Return the embedding from the cache, or compute it and keep it.

    Cheap embeddings are neither looked for nor kept. LEAQ_CACHE=off switches the cache off, LEAQ_CACHE=all keeps the
    cheap ones too.
    """
    wanted = os.environ.get("LEAQ_CACHE", "")
    if wanted == "off" or (wanted != "all" and embedder.cost * len(smiles) / 1000 < WORTHWHILE):
        return compute()
    key = cache_key(embedder, smiles)
    path = cache_folder() / "embeddings" / f"{key}.npz"
    found = _read(path, key)
    if found is None:
        found = compute()
        private_folder(path.parent)
        sweep(path.parent)
        _write(path, found, key)
    return found


def cache_key(embedder: MoleculeEmbedder, smiles: Sequence[str]) -> str:
    """Return a name that differs whenever molecules, their order, the embedder or its code differ."""
    made_by = [FORM, type(embedder).__name__, embedder.to_dict(), embedder.fingerprint_of_code()]
    digest = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode())
    digest.update(json.dumps(list(smiles)).encode())
    return digest.hexdigest()[:40]


def _write(path: Path, found: Encoded, key: str) -> None:
    rows = np.array(sorted(found.failed), dtype=np.int64)
    reasons = np.array([found.failed[int(row)] for row in rows], dtype=str)
    arrays = {"features": found.features, "rows": rows, "reasons": reasons}
    write_arrays(path, arrays, kind="embedding", key=key, compressed=True)


def _read(path: Path, key: str) -> Encoded | None:
    """Return a stored embedding, None if there is none that is whole and of these molecules."""
    try:
        arrays = read_arrays(path, kind="embedding", key=key)
    except StoreError:
        return None
    return Encoded(arrays["features"], dict(zip(arrays["rows"].tolist(), arrays["reasons"].tolist(), strict=True)))
