"""Simulated people with known truth. They speak HTTP only, like anybody's product: see ``docs/simulate.md``."""

from loopwise.people.asking import Address
from loopwise.people.plan import Use
from loopwise.people.population import Person, population
from loopwise.people.settings import PopulationSettings, built_in, load
from loopwise.people.simulate import simulate
from loopwise.people.tally import Counts

__all__ = ["Address", "Counts", "Person", "PopulationSettings", "Use", "built_in", "load", "population", "simulate"]
