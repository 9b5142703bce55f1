"""GGUF types: those that the package `gguf` encodes itself, and k-quants by an encoder of ours.

What is released is what the package's own decoder makes of the file's bytes, for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from leaq.lazy import torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Backend, LibraryOutput
from leaq.quantizers.backends.k_quants import BLOCK, K_TYPES, encode_k, pack_k, steps_k
from leaq.quantizers.blocks import into_blocks, whole
from leaq.quantizers.scheme import Needs, Scheme
from leaq.types import Checkpoints, Role

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Gguf"]

SMALL = 32
"""Weights of a row that share a scale in types that are no k-quants."""
LEVELS = {"Q4_0": 16, "Q4_1": 16, "Q5_0": 32, "Q5_1": 32, "Q8_0": 256}
INSTEAD = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""What llama.cpp stores rows in that are no multiples of 256."""


class Gguf(Backend):
    """A GGUF type: runs of 32 weights of a row with scales in 16 bits, or k-quants, blocks of 256.

    As in llama.cpp, rows whose length is no multiple of 256 get the type in place of a k-quant (`INSTEAD`). Rows whose
    length is no multiple of 32 are filled up with copies of their last weight; llama.cpp keeps such rows in 16 bits.
    K-quants are without importance of weights (imatrix). I-quants have no encoder here, files of them are read all the
    same.

    Parameters
    ----------
    through : the type of the file that was quantized, where that was not 32 bits: weights are rounded to it first.

    Examples
    --------
    >>> Gguf(type="Q4_0").spec(), Gguf(type="Q4_K").label()
    ('gguf(type=Q4_0)', 'GGUF Q4_K')
    """

    name: ClassVar[str] = "gguf"
    source: ClassVar[str] = "gguf.quants.quantize; ggml, ggml-quants.c"
    examples: ClassVar[tuple[str, ...]] = (
        *("gguf(type=Q4_0)", "gguf(type=Q4_1)", "gguf(type=Q5_1)", "gguf(type=Q8_0)"),
        *("gguf(type=Q4_K)", "gguf(type=Q3_K)", "gguf(type=Q6_K)"),
    )
    wants: ClassVar[Needs] = Needs(extra="gguf", device="CPU")
    roles: ClassVar[frozenset[Role]] = frozenset({"linear", "embedding"})
    always_named: ClassVar[frozenset[str]] = frozenset({"type"})
    stored: ClassVar[frozenset[str]] = frozenset({"step", "low", "head"})
    type: Literal["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"] = "Q4_0"
    through: Literal["float32", "float16", "bfloat16"] = "float32"

    @property
    def levels(self) -> int:
        """2^bits."""
        return 2 ** K_TYPES[self.type].bits if self.type in K_TYPES else LEVELS[self.type]

    @property
    def _block(self) -> int:
        return BLOCK if self.type in K_TYPES else SMALL

    def plan(self, checkpoints: Checkpoints) -> dict[str, Scheme]:
        """Return which type each weight gets; short rows get no k-quant."""
        found = super().plan(checkpoints)
        instead = self.model_copy(update={"type": INSTEAD.get(self.type, self.type)})
        return {
            name: instead if scheme is self and checkpoints.params[name].shape[-1] % self._block else scheme
            for name, scheme in found.items()
        }

    def run(self, weight: Tensor) -> LibraryOutput:
        """Encode into the file's bytes, and let the package decode them."""
        import gguf

        weight = weight.to(getattr(torch, self.through)).float()
        blocks = np.ascontiguousarray(into_blocks(weight.unsqueeze(0), "group", self._block)[0].numpy())
        kind = gguf.GGMLQuantizationType[self.type]
        if self.type in K_TYPES:
            given, head = encode_k(blocks, self.type)
            packed = pack_k(given, head, self.type)
            codes, scales = torch.from_numpy(given), {"head": torch.from_numpy(head)}
        else:
            packed = gguf.quants.quantize(blocks, kind)
            # the scale, then perhaps the lowest
            halves = torch.tensor(np.ascontiguousarray(packed[:, :4]).view(np.float16))
            scales = {"step": halves[:, :1]} | ({"low": halves[:, 1:2]} if self.type.endswith("_1") else {})
        back = torch.tensor(np.array(gguf.quants.dequantize(packed, kind)))
        if self.type not in K_TYPES:
            codes = self._position(back, scales).round().to(torch.uint8)
        shape = weight.unsqueeze(0).shape
        found, value = (whole(part.unsqueeze(0), "group", shape)[0] for part in (codes, back))
        return LibraryOutput(found, scales, value)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Code times scale, from the middle or from the lowest."""
        steps = into_blocks(codes, "group", self._block).float()
        step, low = self._steps(scales)
        found = (steps - self.levels // 2) * step if low is None else self._above(steps * step, low)
        return whole(found, "group", codes.shape)

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        """Round to the nearest code."""
        place = self._position(into_blocks(weight, "group", self._block).float(), scales)
        return whole(place.round().clamp(0, self.levels - 1).to(torch.uint8), "group", weight.shape)

    def _above(self, steps: Tensor, low: Tensor) -> Tensor:
        return steps - low if self.type in K_TYPES else steps + low

    def _position(self, blocks: Tensor, scales: Scales) -> Tensor:
        step, low = self._steps(scales)
        step = step.masked_fill(step == 0, 1)
        if low is None:
            return blocks / step + self.levels // 2
        return (blocks + low if self.type in K_TYPES else blocks - low) / step

    def _steps(self, scales: Scales) -> tuple[Tensor, Tensor | None]:
        """Return the steps of blocks (b, blocks, 1 or 256), and what is subtracted (of k-quants) or added."""
        if self.type not in K_TYPES:
            return scales["step"].float(), scales["low"].float() if "low" in scales else None
        head = scales["head"]
        flat: Any = head.flatten(0, -2).cpu().numpy()
        step, low = steps_k(flat, self.type)
        run = K_TYPES[self.type].run

        def wide(part: Any) -> Tensor:
            return torch.from_numpy(part).to(head.device).repeat_interleave(run, -1).reshape(*head.shape[:-1], BLOCK)

        return wide(step), None if low is None else wide(low)

    def title(self) -> str:
        """Name the scheme."""
        return f"GGUF {self.type}{f' through {self.through}' * (self.through != 'float32')}"

    def explain(self) -> str:
        """Say what happens to the weights."""
        run = K_TYPES[self.type].run if self.type in K_TYPES else SMALL
        return (
            f"Linear and Embedding weights are rounded to {self.type} of GGUF files, a scale per {run} weights."
            + f" Before that they are rounded to {self.through}." * (self.through != "float32")
        )
