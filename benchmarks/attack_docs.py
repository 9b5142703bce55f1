"""Put the catalogue of attacks into docs/attacks.md.

python benchmarks/attack_docs.py
"""

from pathlib import Path

from leaq.attacks.catalogue import BEGIN, END, markdown

PAGE = Path(__file__).parents[1] / "docs" / "attacks.md"

if __name__ == "__main__":
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{markdown()}\n{END}{rest.split(END)[1]}")
