"""Tells which build of the hot modules runs: compiled by Cython or interpreted. Knows nothing else."""

from importlib.machinery import EXTENSION_SUFFIXES

from proxy.wire import frames, rows


def is_compiled() -> bool:
    """Whether both hot modules, `frames` and `rows`, are compiled."""
    return all((module.__file__ or "").endswith(tuple(EXTENSION_SUFFIXES)) for module in (frames, rows))
