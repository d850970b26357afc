// The official client for Node, unmodified: makes each kind of call to the gateway at argv[2], prints what it got.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "unused", maxRetries: 0 });
const say = (text, more = {}) => ({ model: "loopwise", messages: [{ role: "user", content: text }], ...more });
const tool = {
  type: "function",
  function: { name: "note", parameters: { type: "object", properties: { heard: { type: "string" } } } },
};

const calls = {
  async chat() {
    const { data, response } = await client.chat.completions.create(say("hi", { user: "u1" })).withResponse();
    const { content } = data.choices[0].message;
    return { id: data.id, content, recorded: response.headers.get("x-loopwise-recorded") };
  },
  async stream() {
    const pieces = [];
    let id;
    for await (const chunk of await client.chat.completions.create(say("hi", { stream: true }))) {
      id = chunk.id;
      pieces.push(chunk.choices[0]?.delta.content ?? null);
    }
    return { id, pieces };
  },
  async tool() {
    const runner = client.chat.completions.stream(say("tea", { tools: [tool] }));
    const { message, finish_reason } = (await runner.finalChatCompletion()).choices[0];
    const call = message.tool_calls[0].function;
    return { name: call.name, arguments: call.arguments, finish_reason };
  },
  async responses() {
    const first = await client.responses.create({ model: "loopwise", input: "tea" });
    const stream = client.responses.stream({ model: "loopwise", input: "or coffee", previous_response_id: first.id });
    return { id: first.id, first: first.output_text, second: (await stream.finalResponse()).output_text };
  },
  async completion() {
    return { text: (await client.completions.create({ model: "loopwise", prompt: "once" })).choices[0].text };
  },
  async embedding() {
    const { data } = await client.embeddings.create({ model: "loopwise", input: ["tea"] });
    return { vectors: data.map((row) => row.embedding) };
  },
  async refused() {
    const error = await client.chat.completions.create(say("refuse")).catch((error) => error);
    return { error: error.constructor.name, status: error.status, param: error.param };
  },
  async retried() {
    const error = await client.chat.completions.create(say("fail"), { maxRetries: 1 }).catch((error) => error);
    return { error: error.constructor.name, status: error.status };
  },
  async gaveUp() {
    const error = await client.chat.completions.create(say("hang"), { timeout: 300 }).catch((error) => error);
    return { error: error.constructor.name };
  },
};

const found = {};
for (const [name, call] of Object.entries(calls)) found[name] = await call();
console.log(JSON.stringify(found));
