"""Attacks: LossTable in, AttackResult out. Torch-free; one paper a file; `registry` lists them, `scoring` judges them."""
