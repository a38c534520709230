"""Writes decode.json: random streams and whole decodes, by a plain implementation in double precision
that shares no code with the crate. Python 3, standard library only.

    python3 decode.py > decode.json

The scripted logits are multiples of 1/1024 (exact in f32) that depend on every visible token of the
level and the coarser ones, so that one wrong token changes all that follow.
"""

import json
import math
import struct
from fractions import Fraction

from schedule import cosine, counts, linear

M64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return z ^ (z >> 31)


def row_seed(job, row):
    start = mix((job + GOLDEN) & M64)
    return mix((start + (row + 1) * GOLDEN) & M64)


def chacha8(key, stream, words):
    """ChaCha with 8 rounds, 64-bit block counter, 64-bit stream number."""

    def rotate(x, n):
        return ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF

    out, block = [], 0
    while len(out) < words:
        start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
        start += struct.unpack("<8I", key)
        start += [block & 0xFFFFFFFF, block >> 32, stream & 0xFFFFFFFF, stream >> 32]
        x = list(start)

        def quarter(a, b, c, d):
            for p, q, r, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[p] = (x[p] + x[q]) & 0xFFFFFFFF
                x[r] = rotate(x[r] ^ x[p], n)

        for _ in range(4):
            for i in range(4):
                quarter(i, 4 + i, 8 + i, 12 + i)
            for i in range(4):
                quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
        out += [(a + b) & 0xFFFFFFFF for a, b in zip(x, start)]
        block += 1
    return out[:words]


def noise(seed, level, step, frames):
    key = b"".join(struct.pack("<Q", mix((seed + (i + 1) * GOLDEN) & M64)) for i in range(4))
    words = chacha8(key, level << 32 | step, 2 * frames)
    uniforms = [(w >> 8) / 2**24 for w in words[0::2]]
    gumbels = [-math.log(-math.log((w + 0.5) / 2**32)) for w in words[1::2]]
    return uniforms, gumbels


def logits(tokens, level, frame, codebook):
    context = sum(
        (token + 1) * (q + 2) * (f + 3)
        for q in range(level + 1)
        for f, token in enumerate(tokens[q])
    )
    return [
        ((level * 31 + frame * 17 + code * 13 + context * 5 + code * code * frame) % 23) / 4
        + code / 1024
        for code in range(codebook)
    ]


def decode(tokens, seed, mask, options):
    """The tokens after every pass, as (level, step, tokens)."""
    tokens, trace = [list(level) for level in tokens], []
    gamma = {"cosine": cosine, "linear": linear}[options["schedule"]]
    for level, row in enumerate(tokens):
        steps = options["steps"][min(level, len(options["steps"]) - 1)]
        unknown = row.count(mask)
        left = counts(gamma, unknown, steps, options["clip_schedule"])
        for step in range(1, steps + 1):
            masked = [f for f, token in enumerate(row) if token == mask]
            last = step == steps
            uniforms, gumbels = noise(seed, level, step, len(row))
            candidates = []
            for f in masked:
                l = logits(tokens, level, f, mask)
                if last or options["greedy"]:
                    code = max(range(mask), key=lambda c: l[c])
                else:
                    kept = sorted(l, reverse=True)[: options["top_k"] or mask]
                    w = [math.exp(v / options["temperature"]) if v >= kept[-1] else 0 for v in l]
                    target, below, code = uniforms[f] * sum(w), 0.0, None
                    for c, weight in enumerate(w):
                        below += weight
                        if below > target:
                            code = c
                            break
                confidence = l[code] - math.log(sum(math.exp(v) for v in l))
                if not options["greedy"]:
                    confidence += options["confidence_noise"] * (1 - step / steps) * gumbels[f]
                candidates.append((-confidence, f, code))
            candidates.sort()
            for _, f, code in candidates[: len(masked) - left[step - 1]]:
                row[f] = code
            assert row.count(mask) == left[step - 1]
            if len(masked) > left[step - 1]:
                trace.append([level, step, [list(l) for l in tokens]])
    return trace


def case(name, rows, mask, **options):
    defaults = dict(
        steps=[16, 1],
        schedule="cosine",
        temperature=1.0,
        top_k=None,
        confidence_noise=4.5,
        greedy=False,
        clip_schedule=False,
    )
    options = {**defaults, **options}
    done = []
    for seed, tokens in rows:
        done.append(dict(seed=seed, tokens=tokens, trace=decode(tokens, seed, mask, options)))
    return dict(name=name, mask_id=mask, options=options, rows=done)


def masked(levels, frames, mask, fixed=()):
    tokens = [[mask] * frames for _ in range(levels)]
    for level, frame, token in fixed:
        tokens[level][frame] = token
    return tokens


if __name__ == "__main__":
    streams = []
    for seed, level, step, frames in [(0, 0, 1, 3), (row_seed(7, 2), 3, 5, 11), (M64, 11, 16, 2)]:
        uniforms, gumbels = noise(seed, level, step, frames)
        streams.append(
            dict(seed=seed, level=level, step=step, uniforms=uniforms, gumbels=gumbels)
        )
    seeds = [[job, row, row_seed(job, row)] for job, row in [(0, 0), (0, 1), (1, 0), (M64, 12)]]
    prompt = [(q, f, (q * 5 + f * 3) % 13) for q in range(3) for f in range(2)]
    inside = [(0, 7, 11), (2, 4, 1), (1, 10, 6)]
    plain = [
        (row_seed(3, 0), masked(3, 11, 13, prompt)),
        (row_seed(3, 1), masked(3, 7, 13)),
        (row_seed(3, 2), masked(3, 17, 13, prompt + inside)),
    ]
    cases = [
        case("defaults", plain, 13),
        case("several steps a level", plain, 13, steps=[5, 3, 2]),
        case("greedy", plain, 13, steps=[7, 2], greedy=True),
        case(
            "cold, filtered, linear, clipped",
            plain,
            13,
            steps=[19, 4],
            schedule="linear",
            temperature=0.7,
            top_k=5,
            confidence_noise=1.0,
            clip_schedule=True,
        ),
        case("hot, no noise", plain, 13, steps=[6], temperature=1.9, confidence_noise=0.0),
    ]
    print(json.dumps(dict(row_seeds=seeds, streams=streams, cases=cases), separators=(",", ":")))
