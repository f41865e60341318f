"""Peers: the same chain of five durable steps on what others ship, in interpreters of their own, in the same minutes."""

from bailiwick.testing.bench.peers.compare import PEERS, compare, compared

__all__ = ["PEERS", "compare", "compared"]
