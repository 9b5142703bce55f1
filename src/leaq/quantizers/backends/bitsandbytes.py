"""bitsandbytes: its 4-bit and 8-bit formats, which run on the CPU too."""

from __future__ import annotations

from typing import ClassVar, Literal

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Backend, LibraryOutput
from leaq.quantizers.blocks import into_blocks, whole
from leaq.quantizers.scheme import Needs

SOURCE = "bitsandbytes.functional"
NESTED = 256
"""Scales that share a scale of their own."""


class _Bnb(Backend):
    wants: ClassVar[Needs] = Needs(extra="bitsandbytes")


class _Blockwise(_Bnb):
    """A table of levels, one scale per run of weights of the flattened matrix (runs cross rows)."""

    stored: ClassVar[frozenset[str]] = frozenset({"absmax"})
    blocksize: int
    """Weights that share a scale."""

    def block_scales(self, scales: Scales) -> Tensor:
        """Return the largest magnitude of each block, (b, blocks)."""
        return scales["absmax"]

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Level times the block's largest magnitude."""
        blocks = into_blocks(codes.flatten(1), "group", self.blocksize).int()
        table = _table(self.name).to(codes.device)
        found = table[blocks] * self.block_scales(scales).unsqueeze(-1)
        return whole(found, "group", codes.flatten(1).shape).reshape(codes.shape)

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        """Nearest level of the table."""
        relative = into_blocks(weight.flatten(1), "group", self.blocksize) / self.block_scales(scales).unsqueeze(-1)
        ordered, codes = _table(self.name).to(weight.device).sort()
        place = torch.bucketize(relative, ((ordered[1:] + ordered[:-1]) / 2).to(relative.dtype))
        return whole(codes.to(torch.uint8)[place], "group", weight.flatten(1).shape).reshape(weight.shape)


def _table(name: str) -> Tensor:
    """Return bitsandbytes' levels by code."""
    import bitsandbytes.functional as bnb

    if name.endswith("blockwise8"):
        return torch.as_tensor(bnb.create_dynamic_map()).float()
    _, state = bnb.quantize_4bit(torch.ones(1, 2), blocksize=64, quant_type=name.rsplit(".", maxsplit=1)[-1])
    return torch.as_tensor(state.code)


class BnbNF4(_Blockwise):
    """bitsandbytes' NormalFloat, what `load_in_4bit` gives.

    Parameters
    ----------
    nested : scales are themselves rounded to 8 bits, 256 at a time ("double quantization"); else they are in float32.

    Examples
    --------
    >>> BnbNF4().label(), BnbNF4(nested=True).spec()
    ('bitsandbytes NF4', 'bitsandbytes.nf4(nested=True)')
    """

    name: ClassVar[str] = "bitsandbytes.nf4"
    source: ClassVar[str] = f"{SOURCE}.quantize_4bit, quant_type nf4"
    examples: ClassVar[tuple[str, ...]] = ("bitsandbytes.nf4", "bitsandbytes.nf4(nested=True)")
    stored: ClassVar[frozenset[str]] = frozenset({"absmax", "scale_codes", "nested", "offset"})
    blocksize: Literal[32, 64, 128, 256, 512, 1024] = 64
    nested: bool = False
    levels: ClassVar[int] = 16

    def run(self, weight: Tensor) -> LibraryOutput:
        """Unpack the library's nibbles, high one first."""
        import bitsandbytes.functional as bnb

        kind = self.name.rsplit(".", maxsplit=1)[-1]
        # As one row: blocks run over the flattened matrix anyway, and on CPUs with AVX-512 the library's own
        # dequantization is wrong for matrices with rows shorter than a block (0.50.2).
        packed, state = bnb.quantize_4bit(
            weight.reshape(1, -1), blocksize=self.blocksize, quant_type=kind, compress_statistics=self.nested
        )
        flat = packed.flatten()
        codes = torch.stack([flat >> 4, flat & 15], dim=1).flatten()[: weight.numel()].reshape(weight.shape)
        restored = bnb.dequantize_4bit(packed, state).reshape(weight.shape)
        if not self.nested:
            return LibraryOutput(codes, {"absmax": state.absmax.clone()}, restored)
        scales = {
            "scale_codes": state.absmax.clone(), "nested": state.state2.absmax.clone(),
            "offset": torch.as_tensor(state.offset, dtype=torch.float32).reshape(1),
        }  # fmt: skip
        return LibraryOutput(codes, scales, restored)

    def block_scales(self, scales: Scales) -> Tensor:
        if not self.nested:
            return scales["absmax"]
        given = scales["scale_codes"]
        step = scales["nested"].repeat_interleave(NESTED, -1)[:, : given.shape[-1]]
        return _table("blockwise8").to(given.device)[given.int()] * step + scales["offset"]

    def title(self) -> str:
        return f"bitsandbytes {self.name[-3:].upper()}{' nested' * self.nested}"

    def explain(self) -> str:
        scale = "a scale of 8 bits" if self.nested else "a scale"
        return (
            f"bitsandbytes rounds each Linear weight to 4-bit {self.name[-3:].upper()}, {scale} per {self.blocksize}."
        )


class BnbFP4(BnbNF4):
    """bitsandbytes' 4-bit float: its smallest level is 1/192 of the largest, unlike E2M1's 1/12."""

    name: ClassVar[str] = "bitsandbytes.fp4"
    source: ClassVar[str] = f"{SOURCE}.quantize_4bit, quant_type fp4"
    examples: ClassVar[tuple[str, ...]] = ("bitsandbytes.fp4",)


class BnbBlockwise8(_Blockwise):
    """bitsandbytes' dynamic 8-bit format, as its optimizers keep their state."""

    name: ClassVar[str] = "bitsandbytes.blockwise8"
    source: ClassVar[str] = f"{SOURCE}.quantize_blockwise; Dettmers et al. (arXiv 2110.02861v2)"
    examples: ClassVar[tuple[str, ...]] = ("bitsandbytes.blockwise8",)
    blocksize: Literal[64, 128, 256, 512, 1024, 2048, 4096] = 256
    levels: ClassVar[int] = 256

    def run(self, weight: Tensor) -> LibraryOutput:
        """Codes and block maxima."""
        import bitsandbytes.functional as bnb

        codes, state = bnb.quantize_blockwise(weight.contiguous(), blocksize=self.blocksize)
        return LibraryOutput(codes, {"absmax": state.absmax.clone()}, bnb.dequantize_blockwise(codes, state))

    def title(self) -> str:
        return "bitsandbytes 8-bit dynamic"

    def explain(self) -> str:
        return f"bitsandbytes rounds each Linear weight to a dynamic 8-bit table, a scale per {self.blocksize}."


class BnbInt8(_Bnb):
    """The weights of LLM.int8(): 8-bit integers, one scale per output channel. Activations stay as they are."""

    name: ClassVar[str] = "bitsandbytes.int8"
    source: ClassVar[str] = f"{SOURCE}.int8_vectorwise_quant; Dettmers et al., LLM.int8() (arXiv 2208.07339v2)"
    examples: ClassVar[tuple[str, ...]] = ("bitsandbytes.int8",)
    levels: ClassVar[int] = 255

    def run(self, weight: Tensor) -> LibraryOutput:
        """Codes and row maxima."""
        import bitsandbytes.functional as bnb

        rows, largest, _ = bnb.int8_vectorwise_quant(weight.contiguous())
        return LibraryOutput(
            (rows.int() + 127).to(torch.uint8), {"absmax": largest.clone()}, bnb.int8_vectorwise_dequant(rows, largest)
        )

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Code times the row's largest magnitude over 127, in the library's order of operations."""
        largest = scales["absmax"].unsqueeze(-1)
        return (codes.to(largest.dtype) - 127) * largest * (1 / 127)

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        largest = scales["absmax"].unsqueeze(-1)
        steps = weight * 127 / torch.where(largest > 0, largest, 1)
        return (steps.round().clamp(-127, 127) + 127).to(torch.uint8)

    def title(self) -> str:
        return "bitsandbytes int8"

    def explain(self) -> str:
        return "bitsandbytes rounds each Linear weight to 8-bit integers, one scale per output channel."
