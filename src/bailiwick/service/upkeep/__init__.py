"""Upkeep: what is found again, lifted, decided anew and compared without anybody asking."""
