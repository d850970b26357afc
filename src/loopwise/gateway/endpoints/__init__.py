"""The calls that are passed on to a model, one file each: what is checked, and how a stream is put together."""

from loopwise.gateway.endpoints.chat import CHAT
from loopwise.gateway.endpoints.completions import COMPLETIONS
from loopwise.gateway.endpoints.embeddings import EMBEDDINGS
from loopwise.gateway.endpoints.endpoint import Assembly, Endpoint
from loopwise.gateway.endpoints.responses import RESPONSES

ENDPOINTS = (CHAT, COMPLETIONS, RESPONSES, EMBEDDINGS)

__all__ = ["EMBEDDINGS", "ENDPOINTS", "RESPONSES", "Assembly", "Endpoint"]
