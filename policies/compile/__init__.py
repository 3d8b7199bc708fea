"""From a client's text and a policy to a Decision: read, hold against the rules in order, edit, verify, keep.

The only maker of Decisions. No sockets, no clock, no database: the catalog is a snapshot that is passed in.
"""

from policies.compile.compiler import Compiler

__all__ = ["Compiler"]
