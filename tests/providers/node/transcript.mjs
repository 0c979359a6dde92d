// transcript.py again, with the openai package for Node: the same cases, the same normal form. What it sends comes from
// material.py by way of MATERIAL (JSON), so that both send the same.
//
//   MATERIAL=... node transcript.mjs --base-url http://127.0.0.1:4000/v1 --model claude [--embedding-model titan] CASE...
import assert from "node:assert/strict";
import { parseArgs } from "node:util";

import OpenAI from "openai";

const material = JSON.parse(process.env.MATERIAL);
const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    "base-url": { type: "string" },
    model: { type: "string" },
    "embedding-model": { type: "string" },
    key: { type: "string", default: "sk-anything" },
  },
});
const client = new OpenAI({ baseURL: options["base-url"], apiKey: options.key, maxRetries: 0, timeout: 20_000 });

const TOOLS = material.tools.map(([name, description, parameters]) => ({
  type: "function",
  function: { name, description, parameters },
}));
const PING = { type: "function", function: { name: "ping", parameters: { type: "object", properties: {} } } };
const FORMAT = { type: "json_schema", json_schema: { name: "animal", strict: true, schema: material.schema } };
const PICTURE = { type: "image_url", image_url: { url: `data:image/png;base64,${material.png}` } };
const HISTORY = [
  { role: "system", content: "Be brief. é" },
  { role: "user", content: "My name is 漢." },
  { role: "assistant", content: "Hello 漢 🙂!" },
  { role: "user", content: "What is my name?" },
];

// ---- asking

const talk = (messages) => (typeof messages === "string" ? [{ role: "user", content: messages }] : messages);

/** Without members that are null, as a careful program gives a message back. */
const bare = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== undefined));

/** The answer's message, to be given back as it is, and its normal form. */
async function asked(messages, more = {}) {
  const answer = await client.chat.completions.create({ model: options.model, messages: talk(messages), ...more });
  assert.equal(answer.object, "chat.completion");
  assert.ok(answer.id && answer.created && answer.choices.length === 1 && answer.choices[0].index === 0);
  const { message, finish_reason: reason } = answer.choices[0];
  const calls = (message.tool_calls ?? []).map((call) => ({ id: call.id, ...call.function }));
  return [bare(message), normal(message.role, message.content, message.reasoning_content, calls, reason, answer.usage)];
}

/** The same from the pieces of a stream. */
async function streamed(messages, more = {}) {
  more = { stream_options: { include_usage: true }, ...more };
  const message = { content: "", reasoning_content: "" };
  const [calls, extras, reasons, ids] = [[], [], [], new Set()];
  let usage = null;
  for await (const chunk of await client.chat.completions.create({
    model: options.model,
    messages: talk(messages),
    stream: true,
    ...more,
  })) {
    if (ids.size === 0 && !chunk.id && chunk.choices.length === 0) continue; // Azure's verdict on the prompt
    assert.equal(chunk.object, "chat.completion.chunk");
    assert.ok(usage === null, "a chunk after the usage");
    ids.add(chunk.id);
    usage = chunk.usage ?? null;
    for (const { delta, finish_reason: reason } of chunk.choices) {
      assert.equal(reasons.length, 0, "a choice after the finish reason");
      message.role ??= delta.role;
      assert.ok(message.role, "the first chunk names no role");
      message.content += delta.content ?? "";
      message.reasoning_content += delta.reasoning_content ?? "";
      if (delta.thinking_blocks) (message.thinking_blocks ??= []).push(...delta.thinking_blocks);
      for (const call of delta.tool_calls ?? []) merge(calls, extras, call);
      if (reason) reasons.push(reason);
    }
  }
  assert.ok(ids.size === 1 && !ids.has(""), `chunks with ids ${[...ids]}`);
  if (calls.length > 0) {
    message.tool_calls = calls.map(({ id, name, arguments: text }, index) => ({
      ...extras[index],
      id,
      type: "function",
      function: { name, arguments: text },
    }));
  }
  const whole = Object.fromEntries(Object.entries(message).filter(([, value]) => value));
  return [whole, normal(message.role, message.content, message.reasoning_content, calls, reasons[0] ?? null, usage)];
}

/** One piece of a call: id and name once, arguments in pieces, anything else kept to be given back. */
function merge(calls, extras, { index, id, type: _type, function: part, ...extra }) {
  if (calls[index] === undefined) {
    assert.equal(index, calls.length);
    assert.ok(id && part.name, "the first piece of a call has no id or name");
    calls[index] = { id, name: part.name, arguments: "" };
    extras[index] = {};
  } else {
    assert.ok(!id && !part.name, "a call's id or name comes twice");
  }
  calls[index].arguments += part.arguments ?? "";
  Object.assign(extras[index], extra);
}

function normal(role, text, reasoning, calls, finish, usage) {
  assert.equal(new Set(calls.map((call) => call.id)).size, calls.length);
  return {
    role,
    content: text || null,
    reasoning: reasoning || null,
    calls: calls.map((call) => [call.name, JSON.parse(call.arguments)]),
    finish,
    usage: usage && {
      prompt: usage.prompt_tokens,
      completion: usage.completion_tokens,
      total: usage.total_tokens,
      cached: usage.prompt_tokens_details?.cached_tokens || 0,
      cache_write: usage.prompt_tokens_details?.cache_write_tokens || 0,
      reasoning: usage.completion_tokens_details?.reasoning_tokens || 0,
    },
  };
}

const plain = async (messages, more) => (await asked(messages, more))[1];
const stream = async (messages, more) => (await streamed(messages, more))[1];
const reading = (answer) => ({ ...answer, content: JSON.parse(answer.content) });

async function error(ask, text, code = false) {
  try {
    await ask(text);
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    const { name } = error.constructor;
    if (code) return { class: name, code: error.code ?? null };
    return {
      class: name,
      status: error.status ?? null,
      type: error.type ?? null,
      param: error.param ?? null,
      "provider's words": material.failures.some((words) => error.message.includes(words)),
    };
  }
  return { class: null };
}

/** A question, results of the calls in the other order, and a word more. */
async function tools(ask, question, more = {}) {
  more = { tools: TOOLS, ...more };
  const messages = [HISTORY[0], { role: "user", content: question }];
  const [message, first] = await ask(messages, more);
  messages.push(message);
  for (const [index, call] of (message.tool_calls ?? []).toReversed().entries()) {
    const text = `${call.function.name}: 18 °C 漢`;
    messages.push({ role: "tool", tool_call_id: call.id, content: index ? [{ type: "text", text }] : text });
  }
  const [again, second] = await ask(messages, more);
  messages.push(again, { role: "user", content: "Thanks" });
  return [first, second, (await ask(messages, more))[1]];
}

async function embeddings(input, more = {}) {
  const answer = await client.embeddings.create({ model: options["embedding-model"], input, ...more });
  assert.deepEqual(answer.data.map((one) => one.index), [...answer.data.keys()]);
  return {
    vectors: answer.data.map((one) => [...one.embedding]),
    usage: { prompt: answer.usage.prompt_tokens, total: answer.usage.total_tokens },
  };
}

const user = (content) => [{ role: "user", content }];
const THINKING = { reasoning_effort: "medium", max_completion_tokens: 6000 };
const URL_PICTURE = { type: "image_url", image_url: { url: "https://example.com/a/cat.png" } };
const WHAT = { type: "text", text: "What is it?" };

const cases = {
  plain: () => plain("Hi 漢 🙂"),
  turns: () => plain(HISTORY),
  two_systems: () => plain([{ role: "system", content: "One." }, { role: "developer", content: "Two." }, HISTORY[1]]),
  text_parts: () => plain(user(["first", "second 漢"].map((text) => ({ type: "text", text })))),
  two_users: () => plain([...user("first"), ...user("second")]),
  cached: () => plain([{ role: "system", content: "This text is cached. ".repeat(9) }, HISTORY[1]]),
  stream: () => stream(HISTORY),
  stream_slow: () => stream("slow"),
  stream_without_usage: () => stream(HISTORY, { stream_options: { include_usage: false } }),
  tools: () => tools(asked, "What is the weather?"),
  tools_explained: () => tools(asked, "explain the weather"),
  tools_stream: () => stream("explain the weather", { tools: TOOLS }),
  tools_results_stream: () => tools(streamed, "What is the weather?"),
  tools_not_parallel: () => plain("What is the weather?", { tools: TOOLS, parallel_tool_calls: false }),
  choice_auto: () => plain("Hello", { tools: TOOLS, tool_choice: "auto" }),
  choice_required: () => plain("Hello", { tools: TOOLS, tool_choice: "required" }),
  choice_named: () => plain("Hello", { tools: TOOLS, tool_choice: { type: "function", function: { name: "get_time" } } }),
  choice_none: () => plain("What is the weather?", { tools: TOOLS, tool_choice: "none" }),
  tool_without_arguments: async () => {
    const more = { tools: [PING], tool_choice: "required" };
    return [await plain("Hello", more), await stream("Hello", more)];
  },
  image: () => plain(user([WHAT, PICTURE])),
  image_url: () => plain(user([WHAT, URL_PICTURE])),
  json_object: async () => {
    const got = reading(await plain("Answer as JSON", { response_format: { type: "json_object" } }));
    return { is: got.content?.constructor === Object ? "dict" : typeof got.content, finish: got.finish };
  },
  structured: async () => reading(await plain("An animal", { response_format: FORMAT })),
  structured_stream: async () => reading(await stream("An animal", { response_format: FORMAT })),
  reasoning: () => plain("Hi 漢", { reasoning_effort: "low", max_completion_tokens: 3000 }),
  reasoning_stream: () => stream("Hi 漢", { reasoning_effort: "high", max_completion_tokens: 9000 }),
  reasoning_tools: () => tools(asked, "explain the weather", THINKING),
  reasoning_tools_stream: () => tools(streamed, "explain the weather", THINKING),
  stop: async () => [await plain("count", { stop: ["STOP", "never"] }), await plain("count", { stop: "three" })],
  length: async () => [
    await plain("a long story", { max_tokens: 17 }),
    await plain("a long story", { max_completion_tokens: 11 }),
  ],
  length_stream: () => stream("a long story", { max_tokens: 17 }),
  filter: () => plain("fail filter"),
  error_400: () => error(plain, "fail 400"),
  error_429: () => error(plain, "fail 429"),
  error_context: () => error(plain, "fail context", true),
  error_400_stream: () => error(stream, "fail 400"),
  embedding_floats: () => embeddings("é 漢字", { encoding_format: "float" }),
  embedding_default: () => embeddings(["one", "two 漢", "three"]),
  embedding_dimensions: () => embeddings(["one", "two"], { dimensions: 256 }),
  embedding_error: () => error(embeddings, "fail 400"),
};

const transcript = {};
for (const name of wanted.length > 0 ? wanted : Object.keys(cases)) {
  try {
    transcript[name] = await cases[name]();
  } catch (error) {
    transcript[name] = { failed: `${error.constructor.name}: ${error.message}` };
  }
}
process.stdout.write(JSON.stringify(transcript));
