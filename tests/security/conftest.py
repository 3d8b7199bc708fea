"""The canary shop's fixtures."""

from tests.fix_canaries import asker, canary_gateway, canary_shop

__all__ = ["asker", "canary_gateway", "canary_shop"]
