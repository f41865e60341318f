"""Deterministic simulation: the real platform, workers and keeper in one virtual world, with faults at every boundary."""

from bailiwick.testing.simulation.faults import CAN, Fault, Point, parse_plan, plan_text
from bailiwick.testing.simulation.oracles import Violation
from bailiwick.testing.simulation.seed import Result, Switches, simulate

__all__ = ["CAN", "Fault", "Point", "Result", "Switches", "Violation", "parse_plan", "plan_text", "simulate"]
