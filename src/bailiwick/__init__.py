"""Bailiwick: a control plane and runtime that holds AI agents to their sphere and answers for what they did."""
