"""The whole table on a CUDA card, where there is one: training, evaluation, quantizers, calibrated ones, a whole audit.

`python -m benchmarks --only gpu` is all there is to do; without a card it says so. TF32 is off.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.quantizers import Calibration, build
from leaq.training import MLP, TrainingConfig
from leaq.training.backprop import Backprop
from leaq.training.steps import Descent
from leaq.types import Checkpoints

MODELS, BATCH, COLUMNS, CLASSES = 64, 32, 64, 10
WIDTHS = (32, 128, 512)
SCHEMES = ("sign", "ternary(sparsity=0.9)", "uniform(bits=4)", "nf4", "gptq(bits=4)", "bias_correction(bits=4)")


def seconds(work: Callable[[], object], device: str, rounds: int) -> float:
    """Return the fewest seconds; a card is waited for once at the end of a round, not in a step."""
    work()
    taken = []
    for _ in range(rounds):
        if device == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return min(taken)


def training(device: str, width: int, rounds: int) -> tuple[float, float]:
    """Return seconds of a step, and its operations."""
    mlp = MLP(d=COLUMNS, k=CLASSES, hidden=(width, width), task="classification")
    core = Backprop(mlp, {name: tensor.to(device) for name, tensor in mlp.init(0, range(MODELS)).items()})
    descent = Descent([core.flat], TrainingConfig())
    x, y = torch.randn(MODELS, BATCH, COLUMNS, device=device), torch.randint(CLASSES, (MODELS, BATCH), device=device)
    weights = torch.full((MODELS, BATCH), 1 / BATCH, device=device)

    def step() -> None:
        for _ in range(10):
            core(x, y, weights)
            descent.step()

    products = sum(a * b for a, b in zip(mlp.widths[:-1], mlp.widths[1:], strict=True))
    return seconds(step, device, rounds) / 10, 2 * MODELS * BATCH * (3 * products - COLUMNS * width)


def waits(device: str) -> int:
    """Return how often a training step waits for the card: 0, or an error is raised inside."""
    if device != "cuda":
        return 0
    torch.cuda.set_sync_debug_mode("error")
    try:
        training(device, 32, 1)
    except RuntimeError:
        return 1
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return 0


def quantizing(device: str, spec: str) -> float:
    mlp = MLP(d=COLUMNS, k=CLASSES, hidden=(256, 256), task="classification")
    params = {name: tensor.to(device) for name, tensor in mlp.init(0, range(MODELS)).items()}
    given, scheme, rng = Checkpoints(params, mlp.roles, (MODELS,)), build(spec), np.random.default_rng(0)
    records = Calibration(mlp, rng.normal(size=(512, COLUMNS)).astype(np.float32), rng.random((MODELS, 512)) < 0.5)
    return seconds(lambda: scheme(given, records if scheme.needs.calibration else None), device, 2)


def audited(device: str) -> float:
    config = AuditConfig(
        source="breast_cancer",
        quantizers=("sign", "uniform(bits=4)"),
        training=TrainingConfig(epochs=10, device=device),
    )
    started = time.perf_counter()
    audit(config)
    return time.perf_counter() - started


def measure(*, quick: bool) -> list[dict[str, object]]:
    if not torch.cuda.is_available():
        return []
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return table("cuda", rounds=3 if quick else 10)


def table(device: str, *, rounds: int, widths: tuple[int, ...] = WIDTHS, matrix: int = 4096) -> list[dict[str, object]]:
    """Measure everything on a device beside the CPU; on the CPU itself, to see that everything runs."""
    rows: list[dict[str, object]] = []
    a = torch.randn(matrix, matrix, device=device)
    peak = 2 * matrix**3 / seconds(lambda: a @ a, device, rounds)
    for width in widths:
        (there, work), (here, _) = training(device, width, rounds), training("cpu", width, 2)
        rows.append({"what": f"training step, width {width}", "cuda": there, "cpu": here, "share": work / there / peak})
    rows += [{"what": f"quantizing, {s}", "cuda": quantizing(device, s), "cpu": quantizing("cpu", s)} for s in SCHEMES]
    rows.append({"what": "whole audit of breast_cancer", "cuda": audited(device), "cpu": audited("cpu")})
    rows.append({"what": "steps that wait for the card", "cuda": float(waits(device)), "cpu": 0.0})
    return rows


def body(rows: list[dict]) -> str:
    if not rows:
        return (
            "Not measured: no CUDA card was at hand. `python -m benchmarks --only gpu` measures all of it where one is."
        )
    lines = ["| what | card, s | CPU, s | times faster | share of the card's float32 rate |", "|---|---|---|---|---|"]
    for row in rows:
        share = f"{row['share']:.0%}" if row.get("share") else ""
        faster = f"{row['cpu'] / row['cuda']:.1f}" if row["cuda"] else ""
        lines.append(f"| {row['what']} | {row['cuda']:.4f} | {row['cpu']:.4f} | {faster} | {share} |")
    return "\n".join(lines)
