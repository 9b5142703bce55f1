"""The other end of `leaq.embedders.parallel`: ``python -m leaq.embedders.worker [module, class, options]``."""

import importlib
import json
import sys

from leaq.embedders.parallel import answer_requests

if __name__ == "__main__":
    module, name, options = json.loads(sys.argv[1])
    answer_requests(getattr(importlib.import_module(module), name)(**options), sys.stdin.buffer, sys.stdout.buffer)
