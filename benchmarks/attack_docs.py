"""Put the catalogue of attacks into docs/attacks.md.

python -m benchmarks.attack_docs
"""

from benchmarks.pages import DOCS, put
from leaq.attacks.registry import markdown

if __name__ == "__main__":
    put(DOCS / "attacks.md", "catalogue", markdown())
