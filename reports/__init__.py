"""Reads the ledger with DuckDB and never writes a table."""
