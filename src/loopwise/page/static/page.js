// Chat with streaming answers, and feedback under each. What people and models wrote is set as text, never as markup.
"use strict";

const talk = document.getElementById("talk");
const form = document.getElementById("ask");
const question = document.getElementById("question");
const send = document.getElementById("send");
const remember = document.getElementById("remember");
const template = document.getElementById("turn");
const episode = "page-" + crypto.randomUUID();
const user = whoAmI();
const earlier = []; // messages of the turns so far

for (const chart of document.querySelectorAll(".newest")) chart.scrollLeft = chart.scrollWidth; // the newest first

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (text && !send.disabled) ask(text);
});

question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

function whoAmI() {
  const known = localStorage.getItem("loopwise-user");
  if (known) return known;
  const made = "page-" + crypto.randomUUID();
  localStorage.setItem("loopwise-user", made);
  return made;
}

async function ask(text) {
  const turn = template.content.firstElementChild.cloneNode(true);
  const answer = turn.querySelector(".answer");
  turn.querySelector(".asked").textContent = text;
  talk.querySelector(".hint")?.remove();
  talk.append(turn);
  talk.scrollTop = talk.scrollHeight;
  question.value = "";
  send.disabled = true;
  const asked = { role: "user", content: text };
  try {
    const exchange = await streamed([...(remember.checked ? earlier : []), asked], answer);
    earlier.push(asked, { role: "assistant", content: answer.textContent });
    offerOpinion(turn, exchange);
  } catch (error) {
    answer.classList.add("failed");
    answer.textContent += (answer.textContent ? "\n" : "") + error.message;
  } finally {
    answer.setAttribute("aria-busy", "false");
    send.disabled = false;
    question.focus();
    talk.scrollTop = talk.scrollHeight;
  }
}

// Shows the answer as it comes; returns {id, weights}. Throws with the server's sentence when it fails.
async function streamed(messages, answer) {
  const body = { model: "loopwise", messages, stream: true, user, metadata: { episode_id: episode } };
  const response = await post("/v1/chat/completions", body);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const exchange = { id: null, weights: "" };
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The answer stopped in the middle.");
    const events = (buffer + value).split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      if (!event.startsWith("data: ")) continue;
      if (event === "data: [DONE]") return exchange;
      const chunk = JSON.parse(event.slice(6));
      if (chunk.error) throw new Error(chunk.error.message);
      exchange.id = chunk.id;
      exchange.weights = chunk.system_fingerprint ?? "";
      answer.append(document.createTextNode(chunk.choices?.[0]?.delta?.content ?? ""));
    }
    talk.scrollTop = talk.scrollHeight;
  }
}

async function post(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("Loopwise cannot be reached: see whether it still runs.");
  }
  if (!response.ok) throw new Error((await response.json()).error.message);
  return response;
}

function offerOpinion(turn, exchange) {
  const opinion = turn.querySelector(".opinion");
  const said = turn.querySelector(".said");
  const correct = turn.querySelector(".correct");
  const correction = turn.querySelector(".correction");
  const given = { thumbs: null, correction: null }; // the id of the last of each kind, which a later one supersedes
  turn.querySelector(".weights").textContent = exchange.weights.slice(0, 19);
  turn.querySelector(".weights").title = exchange.weights;

  async function say(kind, value, thanks) {
    try {
      const row = { exchange_id: exchange.id, kind, value, user };
      if (given[kind]) row.supersedes = given[kind];
      given[kind] = (await (await post("/v1/feedback", row)).json()).ids[0];
      said.textContent = thanks;
      return true;
    } catch (error) {
      said.textContent = error.message;
      return false;
    }
  }

  for (const thumb of turn.querySelectorAll(".thumb")) {
    thumb.addEventListener("click", async () => {
      if (thumb.getAttribute("aria-pressed") === "true") return;
      if (!(await say("thumbs", thumb.matches(".up") ? 1 : -1, "Noted."))) return;
      for (const other of turn.querySelectorAll(".thumb")) other.setAttribute("aria-pressed", String(other === thumb));
    });
  }
  correct.addEventListener("click", () => {
    correction.hidden = !correction.hidden;
    correct.setAttribute("aria-expanded", String(!correction.hidden));
    if (!correction.hidden) correction.querySelector("textarea").focus();
  });
  correction.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = correction.querySelector("textarea").value.trim();
    if (!text || !(await say("correction", text, "The correction is noted."))) return;
    correction.hidden = true;
    correct.setAttribute("aria-expanded", "false");
    correct.focus();
  });
  opinion.hidden = false;
}
