"""Any encoder in the Hugging Face format, by name or from a local folder: ChemBERTa and its like."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from leaq.embedders.base import EmbedderEntry, Encoded, MoleculeEmbedder, read_molecules
from leaq.errors import InvalidInput, need
from leaq.types import Flag, Progress, silent


class HuggingFace(MoleculeEmbedder):
    """Last hidden state of a pretrained encoder of SMILES, averaged over tokens or taken at the first one.

    Only safetensors weights are read, and no code from the hub is run (so models that bring their own code, such as
    MoLFormer, must be wrapped by hand). Molecules longer than the model's positions, or with characters its tokenizer
    does not know, are named and never cut.
    """

    cost: ClassVar[float] = 8.0
    learned: ClassVar[bool] = True
    separable: ClassVar[bool] = False
    model: str = Field(min_length=1)
    """A name on the hub, or a folder with config, tokenizer and model.safetensors."""
    revision: str | None = None
    """Commit of a hub model; name one, or the same command may give other numbers later."""
    pooling: Literal["mean", "cls"] = "mean"
    batch: int = Field(default=64, ge=1)

    def encode(self, smiles: Sequence[str], *, progress: Progress = silent) -> Encoded:
        """Return (n, hidden size) features."""
        import torch

        tokenizer, network = self._load()
        _, failed = read_molecules(smiles)
        longest = min(tokenizer.model_max_length, _positions(network.config))
        pieces = {row: tokenizer(str(text))["input_ids"] for row, text in enumerate(smiles) if row not in failed}
        for row, ids in pieces.items():
            if len(ids) > longest:
                failed[row] = f"it has more than the model's {longest} tokens"
            elif tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids:
                failed[row] = "it has characters the model's tokenizer does not know"
        # Molecules of similar length share a batch, so that little is spent on padding.
        order = sorted((row for row in pieces if row not in failed), key=lambda row: len(pieces[row]))
        features = np.zeros((len(smiles), int(network.config.hidden_size)), dtype=np.float32)
        with torch.no_grad():
            for start in range(0, len(order), self.batch):
                rows = order[start : start + self.batch]
                inputs = tokenizer([str(smiles[row]) for row in rows], padding=True, return_tensors="pt")
                states = network(**inputs).last_hidden_state  # (b, tokens, hidden)
                features[rows] = self._pooled(states, inputs["attention_mask"]).float().numpy()
                progress("embedding", min(start + self.batch, len(order)), len(order))
        return Encoded(features, failed)

    def _pooled(self, states: Any, mask: Any) -> Any:
        if self.pooling == "cls":
            return states[:, 0]
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1)

    def _load(self) -> tuple[Any, Any]:
        need("transformers", extra="huggingface", purpose="Reading Hugging Face encoders")
        from transformers import AutoModel, AutoTokenizer

        local = Path(self.model).is_dir()
        options: dict[str, Any] = {"local_files_only": local, "revision": self.revision, "trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.model, **options)
            network = AutoModel.from_pretrained(self.model, use_safetensors=True, **options)
        except (OSError, ValueError) as err:
            reason = str(err).strip().splitlines()[0]
            raise InvalidInput(
                f"The encoder {self.model!r} cannot be loaded ({reason}). Without a network name a local folder with "
                "config.json, the tokenizer's files and model.safetensors; pickled weights and code are not loaded."
            ) from None
        return tokenizer, network.eval()

    def fingerprint_of_code(self) -> str:
        """Return the hash of the folder's files, or the hub commit, with the version of transformers."""
        from importlib.metadata import version

        need("transformers", extra="huggingface", purpose="Reading Hugging Face encoders")
        folder = Path(self.model)
        if folder.is_dir():
            digest = hashlib.sha256()
            for path in sorted(folder.iterdir()):
                if path.is_file():
                    digest.update(path.name.encode() + path.read_bytes())
            content = digest.hexdigest()
        else:
            from transformers import AutoConfig

            try:
                config = AutoConfig.from_pretrained(self.model, revision=self.revision, trust_remote_code=False)
            except (OSError, ValueError) as err:
                reason = str(err).strip().split("\n", maxsplit=1)[0]
                raise InvalidInput(
                    f"{self.model!r} must be a folder with an encoder, or one on the hub. It cannot be read ({reason})."
                ) from None
            content = str(getattr(config, "_commit_hash", self.revision))
        return f"transformers {version('transformers')}, {content}"

    def flags(self) -> tuple[Flag, ...]:
        """Say what leaq cannot know: what the encoder was trained on."""
        text = f"leaq does not know what {Path(self.model).name} was pretrained on; it may have seen this task."
        return (Flag("unknown-pretraining", text),)

    def describe(self) -> str:
        return f"Hugging Face encoder {Path(self.model).name}, {self.pooling} pooling"


def _positions(config: Any) -> int:
    """Return how many tokens the model has positions for; RoBERTa's numbering spends some on padding."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return 10**9
    used = (config.pad_token_id or 0) + 1 if config.model_type in ("roberta", "camembert", "xlm-roberta") else 0
    return int(positions) - used


_THEIRS = "the model's own"
ENTRIES = (
    EmbedderEntry(
        "huggingface", HuggingFace, None, "smiles", "SMILES network", "any encoder", _THEIRS, _THEIRS, _THEIRS
    ),
)
