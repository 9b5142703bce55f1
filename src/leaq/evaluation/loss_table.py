"""The loss table of one release, with the ingredients that attacks ask for: one call, whatever the models read."""

from leaq.evaluation.tables import evaluate_checkpoints, with_numbers, with_whitebox
from leaq.evaluation.texts import LanguageModel, evaluate_texts
from leaq.models.protocols import Model
from leaq.types import Bools, Checkpoints, LossTable, Samples


def loss_table(  # noqa: PLR0913 - what a table is made of
    model: Model,
    candidates: Checkpoints,
    samples: Samples,
    members: Bools,
    *,
    quantizer: str = "none",
    whitebox: bool = False,
    numbers: bool = False,
    codes: bool = False,
) -> LossTable:
    """Return the losses of quantized candidates, batch (s, c), and what is asked for beside them.

    Parameters
    ----------
    whitebox : add statistics of the loss gradients, of models that have them (language models have none here).
    numbers : add what the released file holds beside codes.
    codes : and what the first layer's codes make of each record.
    """
    if isinstance(model, LanguageModel):
        table = evaluate_texts(model, candidates, samples, members, quantizer=quantizer)
    else:
        table = evaluate_checkpoints(model, candidates, samples, members, quantizer=quantizer)
        table = with_whitebox(table, model, candidates, samples) if whitebox else table
    return with_numbers(table, candidates, samples, codes=codes) if numbers else table
