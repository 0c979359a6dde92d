// The OpenAI SDK over Waypost: only the base URL is different.
//
//   npm install openai
//   OPENAI_BASE_URL=http://127.0.0.1:4000/v1 OPENAI_API_KEY=any node chat.mjs [GROUP]
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 }); // Waypost retries, and knows where
const group = process.argv[2] ?? (await client.models.list()).data[0].id;
const messages = [{ role: "user", content: "Say hello in three languages." }];

const { data, response } = await client.chat.completions.create({ model: group, messages }).withResponse();
console.log(data.choices[0].message.content);
console.log(`-- from ${response.headers.get("x-waypost-deployment")}, attempts: ${response.headers.get("x-waypost-attempts")}`);

for await (const chunk of await client.chat.completions.create({ model: group, messages, stream: true })) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
console.log();
