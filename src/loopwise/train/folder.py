# pyright: basic
"""Writes a candidate's model folder whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedModel

from loopwise.engine.embedded.weights import fingerprint
from loopwise.errors import StoreError

_WEIGHTS = (".safetensors", ".index.json", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack")
_CODE = (".py", ".pyc")


def write(model: PreTrainedModel, parent: Path, out: Path, check: Callable[[str], None]) -> str:
    """Saves ``model`` as ``out``, with the configuration, tokenizer and chat template of ``parent`` byte by byte.

    ``check`` is given the new fingerprint before the folder appears, and may raise. The folder is made under a
    temporary name next to ``out`` and renamed, so a process killed midway leaves nothing half-made. Returns the
    fingerprint. Raises StoreError when ``out`` already holds other weights: a released name never changes what it
    stands for.
    """
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        model.save_pretrained(partial, safe_serialization=True)
        for file in parent.iterdir():
            if file.is_file() and not file.name.endswith(_WEIGHTS + _CODE):
                shutil.copyfile(file, partial / file.name)
        made = fingerprint(partial)
        check(made)
        if not out.exists():
            partial.rename(out)
        elif fingerprint(out) != made:
            raise StoreError(
                f"The folder {out} already holds other weights ({fingerprint(out)[:19]}…): give the candidate another "
                "name, or remove the folder if no release uses it."
            )
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return made
