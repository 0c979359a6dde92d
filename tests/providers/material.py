"""What the tests of every stand-in and the transcript program send: an image, two tools, a schema."""

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cff01f0005000201a5a1d2a70000000049454e44ae426082"
)
"""One pixel."""

TOOLS = [
    ("get_weather", "The weather of a city, é 漢字", {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Its name"}, "unit": {"type": "string", "enum": ["°C", "°F"]}},
        "required": ["city", "unit"], "additionalProperties": False,
    }),
    ("get_time", "The time in a city", {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False,
    }),
]
"""Name, description, JSON schema."""

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"}, "age": {"type": "integer"}, "kind": {"type": "string", "enum": ["cat", "dog"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "owner": {"type": "object", "properties": {"city": {"type": "string"}, "paid": {"type": "boolean"}},
                  "required": ["city", "paid"], "additionalProperties": False},
    },
    "required": ["name", "age", "kind", "tags", "owner"], "additionalProperties": False,
}
