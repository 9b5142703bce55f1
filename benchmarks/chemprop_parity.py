"""leaq's stacked D-MPNN beside chemprop's own training of its own network: R2 or ROC AUC on the same held-out records.

    OMP_NUM_THREADS=1 python benchmarks/chemprop_parity.py esol freesolv dili

Needs chemprop (the extra chemprop) and ../shared/data/molecules. Model 2i trains on a random half, model 2i + 1 on the
other; every model predicts the records it did not train on. chemprop trains by its own recipe (its loaders, Lightning,
its schedule of the learning rate), leaq by `TrainingConfig` with the same epochs and batches. Both drop a last batch of one
record. What one run measured, each model's score by task and trainer, is written to benchmarks/results/chemprop_parity.json.
"""

import argparse
import json
import logging
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import r2_score, roc_auc_score

from leaq.data import load
from leaq.data.splits import halves
from leaq.embedders import embed
from leaq.models.nets import NETS
from leaq.training import TrainingConfig, train_modules
from leaq.types import Bools, Floats, Samples

DATA = Path("../shared/data/molecules")
RESULTS = Path(__file__).parent / "results" / "chemprop_parity.json"
EPOCHS = 50


def ours(samples: Samples, members: Bools, schedule: str, batch: int) -> Floats:
    packed = embed(samples, "molgraph")
    outputs = max(1, len(samples.classes))
    config = TrainingConfig(epochs=EPOCHS, batch_size=batch, checkpoints=1, schedule=schedule, standardise="pool")
    model, checkpoints = train_modules(lambda: NETS.build("dmpnn")(outputs), packed, members, config, seed=0)
    with torch.no_grad():
        found = model.forward(checkpoints.last().params, torch.tensor(packed.inputs))
    return (found[..., 1] - found[..., 0] if outputs == 2 else found[..., 0]).numpy()


def theirs(samples: Samples, members: Bools, batch: int) -> Floats:
    from chemprop import data, models, nn
    from lightning import pytorch as pl

    y = samples.targets.astype(float)[:, None]
    points = [data.MoleculeDatapoint.from_smi(s, t) for s, t in zip(samples.inputs.tolist(), y, strict=True)]
    found = []
    for model, inside in enumerate(members):
        pl.seed_everything(model, verbose=False)
        train = data.MoleculeDataset([points[i] for i in np.flatnonzero(inside)])
        everything = data.MoleculeDataset(points)
        if samples.task == "regression":
            scaler = train.normalize_targets()
            end = nn.RegressionFFN(output_transform=nn.UnscaleTransform.from_standard_scaler(scaler))
        else:
            end = nn.BinaryClassificationFFN()
        net = models.MPNN(nn.BondMessagePassing(), nn.NormAggregation(), end)
        trainer = pl.Trainer(
            max_epochs=EPOCHS, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, accelerator="cpu",
        )  # fmt: skip
        trainer.fit(net, data.build_dataloader(train, batch_size=batch, seed=model))
        loader = data.build_dataloader(everything, batch_size=256, shuffle=False)
        found.append(torch.cat(trainer.predict(net, loader)).flatten().numpy())
    return np.array(found)


def score(samples: Samples, members: Bools, predictions: Floats) -> Floats:
    metric = r2_score if samples.task == "regression" else roc_auc_score
    return np.array([metric(samples.targets[~m], p[~m]) for m, p in zip(members, predictions, strict=True)])


def kept(scores: Floats, seconds: float) -> dict[str, object]:
    return {"scores": np.round(scores, 3).tolist(), "seconds": round(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=["freesolv", "esol", "dili"])
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--schedules", nargs="*", default=["warmup"])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    found: dict[str, dict[str, object]] = {}
    for task in args.tasks:
        samples = load(str(DATA / f"{task}.csv"), smiles="smiles", target="target")
        members = halves(samples, args.models, seed=0)
        started = time.process_time()
        other = score(samples, members, theirs(samples, members, args.batch))
        seconds = time.process_time() - started
        found[task] = {"chemprop": kept(other, seconds)}
        print(
            f"{task:12} chemprop        {other.mean():.3f}  {np.round(other, 3)}  {seconds:.0f} s of CPU time",
            flush=True,
        )
        for schedule in args.schedules:
            started = time.process_time()
            mine = score(samples, members, ours(samples, members, schedule, args.batch))
            seconds, paired = time.process_time() - started, mine - other
            found[task][schedule] = kept(mine, seconds)
            error = paired.std(ddof=1) / np.sqrt(len(paired))
            print(
                f"{task:12} leaq {schedule:10} {mine.mean():.3f}  {np.round(mine, 3)}  {seconds:.0f} s; "
                f"difference {paired.mean():+.3f} +- {error:.3f}", flush=True,
            )  # fmt: skip
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
