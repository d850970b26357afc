"""Clients that are not written in Python, or not by OpenAI, unmodified, through the gateway: curl, LangChain, Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from loopwise.types import Exchange
from scripted import Model

Recorded = Callable[[], list[Exchange]]

NODE = Path(__file__).parent / "node"


class Heard(BaseModel):
    """What was heard."""

    heard: str


def curl(url: str, body: Any, *options: str) -> str:
    command = ["curl", "-sS", "-H", "content-type: application/json", "-d", json.dumps(body), *options, url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


def say(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "loopwise", "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture
def chain(remote_gateway: str) -> ChatOpenAI:
    return ChatOpenAI(model="loopwise", base_url=f"{remote_gateway}/v1", api_key=SecretStr("unused"), max_retries=0)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
class TestCurl:
    def test_an_answer_takes_feedback(self, remote_gateway: str, recorded: Recorded):
        answer = json.loads(curl(f"{remote_gateway}/v1/chat/completions", say("hi", user="u1")))
        (exchange,) = recorded()
        assert answer["choices"][0]["message"]["content"] == "their-model hears hi"
        thumb = {"exchange_id": answer["id"], "kind": "thumbs", "value": 1, "user": "u1"}
        said = curl(f"{remote_gateway}/v1/feedback", thumb, "-w", "\n%{http_code}").splitlines()
        assert (answer["id"], said[1]) == (exchange.id, "200")

    def test_a_stream_ends_with_done(self, remote_gateway: str):
        lines = curl(f"{remote_gateway}/v1/chat/completions", say("hi", stream=True), "-N").strip().splitlines()
        chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
        text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
        assert (text, lines[-1]) == ("their-model hears hi", "data: [DONE]")

    def test_a_large_image_gets_through(self, remote_gateway: str, model: Model, tmp_path: Path):
        url = "data:image/png;base64," + "A" * 3_000_000  # curl asks before it sends that much: Expect: 100-continue
        content = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": url}}]
        body = tmp_path / "body.json"
        body.write_text(json.dumps({"model": "loopwise", "messages": [{"role": "user", "content": content}]}))
        command = ["curl", "-sS", "-H", "content-type: application/json", "--data-binary", f"@{body}"]
        command.append(f"{remote_gateway}/v1/chat/completions")
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
        message = json.loads(ran.stdout)["choices"][0]["message"]
        assert message["content"] == "their-model hears look and sees 1 images"
        assert model.seen[0]["messages"][0]["content"] == content

    def test_an_error_has_a_status_and_a_sentence(self, remote_gateway: str):
        body = {"model": "gpt-99", "messages": [{"role": "user", "content": "hi"}]}
        error, status = curl(f"{remote_gateway}/v1/chat/completions", body, "-w", "\n%{http_code}").splitlines()
        assert status == "404"
        assert json.loads(error)["error"]["message"] == "There is no model 'gpt-99'; it can be one of: loopwise."


class TestLangChain:
    def test_a_chat_is_answered_and_its_id_takes_feedback(self, chain: ChatOpenAI, recorded: Recorded):
        answer = chain.invoke("hi")
        assert answer.content == "their-model hears hi"
        assert [answer.response_metadata["id"]] == [exchange.id for exchange in recorded()]

    async def test_it_streams_asynchronously(self, chain: ChatOpenAI, recorded: Recorded):
        pieces = [str(chunk.content) async for chunk in chain.astream("hi") if chunk.content]
        assert pieces == ["their-model", " hears ", "hi"]
        assert recorded()[0].request["stream"] is True

    def test_a_tool_is_called_and_its_result_answered(self, chain: ChatOpenAI):
        called = chain.bind_tools([Heard]).invoke("tea")
        assert isinstance(called, AIMessage)
        (call,) = called.tool_calls
        assert (call["name"], call["args"]) == ("Heard", {"heard": "tea"})
        result = {"role": "tool", "tool_call_id": call["id"], "content": "noted"}
        messages: Any = [HumanMessage("tea"), called, result]
        assert chain.bind_tools([Heard]).invoke(messages).content == "their-model hears noted"

    def test_an_answer_by_schema_is_parsed(self, chain: ChatOpenAI, model: Model):
        assert chain.with_structured_output(Heard, method="json_schema").invoke("tea") == Heard(heard="tea")
        assert model.seen[0]["response_format"]["type"] == "json_schema"

    def test_it_speaks_responses(self, remote_gateway: str, recorded: Recorded):
        chain = ChatOpenAI(
            model="loopwise", base_url=f"{remote_gateway}/v1", api_key=SecretStr("unused"), use_responses_api=True
        )
        assert chain.invoke("tea").text == "their-model hears tea"
        assert [exchange.endpoint for exchange in recorded()] == ["responses"]

    def test_it_embeds(self, remote_gateway: str):
        embeddings = OpenAIEmbeddings(
            model="loopwise",
            base_url=f"{remote_gateway}/v1",
            api_key=SecretStr("unused"),
            check_embedding_ctx_length=False,  # or it fetches OpenAI's tokenizer and sends its token ids
        )
        assert embeddings.embed_documents(["tea", "coffee"]) == [[3.0], [6.0]]


@pytest.fixture(scope="session")
def node_client() -> Path:
    """The folder of the program that uses the client for Node, with its packages installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed here")
    installed, wanted = NODE / "node_modules" / ".package-lock.json", NODE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        ran = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=NODE, capture_output=True, text=True)
        if ran.returncode:
            pytest.skip(f"npm could not install the packages: {ran.stderr.strip()[-200:]}")
    return NODE


@pytest.mark.slow
def test_the_client_for_node_makes_every_call(node_client: Path, remote_gateway: str, model: Model, recorded: Recorded):
    command = ["node", str(node_client / "calls.mjs"), remote_gateway]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    ids = [exchange.id for exchange in recorded()]
    assert found["chat"] == {"id": ids[0], "content": "their-model hears hi", "recorded": "true"}
    assert found["stream"] == {"id": ids[1], "pieces": ["", "their-model", " hears ", "hi", None]}
    assert found["tool"] == {"name": "note", "arguments": '{"heard": "tea"}', "finish_reason": "tool_calls"}
    assert found["responses"] == {
        "id": ids[3],
        "first": "their-model hears tea",
        "second": "their-model hears or coffee after tea",
    }
    assert found["completion"] == {"text": "their-model goes on from once"}
    assert found["embedding"] == {"vectors": [[3.0]]}
    assert found["refused"] == {"error": "BadRequestError", "status": 400, "param": "temperature"}
    assert found["retried"] == {"error": "InternalServerError", "status": 500}
    assert found["gaveUp"] == {"error": "APIConnectionTimeoutError"}
    assert model.canceled.wait(5.0)
    assert [exchange.status for exchange in recorded()][:10] == [200] * 7 + [400, 500, 500]
