"""The OpenAI-compatible API: passes requests on to the model, records every exchange, takes feedback."""
