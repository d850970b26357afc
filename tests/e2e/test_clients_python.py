"""The official Python client, unmodified, through the gateway to a server of somebody else's."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store, feedback
from loopwise.types import Exchange
from scripted import Model, serving

Recorded = Callable[[], list[Exchange]]

TOOL: Any = {
    "type": "function",
    "function": {"name": "note", "parameters": {"type": "object", "properties": {"heard": {"type": "string"}}}},
}
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n and so on").decode()


class Heard(BaseModel):
    heard: str


@pytest.fixture
def client(remote_gateway: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{remote_gateway}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(remote_gateway: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{remote_gateway}/v1", api_key="unused", max_retries=0) as client:
        yield client


def say(text: str, **more: Any) -> Any:
    return {"model": "loopwise", "messages": [{"role": "user", "content": text}], **more}


def answered(exchange: Exchange) -> Any:
    """The first choice's message, as it was recorded."""
    assert exchange.response is not None
    return exchange.response["choices"][0]["message"]


def test_a_chat_is_answered_and_recorded(client: openai.OpenAI, recorded: Recorded):
    raw = client.chat.completions.with_raw_response.create(**say("hi", user="u1", temperature=0.5))
    answer = raw.parse()
    (exchange,) = recorded()
    assert answer.choices[0].message.content == "their-model hears hi" == answered(exchange)["content"]
    assert (answer.id, answer.model, raw.headers["x-loopwise-recorded"]) == (exchange.id, "loopwise", "true")
    assert raw.headers["x-loopwise-exchange"] == exchange.id
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7
    assert exchange.request["temperature"] == 0.5
    assert exchange.upstream_id == "chatcmpl-upstream"


async def test_the_asynchronous_client_is_answered(async_client: openai.AsyncOpenAI, recorded: Recorded):
    answer = await async_client.chat.completions.create(**say("hi"))
    assert answer.choices[0].message.content == "their-model hears hi"
    assert [exchange.id for exchange in recorded()] == [answer.id]


def test_a_stream_arrives_in_pieces_with_its_usage(client: openai.OpenAI, recorded: Recorded):
    chunks = list(client.chat.completions.create(**say("hi", stream=True, stream_options={"include_usage": True})))
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    (exchange,) = recorded()
    assert pieces == ["", "their-model", " hears ", "hi", None]
    assert {chunk.id for chunk in chunks} == {exchange.id}
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 7
    assert answered(exchange)["content"] == "their-model hears hi"
    assert exchange.response is not None
    assert exchange.response["usage"]["total_tokens"] == 7
    assert exchange.first_token_s is not None


async def test_an_asynchronous_stream_arrives(async_client: openai.AsyncOpenAI):
    stream = await async_client.chat.completions.create(**say("hi", stream=True))
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "their-model hears hi"


async def test_answers_that_run_at_once_are_not_mixed_up(async_client: openai.AsyncOpenAI, recorded: Recorded):
    async def ask(number: int) -> tuple[str, str]:
        stream = await async_client.chat.completions.create(**say(f"no. {number}", stream=True))
        chunks = [chunk async for chunk in stream]
        return chunks[0].id, "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    found = await asyncio.gather(*(ask(number) for number in range(64)))
    assert [text for _, text in found] == [f"their-model hears no. {number}" for number in range(64)]
    assert dict(found) == {exchange.id: answered(exchange)["content"] for exchange in recorded()}


def test_a_tool_is_called_and_its_result_answered(client: openai.OpenAI, model: Model, recorded: Recorded):
    asked = say("tea", tools=[TOOL])
    message = client.chat.completions.create(**asked).choices[0].message
    assert message.tool_calls is not None
    call: Any = message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("note", {"heard": "tea"})
    result = {"role": "tool", "tool_call_id": call.id, "content": "noted"}
    asked["messages"] += [message.model_dump(exclude_none=True), result]
    assert client.chat.completions.create(**asked).choices[0].message.content == "their-model hears noted"
    assert model.seen[1]["messages"][2] == result
    assert answered(recorded()[0])["tool_calls"][0]["function"]["name"] == "note"


def test_a_streamed_tool_call_is_put_together_alike_by_client_and_record(client: openai.OpenAI, recorded: Recorded):
    with client.chat.completions.stream(**say("tea", tools=[TOOL])) as stream:
        final: Any = stream.get_final_completion().choices[0]
    (exchange,) = recorded()
    (call,) = answered(exchange)["tool_calls"]
    assert final.finish_reason == "tool_calls"
    assert final.message.tool_calls[0].function.arguments == call["function"]["arguments"] == '{"heard": "tea"}'


def test_an_answer_by_schema_is_parsed(client: openai.OpenAI, model: Model):
    answer = client.chat.completions.parse(**say("tea"), response_format=Heard)
    assert answer.choices[0].message.parsed == Heard(heard="tea")
    assert model.seen[0]["response_format"]["json_schema"]["name"] == "Heard"


def test_an_image_travels_untouched(client: openai.OpenAI, model: Model, recorded: Recorded):
    content = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": PNG}}]
    answer = client.chat.completions.create(model="loopwise", messages=[{"role": "user", "content": content}])  # pyright: ignore
    assert answer.choices[0].message.content == "their-model hears look and sees 1 images"
    assert model.seen[0]["messages"][0]["content"] == recorded()[0].request["messages"][0]["content"] == content


def test_fields_that_nobody_knows_travel_on(client: openai.OpenAI, model: Model):
    client.chat.completions.create(**say("hi"), extra_body={"min_p": 0.1, "guided": {"regex": "a+"}})
    assert (model.seen[0]["min_p"], model.seen[0]["guided"]) == (0.1, {"regex": "a+"})


def test_a_response_goes_on_from_an_earlier_one(client: openai.OpenAI, model: Model, recorded: Recorded):
    first = client.responses.create(model="loopwise", input="tea")
    second = client.responses.create(model="loopwise", input="or coffee", previous_response_id=first.id)
    assert (first.output_text, second.output_text) == (
        "their-model hears tea",
        "their-model hears or coffee after tea",
    )
    assert [first.id, second.id] == [exchange.id for exchange in recorded()]
    assert model.seen[1]["previous_response_id"] == recorded()[0].upstream_id != first.id


def test_a_streamed_response_arrives_and_can_be_gone_on_from(client: openai.OpenAI, recorded: Recorded):
    events = list(client.responses.create(model="loopwise", input="tea", stream=True))
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    last: Any = events[-1]
    assert pieces == ["their-model", " hears tea", ""]
    assert (last.type, last.response.output_text) == ("response.completed", "their-model hears tea")
    (exchange,) = recorded()
    assert last.response.id == exchange.id
    assert exchange.response is not None
    assert exchange.response["output"][0]["content"][0]["text"] == "their-model hears tea"
    second = client.responses.create(model="loopwise", input="or coffee", previous_response_id=last.response.id)
    assert second.output_text == "their-model hears or coffee after tea"


def test_a_response_that_the_server_keeps_is_had_again_and_deleted(client: openai.OpenAI, recorded: Recorded):
    first = client.responses.create(model="loopwise", input="tea")
    again = client.responses.retrieve(first.id)
    (item,) = client.responses.input_items.list(first.id).data
    said: Any = item
    assert (again.id, again.output_text) == (first.id, "their-model hears tea")
    assert said.content[0].text == "tea"
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.responses.retrieve(first.id)
    assert len(recorded()) == 1  # only what was generated is an exchange


def test_another_gateway_process_over_the_same_store_goes_on_from_an_answer(
    client: openai.OpenAI, store: Store, model: Model
):
    first = client.responses.create(model="loopwise", input="tea")
    with serving(create_app(store, Upstream(model.url + "/v1", "secret", "openai", "their-model"))) as url:
        later = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
        second = later.responses.create(model="loopwise", input="or coffee", previous_response_id=first.id)
        assert later.responses.retrieve(first.id).output_text == "their-model hears tea"
    assert second.output_text == "their-model hears or coffee after tea"


async def test_the_responses_stream_helper_works_asynchronously(async_client: openai.AsyncOpenAI):
    async with async_client.responses.stream(model="loopwise", input="tea") as stream:
        final = await stream.get_final_response()
    assert final.output_text == "their-model hears tea"


def test_a_completion_goes_on_from_its_prompt(client: openai.OpenAI, recorded: Recorded):
    whole = client.completions.create(model="loopwise", prompt="once")
    chunks = list(client.completions.create(model="loopwise", prompt="once", stream=True))
    text = "their-model goes on from once"
    assert whole.choices[0].text == text == "".join(chunk.choices[0].text for chunk in chunks)
    assert [exchange.response and exchange.response["choices"][0]["text"] for exchange in recorded()] == [text, text]


def test_embeddings_are_passed_on_and_their_vectors_not_kept(client: openai.OpenAI, recorded: Recorded):
    answer = client.embeddings.create(model="loopwise", input=["tea", "coffee"])  # asks for base64 by itself
    assert [row.embedding for row in answer.data] == [[3.0], [6.0]]
    (exchange,) = recorded()
    assert (exchange.endpoint, exchange.request["input"]) == ("embeddings", ["tea", "coffee"])
    assert "AABAQA" not in json.dumps(exchange.response)  # 3.0, in base64


@pytest.mark.parametrize(
    ("text", "error", "status", "words"),
    [
        ("refuse", openai.BadRequestError, 400, "too hot"),
        ("busy", openai.RateLimitError, 429, "Too many requests"),
        ("fail", openai.InternalServerError, 500, "out of memory"),
        ("garbage", openai.InternalServerError, 502, "not JSON|where a stream was asked for"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_the_server_refuses_raises_the_clients_own_error(
    client: openai.OpenAI, recorded: Recorded, text: str, error: Any, status: int, words: str, stream: bool
):
    with pytest.raises(error, match=words) as caught:
        list(client.chat.completions.create(**say(text, stream=stream)))
    assert caught.value.status_code == status
    assert [exchange.status for exchange in recorded()] == [status]


def test_a_refusal_names_the_field_as_the_server_did(client: openai.OpenAI):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**say("refuse"))
    assert (caught.value.param, caught.value.type) == ("temperature", "invalid_request_error")


def test_an_unknown_model_is_not_found(client: openai.OpenAI, model: Model):
    with pytest.raises(openai.NotFoundError, match="loopwise") as caught:
        client.chat.completions.create(model="gpt-99", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "model_not_found"
    assert model.seen == []


def test_a_stream_that_breaks_off_raises_in_the_middle(client: openai.OpenAI, recorded: Recorded):
    stream = client.chat.completions.create(**say("sorry", stream=True))
    heard = [next(stream).choices[0].delta.content for _ in range(3)]
    assert heard == ["", "their-model", " hears "]
    with pytest.raises(openai.APIError, match="the engine restarts"):
        next(stream)
    assert answered(recorded()[0])["content"] == "their-model hears "


def test_the_clients_retries_get_through_and_each_try_is_recorded(
    remote_gateway: str, model: Model, recorded: Recorded
):
    with openai.OpenAI(base_url=f"{remote_gateway}/v1", api_key="unused", max_retries=1) as client:
        answer = client.chat.completions.create(**say("fail once"))
    assert answer.choices[0].message.content == "their-model hears fail once"
    assert [exchange.status for exchange in recorded()] == [500, 200]
    assert len(model.seen) == 2


def test_a_client_that_gives_up_frees_the_server(client: openai.OpenAI, model: Model):
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(**say("hang"))
    assert model.canceled.wait(5.0)


def test_a_stream_that_the_client_closes_is_recorded_as_an_abandon(
    client: openai.OpenAI, model: Model, store: Store, recorded: Recorded
):
    stream = client.chat.completions.create(**say("hang later", stream=True))
    first = next(stream)
    assert model.began.wait(5.0)
    stream.close()
    assert model.canceled.wait(5.0)
    deadline = time.monotonic() + 5.0
    while not recorded():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (exchange,) = recorded()
    assert (exchange.id, exchange.status, answered(exchange)["content"]) == (first.id, 499, "their-model hears ")
    with store.reading() as conn:
        assert [(row.kind, row.source) for row in feedback.of_exchange(conn, first.id)] == [("abandon", "implicit")]


def test_what_must_not_be_stored_is_answered_all_the_same(client: openai.OpenAI, recorded: Recorded):
    answer = client.chat.completions.create(**say("a secret"), store=False)
    assert answer.choices[0].message.content == "their-model hears a secret"
    (exchange,) = recorded()
    assert (exchange.store, exchange.train) == (False, False)
    assert "secret" not in str(vars(exchange))


def test_the_list_of_models_names_the_one_that_serves(client: openai.OpenAI):
    assert next(iter(client.models.list())).id == "loopwise"


def test_an_alias_answers_what_the_embedded_model_does_not(store: Store, model: Model, recorded: Recorded):
    served = Upstream(model.url, None, "embedded", "tiny")
    aliases = {"small": Upstream(model.url + "/v1", "secret", "openai", "other-model")}
    with serving(create_app(store, served, aliases)) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
        with pytest.raises(openai.InternalServerError, match="alias") as caught:
            client.embeddings.create(model="loopwise", input="tea")
        assert caught.value.status_code == 501
        assert client.embeddings.create(model="small", input="tea").data[0].embedding == [3.0]
        assert client.responses.create(model="small", input="tea").output_text == "other-model hears tea"
        assert client.chat.completions.create(**say("hi")).choices[0].message.content == "tiny@0 hears hi"
        assert {"loopwise", "small"} <= {listed.id for listed in client.models.list()}
    assert [exchange.model for exchange in recorded() if exchange.status == 200] == ["small", "small", "loopwise"]
