"""The embedded default: a small real model, its tokenizer, its corpus and the recipe that made it."""

from pathlib import Path

MODEL = Path(__file__).parent / "model"  # the Hugging Face folder
ANCHORS = Path(__file__).parent / "anchors.jsonl"  # the part of its corpus that keeps alive what is not practised
