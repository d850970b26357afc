# pyright: basic
"""One thread that samples for a server: several releases in memory at once, each with a running batch of its own."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import torch

from loopwise.engine.embedded.chat import Chat
from loopwise.engine.embedded.model import Model
from loopwise.engine.embedded.releases import release_folder
from loopwise.engine.embedded.sampler import Request, Sampler, Token
from loopwise.engine.embedded.weights import load
from loopwise.errors import EngineError
from loopwise.types import Message, SamplingParams

KEPT_RELEASES = 4


@dataclass(frozen=True)
class Started:
    """The first event of a job. From here on its release is fixed, whatever is loaded later."""

    fingerprint: str
    prompt_tokens: int
    token_text: Callable[[int], str]


@dataclass(frozen=True)
class Finished:
    """The last event of a job: the request with all its completions."""

    request: Request


Event = Started | Token | Finished | EngineError


@dataclass(frozen=True)
class _Resident:
    sampler: Sampler
    chat: Chat
    fingerprint: str


class Job:
    """One chat request on its way; its events arrive in ``events``, on the loop that made it."""

    def __init__(self, release: str, messages: Sequence[Message], params: SamplingParams, stream: bool):
        self.release, self.messages, self.params, self.stream = release, messages, params, stream
        self.loop = asyncio.get_running_loop()
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.running: tuple[Sampler, Request] | None = None  # set and read by the sampling thread alone


class Serving:
    """Owns the sampling thread. All public methods may be called from any other thread."""

    def __init__(self, models: Path, threads: int = 1):
        self._models, self._threads = models, threads
        self._residents: OrderedDict[str, _Resident] = OrderedDict()  # least recently used first
        self._known: dict[str, str] = {}  # the fingerprint of each release ever loaded
        self._commands: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._outbox: list[tuple[Job, Event]] = []
        self._thread = threading.Thread(target=self._run, name="loopwise-sampling", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after its current step; what still runs is dropped."""
        self._commands.put(None)
        self._thread.join()

    def submit(self, job: Job) -> None:
        """Queues a job: its events are Started, then Tokens when it streams, then Finished; or one EngineError."""
        self._commands.put(lambda: self._admit(job))

    def cancel(self, job: Job) -> None:
        """Drops a job, whether it waits, runs or has ended."""
        self._commands.put(lambda: self._drop(job))

    def fingerprints(self) -> dict[str, str]:
        """Name and fingerprint of each release in memory."""
        return {name: resident.fingerprint for name, resident in self._residents.copy().items()}

    def rows(self) -> int:
        """How many completions are running now, over all releases."""
        return sum(resident.sampler.rows for resident in self._residents.copy().values())

    def _run(self) -> None:
        torch.set_num_threads(self._threads)
        while True:
            busy = [resident.sampler for resident in self._residents.values() if not resident.sampler.idle]
            while not busy or not self._commands.empty():
                command = self._commands.get()
                if command is None:
                    return
                command()
                busy = [resident.sampler for resident in self._residents.values() if not resident.sampler.idle]
                if not busy:
                    self._deliver()
            for sampler in busy:
                sampler.step()
            self._deliver()

    def _admit(self, job: Job) -> None:
        try:
            resident = self._resident(job.release)
            prompt_ids = resident.chat.prompt_ids(job.messages)
            request = resident.sampler.add(
                prompt_ids,
                job.params,
                on_token=(lambda token: self._outbox.append((job, token))) if job.stream else None,
                on_done=lambda request: self._outbox.append((job, Finished(request))),
            )
        except EngineError as error:
            self._outbox.append((job, error))
            return
        job.running = (resident.sampler, request)
        started = Started(resident.fingerprint, len(prompt_ids), resident.chat.token_text)
        self._outbox.append((job, started))

    def _drop(self, job: Job) -> None:
        if job.running is not None:
            sampler, request = job.running
            sampler.cancel(request)

    def _resident(self, release: str) -> _Resident:
        if release not in self._residents:
            self._residents[release] = self._load(release)
            idle = [name for name, resident in self._residents.items() if resident.sampler.idle and name != release]
            for name in idle[: max(0, len(self._residents) - KEPT_RELEASES)]:
                del self._residents[name]
        self._residents.move_to_end(release)
        return self._residents[release]

    def _load(self, release: str) -> _Resident:
        folder = release_folder(self._models, release)
        model, chat = Model(load(folder)), Chat(folder)
        if self._known.setdefault(release, model.fingerprint) != model.fingerprint:
            raise EngineError(
                f"The folder of release {release!r} has changed since it was first served, from {self._known[release]} "
                f"to {model.fingerprint}; releases are immutable: put the new weights under a new name.",
                status=409,
            )
        return _Resident(Sampler(model, chat), chat, model.fingerprint)

    def _deliver(self) -> None:
        """Hands events over, one wake-up for each loop rather than for each token."""
        outbox, self._outbox = self._outbox, []
        for loop in {job.loop for job, _ in outbox}:
            mine = [(job, event) for job, event in outbox if job.loop is loop]
            if not loop.is_closed():
                loop.call_soon_threadsafe(_put_all, mine)


def _put_all(events: list[tuple[Job, Event]]) -> None:
    for job, event in events:
        job.events.put_nowait(event)
