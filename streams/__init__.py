"""Records in, alerts out: bytes become tables here; no rule lives here."""
