from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from loopwise.engine.embedded.model import Cache, Model
from loopwise.engine.embedded.weights import load

LENGTHS = (3, 11, 7)


@pytest.fixture(params=["tiny@0", "llama"])
def folder(request: pytest.FixtureRequest, models: Path) -> Path:
    return models / request.param


@torch.inference_mode()
def test_prefill_and_decode_give_hugging_face_s_logits_for_rows_of_different_lengths(folder: Path) -> None:
    model, reference = Model(load(folder)), AutoModelForCausalLM.from_pretrained(folder)
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(0, model.shape.vocabulary, (length + 20,), generator=generator) for length in LENGTHS]
    expected = [reference(input_ids=ids[None]).logits[0] for ids in prompts]

    cache, lengths_R = Cache(model.shape, rows=1, positions=8), torch.tensor(LENGTHS)
    cache.reserve(3, max(LENGTHS))
    ids_RT = torch.zeros(3, max(LENGTHS), dtype=torch.long)
    for row, (ids, length) in enumerate(zip(prompts, LENGTHS, strict=True)):
        ids_RT[row, :length] = ids[:length]
    logits_RV = model.prefill(ids_RT, lengths_R, cache, 0)
    for step in range(20):
        for row, length in enumerate(LENGTHS):
            torch.testing.assert_close(logits_RV[row], expected[row][length - 1 + step], atol=2e-4, rtol=2e-4)
        longest = max(LENGTHS) + step
        cache.reserve(3, longest + 1)
        last_R = torch.stack([ids[length + step] for ids, length in zip(prompts, LENGTHS, strict=True)])
        logits_RV = model.decode(last_R, lengths_R + step, longest, cache)


def test_a_growing_cache_keeps_what_it_holds(folder: Path) -> None:
    cache = Cache(load(folder).shape, rows=2, positions=4)
    cache.kv.normal_(generator=torch.Generator().manual_seed(0))
    before = cache.kv.clone()
    cache.reserve(5, 30)
    assert cache.kv.shape[2] == 8
    assert cache.kv.shape[4] == 32
    assert torch.equal(cache.kv[:, :, :2, :, :4], before)
