"""Runs suites that others wrote, directly and through pgwarden under the allow-everything policy, and compares.

A test that passes directly and fails through pgwarden is a bug of ours or a line in known.yaml with its reason.
"""
