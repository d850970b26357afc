"""A gateway on a real port, in front of a real OpenAI-shaped server: the fixtures that several rooms' tests share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import openai
import pytest

from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import Upstream
from loopwise.release.transitions import promote, register
from loopwise.store import Store, exchanges
from loopwise.types import Exchange, Release
from scripted import FINGERPRINTS, Model, model_app, serving


@pytest.fixture(scope="session")
def model_server() -> Iterator[Model]:
    model = Model()
    with serving(model_app(model)) as model.url:
        yield model


@pytest.fixture
def model(model_server: Model) -> Model:
    model_server.reset()
    return model_server


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store with nothing in it: to copy it is faster than to make the tables."""
    folder = tmp_path_factory.mktemp("empty_store")
    Store("sqlite:///loopwise.db", folder, create=True).close()
    return folder / "loopwise.db"


@pytest.fixture(scope="session")
def store_with_champion(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store in which tiny@0 is champion and tiny@1 waits."""
    folder = tmp_path_factory.mktemp("store_with_champion")
    store = Store("sqlite:///loopwise.db", Path(shutil.copy(empty_store, folder)).parent)
    for at, (name, fingerprint) in enumerate(FINGERPRINTS.items()):
        register(
            store, Release(name, "candidate", None, None, fingerprint, f"models/{name}", float(at)), "test", "made"
        )
    promote(store, "tiny@0", "test", "the base")
    store.close()
    return folder / "loopwise.db"


@pytest.fixture
def store(store_with_champion: Path, tmp_path: Path) -> Iterator[Store]:
    """A store in which tiny@0 is champion and tiny@1 waits."""
    shutil.copy(store_with_champion, tmp_path)
    store = Store("sqlite:///loopwise.db", tmp_path)
    yield store
    store.close()


@pytest.fixture
def gateway(store: Store, model: Model) -> Iterator[str]:
    with serving(create_app(store, Upstream(model.url, None, "embedded", "tiny"))) as url:
        yield url


@pytest.fixture
def remote_gateway(store: Store, model: Model) -> Iterator[str]:
    """In front of a server that is not ours."""
    with serving(create_app(store, Upstream(model.url + "/v1", "secret", "openai", "their-model"))) as url:
        yield url


@pytest.fixture
def serve_before(store: Store) -> Callable[[str], AbstractContextManager[str]]:
    """Serves the gateway in front of a given address."""
    return lambda url: serving(create_app(store, Upstream(url, None, "embedded", "tiny")))


@pytest.fixture
def serve_store(model: Model) -> Callable[[Store], AbstractContextManager[str]]:
    """Serves the gateway over a given store."""
    return lambda store: serving(create_app(store, Upstream(model.url, None, "embedded", "tiny")))


@pytest.fixture
def serve_whole() -> Callable[[Store, str], AbstractContextManager[str]]:
    """Serves the gateway over a given store in front of a given address."""
    return lambda store, url: serving(create_app(store, Upstream(url, None, "embedded", "tiny")))


@pytest.fixture
def client(gateway: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def recorded(store: Store) -> Callable[[], list[Exchange]]:
    """What the store holds."""

    def read() -> list[Exchange]:
        with store.reading() as conn:
            return [exchange for _, exchange in exchanges.up_to(conn, exchanges.watermark(conn))]

    return read
