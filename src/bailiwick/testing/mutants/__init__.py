"""Mutants: planted bugs that the simulation must find; each is a patch applied while it runs, and nowhere else."""

from bailiwick.testing.mutants.planted import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant"]
