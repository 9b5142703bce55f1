"""One set of weights as the bytes of a safetensors file, laid out once and filled again and again."""

import json
import mmap
from collections.abc import Mapping

import torch
from torch import Tensor

from leaq.system.checksummed import BLANK, put_checksum

KIND = "checkpoint"
"""What the checksum of such a file says it is."""


class Image:
    """The bytes of a safetensors file in whole pages of memory, whose tensors can be overwritten in place.

    Serialising a model anew for every checkpoint would copy all weights twice; here a checkpoint costs one copy.

    Parameters
    ----------
    weights : fixes names, shapes and types.

    Attributes
    ----------
    pages : memory from the start of a page to the end of one.
    size : bytes of the file, the beginning of `pages`.

    Examples
    --------
    >>> image = Image({"w": torch.zeros(2)})
    >>> image.fill({"w": torch.tensor([1.0, 2.0])})
    >>> from safetensors.torch import load
    >>> load(bytes(image.pages[: image.size]))["w"]
    tensor([1., 2.])
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        from safetensors.torch import save

        # Copies: weights may be views of one storage, which the format does not allow.
        copies = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in weights.items()}
        content = save(copies, metadata={"seal": BLANK})
        self.size = len(content)
        memory = mmap.mmap(-1, -(-self.size // mmap.PAGESIZE) * mmap.PAGESIZE)
        memory[: self.size] = content
        self.pages = memoryview(memory)
        start = 8 + int.from_bytes(content[:8], "little")  # the format: length of the header, header, tensors
        header = json.loads(content[8:start])
        self._tensors = {
            name: torch.frombuffer(
                memory, dtype=t.dtype, count=t.numel(), offset=start + header[name]["data_offsets"][0]
            ).view(t.shape)
            for name, t in weights.items()
            if t.numel()
        }

    def add_checksum(self, key: str) -> None:
        """Make the file know which checkpoint it is and what it holds; see `leaq.system.checksummed`."""
        put_checksum(self.pages[: self.size], kind=KIND, key=key)

    def fill(self, weights: Mapping[str, Tensor]) -> None:
        """Overwrite the tensors."""
        for name, tensor in self._tensors.items():
            tensor.copy_(weights[name])
