"""The embedded default: a small real model, its tokenizer, its corpus and the recipe that made it."""
