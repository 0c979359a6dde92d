// What an application does with the openai package, against the gateway.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import OpenAI, { AzureOpenAI } from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import { about, lab, resetAll } from "./support.mjs";

const messages = [{ role: "user", content: "Hello" }];
const TEXT = "Grüße aus Köln: 你好, wörld 👋!";
const open = (options = {}) => new OpenAI({ baseURL: `${about.gateway}/v1`, apiKey: "sk-anything", maxRetries: 0, timeout: 15000, ...options });
const client = open();

const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather of a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, unit: { enum: ["celsius", "fahrenheit"] } },
      required: ["city", "unit"],
      additionalProperties: false,
    },
  },
};

async function said(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
}

async function thrown(promise, kind) {
  const error = await promise.then(
    () => assert.fail(`expected ${kind.name}`),
    (error) => error,
  );
  assert.ok(error instanceof kind, `${error?.constructor?.name}: ${error?.message}`);
  return error;
}

beforeEach(resetAll);

// ---- chat and streams

test("chat", async () => {
  await lab["plain-1"].behave({ text: TEXT });
  const answer = await client.chat.completions.create({ model: "plain", messages, temperature: 0.3 });
  assert.equal(answer.choices[0].message.content, TEXT);
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.equal(answer.model, "plain-1-model");
  assert.ok(answer.usage.total_tokens > 0);
  const request = await lab["plain-1"].one();
  assert.deepEqual(request.body, { model: "plain-1-model", messages, temperature: 0.3 });
  assert.equal(request.headers.authorization, `Bearer ${about.upstream_key}`);
});

test("response headers", async () => {
  const { data, response, request_id } = await client.chat.completions.create({ model: "ordered", messages }).withResponse();
  assert.equal(response.headers.get("x-waypost-model-group"), "ordered");
  assert.match(response.headers.get("x-waypost-deployment"), /ordered-1/);
  assert.equal(response.headers.get("x-waypost-attempts"), "1");
  assert.ok(request_id);
  assert.equal(data._request_id, request_id);
});

for (const behaviour of [{}, { chunking: { split_bytes: 1 } }, { chunking: "coalesced" }, { framing: "crlf", chunking: { split_bytes: 3 } }]) {
  test(`stream ${JSON.stringify(behaviour)}`, async () => {
    await lab["plain-1"].behave({ text: TEXT, ...behaviour });
    assert.equal(await said(await client.chat.completions.create({ model: "plain", messages, stream: true })), TEXT);
  });
}

test("stream with usage", async () => {
  await lab["plain-1"].behave({ text: "three words here" });
  const chunks = [];
  const stream = await client.chat.completions.create({ model: "plain", messages, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) chunks.push(chunk);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.equal(chunks.at(-1).usage.completion_tokens, 3);
});

test("stream left early is cancelled at the deployment", async () => {
  await lab["plain-1"].behave({ tokens: 10000, per_token: "10ms" });
  const stream = await client.chat.completions.create({ model: "plain", messages, stream: true });
  for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
  await lab["plain-1"].waitCancelled();
});

test("aborted request is cancelled at the deployment", async () => {
  await lab["plain-1"].behave({ fault: "hang_before_head" });
  const controller = new AbortController();
  const call = client.chat.completions.create({ model: "plain", messages }, { signal: controller.signal });
  const error = thrown(call, OpenAI.APIUserAbortError);
  while ((await lab["plain-1"].requests()).length === 0);
  controller.abort();
  await error;
  await lab["plain-1"].waitCancelled();
});

for (const fault of [{ stream_error: { after: 3 } }, { cut: { after: 3 } }]) {
  test(`stream that breaks throws after what came: ${Object.keys(fault)}`, async () => {
    await lab["ordered-1"].behave({ text: "one two three four five", fault });
    let text = "";
    const read = async () => {
      for await (const chunk of await client.chat.completions.create({ model: "ordered", messages, stream: true }))
        text += chunk.choices[0]?.delta?.content ?? "";
    };
    const error = await thrown(read(), OpenAI.APIError);
    assert.equal(text, "one two three");
    assert.ok(error.message);
    assert.equal((await lab["ordered-2"].requests()).length, 0);
  });
}

test("stream that fails before it begins is served by another", async () => {
  await lab["ordered-1"].behave({ fault: "server_error" });
  await lab["ordered-2"].behave({ text: "from the second" });
  const { data, response } = await client.chat.completions.create({ model: "ordered", messages, stream: true }).withResponse();
  assert.equal(await said(data), "from the second");
  assert.equal(response.headers.get("x-waypost-attempts"), "2");
});

// ---- tools, structured output, images

test("tools, with a round trip", async () => {
  const first = await client.chat.completions.create({ model: "plain", messages, tools: [weather] });
  assert.equal(first.choices[0].finish_reason, "tool_calls");
  const [call] = first.choices[0].message.tool_calls;
  assert.equal(call.function.name, "weather");
  assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)).sort(), ["city", "unit"]);

  await lab["plain-1"].reset();
  await lab["plain-1"].behave({ tool_calls: 0, text: "21 degrees" });
  const next = [...messages, first.choices[0].message, { role: "tool", tool_call_id: call.id, content: '{"degrees": 21}' }];
  const second = await client.chat.completions.create({ model: "plain", messages: next, tools: [weather] });
  assert.equal(second.choices[0].message.content, "21 degrees");
  const sent = (await lab["plain-1"].one()).body;
  assert.deepEqual(sent.tools, [weather]);
  assert.deepEqual(sent.messages, JSON.parse(JSON.stringify(next)));
});

test("parallel tool calls, streamed", async () => {
  await lab["plain-1"].behave({ tool_calls: 3 });
  const whole = await client.chat.completions.create({ model: "plain", messages, tools: [weather] });
  assert.equal(whole.choices[0].message.tool_calls.length, 3);
  const streamed = await client.chat.completions.stream({ model: "plain", messages, tools: [weather] }).finalChatCompletion();
  assert.deepEqual(
    streamed.choices[0].message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]),
    whole.choices[0].message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]),
  );
});

test("json_schema", async () => {
  const Recipe = z.object({ name: z.string(), vegetarian: z.boolean(), steps: z.array(z.object({ what: z.string(), minutes: z.number() })) });
  const answer = await client.chat.completions.parse({ model: "plain", messages, response_format: zodResponseFormat(Recipe, "recipe") });
  const recipe = answer.choices[0].message.parsed;
  assert.equal(typeof recipe.steps[0].minutes, "number");
  const sent = (await lab["plain-1"].one()).body.response_format;
  assert.equal(sent.type, "json_schema");
  assert.equal(sent.json_schema.name, "recipe");
  assert.deepEqual(Object.keys(sent.json_schema.schema.properties).sort(), ["name", "steps", "vegetarian"]);
});

test("an image arrives as it was sent", async () => {
  const bytes = Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => index % 256));
  const content = [
    { type: "text", text: "What is it?" },
    { type: "image_url", image_url: { url: `data:image/png;base64,${bytes.toString("base64")}`, detail: "low" } },
  ];
  await client.chat.completions.create({ model: "plain", messages: [{ role: "user", content }] });
  assert.deepEqual((await lab["plain-1"].one()).body.messages[0].content, content);
});

// ---- embeddings, completions, models

for (const embeddings of ["both", "floats_only", "base64_only"]) {
  test(`embeddings have their length and values: ${embeddings}`, async () => {
    await lab["plain-1"].behave({ dimensions: 48, embeddings });
    const input = ["one", "two", "drei"];
    const byDefault = await client.embeddings.create({ model: "plain", input });
    const asFloats = await client.embeddings.create({ model: "plain", input, encoding_format: "float" });
    assert.deepEqual(byDefault.data.map((item) => item.index), [0, 1, 2]);
    for (const [index, item] of byDefault.data.entries()) {
      assert.equal(item.embedding.length, 48);
      assert.deepEqual(item.embedding.map(Math.fround), asFloats.data[index].embedding.map(Math.fround));
    }
    assert.notDeepEqual(byDefault.data[0].embedding, byDefault.data[1].embedding);
  });
}

test("completions", async () => {
  await lab["plain-1"].behave({ text: "and so on" });
  const answer = await client.completions.create({ model: "plain", prompt: "Once upon a time", max_tokens: 10 });
  assert.equal(answer.choices[0].text, "and so on");
  let text = "";
  for await (const chunk of await client.completions.create({ model: "plain", prompt: "Once", stream: true })) text += chunk.choices[0]?.text ?? "";
  assert.equal(text, "and so on");
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids.sort(), about.groups);
  assert.equal((await client.models.retrieve("plain")).id, "plain");
});

// ---- errors

test("unknown model", async () => {
  const error = await thrown(client.chat.completions.create({ model: "no-such-model", messages }), OpenAI.NotFoundError);
  assert.equal(error.code, "model_not_found");
});

test("a bad request is refused with the parameter and not retried", async () => {
  await lab["ordered-1"].behave({ fault: { bad_request: { param: "temperature" } } });
  const error = await thrown(client.chat.completions.create({ model: "ordered", messages, temperature: 99 }), OpenAI.BadRequestError);
  assert.equal(error.param, "temperature");
  assert.equal((await lab["ordered-2"].requests()).length, 0);
});

test("context_length_exceeded", async () => {
  for (const name of ["ordered-1", "ordered-2"]) await lab[name].behave({ fault: "context_length" });
  const error = await thrown(client.chat.completions.create({ model: "ordered", messages }), OpenAI.BadRequestError);
  assert.equal(error.code, "context_length_exceeded");
});

test("a key is needed where keys are configured", async () => {
  const ask = (apiKey) => open({ baseURL: `${about.keyed}/v1`, apiKey }).chat.completions.create({ model: "plain", messages });
  const error = await thrown(ask("sk-wrong"), OpenAI.AuthenticationError);
  assert.equal(error.code, "invalid_api_key");
  assert.ok((await ask(about.client_key)).choices[0].message.content);
});

test("all cooling", async () => {
  for (const name of ["cooling-1", "cooling-2"]) await lab[name].behave({ fault: { rate_limit: { retry_after: "20s" } } });
  for (const _ of [1, 2]) {
    const error = await thrown(client.chat.completions.create({ model: "cooling", messages }), OpenAI.RateLimitError);
    const seconds = Number(error.headers.get("retry-after"));
    assert.ok(seconds >= 15 && seconds <= 21, `retry-after: ${seconds}`);
    assert.equal((await lab["cooling-1"].requests()).length, 1);
    assert.equal((await lab["cooling-2"].requests()).length, 1);
  }
});

// ---- retries and time limits

for (const fault of ["server_error", "rate_limit", "reset", "refused", "malformed_json"]) {
  test(`a failing deployment is replaced by another: ${fault}`, async () => {
    await lab["ordered-1"].behave({ fault });
    await lab["ordered-2"].behave({ text: "from the second" });
    const { data, response } = await client.chat.completions.create({ model: "ordered", messages }).withResponse();
    assert.equal(data.choices[0].message.content, "from the second");
    assert.equal(response.headers.get("x-waypost-attempts"), "2");
  });
}

test("the SDK's own retries do not multiply the gateway's", async () => {
  for (const name of ["budget-1", "budget-2"]) await lab[name].behave({ fault: "server_error" });
  const error = await thrown(open({ maxRetries: 3 }).chat.completions.create({ model: "budget", messages }), OpenAI.InternalServerError);
  assert.equal(error.headers.get("x-should-retry"), "false");
  const calls = (await lab["budget-1"].requests()).length + (await lab["budget-2"].requests()).length;
  assert.equal(calls, 2);
});

test("the client's time limit ends the call at the deployment too", async () => {
  await lab["plain-1"].behave({ fault: "hang_before_head" });
  await thrown(open({ timeout: 300 }).chat.completions.create({ model: "plain", messages }), OpenAI.APIConnectionTimeoutError);
  await lab["plain-1"].waitCancelled();
});

test("the gateway's time limit", async () => {
  await lab["hasty-1"].behave({ fault: "hang_before_head" });
  const error = await thrown(client.chat.completions.create({ model: "hasty", messages }), OpenAI.APIError);
  assert.ok([408, 504].includes(error.status), `${error.status}`);
});

// ---- Azure

test("Azure client", async () => {
  const azure = new AzureOpenAI({ endpoint: about.gateway, deployment: "plain", apiVersion: "2024-10-21", apiKey: "x", maxRetries: 0 });
  await lab["plain-1"].behave({ text: TEXT });
  const answer = await azure.chat.completions.create({ model: "whatever", messages });
  assert.equal(answer.choices[0].message.content, TEXT);
  assert.equal((await lab["plain-1"].one()).body.model, "plain-1-model");
  assert.equal(await said(await azure.chat.completions.create({ model: "whatever", messages, stream: true })), TEXT);
});
