"""The OpenAI SDK over Waypost: only base_url is different.

    pip install openai
    OPENAI_BASE_URL=http://127.0.0.1:4000/v1 OPENAI_API_KEY=any python chat.py [GROUP]
"""

import sys

from openai import OpenAI

client = OpenAI(max_retries=0)  # Waypost retries, and knows where
group = sys.argv[1] if len(sys.argv) > 1 else next(iter(client.models.list())).id
messages = [{"role": "user", "content": "Say hello in three languages."}]

raw = client.chat.completions.with_raw_response.create(model=group, messages=messages)
print(raw.parse().choices[0].message.content)
print(f"-- from {raw.headers['x-waypost-deployment']}, attempts: {raw.headers['x-waypost-attempts']}")

for chunk in client.chat.completions.create(model=group, messages=messages, stream=True):
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
