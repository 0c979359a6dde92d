#!/usr/bin/env python3
"""What run.sh does once the packages are there: start, ask, kill, ask on, count. Exits 1 if a request was lost."""

import argparse
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import openai

HERE = pathlib.Path(__file__).resolve().parent
QUESTIONS = ["The capital of France is", "A haiku about rain:", "Two plus two is", "Rust is a language that"]
BEGAN = time.monotonic()


def tell(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def process(command: list[str], ready: str, log: pathlib.Path, seconds: float, env: dict | None = None):
    """A process that has printed a line which matches `ready`, and is gone afterwards."""
    with log.open("w") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env)
    try:
        deadline = time.monotonic() + seconds
        while not (found := re.search(ready, log.read_text(errors="replace"))):
            if child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield child, found
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@dataclass
class Result:
    streamed: bool
    outcome: str  # answered, cut (had begun to stream), lost
    deployment: str = "-"
    attempts: int = 0
    tokens: int = 0
    first: float = 0.0
    total: float = 0.0
    text: str = ""


class Run:
    def __init__(self, client: openai.OpenAI, tokens: int, watched_port: int):
        self.client, self.tokens, self.watched = client, tokens, f":{watched_port}"
        self.begun = threading.Event()  # a stream of the watched server has just begun
        self.done = threading.Semaphore(0)

    def ask(self, number: int) -> Result:
        result = Result(streamed=number % 2 == 1, outcome="lost")
        begin = time.monotonic()
        question = [{"role": "user", "content": QUESTIONS[number % len(QUESTIONS)]}]
        try:
            raw = self.client.chat.completions.with_raw_response.create(
                model="gemma", messages=question, max_tokens=self.tokens, stream=result.streamed, temperature=0.7
            )
            result.deployment = raw.headers.get("x-waypost-deployment", "-")
            result.attempts = int(raw.headers.get("x-waypost-attempts", "0"))
            if result.streamed:
                for chunk in raw.parse():
                    if chunk.choices and chunk.choices[0].delta.content:
                        if result.tokens == 0:
                            result.first = time.monotonic() - begin
                            if result.deployment.endswith(self.watched):
                                self.begun.set()
                        result.tokens += 1
                        result.text += chunk.choices[0].delta.content
            else:
                answer = raw.parse()
                result.text = answer.choices[0].message.content
                result.tokens = answer.usage.completion_tokens
            result.outcome = "answered"
        except openai.APIError as error:
            result.outcome = "cut" if result.tokens else "lost"
            tell(f"  request {number}: {result.outcome} after {result.tokens} tokens: {type(error).__name__}: {error.message}")
        result.total = time.monotonic() - begin
        self.done.release()
        return result

    def many(self, count: int, at_once: int, meanwhile=None) -> list[Result]:
        with ThreadPoolExecutor(at_once) as pool:
            answers = [pool.submit(self.ask, number) for number in range(count)]
            if meanwhile:
                meanwhile()
            return [answer.result() for answer in answers]


def table(rows: list[tuple]) -> None:
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    for index, row in enumerate(rows):
        print("  ".join(str(cell).ljust(width) if column == 0 else str(cell).rjust(width)
                        for column, (cell, width) in enumerate(zip(row, widths))).rstrip())
        if index == 0:
            print("  ".join("-" * width for width in widths))


def row(name: str, results: list[Result]) -> tuple:
    first = sorted(result.first for result in results if result.first)
    seconds = sorted(result.total for result in results)
    return (
        name, len(results), sum(result.streamed for result in results),
        sum(result.outcome == "answered" for result in results), sum(result.attempts > 1 for result in results),
        sum(result.outcome == "cut" for result in results), sum(result.outcome == "lost" for result in results),
        f"{first[len(first) // 2]:.2f} s" if first else "-", f"{seconds[len(seconds) // 2]:.2f} s",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--requests", type=int, default=16, help="in each of the two runs")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=24, help="longest answer")
    options = parser.parse_args()

    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="waypost-llamacpp-")))
        ports = [free_port(), free_port()]
        servers = []
        for number, port in enumerate(ports, 1):
            command = [sys.executable, str(HERE / "server.py"), str(port), options.weights]
            child, _ = stack.enter_context(process(command, r"ready http", folder / f"llama-{number}.log", 120))
            servers.append(child)
            tell(f"llama.cpp server {number} is ready on port {port} (process {child.pid})")

        env = os.environ | {f"LLAMA_PORT_{number}": str(port) for number, port in enumerate(ports, 1)}
        command = [options.bin, "serve", "--config", str(HERE / "endpoints.yml"), "--host", "127.0.0.1", "--port", "0"]
        log = folder / "waypost.log"
        _, found = stack.enter_context(process(command, r"listening on (http://[0-9.:]+)", log, 20, env | {"NO_COLOR": "1"}))
        tell(f"waypost {found[0]}")

        client = stack.enter_context(openai.OpenAI(base_url=f"{found[1]}/v1", api_key="none", max_retries=0, timeout=120))
        run = Run(client, options.tokens, ports[0])

        tell("one request, then one that streams:")
        for number in (0, 1):
            result = run.ask(number)
            tell(f"  {'streamed' if result.streamed else 'plain':8}  {result.deployment}  {result.tokens} tokens in "
                 f"{result.total:.2f} s: {QUESTIONS[number]!r} -> {result.text[:50]!r}")
            if result.outcome != "answered":
                return 1

        tell(f"{options.requests} requests, {options.at_once} at once, every other one streams:")
        calm = run.many(options.requests, options.at_once)
        for deployment, count in sorted(Counter(result.deployment for result in calm).items()):
            tell(f"  {deployment}: {count}")

        run.done = threading.Semaphore(0)

        def kill() -> None:
            # In the middle: some answered, a stream of this server begun, others waiting, most still to come.
            for _ in range(options.requests // 4):
                run.done.acquire()
            run.begun.clear()
            run.begun.wait(20)
            servers[0].send_signal(signal.SIGKILL)
            servers[0].wait()
            tell("  killed llama.cpp server 1 (SIGKILL)")

        tell("the same again, and server 1 is killed in the middle:")
        killed = run.many(options.requests, options.at_once, kill)
        for deployment, count in sorted(Counter(result.deployment for result in killed if result.outcome != "lost").items()):
            tell(f"  {deployment}: {count}")

        tell("and once more, with one server left:")
        after = run.many(options.requests // 2, options.at_once)
        for deployment, count in sorted(Counter(result.deployment for result in after).items()):
            tell(f"  {deployment}: {count}")

        print()
        heads = ("", "requests", "streamed", "answered", "retried", "cut in the stream", "lost", "first token", "whole")
        table([heads, row("both servers", calm), row("one killed", killed), row("one left", after)])
        print("\nretried: answered by the second or third attempt; times are medians")

        everything = calm + killed + after
        lost = [result for result in everything if result.outcome == "lost"]
        cut = [result for result in calm + after if result.outcome == "cut"]
        if lost or cut:
            print(f"\n{len(lost)} lost, {len(cut)} cut without a kill; the gateway's log ends:\n{log.read_text()[-3000:]}")
            return 1
        print("\nNo request that had not begun to stream was lost.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
