"""Times soundstorm-pytorch 0.6.1 on the work that `soundstorm bench` times, and prints the same JSON.

    python benches/peers/soundstorm_pytorch.py --work forward|generate|train [--preset reference|small] [--frames N]
        [--batch N] [--steps 16,1] [--runs N] [--threads N] [--dtype f32|bf16] [--compile] [--device cpu|cuda] [--serve]

forward: one pass of its network, which projects every level to logits.
generate: the paper's decoding, 27 passes for 12 levels, driven by a plain loop over its network: its own generate()
takes other steps and has flaws, so it does other work.
train: one step of AdamW at 1e-4 on random codes, with its own loss: it masks one level drawn for the batch, and its
network projects every level. Forward, backward, the step, and the gradients dropped.
The protocol of --serve stands in timing.py.
"""

import math
import sys
from pathlib import Path

import torch

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "xtask" / "fixtures"))
import soundstorm_reference as reference  # noqa: E402
import timing  # noqa: E402


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


def trainer(model, called, codes):
    """One optimiser step. The loss changes the codes that it is given, so it gets a copy."""
    model.net = called
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def once():
        loss, _ = model(codes.clone())
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return once


def main():
    parser = timing.parser(__doc__, ("forward", "generate", "train"))
    parser.add_argument("--preset", choices=("reference", "small"), default="reference")
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--steps", default="16,1")
    parser.add_argument("--cache", type=Path, default=reference.default_cache(), help="where the package is kept")
    arguments = parser.parse_args()

    device = timing.prepare(arguments)
    version, settings = reference.PRESETS[arguments.preset]
    model = reference.build(reference.import_soundstorm(version, arguments.cache), version, settings)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    model = model.to(device)
    if arguments.dtype == "bf16":
        model = model.bfloat16()
    called = torch.compile(model.net) if arguments.compile else model.net
    levels, mask_id = settings["num_quantizers"], settings["codebook_size"]
    batch, frames = arguments.batch, arguments.frames
    codes = torch.randint(0, mask_id, (batch, frames, levels), device=device)

    if arguments.work == "train":
        once = trainer(model, called, codes)
    else:
        flat = codes.view(batch, -1)

        @torch.inference_mode()
        def once():
            if arguments.work == "forward":
                called(flat)
            else:
                generate(called, levels, mask_id, batch, frames, arguments.steps, device)

    timing.measure(arguments, device, {
        "peer": f"soundstorm-pytorch {version}",
        "preset": arguments.preset,
        "frames": frames,
        "passes": sum(passes_per_level(arguments.steps, levels)) if arguments.work == "generate" else 1,
        "levels": levels,
        "parameters": parameters,
    }, once)


if __name__ == "__main__":
    main()
