"""Cython kernels, one job a file.  Compiled code is required: there is no slow twin to fall to."""

try:
    from ext import panes as panes
except ImportError as error:  # pragma: no cover - seen only on a broken installation
    raise ImportError(
        "the compiled kernels of City Vitals are missing: run `pip install -e .` "
        "in the checkout, with a C compiler and Python's headers installed"
    ) from error
