"""Times soundstorm-pytorch 0.6.1 on the work that `soundstorm bench` times, and prints the same JSON.

    python benches/peers/soundstorm_pytorch.py --work forward|generate [--preset reference|small] [--frames N]
        [--batch N] [--steps 16,1] [--runs N] [--threads N] [--dtype f32|bf16] [--compile] [--device cpu|cuda]

forward: one pass of its network, which projects every level to logits.
generate: the paper's decoding, 27 passes for 12 levels, driven by a plain loop over its network: its own generate()
takes other steps and has flaws, so it does other work. Weights are random and built outside the timing.
--serve builds once, prints a line of JSON when ready, and then does one timed run for each line on stdin, answering
each with {"run": n, "seconds": s, "peak_mib": m}: two programs can be timed in turns. An empty line or the end of
stdin ends it, with the summary as the last line.
"""

import argparse
import json
import math
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "xtask" / "fixtures"))
import soundstorm_reference as reference  # noqa: E402


def passes_per_level(steps, levels):
    """`16,1` -> 16 for the first level and 1 for each of the rest."""
    given = [int(each) for each in steps.split(",")]
    return (given + given[-1:] * levels)[:levels]


def gumbel(like):
    return -torch.log(-torch.log(torch.rand_like(like, dtype=torch.float32).clamp(1e-20)))


def generate(net, levels, mask_id, batch, frames, steps, device):
    """Coarse to fine: sample, keep the most confident, the schedule a cosine; a level's last pass is greedy."""
    tokens = torch.full((batch, frames, levels), mask_id, device=device)
    for level, count in enumerate(passes_per_level(steps, levels)):
        for step in range(1, count + 1):
            logits = net(tokens.view(batch, -1)).view(batch, frames, levels, -1)[:, :, level].float()
            masked = tokens[:, :, level] == mask_id
            if step == count:
                tokens[:, :, level] = torch.where(masked, logits.argmax(dim=-1), tokens[:, :, level])
                break
            log_probabilities = logits.log_softmax(dim=-1)
            codes = (log_probabilities + gumbel(log_probabilities)).argmax(dim=-1)
            confidence = log_probabilities.gather(-1, codes[..., None])[..., 0]
            confidence = confidence + (1 - step / count) * gumbel(confidence)
            confidence = confidence.masked_fill(~masked, math.inf)
            left = int(frames * math.cos(math.pi / 2 * step / count))
            again = confidence.argsort(dim=-1)[:, :left]
            tokens[:, :, level] = torch.where(masked, codes, tokens[:, :, level]).scatter(1, again, mask_id)
    assert int(tokens.max()) < mask_id
    return tokens


def peak_mib(device):
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", choices=("forward", "generate"), default="forward")
    parser.add_argument("--preset", choices=("reference", "small"), default="reference")
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", default="16,1")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--threads", type=int, help="default: what PyTorch chooses")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--cache", type=Path, default=reference.default_cache(), help="where the package is kept")
    arguments = parser.parse_args()

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    device = torch.device(arguments.device)
    version, settings = reference.PRESETS[arguments.preset]
    net = reference.build(reference.import_soundstorm(version, arguments.cache), version, settings).net
    parameters = sum(parameter.numel() for parameter in net.parameters())
    net = net.to(device)
    if arguments.dtype == "bf16":
        net = net.bfloat16()
    called = torch.compile(net) if arguments.compile else net
    levels, mask_id = settings["num_quantizers"], settings["codebook_size"]
    batch, frames = arguments.batch, arguments.frames
    codes = torch.randint(0, mask_id, (batch, frames * levels), device=device)

    def run():
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.inference_mode():
            if arguments.work == "forward":
                called(codes)
            else:
                generate(called, levels, mask_id, batch, frames, arguments.steps, device)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def warm_up():
        # a pass is what a generation repeats, so it is enough to warm either
        with torch.inference_mode():
            for _ in range(arguments.warmup):
                called(codes)

    def say(value):
        print(json.dumps(value), flush=True)

    about = {
        "peer": f"soundstorm-pytorch {version}",
        "work": arguments.work,
        "preset": arguments.preset,
        "frames": frames,
        "batch": batch,
        "passes": 1 if arguments.work == "forward" else sum(passes_per_level(arguments.steps, levels)),
        "levels": levels,
        "parameters": parameters,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "dtype": arguments.dtype,
        "device": arguments.device,
        "compile": arguments.compile,
    }
    warm_up()
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


if __name__ == "__main__":
    main()
