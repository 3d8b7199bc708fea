"""PostgreSQL's own regression SELECTs, read twice by the compiler and run on a server."""
