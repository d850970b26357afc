# pyright: basic
"""The embedded model as an OpenAI-compatible server: ``python -m loopwise.engine.embedded.server --models DIR``.

Every folder under DIR is a release; a request names one as its ``model``, and it is loaded on first use. For loopback
only: there is no authentication here, that is the gateway's.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from loopwise.engine.embedded.releases import available, release_folder
from loopwise.engine.embedded.sampler import Token
from loopwise.engine.embedded.serving import Finished, Job, Serving, Started
from loopwise.engine.embedded.weights import fingerprint
from loopwise.engine.embedded.wire.answer import DONE, Answer, error_body
from loopwise.engine.embedded.wire.asked import Asked, parse
from loopwise.engine.embedded.wire.chat import ChatRequest
from loopwise.engine.embedded.wire.completions import CompletionRequest
from loopwise.errors import EngineError

MAX_BODY_BYTES = 4 * 2**20


def create_app(models: Path, threads: int = 1) -> Starlette:
    """The server's routes over the releases in ``models``; sampling runs in one thread of its own."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        serving = Serving(models, threads)
        serving.start()
        app.state.serving, app.state.models = serving, models
        yield
        await asyncio.to_thread(serving.stop)

    routes = [
        Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        Route("/v1/completions", completions, methods=["POST"]),
        Route("/v1/models", list_models),
        Route("/healthz", healthz),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={EngineError: _refuse})


async def chat_completions(http: HttpRequest) -> Response:
    """OpenAI's chat completions, whole or as a stream."""
    return await _complete(http, parse(ChatRequest, await _body(http)))


async def completions(http: HttpRequest) -> Response:
    """OpenAI's completions of raw text, whole or as a stream."""
    return await _complete(http, parse(CompletionRequest, await _body(http)))


async def list_models(http: HttpRequest) -> Response:
    """Every release, with its fingerprint and whether it is in memory."""
    models: Path = http.app.state.models
    resident = http.app.state.serving.fingerprints()
    rows = []
    for name in sorted({*available(models), *resident}):
        print_ = resident.get(name) or await asyncio.to_thread(_folder_fingerprint, models, name)
        rows.append(
            {
                "id": name,
                "object": "model",
                "created": 0,
                "owned_by": "loopwise",
                "fingerprint": print_,
                "resident": name in resident,
            }
        )
    return JSONResponse({"object": "list", "data": rows})


async def healthz(http: HttpRequest) -> Response:
    """Says that the process answers, and how many completions it is sampling."""
    return JSONResponse({"status": "ok", "running": http.app.state.serving.rows()})


async def _complete(http: HttpRequest, asked: Asked) -> Response:
    serving: Serving = http.app.state.serving
    job = Job(asked.model, asked.prompts, asked.params(), bool(asked.stream))
    serving.submit(job)
    started = await job.events.get()
    if isinstance(started, EngineError):
        raise started
    assert isinstance(started, Started)
    answer = asked.answer(started)
    if asked.stream:
        return StreamingResponse(_stream(serving, job, answer, asked.with_usage), media_type="text/event-stream")
    finished = await _finished_or_gone(http, job)
    if finished is None:
        serving.cancel(job)
        return Response(status_code=499)
    return JSONResponse(answer.whole(finished.requests))


async def _body(http: HttpRequest) -> bytes:
    chunks, size = [], 0
    async for chunk in http.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise EngineError(f"The request is larger than {MAX_BODY_BYTES} bytes.", status=413)
        chunks.append(chunk)
    return b"".join(chunks)


async def _finished_or_gone(http: HttpRequest, job: Job) -> Finished | None:
    """The job's end, or None when the client went away first."""
    end = asyncio.ensure_future(job.events.get())
    gone = asyncio.ensure_future(http.receive())  # the body is read: what comes now can only be the disconnect
    try:
        await asyncio.wait((end, gone), return_when=asyncio.FIRST_COMPLETED)
        if end.done():
            finished = end.result()
            assert isinstance(finished, Finished)
            return finished
        return None
    finally:
        end.cancel()
        gone.cancel()


async def _stream(serving: Serving, job: Job, answer: Answer, with_usage: bool) -> AsyncIterator[bytes]:
    tokens = 0
    try:
        for chunk in answer.opening_chunks():
            yield chunk
        while isinstance(event := await job.events.get(), Token):
            tokens += 1
            yield answer.token_chunk(event)
        if with_usage:
            yield answer.usage_chunk(tokens)
        yield DONE
    finally:
        serving.cancel(job)  # does nothing to a job that has ended


async def _refuse(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, EngineError)
    return JSONResponse(error_body(error), status_code=error.status or 500)


@lru_cache(maxsize=256)
def _folder_fingerprint(models: Path, name: str) -> str:
    return fingerprint(release_folder(models, name))


def serve(models: Path, host: str, port: int) -> None:
    """Serves until the process is told to stop."""
    uvicorn.run(create_app(models), host=host, port=port, log_level="warning", access_log=False)


def main() -> None:
    """Reads the command line and serves."""
    parser = argparse.ArgumentParser(prog="python -m loopwise.engine.embedded.server", description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder with one model folder per release")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    serve(arguments.models, arguments.host, arguments.port)


if __name__ == "__main__":
    main()
