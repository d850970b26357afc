# pyright: basic
"""One sampling process of the local engine: ``python -m loopwise.engine.embedded.worker FD``.

Answers shards over an inherited socket, one at a time, and ends when the socket closes, so that it cannot outlive its
parent even when that is killed.
"""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from loopwise.engine.embedded.chat import Chat
from loopwise.engine.embedded.model import Model
from loopwise.engine.embedded.sampler import Sampler, sample_all
from loopwise.engine.embedded.weights import load
from loopwise.errors import EngineError

KEPT_MODELS = 4


class _Models:
    """Loaded models by folder; a folder is immutable, so it is read once."""

    def __init__(self) -> None:
        self._loaded: dict[Path, tuple[Model, Chat]] = {}

    def get(self, folder: Path) -> tuple[Model, Chat]:
        if folder not in self._loaded:
            while len(self._loaded) >= KEPT_MODELS:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[folder] = (Model(load(folder)), Chat(folder))
        return self._loaded[folder]


def serve(connection: Connection) -> None:
    """Answers each (shard, folder, prompts, params, first prompt) with (shard, completions or an EngineError)."""
    models = _Models()
    while True:
        try:
            shard, folder, prompts, params, first_prompt = connection.recv()
        except EOFError:
            return
        try:
            model, chat = models.get(folder)
            if prompts is None:
                answer = model.fingerprint
            else:
                ids = [chat.prompt_ids(messages) for messages in prompts]
                answer = sample_all(Sampler(model, chat), ids, params, first_prompt)
        except EngineError as error:
            answer = error
        try:
            connection.send((shard, answer))
        except BrokenPipeError:
            return


if __name__ == "__main__":
    torch.set_num_threads(1)
    serve(Connection(int(sys.argv[1])))
