import numpy as np
import pytest

from leaq.models.nets.layout import COUNTS, SLOT, packed


def test_a_row_holds_two_counts_the_atoms_the_bonds_and_zeros(rng):
    atoms = [rng.normal(size=(count, SLOT)) for count in (3, 1, 0)]
    bonds = [rng.normal(size=(count, SLOT)) for count in (4, 0, 0)]
    rows = packed(atoms, bonds)
    assert rows.shape == (3, COUNTS + SLOT * 7)
    assert rows.dtype == np.float32
    for row, a, e in zip(rows, atoms, bonds, strict=True):
        n, m = (int(count) for count in row[:COUNTS])
        assert (n, m) == (len(a), len(e))
        slots = row[COUNTS:].reshape(-1, SLOT)
        np.testing.assert_array_equal(slots[:n], a.astype(np.float32))
        np.testing.assert_array_equal(slots[n : n + m], e.astype(np.float32))
        assert not slots[n + m :].any()


def test_nothing_is_packed_as_nothing_and_halves_of_molecules_are_refused():
    assert packed([], []).shape == (0, COUNTS)
    with pytest.raises(ValueError, match="zip"):
        packed([np.ones((1, SLOT))], [])
