"""Record a Hugging Face Trainer run of a small transformer: one callback. Needs the extra `huggingface`."""

import sys
import tempfile
from pathlib import Path

import torch
import transformers

sys.path.insert(0, str(Path(__file__).parent))
from small_language_model import network, texts, tokenizer

import leaq
from leaq.training.recording.callbacks import huggingface_callback

tokens = tokenizer()
members, nonmembers = texts(60, seed=1), texts(60, seed=2)
rows = [{"input_ids": ids, "labels": ids} for ids in (tokens(line)["input_ids"] for line in members)]

transformers.set_seed(0)
model = network()
callback = huggingface_callback(every=10, keep=12)
with tempfile.TemporaryDirectory() as folder:
    arguments = transformers.TrainingArguments(
        output_dir=folder,
        num_train_epochs=20,
        per_device_train_batch_size=30,
        learning_rate=5e-3,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    transformers.Trainer(model, arguments, train_dataset=rows, callbacks=[callback]).train()

with torch.no_grad():
    result = leaq.audit(
        model,
        members=members,
        nonmembers=nonmembers,
        tokenizer=tokens,
        quantizers=["uniform(bits=4)"],
        checkpoints=callback.recorder.checkpoints,
    )
print("recorded steps", callback.recorder.steps)
for row in result.rows:
    print(row.label, row.attacks["threshold"].advantage, row.measures["r"])
