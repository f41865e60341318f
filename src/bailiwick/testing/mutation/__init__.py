"""Mutation: our own code and SQL are broken in one place at a time, and some test must notice."""

from bailiwick.testing.mutation.terms import Mutant, mutants_of

__all__ = ["Mutant", "mutants_of"]
