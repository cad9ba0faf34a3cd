"""The only truth: append-only Delta tables that any engine reads, and the folds over them."""
