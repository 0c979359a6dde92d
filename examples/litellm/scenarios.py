"""The sixteen scenarios. Each is played the same way against every gateway, and returns what was measured, as a text.

What a deployment received is counted by the deployment itself (the lab's); what a client saw, by its answers.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from processes import KEY, Deployment, until

SETTINGS: dict[str, dict] = {
    "usage": {"router_settings": {"routing_strategy": "usage-based-routing", "num_retries": 2}},
    "least-busy": {
        "router_settings": {"routing_strategy": "least-busy", "num_retries": 2, "cooldown_time": 60},
        "litellm_settings": {"cache": True, "cache_params": {"type": "local"}},
        "general_settings": {"cancel_on_disconnect": True},  # without it, calls whose clients left go on to their end
    },
    "enforced": {
        "router_settings": {
            "routing_strategy": "least-busy",
            "num_retries": 2,
            "optional_pre_call_checks": ["enforce_model_rate_limits"],
        },
    },
    "latency": {"router_settings": {"routing_strategy": "latency-based-routing", "num_retries": 2}},
    "cost": {"router_settings": {"routing_strategy": "cost-based-routing", "num_retries": 2}},
    "shuffle": {"router_settings": {"routing_strategy": "simple-shuffle", "num_retries": 2, "cooldown_time": 60}},
}
"""What stands in config.yaml beside the deployments, by name. The cooldown time is long enough for nothing to come back
within a scenario; where it isn't given, it is the gateway's own (5 s in both)."""


@dataclass
class Scenario:
    number: int
    title: str
    setting: str
    groups: dict[str, dict[str, dict]]
    """Groups of deployments with parameters of theirs, in the order of the file."""
    play: Callable[["Scene"], Awaitable[str]]
    must: str
    """What Waypost has to measure."""
    fallbacks: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Scene:
    """A gateway at work over deployments."""

    gateway: object
    url: str
    http: httpx.AsyncClient
    lab: dict[str, Deployment]
    serial: itertools.count = field(default_factory=itertools.count)

    def body(self, group: str, **members) -> dict:
        """A chat that nobody has asked before."""
        return {"model": group, "messages": [{"role": "user", "content": f"question {next(self.serial)}"}]} | members

    async def send(self, body: dict) -> httpx.Response:
        return await self.http.post(f"{self.url}/v1/chat/completions", json=body)

    async def ask(self, group: str, times: int = 1, pause: float = 0.05) -> list[httpx.Response]:
        """One after another, with time for what a gateway does after an answer."""
        answers = []
        for _ in range(times):
            answers.append(await self.send(self.body(group)))
            await asyncio.sleep(pause)
        return answers

    async def received(self, *names: str) -> list[int]:
        return [await self.lab[name].received() for name in names]

    async def held(self, names: list[str], count: int, seconds: float = 20) -> bool:
        async def waiting() -> bool:
            return sum([(await self.lab[name].stats())["held"] for name in names]) >= count

        return await until(waiting, seconds)


def statuses(answers: list[httpx.Response]) -> str:
    """`401, 429 × 5`"""
    runs = [(status, len(list(same))) for status, same in itertools.groupby(answer.status_code for answer in answers)]
    return ", ".join(f"{status} × {count}" if count > 1 else str(status) for status, count in runs)


def failed(answers: list[httpx.Response]) -> int:
    return sum(not answer.is_success for answer in answers)


def colons(counts: list[int]) -> str:
    return " : ".join(map(str, counts))


PLAIN: dict = {}
ALL: list[Scenario] = []


def scenario(number: int, title: str, setting: str, groups: dict, must: str, fallbacks: dict | None = None):
    def register(play):
        ALL.append(Scenario(number, title, setting, groups, play, must, fallbacks or {}))
        return play

    return register


@scenario(
    1, "Two groups of two, usage-based, 8 requests each, one after another", "usage",
    {"s1-one": {"s1-a": PLAIN, "s1-b": PLAIN}, "s1-two": {"s1-c": PLAIN, "s1-d": PLAIN}}, "4 : 4 and 4 : 4",
)
async def usage(scene: Scene) -> str:
    for group in ("s1-one", "s1-two"):
        await scene.ask(group, 8, pause=0.3)
    return f"{colons(await scene.received('s1-a', 's1-b'))} and {colons(await scene.received('s1-c', 's1-d'))}"


@scenario(2, "least-busy, 30 at once over two", "least-busy", {"s2": {"s2-a": PLAIN, "s2-b": PLAIN}}, "15 : 15")
async def at_once(scene: Scene) -> str:
    names = ["s2-a", "s2-b"]
    for name in names:
        await scene.lab[name].behave(hold="before_head")
    requests = [asyncio.create_task(scene.send(scene.body("s2"))) for _ in range(30)]
    await scene.held(names, 30)
    counts = await scene.received(*names)
    for name in names:
        await scene.lab[name].release()
    await asyncio.gather(*requests)
    return colons(counts)


@scenario(
    3, "least-busy, one of two busy; 10 streams whose clients leave before the answer begins: how many went to the idle one",
    "least-busy", {"s3": {"s3-a": PLAIN, "s3-b": PLAIN}}, "10 of 10",
)
async def left_early(scene: Scene) -> str:
    return await left(scene, "s3", "before_head")


@scenario(
    3, "10 whose clients leave after the first chunk", "least-busy", {"s3s": {"s3s-a": PLAIN, "s3s-b": PLAIN}}, "10 of 10",
)
async def left_late(scene: Scene) -> str:
    return await left(scene, "s3s", {"after": 2})


async def left(scene: Scene, group: str, hold) -> str:
    names = [f"{group}-a", f"{group}-b"]
    for name in names:
        await scene.lab[name].behave(hold=hold)
    busy = asyncio.create_task(scene.send(scene.body(group)))
    await scene.held(names, 1)
    idle = scene.lab[names[(await scene.received(*names)).index(0)]]
    begun = asyncio.Event()

    async def stream() -> None:
        body = scene.body(group, stream=True)
        async with scene.http.stream("POST", f"{scene.url}/v1/chat/completions", json=body) as answer:
            async for _chunk in answer.aiter_bytes():
                begun.set()

    async def at_rest() -> bool:
        return sum([(await scene.lab[name].stats())["in_flight"] for name in names]) == 1

    for _ in range(10):
        begun.clear()
        client = asyncio.create_task(stream())
        await scene.held(names, 2)
        if hold != "before_head":
            await begun.wait()
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
        if not await until(at_rest):
            return "the upstream's call goes on"
        await asyncio.sleep(0.1)
    count = await idle.received()
    for name in names:
        await scene.lab[name].behave()
        await scene.lab[name].release()
    await busy
    return f"{count} of 10"


@scenario(
    4, "least-busy, one long request at each of two, 3 cache hits, then 2 more long requests", "least-busy",
    {"s4": {"s4-a": PLAIN, "s4-b": PLAIN}}, "2 : 2",
)
async def hits(scene: Scene) -> str:
    names = ["s4-a", "s4-b"]
    kept = scene.body("s4")
    await scene.send(kept)
    await asyncio.sleep(0.3)  # stored in the background
    before = await scene.received(*names)
    for name in names:
        await scene.lab[name].behave(hold="before_head")
    long = []

    async def two_more(count: int) -> None:
        for number in (count - 1, count):
            long.append(asyncio.create_task(scene.send(scene.body("s4"))))
            await scene.held(names, number)

    await two_more(2)
    for _ in range(3):
        await scene.send(kept)
        await asyncio.sleep(0.3)
    await two_more(4)
    counts = [now - then for now, then in zip(await scene.received(*names), before)]
    for name in names:
        await scene.lab[name].release()
    await asyncio.gather(*long)
    return colons(counts)


@scenario(
    5, "latency-based, one of two answers 500, 20 requests, 2 retries", "latency", {"s5": {"s5-a": PLAIN, "s5-b": PLAIN}},
    r"0 fail; 1 call",
)
async def latency(scene: Scene) -> str:
    await scene.lab["s5-a"].behave(fault="server_error")
    answers = await scene.ask("s5", 20)
    calls = await scene.lab["s5-a"].received()
    return f"{failed(answers)} fail; {calls} call{'s' * (calls != 1)} to the broken one"


FIVE = [f"s6-{number}" for number in range(5)]


@scenario(
    6, "One of two dead, 2 retries, 20 requests, in 5 such groups", "shuffle",
    {group: {f"{group}-dead": PLAIN, f"{group}-alive": PLAIN} for group in FIVE}, r"0 of 100 fail; [0-5] met the dead one",
)
async def dead(scene: Scene) -> str:
    answers = []
    for group in FIVE:
        await scene.lab[f"{group}-dead"].behave(fault="refused")
        answers += await scene.ask(group, 20)
    return f"{failed(answers)} of 100 fail; {met_the_dead(scene, answers)} met the dead one"


def met_the_dead(scene: Scene, answers: list[httpx.Response]) -> int:
    return sum(not answer.is_success or scene.gateway.attempts(answer.headers) > 1 for answer in answers)


@scenario(
    7, "A lone primary answers 500 at once, the fallback is healthy: time to the answer (median of 3)", "shuffle",
    {"s7": {"s7-a": PLAIN}, "s7-other": {"s7-b": PLAIN}}, r"\d\d? ms", {"s7": ["s7-other"]},
)
async def fallback(scene: Scene) -> str:
    await scene.lab["s7-a"].behave(fault="server_error")
    times = []
    for _ in range(3):
        begin = time.monotonic()
        answer = await scene.send(scene.body("s7"))
        times.append(time.monotonic() - begin)
        if not answer.is_success:
            return f"{answer.status_code}: {answer.text[:80]}"
    median = sorted(times)[1]
    return f"{median:.1f} s" if median >= 0.1 else f"{median * 1000:.0f} ms"


AZURE = {"model": "azure/gpt", "api_version": "2024-10-21"}


@scenario(
    8, "Azure, one of two refuses connections, 40 requests: how many met the dead one", "shuffle",
    {"s8": {"s8-dead": AZURE, "s8-alive": AZURE}}, "[01] of 40",
)
async def azure(scene: Scene) -> str:
    await scene.lab["s8-dead"].behave(fault="refused")
    return f"{met_the_dead(scene, await scene.ask('s8', 40))} of 40"


@scenario(
    9, "The keys of both are wrong, 6 requests", "shuffle", {"s9": {"s9-a": PLAIN, "s9-b": PLAIN}},
    r"502 × 6; 6 of 6 speak of the key",
)
async def keys(scene: Scene) -> str:
    for name in ("s9-a", "s9-b"):
        await scene.lab[name].behave(fault="unauthorized")
    answers = await scene.ask("s9", 6)
    words = ("auth", "api key", "api_key", "credential")
    told = sum(any(word in answer.text.lower() for word in words) for answer in answers)
    return f"{statuses(answers)}; {told} of 6 speak of the key"


async def limits(scene: Scene, group: str) -> str:
    if (second := time.time() % 60) > 50:  # not over the turn of a minute
        await asyncio.sleep(60 - second)
    answers = await scene.ask(group, 20)
    refused = failed(answers)
    return f"{colons(await scene.received(f'{group}-a', f'{group}-b'))}, {f'{refused} fail' if refused else 'none fails'}"


@scenario(
    10, "`rpm: 3` and `rpm: 100` in a least-busy group, 20 requests", "least-busy",
    {"s10": {"s10-a": {"rpm": 3}, "s10-b": {"rpm": 100}}}, "3 : 17, none fails",
)
async def rpm(scene: Scene) -> str:
    return await limits(scene, "s10")


@scenario(
    10, "with `enforce_model_rate_limits`", "enforced", {"s10e": {"s10e-a": {"rpm": 3}, "s10e-b": {"rpm": 100}}},
    "3 : 17, none fails",
)
async def rpm_enforced(scene: Scene) -> str:
    return await limits(scene, "s10e")


FREE = {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
PAID = {"input_cost_per_token": 0.000001, "output_cost_per_token": 0.000002}


@scenario(
    11, "cost-based: `openai/gpt-4o` and `openai/gpt-4o-mini`; one with a price and one with price 0; 6 requests each", "cost",
    {
        "s11": {"s11-large": {"model": "openai/gpt-4o"}, "s11-mini": {"model": "openai/gpt-4o-mini"}},
        "s11-own": {"s11-paid": PAID, "s11-free": FREE},
    },
    "gpt-4o 0, mini 6; paid 0, free 6",
)
async def cost(scene: Scene) -> str:
    for group in ("s11", "s11-own"):
        await scene.ask(group, 6, pause=0.2)
    large, mini, paid, free = await scene.received("s11-large", "s11-mini", "s11-paid", "s11-free")
    return f"gpt-4o {large}, mini {mini}; paid {paid}, free {free}"


@scenario(
    12, "Cache: a request twice, its fields in another order; a request ten times at once: upstream calls", "least-busy",
    {"s12": {"s12-a": PLAIN}}, "1; 1",
)
async def cache(scene: Scene) -> str:
    a = scene.lab["s12-a"]
    body = scene.body("s12", seed=1, temperature=0)
    await scene.send(body)
    await asyncio.sleep(0.5)
    await scene.send(dict(reversed(body.items())))
    order = await a.received()
    await a.behave(head="500ms")
    body = scene.body("s12")
    await asyncio.gather(*(scene.send(body) for _ in range(10)))
    return f"{order}; {await a.received() - order}"


@scenario(
    13, "A stored answer is asked for while all deployments are cooling", "least-busy",
    {"s13": {"s13-a": PLAIN, "s13-b": PLAIN}}, "200",
)
async def cooling(scene: Scene) -> str:
    kept = scene.body("s13")
    await scene.send(kept)
    await asyncio.sleep(0.5)
    for name in ("s13-a", "s13-b"):
        await scene.lab[name].behave(fault="rate_limit")
    await scene.ask("s13", 4)
    return str((await scene.send(kept)).status_code)


CHAIN = [f"s14-{number}" for number in range(1, 9)]


@scenario(
    14, "A flat list of 8 fallbacks of which the last answers: the header that counts them", "shuffle",
    {group: {f"{group}-x": {"num_retries": 0}} for group in ["s14", *CHAIN]}, "8", {"s14": CHAIN},
)
async def flat(scene: Scene) -> str:
    for group in ["s14", *CHAIN[:-1]]:
        await scene.lab[f"{group}-x"].behave(fault="server_error")
    answer = await scene.send(scene.body("s14"))
    if not answer.is_success:
        return f"{answer.status_code}: {answer.text[:80]}"
    return answer.headers.get(scene.gateway.fallbacks_header, "none")


@scenario(
    15, "Both of two answer 500 with a text that mentions a rate limit, 3 requests, no retries: statuses; upstream calls", "shuffle",
    {"s15": {"s15-a": {"num_retries": 0}, "s15-b": {"num_retries": 0}}}, "500 × 3; 3",
)
async def words(scene: Scene) -> str:
    error = {"message": "internal error in the rate limit service", "type": "server_error", "param": None, "code": None}
    for name in ("s15-a", "s15-b"):
        await scene.lab[name].behave(fault={"status": {"status": 500, "body": {"error": error}}})
    answers = await scene.ask("s15", 3)
    return f"{statuses(answers)}; {sum(await scene.received('s15-a', 's15-b'))}"


TEN = [f"s16-{number}" for number in range(10)]


@scenario(
    16, "`max_parallel_requests: 1`, two deployments, 2 at once, in 10 such groups: how often both were served at once", "shuffle",
    {group: {f"{group}-{side}": {"max_parallel_requests": 1} for side in "ab"} for group in TEN}, "10 of 10",
)
async def parallel(scene: Scene) -> str:
    both = 0
    for group in TEN:
        names = [f"{group}-a", f"{group}-b"]
        for name in names:
            await scene.lab[name].behave(hold="before_head")
        requests = [asyncio.create_task(scene.send(scene.body(group))) for _ in range(2)]
        at_once = await scene.held(names, 2, seconds=1)
        for name in names:
            await scene.lab[name].behave()
            await scene.lab[name].release()
        answers = await asyncio.gather(*requests)
        both += at_once and not failed(answers) and Counter(await scene.received(*names)) == Counter([1, 1])
    return f"{both} of 10"


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=None), headers={"authorization": f"Bearer {KEY}"})
