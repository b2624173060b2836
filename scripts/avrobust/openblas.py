"""Imported before numpy: lets OpenBLAS, numpy's and scipy's, compute alike on every x86-64 processor with AVX2 and FMA.

By default each takes the kernels of the processor, whose sums differ in the last bits. Most numbers are rounded further
than that, but a t-SNE comes out as another picture. OpenBLAS reads the environment when it is loaded; a value that it
has already is replaced, and a line in the log says so.
"""

import logging
import os

from avrobust.processor import has_common_instructions

NAME, KERNELS = "OPENBLAS_CORETYPE", "Haswell"

if has_common_instructions():
    if (given := os.environ.get(NAME, KERNELS)) != KERNELS:
        logging.getLogger(__name__).warning(
            "%s=%s of the environment is not taken: results are made with %s", NAME, given, KERNELS
        )
    os.environ[NAME] = KERNELS
