"""`soundstorm bench` beside soundstorm-pytorch on a machine without cargo: a GPU that was rented, say.

    python beside.py --program ./soundstorm --device cuda --frames 1500 --work generate --dtypes bf16
        --peers bf16,compile-bf16 --out report.json

It starts every side once, has each do one run in turn (who goes first alternates), refuses sides that did other work,
prints a table, and writes the JSON that `cargo xtask bench` writes. soundstorm-pytorch runs under the Python that runs
this. The peers' scripts are looked for where this one stands, as in the repository.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHAPE = ("passes", "levels", "frames", "parameters")
VERSIONS = ("peer", "version", "burn", "torch", "backend", "device", "dtype", "compile", "threads")
PEERS = {"eager": ("f32", False), "compile": ("f32", True), "bf16": ("bf16", False), "compile-bf16": ("bf16", True)}


class Side:
    """One process, which does a run for each line on its stdin."""

    def __init__(self, name, command, threads):
        self.name, self.peer, self.said, self.seconds, self.failed = name, "pytorch" in name, {}, [], None
        self.peak = None
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
        print("$", shlex.join(command), file=sys.stderr)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)

    def run(self, timed):
        try:
            with contextlib.suppress(OSError):  # one that has left shows in its missing answer
                self.process.stdin.write("run\n")
                self.process.stdin.flush()
            answer = {}
            while "seconds" not in answer:
                line = self.process.stdout.readline()
                if not line:
                    raise RuntimeError(f"left without an answer: {self.process.wait()}")
                answer = json.loads(line)
                before = [self.said.get(key) for key in SHAPE]
                self.said.update(answer)
                if None not in before and before != [self.said.get(key) for key in SHAPE]:
                    raise RuntimeError("two runs did different work")
            self.peak = high_water_mib(self.process.pid) or self.peak
            if timed:
                self.seconds.append(answer["seconds"])
            print(f"{self.name:<36}{answer['seconds']:9.4f} s{'' if timed else ' (warm-up)'}", file=sys.stderr)
        except (OSError, RuntimeError, ValueError) as error:
            self.failed = str(error)
            self.process.kill()

    def stop(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.stdout.read()
        if self.process.wait() and not self.failed:
            self.failed = f"ended with {self.process.returncode}"


def high_water_mib(pid):
    try:
        return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024
    except (OSError, TypeError):
        return None


def machine():
    facts = {"system": platform.platform(), "threads": str(os.cpu_count()), "load before": f"{os.getloadavg()[0]:.2f}"}
    try:
        facts["processor"] = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        pass
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        facts["gpu"] = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pass
    return facts


def sides(arguments):
    shape = ["--work", arguments.work, "--preset", arguments.preset, "--steps", arguments.steps,
             "--frames", str(arguments.frames), "--batch", str(arguments.batch), "--warmup", "0", "--serve"]
    for dtype in arguments.dtypes.split(","):
        name = "soundstorm" + {"f32": ""}.get(dtype, f" {dtype}")
        command = [arguments.program, "bench", "--json", "--device", arguments.device, "--dtype", dtype, *shape]
        yield Side(name, command, arguments.threads)
    for peer in filter(None, arguments.peers.split(",")):
        dtype, compiled = PEERS[peer]
        name = "soundstorm-pytorch" + (" compiled" if compiled else "") + {"f32": ""}.get(dtype, f" {dtype}")
        command = [sys.executable, str(HERE / "soundstorm_pytorch.py"), "--device", arguments.device.split(":")[0],
                   "--dtype", dtype, "--threads", str(arguments.threads), *shape]
        yield Side(name, command + ["--compile"] * compiled, arguments.threads)


def row(arguments, side, peer):
    about = {"work": arguments.work, "preset": arguments.preset, "batch": arguments.batch, "steps": arguments.steps,
             "side": side.name}
    if side.failed:
        return {**about, "frames": arguments.frames, "failed": side.failed}
    median = statistics.median(side.seconds)
    ratio = statistics.median(peer.seconds) / median if peer else None
    return {**about, "seconds": side.seconds, "median_s": median, "min_s": min(side.seconds),
            "max_s": max(side.seconds), "ratio": ratio, "peak_mib": side.peak,
            **{key: side.said[key] for key in SHAPE}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="a built soundstorm")
    parser.add_argument("--work", choices=("forward", "generate", "train"), default="forward")
    parser.add_argument("--preset", default="reference")
    parser.add_argument("--frames", type=int, default=500, help="50 a second")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", default="16,1")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--dtypes", default="f32", help="of soundstorm: f32,bf16")
    parser.add_argument("--peers", default="eager", help=",".join(PEERS))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=1, help="runs of each before; the first waits for all to load")
    parser.add_argument("--out", type=Path, required=True, help="the JSON to write")
    arguments = parser.parse_args()

    facts = machine()
    started = list(sides(arguments))
    warmup = max(arguments.warmup, 1)
    for turn in range(warmup + arguments.runs):
        for side in started[:: -1 if turn % 2 else 1]:
            if not side.failed:
                side.run(turn >= warmup)
    for side in started:
        side.stop()

    first = next((side for side in started if not side.failed), None)
    for side in started:
        for key in SHAPE:
            if not side.failed and side.said[key] != first.said[key]:
                side.failed = f"did other work: {key}: {first.said[key]} in {first.name}, {side.said[key]}"
    peer = next((side for side in started if side.peer), None)
    rows = [row(arguments, side, peer if peer and not peer.failed else None) for side in started]
    report = {
        "command": shlex.join(["python", *sys.argv]), "device": arguments.device, "threads": arguments.threads,
        "warmup": warmup, "runs": arguments.runs, "machine": facts,
        "warning": "The machine was busy before this began." if float(facts["load before"]) > 1 else None,
        "versions": {"date": time.strftime("%Y-%m-%d"), **{
            side.name: ", ".join(f"{key} {side.said[key]}" for key in VERSIONS if side.said.get(key))
            for side in started}},
        "works": rows,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print("side, median s, min s, max s, peer time / its time (the first peer's median over the side's)")
    for each in rows:
        ratio = f"{each['ratio']:.2f}" if each.get("ratio") else ""
        times = "  ".join(f"{each[key]:.4f}" for key in ("median_s", "min_s", "max_s") if key in each)
        print(f"{each['side']:<36}{times}  {ratio}{each.get('failed', '')}")
    sys.exit(any(side.failed for side in started))


if __name__ == "__main__":
    main()
