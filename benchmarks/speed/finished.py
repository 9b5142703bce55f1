"""A finished network under ten quantizers: time in passes over the records, memory in copies of its weights.

One audit a process, one thread. A plain pass is the network run once, as it is, over all records. A small network is
audited on as many records first: libraries, records and statistics take as much as that whatever the network's size.
"""

import json
import os
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor, nn

import leaq

TEN = (
    *("sign", "ternary(sparsity=0.5)", "ternary(sparsity=0.9)", "uniform(bits=2)", "uniform(bits=3)"),
    *("uniform(bits=4)", "uniform(bits=4, per=group)", "uniform(bits=8)", "nf4", "float8(format=e4m3)"),
)
CALIBRATED = ("gptq(bits=4)",)
# what, width, blocks, vocabulary (0: pixels), tokens, records
LARGE = {"language": (768, 12, 30_000, 16, 384), "pixels": (768, 14, 0, 16, 384)}
MIDDLE = {"language": (256, 8, 16_000, 16, 1024), "pixels": (256, 12, 0, 16, 1024)}


class Block(nn.Module):
    """Attention and a perceptron, each behind a norm and added to what came in."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.mixed = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.heads, self.causal = heads, causal

    def forward(self, x: Tensor) -> Tensor:
        """Return (records, tokens, width) of the same."""
        n, t, width = x.shape
        seen = self.before(x)
        q, k, v = (
            part(seen).reshape(n, t, self.heads, -1).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.mixed(mixed.transpose(1, 2).reshape(n, t, width))
        return x + self.narrow(nn.functional.gelu(self.wide(self.between(x))))


class Transformer(nn.Module):
    """Ten classes from tokens, each record a row of them, or from images cut into patches."""

    def __init__(self, width: int, blocks: int, vocabulary: int, tokens: int) -> None:
        super().__init__()
        self.inward = nn.Embedding(vocabulary, width) if vocabulary else nn.Conv2d(3, width, 4, 4)
        self.places = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.blocks = nn.Sequential(*(Block(width, width // 64, causal=vocabulary > 0) for _ in range(blocks)))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of ten classes."""
        inside = self.inward(x)
        inside = inside if x.ndim == 2 else inside.flatten(2).transpose(1, 2)
        return self.out(self.norm(self.blocks(inside + self.places)).mean(1))


def made(kind: str, size: tuple[int, int, int, int, int]) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network of random weights, random records for it, and random classes."""
    width, blocks, vocabulary, tokens, records = size
    torch.manual_seed(0)
    network = Transformer(width, blocks, vocabulary, tokens)
    side = 4 * round(tokens**0.5)
    x = torch.randint(vocabulary, (records, tokens)) if kind == "language" else torch.randn(records, 3, side, side)
    return network.eval(), x, torch.randint(10, (records,))


def audited(kind: str, size: tuple[int, int, int, int, int], quantizers: tuple[str, ...]) -> dict[str, object]:
    """Audit a network in this process; return what a plain pass and what the audit took."""
    half = size[-1] // 2
    small, x, y = made(kind, (64, 1, 16 if kind == "language" else 0, *size[3:]))
    leaq.audit(
        small, members=(x[:half], y[:half]), nonmembers=(x[half:], y[half:]), quantizers=quantizers[:1], overlap="keep"
    )
    before = _memory()
    network, x, y = made(kind, size)
    with torch.no_grad():
        network(x[:8])
        plain = min(_taken(lambda: [network(x[i : i + 32]) for i in range(0, len(x), 32)]) for _ in range(2))
    passed = _memory()
    run = [0]
    network.register_forward_pre_hook(lambda _, args: run.__setitem__(0, run[0] + len(args[0])))
    started = time.process_time()
    leaq.audit(
        network, members=(x[:half], y[:half]), nonmembers=(x[half:], y[half:]), quantizers=quantizers, overlap="keep"
    )
    taken = time.process_time() - started
    weights = sum(tensor.nbytes for tensor in network.parameters())
    return {
        "kind": kind, "quantizers": len(quantizers), "calibrated": quantizers == CALIBRATED,
        "parameters": sum(tensor.numel() for tensor in network.parameters()), "records": len(x), "tokens": size[3],
        "plain": plain, "seconds": taken, "run": run[0] / len(x),
        "weights": weights, "bytes": _memory() - before, "plain_bytes": passed - before, "small_bytes": before,
    }  # fmt: skip


def _taken(work) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(*, quick: bool) -> list[dict[str, object]]:
    rows = []
    sizes = (MIDDLE,) if quick else (MIDDLE, LARGE)
    asked = [(kind, one[kind], TEN) for one in sizes for kind in one]
    asked.append(("pixels", MIDDLE["pixels"], CALIBRATED))
    for words in asked:
        line = [sys.executable, "-m", "benchmarks.speed.finished", json.dumps(words)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        ran = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
        rows.append(json.loads(ran.stdout.splitlines()[-1]))
        print(ran.stdout.strip()[-400:], flush=True)
    return rows


def body(rows: list[dict]) -> str:
    lines = [
        "Transformers of random weights under ten quantizers, or under GPTQ alone. Passes: records that went through the network in "
        "all, as multiples of the records there are; time against as many plain passes as there are releases (full precision "
        "and the quantizers). Memory is the whole process's at its peak, and what that is above the peak of auditing a network of "
        "some 50,000 numbers on as many records (libraries, records, statistics), as multiples of the weights, which are one of "
        "them; beside it that of plain passes alone:\n",
        "| network | parameters | quantizers | a plain pass, s | the audit, s | passes | times plain | whole process, GB | "
        "of that a small network's | audit / weights | plain pass / weights |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        told = "GPTQ" if row["calibrated"] else f"{row['quantizers']}"
        times = row["seconds"] / row["plain"] / (1 + row["quantizers"])
        lines.append(
            f"| {row['kind']} | {row['parameters'] / 1e6:.1f} M | {told} | {row['plain']:.2f} | {row['seconds']:.0f} | "
            f"{row['run']:.1f} | {times:.1f} | {(row['small_bytes'] + row['bytes']) / 1e9:.2f} | {row['small_bytes'] / 1e9:.2f} | "
            f"{row['bytes'] / row['weights']:.2f} | {row['plain_bytes'] / row['weights']:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    kind, size, quantizers = json.loads(sys.argv[1])
    print(json.dumps(audited(kind, tuple(size), tuple(quantizers))))
