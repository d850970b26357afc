"""The local engine: weights, forward pass, sampler, worker processes and an OpenAI-compatible server."""
