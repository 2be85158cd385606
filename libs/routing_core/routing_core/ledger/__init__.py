"""The lease ledger: budgets that hold because every call reserves its worst case from a slice it was granted."""
