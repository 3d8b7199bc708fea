"""Compiles the hot modules where Cython and a C compiler are at hand; otherwise they run interpreted.

A build that can't compile says so in one line and goes on: the same source runs either way.
"""

import sys
import textwrap
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

PACKAGES = ("proxy", "policies", "audit")
DIRECTIVES = {"language_level": 3, "annotation_typing": False}


def note(reason: object) -> None:
    cause = textwrap.shorten(str(reason), 80)
    sys.stderr.write(f"pgwarden: hot modules are not compiled and run interpreted ({cause})\n")


def hot_sources() -> list[Path]:
    """Modules with types for Cython beside them, but those whose .pxd is code, which is compiled into others."""
    typed = (path for package in PACKAGES for path in Path(package).rglob("*.pxd") if not is_inline(path))
    return sorted(path.with_suffix(".py") for path in typed if path.with_suffix(".py").exists())


def is_inline(types: Path) -> bool:
    return "cdef inline" in types.read_text("utf-8")


def extensions() -> list[Extension]:
    try:
        from Cython.Build import cythonize
    except ImportError:
        note("Cython is not installed")
        return []
    named = [(".".join(path.with_suffix("").parts), str(path)) for path in hot_sources()]
    sources = [Extension(name, [path], optional=True) for name, path in named]
    try:
        return cythonize(sources, compiler_directives=DIRECTIVES, quiet=True)
    except Exception as error:  # noqa: BLE001 - whatever it trips over, interpreting is always possible
        note(error)
        return []


class OptionalBuild(build_ext):
    """Builds all extensions or none, so that a half-compiled package doesn't come about."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:  # noqa: BLE001 - no fault of a compiler may fail the install
            self.give_up(error)

    def build_extension(self, ext: Extension) -> None:
        # Over setuptools' own handling of `optional`, which would go on with the other extensions.
        ext.optional = False
        super().build_extension(ext)

    def give_up(self, error: Exception) -> None:
        note(error)
        for ext in self.extensions:
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
        self.extensions = []


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuild})
