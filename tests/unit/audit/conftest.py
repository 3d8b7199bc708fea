from audit_store import store, store_dsn, store_server

__all__ = ["store", "store_dsn", "store_server"]
