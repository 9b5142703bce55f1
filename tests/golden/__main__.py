"""Write down what every stage computes now, and the defaults: ``python -m tests.golden``, after a number was raised."""

import json
from pathlib import Path

from leaq.study.stages import STAGES
from tests.golden.stages import all_stages, defaults

if __name__ == "__main__":
    here = Path(__file__).parent
    written = {name: {"number": STAGES[name], "values": values} for name, values in all_stages().items()}
    (here / "stages.json").write_text(json.dumps(written, indent=1) + "\n")
    (here / "defaults.json").write_text(json.dumps(defaults(), indent=1) + "\n")
