"""Audit of a causal language model: one record is one text, its loss the mean loss of its tokens."""

import time
from dataclasses import replace

import numpy as np
from torch import nn

from leaq.attacks.scoring import Resampling
from leaq.attacks.tokens import against_reference, by_windows, min_k
from leaq.data.texts import texts_of
from leaq.evaluation.tables import at_once
from leaq.evaluation.texts import longest, refuse_other_tokens, token_batches, vocabulary_of
from leaq.models.causal import Text, TokenLoss, Tokens, doubts_of, tokens_of
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.finished.case import Case, ExtraAttacks
from leaq.pipeline.finished.evaluating import ModelEvaluator
from leaq.pipeline.finished.modules import audit_case
from leaq.pipeline.finished.records import Records, digests_of
from leaq.results import CellResult, QuantizerRow
from leaq.types import AttackResult, Estimate, Flag, LossTable, NotComputed, Progress, silent

BUCKETS = 256
"""Columns of the bag of tokens in which members and non-members are compared."""


def audit_language(case: Case, *, progress: Progress = silent) -> CellResult:
    """Tell what a (fine-tuned) language model gives away about its texts, under every quantizer.

    Parameters
    ----------
    case : with the tokenizer; members and non-members are lists of texts or of pairs (prompt, answer), or data sets
        with a text column (`target`, by default "text") or with columns "prompt" and "completion"; of pairs the answer
        alone is scored. A reference model that has not seen the members makes the strongest attack here.
    """
    started, config, model = time.perf_counter(), case.config, case.model
    named = (("members", case.members), ("nonmembers", case.nonmembers))
    told = {name: texts_of(data, config.target, name) for name, data in named}
    length = min(config.length or longest(model), longest(model))
    inside, outside = (tokens_of(told[name], case.tokenizer, length=length, name=name) for name, _ in named)
    for what, one in (("The model", model), ("The reference", case.reference)):
        if one is not None:
            refuse_other_tokens([*inside, *outside], one, name=what)
    loss = TokenLoss(keep=len(inside) + len(outside))
    sizes = vocabulary_of(model), at_once(model)
    scored = replace(
        case, members=_records(inside, *sizes), nonmembers=_records(outside, *sizes), loss=loss,
        extra=_token_attacks(loss, case.reference, config),
    )  # fmt: skip
    result = audit_case(scored, progress=progress)
    primary = "threshold" if case.reference is None else "reference"
    timings = {**result.timings, "total_seconds": time.perf_counter() - started}
    rows = tuple(_with_perplexity(row) for row in result.rows)
    everything = [*inside, *outside]
    data = {
        **result.data,
        "task": "language",
        "tokens": sum(len(text.ids) for text in everything),
        "scored_tokens": sum(len(text.ids) - text.start for text in everything),
        "longest": max(len(text.ids) for text in everything),
        "length": length,
    }
    flags = (*result.flags, *_warnings(inside, outside, length, model), *doubts_of(everything, case.tokenizer))
    return replace(result, rows=rows, primary_attack=primary, data=data, timings=timings, flags=flags)


def _warnings(inside: list[Text], outside: list[Text], length: int, model: nn.Module) -> tuple[Flag, ...]:
    """Say what of the texts was not read, and what of them was read but not scored."""
    texts, flags = [*inside, *outside], list[Flag]()
    cut = [text for text in texts if text.cut]
    if cut:
        seen = {text.ids.tobytes() for text in inside}
        alike = sum(text.ids.tobytes() in seen for text in outside)
        same = f" {alike} non-members read exactly like a member, so that no attack can tell them." if alike else ""
        limit = "the model's own length" if length >= longest(model) else "raise length=... (--length)"
        flags.append(Flag(
            "cut-texts",
            f"{len(cut)} of {len(texts)} texts are longer than {length} tokens; {sum(text.cut for text in cut)} of "
            f"{sum(len(text.whole) for text in texts)} tokens were not read ({limit}).{same}",
        ))  # fmt: skip
    prompts = sum(text.start > 1 for text in texts)
    if prompts:
        total = sum(len(text.ids) - text.start for text in texts)
        text = f"Answers alone are scored: {total} tokens of {len(texts)} texts, {prompts} of them behind a prompt."
        flags.append(Flag("answers-scored", text))
    return tuple(flags)


def _token_attacks(loss: TokenLoss, model: nn.Module | None, config: AuditConfig) -> ExtraAttacks:
    """Return what computes the attacks on tokens, once a released model was evaluated."""
    known: list[tuple[LossTable, Tokens]] = []

    def attacks(evaluator: ModelEvaluator, released: LossTable) -> dict[str, AttackResult | NotComputed]:
        resampling = Resampling(**config.resampling)
        n, found = len(evaluator.mask), loss.take()
        done: dict[str, AttackResult | NotComputed] = {
            "min-k": min_k(released, found.lowest[None][:, -n:], resampling=resampling),
            "min-k++": min_k(released, found.normalised[None][:, -n:], normalised=True, resampling=resampling),
        }
        if model is None:
            lacking = NotComputed("Needs reference=...: a model that has not seen the members, such as the base model.")
            return {**done, "reference": lacking, "wbc": lacking}
        if not known:
            table = evaluator.table_of(model, quantizer="reference")
            known.append((table, loss.take()))
        table, reference = known[0]
        done["reference"] = _doubted(against_reference(released, table, resampling=resampling), table, model)
        done["wbc"] = by_windows(released, found.logp[-n:], reference.logp[-n:], resampling=resampling)
        return done

    return attacks


def _doubted(found: AttackResult, table: LossTable, reference: nn.Module) -> AttackResult:
    """Return an attack, flagged where its reference tells tokens worse than guessing: it may know other ones."""
    loss, guessed = float(np.median(table.released)), float(np.log(vocabulary_of(reference)))
    if loss <= guessed:
        return found
    text = (
        f"The reference tells tokens worse than guessing would (median loss {loss:.3g}, of guessing {guessed:.3g}): it "
        "may have another tokenizer. Both must read the same tokens."
    )
    return replace(found, flags=(*found.flags, Flag("poor-reference", text)))


def _with_perplexity(row: QuantizerRow) -> QuantizerRow:
    """Return the row with exp(mean token loss), averaged over texts and not over tokens."""
    if not isinstance(loss := row.metrics["loss"], Estimate):
        return row
    found = loss.mapped(np.exp, unit="texts", method="exp of the mean loss of texts", flags=())
    return replace(row, metrics={**row.metrics, "perplexity": found})


def _records(texts: list[Text], vocabulary: int, logits: int) -> Records:
    """Return texts as batches, each padded on the right to its longest; a record is told by its whole text."""
    batches = token_batches(texts, vocabulary, logits=logits)
    counts = np.stack([np.bincount(text.ids % BUCKETS, minlength=BUCKETS) for text in texts])
    lengths = counts.sum(1, keepdims=True)
    # Share of tokens in each bucket, and the length: what a comparison of texts looks at.
    return Records(batches, np.hstack([counts / lengths, lengths]), digests_of(text.whole for text in texts))
