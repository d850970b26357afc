"""Simulated people with known truth. They speak HTTP only, like anybody's product."""

from loopwise.people.population import Person, population
from loopwise.people.simulate import Counts, simulate

__all__ = ["Counts", "Person", "population", "simulate"]
