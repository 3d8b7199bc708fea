"""Writes: what INSERT, UPDATE, DELETE and MERGE may read, which rows they may reach, and what they give back.

A write's target can't be replaced by a guard. Its row filter stands in the write's condition instead, reads of masked
and blocked columns are refused, RETURNING is masked expression by expression, and rows that are written are held
against the filter in one more column of RETURNING that the client never sees. Triggers, rules, defaults and foreign
keys run as the server has them, with its own rights: they are the operator's code.
"""
