"""Attacks on language models from token losses: calibration by a reference model, and Min-K%.

Sources: Watson, Guo, Cormode, Sablayrolles, "On the Importance of Difficulty Calibration in Membership Inference
Attacks" (arXiv 2111.08440v2), section 3; Shi et al., "Detecting Pretraining Data from Large Language Models"
(arXiv 2310.16789v3), section 3 (Min-K% Prob).
"""

from leaq.attacks.scoring import Attack, Protocol, attack_result
from leaq.errors import InvalidInput
from leaq.types import AttackResult, Floats, LossTable

__all__ = ["against_reference", "min_k"]

TOLD = "is told which other texts are members, and takes the threshold from them"
REFERENCE = f"sees the quantized model's losses, and those of a reference model that has not seen the members; {TOLD}"
LOWEST = f"sees the quantized model's probability of every token; {TOLD}"


def against_reference(table: LossTable, reference: LossTable, *, protocol: Protocol | None = None) -> AttackResult:
    """Tell how well members are found by how much better the model does than a reference model.

    A text that is easy for everybody has a low loss without having been trained on; the difference takes that out.
    Direction: smaller is safer. Range: advantage in [-1, 1]. Do not trust when the reference has seen the members
    or is of quite another kind: the difference then says little.

    Parameters
    ----------
    table, reference : losses of the audited and of the reference model on the same records.
    """
    if table.released.shape != reference.released.shape:
        raise InvalidInput(
            f"against_reference: both models must be evaluated on the same records. Found {table.released.shape} and "
            f"{reference.released.shape}."
        )
    scores = reference.released - table.released
    targets = range(len(scores))
    return attack_result(
        Attack("reference", REFERENCE, labelled=True), table, scores, targets=targets, protocol=protocol or Protocol()
    )


def min_k(table: LossTable, lowest: Floats, *, protocol: Protocol | None = None) -> AttackResult:
    """Tell how well members are found by their least likely tokens: a text seen in training has few surprising ones.

    Direction: smaller is safer. Range: advantage in [-1, 1]. Do not trust a quiet result on short texts: 20 % of a
    few tokens is one token.

    Parameters
    ----------
    lowest : (s, n) mean log-probability of each record's least likely 20 % of tokens.
    """
    if lowest.shape != table.released.shape:
        raise InvalidInput(f"min_k: needs one value a record, {table.released.shape}. Found {lowest.shape}.")
    targets = range(len(lowest))
    return attack_result(
        Attack("min-k", LOWEST, labelled=True), table, lowest, targets=targets, protocol=protocol or Protocol()
    )
