# pyright: basic
"""One thread that samples for a server: several releases in memory at once, each with a running batch of its own."""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

import torch

from loopwise.engine.embedded.chat import Chat
from loopwise.engine.embedded.model import Model
from loopwise.engine.embedded.releases import release_folder
from loopwise.engine.embedded.sampler import Request, Sampler, Token
from loopwise.engine.embedded.weights import load
from loopwise.errors import EngineError
from loopwise.types import SamplingParams

KEPT_RELEASES = 4


@dataclass(frozen=True)
class Started:
    """The first event of a job. From here on its release is fixed, whatever is loaded later."""

    fingerprint: str
    prompt_tokens: int
    choices: int  # n of each prompt
    chat: Chat


@dataclass(frozen=True)
class Finished:
    """The last event of a job: the request of each prompt, with all its completions."""

    requests: Sequence[Request]


Event = Started | Token | Finished | EngineError
Prompts = Callable[[Chat], Sequence[Sequence[int]]]


@dataclass(frozen=True)
class _Resident:
    sampler: Sampler
    chat: Chat
    fingerprint: str


class Job:
    """One call on its way; its events arrive in ``events``, on the loop that made it.

    ``prompts`` makes the token ids of each prompt, by the release's tokenizer; it runs in the sampling thread and may
    raise EngineError. Choices are numbered through: those of prompt i begin at i times ``params.n``.
    """

    def __init__(self, release: str, prompts: Prompts, params: SamplingParams, stream: bool):
        self.release, self.prompts, self.params, self.stream = release, prompts, params, stream
        self.loop = asyncio.get_running_loop()
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        # Set and read by the sampling thread alone:
        self.sampler: Sampler | None = None
        self.requests: list[Request] = []
        self.unfinished = 0


class Serving:
    """Owns the sampling thread. All public methods may be called from any other thread."""

    def __init__(self, models: Path, threads: int = 1):
        self._models, self._threads = models, threads
        self._residents: OrderedDict[str, _Resident] = OrderedDict()  # least recently used first
        self._known: dict[str, str] = {}  # the fingerprint of each release ever loaded
        self._commands: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._outbox: list[tuple[Job, Event]] = []
        self._thread = threading.Thread(target=self._run_or_exit, name="loopwise-sampling", daemon=True)

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

    def _run_or_exit(self) -> None:
        """An error of our own ends the process: an engine that answers nobody must not look alive."""
        ended = False
        try:
            self._run()
            ended = True
        finally:
            if not ended:
                traceback.print_exc()
                os._exit(os.EX_SOFTWARE)

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
            prompts = job.prompts(resident.chat)
            job.sampler, job.unfinished = resident.sampler, len(prompts)
            for prompt_ids in prompts:
                job.requests.append(self._add(job, resident.sampler, prompt_ids))
        except EngineError as error:
            self._drop(job)  # the prompts before the one that is refused
            self._outbox.append((job, error))
            return
        prompt_tokens = sum(len(prompt_ids) for prompt_ids in prompts)
        started = Started(resident.fingerprint, prompt_tokens, len(prompts) * job.params.n, resident.chat)
        self._outbox.append((job, started))

    def _add(self, job: Job, sampler: Sampler, prompt_ids: Sequence[int]) -> Request:
        first = len(job.requests) * job.params.n

        def on_token(token: Token) -> None:
            self._outbox.append((job, replace(token, choice=first + token.choice)))

        def on_done(request: Request) -> None:
            job.unfinished -= 1
            if job.unfinished == 0:
                self._outbox.append((job, Finished(job.requests)))

        return sampler.add(prompt_ids, job.params, first, on_token if job.stream else None, on_done)

    def _drop(self, job: Job) -> None:
        for request in job.requests:
            if job.sampler is not None and request.unfinished:
                job.sampler.cancel(request)

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
