"""GGUF types: those that the package `gguf` encodes itself, k-quants and 4-bit i-quants by encoders of ours.

What is released is what the package's own decoder makes of the file's bytes, for all of them.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import field_validator

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Backend, LibraryOutput
from leaq.quantizers.backends.k_quants import BLOCK, K_TYPES, encode_k, pack_k, steps_k
from leaq.quantizers.backends.level_tables import LEVEL_TABLES, encode_table, pack_table, steps_table
from leaq.quantizers.blocks import into_blocks, whole
from leaq.quantizers.scheme import Needs, Scheme, trits_per_code
from leaq.types import Checkpoints, Role

SMALL = 32
"""Weights of a row that share a scale in types of even steps."""
LEVELS = {"Q4_0": 16, "Q4_1": 16, "Q5_0": 32, "Q5_1": 32, "Q8_0": 256}
INSTEAD = {
    **{"Q2_K": "IQ4_NL", "Q3_K": "IQ4_NL", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"},
    **{"IQ4_XS": "IQ4_NL", "TQ1_0": "Q4_0", "TQ2_0": "Q4_0"},
}
"""What llama.cpp stores rows in that are no multiples of 256."""

BY_IMPORTANCE = frozenset({"IQ1_S", "IQ2_XXS", "IQ2_XS"})
"""Types that ggml gives weights with an importance matrix only. Source: ggml.c, `ggml_quantize_requires_imatrix`."""
NO_ENCODER = frozenset({"IQ1_M", "IQ2_S", "IQ3_XXS", "IQ3_S", "NVFP4"})
"""Types that are read, and that neither the package nor leaq encodes."""
OTHERWISE = {"F32": "none", "F16": "float16", "BF16": "bfloat16"}


class Gguf(Backend):
    """A GGUF type: runs of 32 weights of a row with scales in 16 bits, or blocks of 256 (k-quants and others).

    As in llama.cpp, rows whose length is no multiple of 256 get another type in place of such blocks (`INSTEAD`). Rows
    whose length is no multiple of 32 are filled up with copies of their last weight; llama.cpp keeps such rows in 16
    bits. K-quants and i-quants are without importance of weights (imatrix). I-quants of fewer than 4 bits have no
    encoder here, files of them are read all the same.

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
        *("gguf(type=MXFP4)", "gguf(type=IQ4_NL)", "gguf(type=IQ4_XS)", "gguf(type=TQ1_0)", "gguf(type=TQ2_0)"),
    )
    wants: ClassVar[Needs] = Needs(extra="gguf", device="CPU")
    roles: ClassVar[frozenset[Role]] = frozenset({"linear", "embedding"})
    always_named: ClassVar[frozenset[str]] = frozenset({"type"})
    stored: ClassVar[frozenset[str]] = frozenset({"step", "low", "head"})
    type: Literal[
        "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
        "MXFP4", "TQ1_0", "TQ2_0", "IQ4_NL", "IQ4_XS",
    ] = "Q4_0"  # fmt: skip

    @field_validator("type", mode="before")
    @classmethod
    def _why_not(cls, value: object) -> object:
        """Say why a type of ggml's is none of these, and what serves instead."""
        if (reason := _reason(str(value))) is not None:
            raise ValueError(f"{value} {reason}")
        return value

    @property
    def levels(self) -> int:
        """2^bits, of ternary types 3."""
        if self.type in K_TYPES:
            return int(2 ** K_TYPES[self.type].bits)
        return len(LEVEL_TABLES[self.type].levels) if self.type in LEVEL_TABLES else LEVELS[self.type]

    @property
    def code_bits(self) -> float:
        """Bits a code takes: five to a byte in TQ1_0."""
        return trits_per_code() if self.type == "TQ1_0" else super().code_bits

    @property
    def _block(self) -> int:
        if self.type in LEVEL_TABLES:
            return LEVEL_TABLES[self.type].block
        return BLOCK if self.type in K_TYPES else SMALL

    @property
    def _run(self) -> int:
        if self.type in LEVEL_TABLES:
            return LEVEL_TABLES[self.type].run
        return K_TYPES[self.type].run if self.type in K_TYPES else SMALL

    def plan(self, checkpoints: Checkpoints) -> dict[str, Scheme]:
        """Return which type each weight gets; short rows get none of long blocks."""
        found = super().plan(checkpoints)
        instead = self.model_copy(update={"type": INSTEAD.get(self.type, self.type)})
        return {
            name: instead if scheme is self and checkpoints.params[name].shape[-1] % self._block else scheme
            for name, scheme in found.items()
        }

    def run(self, weight: Tensor) -> LibraryOutput:
        """Encode into the file's bytes, and let the package decode them."""
        import gguf

        blocks = np.ascontiguousarray(into_blocks(weight.unsqueeze(0), "group", self._block)[0].numpy())
        kind = gguf.GGMLQuantizationType[self.type]
        codes = None
        if self.type in K_TYPES:
            given, head = encode_k(blocks, self.type)
            packed, codes, scales = pack_k(given, head, self.type), torch.from_numpy(given), _head(head)
        elif self.type.startswith("IQ"):
            given, head = encode_table(blocks, self.type)
            packed, codes, scales = pack_table(given, head), torch.from_numpy(given), _head(head)
        else:
            packed = gguf.quants.quantize(blocks, kind)
            scales = self._scales(packed)
        back = torch.tensor(np.array(gguf.quants.dequantize(packed, kind)))
        codes = self._codes(back, scales) if codes is None else codes
        shape = weight.unsqueeze(0).shape
        found, value = (whole(part.unsqueeze(0), "group", shape)[0] for part in (codes, back))
        return LibraryOutput(found, scales, value)

    def _scales(self, packed: Any) -> Scales:
        """Return the scales of blocks that the package encoded."""
        if self.type in LEVEL_TABLES:
            return _head(packed[:, LEVEL_TABLES[self.type].head])
        halves = torch.tensor(
            np.ascontiguousarray(packed[:, :4]).view(np.float16)
        )  # the scale, then perhaps the lowest
        return {"step": halves[:, :1]} | ({"low": halves[:, 1:2]} if self.type.endswith("_1") else {})

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Code, or its level, times scale; from the middle or from the lowest."""
        blocks = into_blocks(codes, "group", self._block)
        step, low = self._steps(scales)
        if self.type in LEVEL_TABLES:
            return whole(self._table(codes)[blocks.long()] * step, "group", codes.shape)
        steps = blocks.float()
        if low is None:
            return whole((steps - self.levels // 2) * step, "group", codes.shape)
        return whole(steps * step + (-low if self.type in K_TYPES else low), "group", codes.shape)

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        return whole(self._codes(into_blocks(weight, "group", self._block).float(), scales), "group", weight.shape)

    def _codes(self, blocks: Tensor, scales: Scales) -> Tensor:
        place = self._position(blocks, scales)
        if self.type not in LEVEL_TABLES:
            return place.round().clamp(0, self.levels - 1).to(torch.uint8)
        ordered, codes = self._table(place).sort(stable=True)
        middles = ((ordered[1:] + ordered[:-1]) / 2).to(place.dtype)
        return codes.to(torch.uint8)[torch.bucketize(place, middles)]

    def _table(self, like: Tensor) -> Tensor:
        return torch.tensor(LEVEL_TABLES[self.type].levels, dtype=torch.float32, device=like.device)

    def _position(self, blocks: Tensor, scales: Scales) -> Tensor:
        step, low = self._steps(scales)
        step = step.masked_fill(step == 0, 1)
        if low is None:
            return blocks / step + (0 if self.type in LEVEL_TABLES else self.levels // 2)
        return (blocks + low if self.type in K_TYPES else blocks - low) / step

    def _steps(self, scales: Scales) -> tuple[Tensor, Tensor | None]:
        """Return the steps of blocks (b, blocks, 1 or as many as weights), and what is subtracted or added."""
        if "head" not in scales:
            return scales["step"].float(), scales["low"].float() if "low" in scales else None
        head = scales["head"]
        flat: Any = head.flatten(0, -2).cpu().numpy()
        step, low = steps_k(flat, self.type) if self.type in K_TYPES else (steps_table(flat, self.type), None)

        def wide(part: Any) -> Tensor:
            every = torch.from_numpy(np.ascontiguousarray(part)).to(head.device)
            return every.repeat_interleave(self._run, -1).reshape(*head.shape[:-1], self._block)

        return wide(step), None if low is None else wide(low)

    def title(self) -> str:
        return f"GGUF {self.type}"

    def explain(self) -> str:
        return f"Linear and Embedding weights are rounded to {self.type} of GGUF files, each {self._run} with a scale."


def _head(given: Any) -> Scales:
    return {"head": torch.from_numpy(np.ascontiguousarray(given))}


def _reason(kind: str) -> str | None:
    """Return why no weights are given a type, where that is known."""
    instead = (
        "Audit a file of it as it is, with --released or shipped=, and name the type nearest to it for shadow models: "
        f"gguf(type={'Q3_K' if kind.startswith('IQ3') else 'IQ4_NL' if kind == 'NVFP4' else 'Q2_K'})"
    )
    if kind in BY_IMPORTANCE:
        return (
            "is given to weights by ggml only with an importance matrix, computed on records that no file holds, so "
            f"that shadow models cannot be quantized alike. {instead}"
        )
    if kind in NO_ENCODER:
        return f"can be read, but has no encoder here, so that shadow models cannot be quantized alike. {instead}"
    if kind in OTHERWISE:
        return f"is {OTHERWISE[kind]} here"
    if re.fullmatch(r"Q\d_K_(S|M|L|XL)", kind):
        return (
            f"names a mixture of types: use gguf(type={kind[:4]}) with others='...' for layers of another type. A file "
            "of it, audited beside its original, says which these are"
        )
    return None
