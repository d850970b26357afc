"""Content-addressed files: a blob's name is the SHA-256 of its bytes, so equal content is stored once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from loopwise.errors import StoreError


class Blobs:
    """Blobs under ``root``, in folders by the first two hex digits."""

    def __init__(self, root: Path):
        self.root = root

    def put(self, content: bytes) -> str:
        """Writes ``content`` durably and returns its name, 64 hex digits."""
        name = hashlib.sha256(content).hexdigest()
        path = self._path(name)
        if path.exists():
            return name
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return name

    def get(self, name: str) -> bytes:
        """The bytes named ``name``. Raises StoreError when they are missing or altered on disk."""
        path = self._path(name)
        if not path.exists():
            raise StoreError(f"The blob {name} is missing from {self.root}: restore it from a backup.")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != name:
            raise StoreError(f"The blob {path} was altered on disk: restore it from a backup.")
        return content

    def _path(self, name: str) -> Path:
        return self.root / name[:2] / name
