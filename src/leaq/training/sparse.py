"""Records of which nearly every number is 0, such as fingerprints, in front of a first layer: no product with zeros.

Of a 2,048-bit fingerprint of a small molecule 14 bits are set, and a dense product multiplies 146 zeros for each.
"""

import torch
from torch import Tensor, nn

SHARE = 0.05
"""Numbers that are not 0, at most, for which this is worth it: from about one in seven on a dense product is faster."""
FEWEST = 64
"""Records from which it is: the weights are written down once more, their columns first."""


def without_zeros(inputs: Tensor) -> Tensor:
    """Return records (n, d) as a sparse tensor where that is the faster one to multiply with, else as they are.

    Examples
    --------
    >>> without_zeros(torch.eye(100)).is_sparse, without_zeros(torch.ones(100, 100)).is_sparse
    (True, False)
    """
    few = inputs.ndim == 2 and len(inputs) >= FEWEST and inputs.device.type == "cpu" and not inputs.is_sparse
    if not few or int(torch.count_nonzero(inputs)) > SHARE * inputs.numel():
        return inputs
    return inputs.to_sparse()


class Sparse:
    """Standardised records, (x - mean) / scale, the same for all models: only what is not 0 of x is held.

    Parameters
    ----------
    x : sparse (n, d).
    mean, scale : (d,).

    Examples
    --------
    >>> x, mean, scale = torch.eye(2), torch.tensor([1.0, 0.0]), torch.tensor([1.0, 2.0])
    >>> Sparse(x.to_sparse(), mean, scale).times(torch.ones(1, 1, 2))[0, :, 0].tolist()
    [0.0, -0.5]
    """

    def __init__(self, x: Tensor, mean: Tensor, scale: Tensor) -> None:
        x = x.coalesce()
        rows, columns = x.indices()
        self._columns, self._mean = columns, mean / scale
        self._values = x.values() / scale[columns]
        self._x = torch.sparse_coo_tensor(x.indices(), self._values, x.shape, check_invariants=True).coalesce()
        self._rows = rows
        # Columns that are 0 in all records, and stay so when the mean is taken off, are not read.
        kept = self._mean != 0
        kept[columns] = True
        self._kept = kept.nonzero().flatten()
        starts = torch.bincount(rows, minlength=len(x)).cumsum(0).roll(1)
        starts[0] = 0
        self._bags = (kept.cumsum(0) - 1)[columns], starts

    def times(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return the products with the weights of m models (m, out, d), plus a bias (m, out), (m, n, out)."""
        m, out, d = weight.shape
        flat = weight.reshape(m * out, d)
        flat = flat if len(self._kept) == d else flat.index_select(1, self._kept)
        turned = flat.T.contiguous()  # a row of it a column of the records
        read, starts = self._bags
        found = nn.functional.embedding_bag(read, turned, starts, mode="sum", per_sample_weights=self._values)
        middle = self._mean[self._kept] @ turned
        found -= middle if bias is None else middle - bias.reshape(m * out)
        return found.reshape(-1, m, out).transpose(0, 1)

    def against(self, delta: Tensor) -> Tensor:
        """Return the sums over records of delta (m, n, out) times them, (m, out, d): a gradient by the weights."""
        m, n, out = delta.shape
        flat = delta.transpose(0, 1).reshape(n, m * out)
        found: Tensor = torch.sparse.mm(self._x.t(), flat) - torch.outer(self._mean, flat.sum(0))
        return found.reshape(-1, m, out).permute(1, 2, 0)

    def squares(self) -> Tensor:
        """Return the squared length of each record, (1, n)."""
        centre = self._mean[self._columns]
        moved = (self._values - centre).square() - centre.square()
        zeros = torch.zeros(self._x.shape[0], dtype=moved.dtype)
        return (zeros.index_add_(0, self._rows, moved) + self._mean.square().sum()).unsqueeze(0)
