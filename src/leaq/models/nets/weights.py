"""Pretrained weights: from a folder, from the cache, or downloaded; checked by content before they are used.

Files are safetensors, which hold numbers and nothing that could run. Upstream's own files are PyTorch checkpoints;
a downloaded one is read by torch's weights-only loader after its hash was checked, and kept as safetensors.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from leaq.errors import InvalidInput, some
from leaq.lazy import Tensor
from leaq.system.downloads import cache_folder, download
from leaq.system.files import write_atomic
from leaq.types import Flag, Progress, silent

if TYPE_CHECKING:
    from torch import nn

TensorMap = Mapping[str, "Tensor"]
Network = TypeVar("Network", bound="nn.Module")


@dataclass(frozen=True)
class Weights:
    """Pretrained weights that leaq knows.

    Attributes
    ----------
    file : the name it is looked for under, e.g. in LEAQ_WEIGHTS_DIR.
    sha256 : hash of the tensors' content, see `tensor_sha256`; not of the file, whose header may differ.
    address : upstream's file at a fixed commit; empty if leaq cannot convert it.
    upstream_sha256 : hash of upstream's file.
    source, licence, pretrained : for the listing.
    """

    file: str
    sha256: str
    address: str
    upstream_sha256: str
    source: str
    licence: str
    pretrained: str


_RAW = "https://raw.githubusercontent.com/"
_HU = _RAW + "snap-stanford/pretrain-gnns/8b20528/chem/model_architecture/"
_CONTEXT = "context prediction on 2 million ZINC molecules, no labels"

KNOWN: dict[str, Weights] = {
    "gcn_contextpred": Weights(
        "pretraingnns_gcn_contextpred.safetensors",
        "79968b2f6294253181e1550ec4dd3283ece5cd3b7b6d4ea73c47b179d7bb68cf",
        f"{_HU}gcn_contextpred.pth",
        "ff1d9c5e5c198b8faf8af576c303808853e3f55a52aed7ae27964e3c8635a81a",
        "snap-stanford/pretrain-gnns",
        "MIT",
        _CONTEXT,
    ),
    "graphsage_contextpred": Weights(
        "pretraingnns_graphsage_contextpred.safetensors",
        "01d35675714fb4efb9df1b9627fd36111ac9be832cf43e04d48005d702b6eb1c",
        f"{_HU}graphsage_contextpred.pth",
        "63976e7795ae3ab46fc97c40a047ce1c4b13e243c2f8ef9125e78c7fabee9279",
        "snap-stanford/pretrain-gnns",
        "MIT",
        _CONTEXT,
    ),
    "gat_contextpred": Weights(
        "pretraingnns_gat_contextpred.safetensors",
        "7299f0702b5106fc205116ce46c2b4dc75ea09a912cfd25c05bf9c39af754473",
        f"{_HU}gat_contextpred.pth",
        "de030068b3cb8b5d2d4da09fd377fac0a111f401904d3806104874e058bc4af8",
        "snap-stanford/pretrain-gnns",
        "MIT",
        _CONTEXT,
    ),
    "graphsage_supervised_contextpred": Weights(
        "pretraingnns_graphsage_supervised_contextpred.safetensors",
        "244134e2416810b6e59badf045eee14b9093797d647fb92b0d0aa697daedee7f",
        f"{_HU}graphsage_supervised_contextpred.pth",
        "aca7caa7c15a0e478b57d5d2cca84d8bda6d4500614bd96486b84739bff3929b",
        "snap-stanford/pretrain-gnns",
        "MIT",
        f"{_CONTEXT}; then supervised on ChEMBL assays, WITH labels",
    ),
    "molclr_gcn": Weights(
        "molclr_gcn.safetensors",
        "02dc07147ba7de7036c0579c283317e6606eb89e7797dfcdd4fcf0cc954e40cc",
        f"{_RAW}yuyangw/MolCLR/3d3bc19/ckpt/pretrained_gcn/checkpoints/model.pth",
        "870e4599856867f4ae9f42f188f60b4199d23c39e1f99df092f6f8d45baccf5b",
        "yuyangw/MolCLR",
        "MIT",
        "contrastive on 10 million PubChem molecules, no labels",
    ),
    "chemvae_zinc": Weights(
        "chemvae_zinc.safetensors",
        "712629165d1448be10de45234dcdc6411202bab5f702cccf2e481798813a6617",
        "",  # upstream's file is HDF5
        "37e96cd3bc8f9680d3c2aa4d294a39e78f00a0decc22501bde23d5a464ac314a",
        "aspuru-guzik-group/chemical_vae",
        "Apache-2.0",
        "variational autoencoder on 250,000 ZINC molecules, no labels",
    ),
}


def convolution(name: str) -> Any:
    """Return which layers a pretrained graph network of `KNOWN` consists of.

    Examples
    --------
    >>> [convolution(name) for name in ("gat_contextpred", "molclr_gcn")]
    ['gat', 'molclr']
    """
    return "molclr" if name == "molclr_gcn" else name.partition("_")[0]


def filled(make: Callable[[], Network], known: Weights, own: str | None = None, *, what: str) -> Network:
    """Return a network with known weights, checked by hash, or with those of the user's own file; by shape, both.

    Parameters
    ----------
    make : builds the network; its method `renamed`, if it has one, gives the file's tensors its own names.
    what : the network, for messages.
    """
    import torch

    with torch.device("meta"):
        empty = make()
    tensors = getattr(empty, "renamed", dict)(pretrained_weights(known, own))
    wanted = {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
    optional = [name for name in wanted if name.endswith("num_batches_tracked") and name not in tensors]
    for name in optional:  # a counter of training steps that some files leave out
        del wanted[name]
    check_shapes(what, tensors, wanted)
    counters = {name: torch.tensor(0) for name in optional}
    empty.load_state_dict({**tensors, **counters}, assign=True)
    empty.requires_grad_(True)
    return empty.eval()


def identity_of(known: Weights, own: str | None = None) -> str:
    """Return the hash of the weights' content."""
    return known.sha256 if own is None else tensor_sha256(pretrained_weights(known, own))


def weight_flags(known: Weights, own: str | None = None) -> tuple[Flag, ...]:
    """Flag weights nobody checked, and weights that have seen labels."""
    if own is not None:
        return (Flag("unverified-weights", "The pretrained weights are the user's own file; only shapes fit."),)
    if "WITH labels" in known.pretrained:
        text = (
            f"The network was pretrained with labels ({known.pretrained}): it may have seen this task's answers. "
            "Accuracy is then too high, and the leak found says nothing about what pre-training gives away."
        )
        return (Flag("pretrained-on-labels", text),)
    return ()


def pretrained_weights(known: Weights, own: str | None = None, *, progress: Progress = silent) -> dict[str, "Tensor"]:
    """Return the tensors of known weights, or of a safetensors file of the user's own.

    Raises
    ------
    InvalidInput
        If the file is absent and cannot be downloaded, is no safetensors file, or its content has another hash.
    """
    from leaq.models.weights import read_tensors

    path = find_weights(known, own, progress=progress)
    tensors, _ = read_tensors(path)
    if own is not None:
        return tensors
    found = tensor_sha256(tensors)
    if found != known.sha256:
        raise InvalidInput(
            f"{path.name}: these weights must have content hash {known.sha256}. Found {found}: another version, or "
            f"damaged. Replace {str(path)!r}; weights of your own go in with the option weights=FILE."
        )
    return tensors


def find_weights(known: Weights, own: str | None = None, *, progress: Progress = silent) -> Path:
    """Return the file of known weights, downloaded if it is nowhere yet, or the user's own; not opened."""
    if own is not None:
        if not Path(own).is_file():
            raise InvalidInput(f"There is no weights file {own!r}. Name an existing safetensors file.")
        return Path(own)
    named = os.environ.get("LEAQ_WEIGHTS_DIR")
    folders = [*([Path(named)] if named else []), cache_folder() / "weights"]
    path = next((folder / known.file for folder in folders if (folder / known.file).is_file()), None)
    return path or _fetch(known, folders[-1] / known.file, progress)


def _fetch(known: Weights, path: Path, progress: Progress) -> Path:
    """Download upstream's checkpoint, check its hash, keep its tensors as safetensors."""
    remedy = f"Put {known.file} at {str(path)!r}, or name its folder in LEAQ_WEIGHTS_DIR."
    if not known.address:
        raise InvalidInput(
            f"{known.file}: upstream's file is in a format leaq does not read, so it is not downloaded. {remedy}"
        )
    raw = path.with_name(f"{path.stem}.pth")
    download(known.address, raw, sha256=known.upstream_sha256, what=known.file, remedy=remedy, progress=progress)
    import torch
    from safetensors.torch import save

    tensors = torch.load(raw, map_location="cpu", weights_only=True)
    write_atomic(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    raw.unlink()
    return path


def tensor_sha256(tensors: TensorMap) -> str:
    """Return the hash of names, types, shapes and values, however the file stores them."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name].contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def check_shapes(what: str, found: TensorMap, wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights whose names or shapes are not those of the architecture."""
    absent, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if absent or extra:
        raise InvalidInput(
            f"{what}: the weights must hold exactly the network's tensors. Absent: {some(absent) or 'none'}; "
            f"unknown: {some(extra) or 'none'}. They belong to another architecture."
        )
    for name, shape in wanted.items():
        if tuple(found[name].shape) != shape:
            raise InvalidInput(
                f"{what}: the tensor {name!r} must have shape {shape}. Found {tuple(found[name].shape)}: the weights "
                "belong to another size or architecture."
            )
