"""Write down what every stage computes now: ``python -m tests.golden``, after its number was raised."""

import json
from pathlib import Path

from leaq.study.stages import STAGES
from tests.golden.stages import all_stages

if __name__ == "__main__":
    place = Path(__file__).with_name("stages.json")
    written = {name: {"number": STAGES[name], "values": values} for name, values in all_stages().items()}
    place.write_text(json.dumps(written, indent=1) + "\n")
