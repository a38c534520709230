"""What every script here shares: its common arguments, and the protocol that `soundstorm bench --serve` speaks.

--serve builds once, prints a line of JSON when ready, and then does one timed run for each line on stdin, answering
each with {"run": n, "seconds": s, "peak_mib": m}: programs can be timed in turns. An empty line or the end of stdin
ends it, with the summary as the last line. Without it, --runs runs follow each other and only the summary comes.
Weights are random and built outside the timing.
"""

import argparse
import json
import resource
import statistics
import sys
import time

import torch


def parser(about, works):
    """The arguments that all scripts take."""
    arguments = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", choices=works, default=works[0])
    arguments.add_argument("--batch", type=int, default=1)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--warmup", type=int, default=1)
    arguments.add_argument("--threads", type=int, help="default: what PyTorch chooses")
    arguments.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    arguments.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments.add_argument("--compile", action="store_true")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--serve", action="store_true")
    return arguments


def prepare(arguments):
    """Threads, seed and device as asked."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    return torch.device(arguments.device)


def peak_mib(device):
    """The most memory held: of the GPU where there is one, of the process elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(arguments, device, about, once):
    """Times `once` as asked for. `about` says what one run does: passes, levels, frames, parameters and versions."""

    def run():
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        once()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def say(value):
        print(json.dumps(value), flush=True)

    about = {
        **about,
        "work": arguments.work,
        "batch": arguments.batch,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "dtype": arguments.dtype,
        "device": arguments.device,
        "compile": arguments.compile,
    }
    for _ in range(arguments.warmup):
        once()
    seconds = []
    if arguments.serve:
        say({"ready": True, **about})
        for line in sys.stdin:
            if not line.strip():
                break
            seconds.append(run())
            say({"run": len(seconds), "seconds": seconds[-1], "peak_mib": peak_mib(device)})
    else:
        seconds = [run() for _ in range(arguments.runs)]
    if seconds:
        say({**about, "median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds),
             "runs": len(seconds), "peak_mib": peak_mib(device)})
