"""Time and memory of the audit of every shipped form, and of a large language model from GGUF, for docs/own-model.md.

    python -m benchmarks.formats --out forms.jsonl            # every form of the tests' matrix, and programs
    python -m benchmarks.formats --out large.jsonl --large    # a Llama of 98 million numbers, from GGUF alone
    python -m benchmarks.formats --out forms.jsonl --page     # writes the page from what was measured (--large: of that)

A form is written by one process and audited by another, whose processor time and resident memory are counted beyond what
an audit without the file had taken (of the large model: beyond the imports). Each line is written as soon as it is
measured, and what stands there already is not measured again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.pages import DOCS, put

LARGE = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 12}
VOCABULARY = 8192
MIB = 2**20


def perceptron() -> Any:
    from torch import manual_seed, nn

    manual_seed(0)
    body = (nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU())
    return nn.Sequential(*body, nn.Linear(1024, 32)).eval()


def resident() -> int:
    """Return the resident memory of this process, and forget what it was at most."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    """Return the most resident memory since it was forgotten, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def words() -> Any:
    """Return a tokenizer of 64 words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    table = Tokenizer(models.WordLevel({"?": 0, **{f"w{i}": i for i in range(1, 64)}}, unk_token="?"))
    table.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=table, unk_token="?")


def write(name: str, folder: Path) -> None:
    """Write a form's file into a folder, and where it lies into ``where.txt``; nothing where it is a module."""
    from tests.unit.models.formats import producers
    from tests.unit.models.formats.apart import PROGRAMS
    from tests.unit.models.formats.matrix import FORMS

    module = perceptron()
    if name in PROGRAMS:
        end, made = PROGRAMS[name]
        path = folder / f"m{end}"
        made(path, module, producers.records(module))
    else:
        path, _ = FORMS[name].write(folder, producers.llama() if of_llama(name) else module)
    (folder / "where.txt").write_text(str(path) if isinstance(path, Path) else "")


def of_llama(name: str) -> bool:
    """Whether a form is of language models alone."""
    from tests.unit.models.formats import producers
    from tests.unit.models.formats.matrix import FORMS

    return name in FORMS and FORMS[name].models == (producers.llama,)


def audit(name: str, folder: Path) -> dict[str, Any]:
    """Audit the file in a folder, once without it before."""
    import numpy as np
    from tests.unit.models.formats import producers
    from tests.unit.models.formats.matrix import FORMS

    import leaq

    rng, options = np.random.default_rng(0), dict[str, Any](quantizers="none", draws=20)
    shipped: Any = (folder / "where.txt").read_text()
    if of_llama(name):
        module, options["tokenizer"] = producers.llama(), words()
        texts = [" ".join(f"w{i}" for i in rng.integers(3, 64, size=12)) for _ in range(80)]
        parts: tuple[Any, Any] = (texts[:40], texts[40:])
    else:
        module = perceptron()
        x, y = rng.normal(size=(200, 1024)).astype(np.float32), rng.integers(32, size=200)
        parts = (x[:100], y[:100]), (x[100:], y[100:])
    shipped = shipped or FORMS[name].write(folder, module)[0]
    leaq.audit(module, members=parts[0], nonmembers=parts[1], **options)
    before, started = resident(), time.process_time()
    found = leaq.audit(module, members=parts[0], nonmembers=parts[1], shipped={"file": shipped}, **options)
    row = found.rows[-1]
    return {
        "form": name, "numbers": sum(p.numel() for p in module.parameters()), "bits": row.size.bits,
        "seconds": time.process_time() - started, "memory": peak() - before,
        "recipe": next((flag.text.split(" are ")[1].split(" of the")[0] for flag in row.flags if flag.code == "recipe"), ""),
    }  # fmt: skip


def write_large(kind: str, folder: Path) -> None:
    """Write a large Llama as GGUF with a tokenizer of letters."""
    from tests.unit.models.formats.producers import gguf_file
    from torch import manual_seed
    from transformers import LlamaConfig, LlamaForCausalLM

    manual_seed(0)
    config = LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=256, tie_word_embeddings=False, **LARGE)
    words = [f"\u2581w{i}" for i in range(VOCABULARY - 259)]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *words]

    def about(writer: Any) -> None:
        writer.add_context_length(256)
        writer.add_embedding_length(LARGE["hidden_size"])
        writer.add_feed_forward_length(LARGE["intermediate_size"])
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_dimension_count(LARGE["hidden_size"] // LARGE["num_attention_heads"])
        writer.add_rope_freq_base(10000.0)
        writer.add_vocab_size(VOCABULARY)
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens)
        writer.add_token_scores([0.0] * VOCABULARY)
        writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * len(words)])
        for what, number in (("bos", 1), ("eos", 2), ("unk", 0)):
            getattr(writer, f"add_{what}_token_id")(number)

    gguf_file(folder / "m.gguf", LlamaForCausalLM(config), kind, arch="llama", about=about)


def audit_large(kind: str, folder: Path) -> dict[str, Any]:
    """Audit a GGUF file by itself; its dequantized size is four bytes a number."""
    import numpy as np
    import transformers  # noqa: F401 - counted as an import

    import leaq
    from leaq.models.formats.gguf_file import open_gguf

    rng = np.random.default_rng(0)
    for name in ("in", "out"):
        texts = (" ".join(f"w{i}" for i in rng.integers(VOCABULARY - 259, size=24)) for _ in range(24))
        (folder / f"{name}.txt").write_text("\n".join(texts))
    place = folder / "m.gguf"
    numbers = sum(int(np.prod(tensor.shape)) for tensor in open_gguf(place).tensors)
    before, started = resident(), time.process_time()
    found = leaq.audit(
        place, members=folder / "in.txt", nonmembers=folder / "out.txt", quantizers="sign", draws=20, neighbours=2
    )
    return {
        "form": f"GGUF {kind}, {numbers / 1e6:.0f} million numbers", "numbers": numbers,
        "bits": 8 * place.stat().st_size / numbers, "seconds": time.process_time() - started,
        "memory": peak() - before, "whole": peak(), "share": (peak() - before) / (4 * numbers),
        "loss": found.rows[0].metrics["loss"].value,
    }  # fmt: skip


def measure(name: str, *, large: bool) -> dict[str, Any]:
    """Write and audit a form, a process each."""
    with tempfile.TemporaryDirectory() as folder:
        for step in ("write", "audit"):
            command = [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "benchmarks.formats",
                f"--{step}",
                name,
                "--folder",
                folder,
            ]
            done = subprocess.run([*command, *["--large"] * large], capture_output=True, text=True, check=False)
            if done.returncode:
                return {"form": name, "failed": done.stderr[-500:]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(lines: list[dict[str, Any]]) -> str:
    """Return what was measured as a table."""
    rows = [
        f"| {line['form']} | {line['bits']:.2f} | {line['seconds']:.1f} | {line['memory'] / MIB:.0f} | "
        f"{line['memory'] / (4 * line['numbers']):.1f} | `{line.get('recipe') or '-'}` |"
        for line in lines
    ]
    head = "| form | bits a number | seconds | MiB | times the weights in 32 bits | made again by |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(rows)


def interleaved(names: list[str]) -> list[str]:
    """Put the first of each producer first, so that a stop leaves something of all."""
    makers = [name.split()[0] for name in names]
    return [names[i] for i in sorted(range(len(names)), key=lambda i: makers[:i].count(makers[i]))]


def main() -> None:
    """Measure what is not there yet, or do one step of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("forms.jsonl"))
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--write")
    parser.add_argument("--audit")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.write:
        (write_large if options.large else write)(options.write, options.folder)
        return
    if options.audit:
        print(json.dumps((audit_large if options.large else audit)(options.audit, options.folder)))
        return
    lines = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.is_file() else []
    if options.page:
        put(DOCS / "own-model.md", "large" if options.large else "forms", table(lines))
        return
    from tests.unit.models.formats.apart import PROGRAMS
    from tests.unit.models.formats.matrix import FORMS

    for name in ("Q4_0", "Q8_0") if options.large else interleaved([*FORMS, *PROGRAMS]):
        if not any(line["form"] == name or line["form"].startswith(f"GGUF {name},") for line in lines):
            found = measure(name, large=options.large)
            print(json.dumps(found), flush=True)
            with options.out.open("a") as out:
                out.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
