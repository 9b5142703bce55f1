import json

import pytest

from leaq.errors import InvalidInput
from leaq.training.recording import Recorder, RecorderConfig
from tests.unit.training.recording.cases import zero


def test_unknown_options_are_named_and_configurations_survive_a_round_trip():
    with pytest.raises(InvalidInput, match="unknown option 'evry'. Did you mean 'every'"):
        Recorder(zero(), evry=3)
    config = RecorderConfig(every=3, by="log", spacing="equal")
    assert RecorderConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
