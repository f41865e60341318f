"""The proof: what was decided can be sequenced, witnessed, taken away, decided again, and erased on the record."""
