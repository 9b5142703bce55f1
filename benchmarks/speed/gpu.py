"""The whole table on a CUDA card, where there is one: training, evaluation, quantizers, calibrated ones, whole audits.

64 shadows of the digits, and a network of ResNet-18's size, beside the CPU and the card's own rate of matrix products.

`python -m benchmarks --only gpu` is all there is to do; without a card it says so. TF32 is off.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import leaq
from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.quantizers import Calibration, build
from leaq.training import MLP, TrainingConfig, train
from leaq.training.backprop import Backprop
from leaq.training.modules import StackedModule
from leaq.training.steps import Descent
from leaq.types import Checkpoints, Samples

MODELS, BATCH, COLUMNS, CLASSES = 64, 32, 64, 10
EPOCHS = 10
IMAGES, SIDE, CHANNELS = 64, 32, 64
"""Records of a batch of the residual network, their height and width, and its first layer's channels."""
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


class Residual(nn.Module):
    """Two convolutions, each behind a norm, added to what came in."""

    def __init__(self, inward: int, outward: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inward, outward, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outward, outward, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.GroupNorm(max(1, outward // 16), outward) for _ in range(2))
        same = stride == 1 and inward == outward
        self.beside = nn.Identity() if same else nn.Conv2d(inward, outward, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        inside = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(self.norms[1](self.second(inside)) + self.beside(x))


def residual() -> nn.Module:
    """Return a network of the layers of ResNet-18 for small images: 11 million parameters at 64 channels."""
    widths = [CHANNELS * 2**stage for stage in range(4)]
    blocks = [nn.Conv2d(3, CHANNELS, 3, 1, 1, bias=False), nn.GroupNorm(max(1, CHANNELS // 16), CHANNELS), nn.ReLU()]
    for stage, width in enumerate(widths):
        blocks += [Residual(widths[max(stage - 1, 0)], width, 1 if stage == 0 else 2), Residual(width, width, 1)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], CLASSES))


def residual_step(device: str, rounds: int) -> tuple[float, float]:
    """Return seconds of a gradient of one residual network, as a recipe's models are trained, and its operations."""
    torch.manual_seed(0)
    x, y = torch.randn(1, IMAGES, 3, SIDE, SIDE, device=device), torch.randint(CLASSES, (1, IMAGES), device=device)
    weights = torch.full((1, IMAGES), 1 / IMAGES, device=device)
    model = StackedModule(residual, "classification", x[0, :2].cpu())
    params = {name: tensor.to(device) for name, tensor in model.init(0, range(1)).items()}
    with FlopCounterMode(display=False) as counted:
        residual().to(device)(x[0])
    together = model.stacks(x)
    taken = seconds(lambda: model.gradient(params, x, y, weights, together=together), device, rounds)
    return taken, 3 * counted.get_total_flops()


def residual_audited(device: str) -> float:
    """Return the seconds of an audit of a finished residual network under one quantizer."""
    torch.manual_seed(0)
    network, x = residual().to(device).eval(), torch.randn(6 * IMAGES, 3, SIDE, SIDE)
    y = torch.randint(CLASSES, (len(x),))
    half, started = len(x) // 2, time.perf_counter()
    leaq.audit(network, members=(x[:half], y[:half]), nonmembers=(x[half:], y[half:]), quantizers=("uniform(bits=4)",))
    return time.perf_counter() - started


def digits(device: str, width: int) -> tuple[float, float]:
    """Return the seconds of training shadows of the digits, and their operations."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    members = np.random.default_rng(0).random((MODELS, len(x))) < 0.5
    config = TrainingConfig(hidden=(width, width), epochs=EPOCHS, checkpoints=1, device=device)
    samples = Samples(x / 16, y, "classification", classes=tuple(map(str, range(10))))
    started = time.perf_counter()
    mlp, _ = train(samples, members, config, seed=0)
    if device == "cuda":
        torch.cuda.synchronize()
    products = sum(a * b for a, b in zip(mlp.widths[:-1], mlp.widths[1:], strict=True))
    work = 2 * EPOCHS * int(members.sum()) * (3 * products - mlp.widths[0] * mlp.widths[1])
    return time.perf_counter() - started, work


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
    (there, work), (here, _) = digits(device, widths[-1]), digits("cpu", widths[-1])
    name = f"{MODELS} shadows of the digits, width {widths[-1]}"
    rows.append({"what": name, "cuda": there, "cpu": here, "share": work / there / peak})
    (there, work), (here, _) = residual_step(device, rounds), residual_step("cpu", 1)
    count = sum(tensor.numel() for tensor in residual().parameters()) / 1e6
    name = f"residual network of {count:.1f} M parameters"
    rows.append({"what": f"{name}, a gradient", "cuda": there, "cpu": here, "share": work / there / peak})
    rows.append({"what": f"{name}, audit of", "cuda": residual_audited(device), "cpu": residual_audited("cpu")})
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
