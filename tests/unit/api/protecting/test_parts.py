from dataclasses import replace

import numpy as np
import pytest

from leaq.api.protecting.parts import Parts
from leaq.data import load
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.preparing import prepare


@pytest.mark.parametrize("given", [False, True])
def test_parts_share_no_record_and_together_are_all(given):
    samples, config = prepare(AuditConfig(source="breast_cancer"))
    if given:
        known, own = samples.take(np.arange(0, 200)), samples.take(np.arange(100, 569))
        samples = replace(own, public=known)
    parts = Parts.of(samples, config)
    ids = [set(part.ids.tolist()) for part in (parts.pool, parts.choosing, parts.public)]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 569
    assert len(parts.whole) == len(parts.pool) + len(parts.choosing)
    assert parts.pool.public is parts.public
    if given:
        assert ids[2] == set(range(1, 101))  # rows 101 to 200 are asked about, so they are not public
    assert 0.15 < len(parts.choosing) / len(samples) < 0.25


def test_the_audit_is_of_new_models_under_the_chosen_release(protected):
    labels = {row.quantizer for row in protected.audit.rows}
    assert labels == {"none", protected.quantizer}
    assert protected.audit.config["seed"] == 1
    assert protected.audit.config["training"]["standardise"] == "public"
    assert "chosen" in {flag.code for flag in protected.audit.flags}
    n = protected.audit.data["n"]
    assert n == len(Parts.of(load("breast_cancer"), AuditConfig(source="x.csv")).pool)
