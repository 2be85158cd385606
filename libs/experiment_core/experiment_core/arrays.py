"""Names for the arrays that columns of rows are kept in, and their inner product."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def inner(a: Floats, b: Floats) -> float:
    """The sum of products, the same to the last digit on every machine.

    `a @ b` calls BLAS, whose threads cut the sum differently from one number of cores to the next.
    """
    return float(np.einsum("i,i->", a, b))
