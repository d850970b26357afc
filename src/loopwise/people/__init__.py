"""Simulated people with known truth. They speak HTTP only, like anybody's product."""

from loopwise.people.population import Person, population
from loopwise.people.simulate import Address, Counts, simulate

__all__ = ["Address", "Counts", "Person", "population", "simulate"]
