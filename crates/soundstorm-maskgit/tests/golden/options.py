"""Writes options.json: whole decodes with each option of the sampler, by a plain implementation in double
precision that shares no code with the crate; and MaskGIT's published decoding, restated from
https://github.com/google-research/maskgit (libml/parallel_decode.py, libml/mask_schedule.py). Python 3,
standard library only.

    python3 options.py > options.json

Random numbers and scripted logits are those of decode.py. Where an option draws at random, it takes the Gumbels
of the step: those of masked frames rank candidates, those of kept frames choose what is masked again.
"""

import json
import math
from fractions import Fraction

from decode import logits, masked, noise, row_seed
from schedule import cosine, counts, linear

DEFAULTS = dict(
    steps=[16, 1],
    schedule="cosine",
    temperature=1.0,
    top_k=None,
    top_p=None,
    typical=None,
    confidence="probability",
    order="confidence",
    span=1,
    remask="never",
    entropy_budget=None,
    confidence_noise=4.5,
    greedy=False,
    clip_schedule=False,
)


def softmax(l):
    best = max(l)
    w = [math.exp(v - best) for v in l]
    return [x / sum(w) for x in w]


def entropy(p):
    return -sum(x * math.log(x) for x in p if x > 0)


def fewest(p, score, share):
    """The probabilities of the codes of highest score that have the share, 0 for the others."""
    left, total = set(), 0.0
    for code in sorted((c for c in range(len(p)) if p[c] > 0), key=lambda c: -score[c]):
        left.add(code)
        total += p[code]
        if total >= share:
            break
    total = sum(p[c] for c in left)
    return [p[c] / total if c in left else 0.0 for c in range(len(p))]


def filtered(l, options):
    p = softmax([v / options["temperature"] for v in l])
    if options["top_k"]:
        least = sorted(l, reverse=True)[: options["top_k"]][-1]
        total = sum(x for x, v in zip(p, l) if v >= least)
        p = [x / total if v >= least else 0.0 for x, v in zip(p, l)]
    if options["top_p"]:
        p = fewest(p, p, options["top_p"])
    if options["typical"]:
        h = entropy(p)
        p = fewest(p, [-abs(-math.log(x) - h) if x > 0 else 0 for x in p], options["typical"])
    return p


def inverse_cdf(p, uniform):
    below = 0.0
    for code, x in enumerate(p):
        below += x
        if below > uniform:
            return code
    raise AssertionError


def argmax(l):
    return max(range(len(l)), key=lambda c: l[c])


def radical_inverse(i):
    out, digit = Fraction(0), Fraction(1, 2)
    while i:
        out += digit * (i % 2)
        i //= 2
        digit /= 2
    return out


def spread(n):
    """The places 0..n in the order in which van der Corput's sequence meets them."""
    places, i = [], 0
    while len(places) < n:
        place = math.floor(n * radical_inverse(i))
        if place not in places:
            places.append(place)
        i += 1
    return places


def critic(tokens, level):
    context = sum(
        (token + 1) * (q + 3) * (f + 2)
        for q in range(level + 1)
        for f, token in enumerate(tokens[q])
    )
    return [
        (context * 7 + token * 11 + f * 5) % 29 / 8 + f / 1024
        for f, token in enumerate(tokens[level])
    ]


def decode(tokens, seed, mask, options):
    """The tokens after every step that changes any, as (level, step, tokens)."""
    tokens, trace = [list(level) for level in tokens], []
    gamma = {"cosine": cosine, "linear": linear}[options["schedule"]]
    remask = options["remask"]
    kind, remdm = next(iter(remask.items())) if isinstance(remask, dict) else (remask, {})
    for level, row in enumerate(tokens):
        steps = options["steps"][min(level, len(options["steps"]) - 1)]
        own = [f for f, token in enumerate(row) if token == mask]
        n, length = len(own), options["span"]
        left = counts(gamma, math.ceil(n / length), steps, options["clip_schedule"])
        left = [min(n, spans * length) for spans in left]
        order = {own[place]: -rank for rank, place in enumerate(spread(n))}
        span = {f: place // length for place, f in enumerate(own)}
        filled_with = {}
        for step in range(1, steps + 1):
            before, last = list(row), step == steps
            open_ = [f for f in own if row[f] == mask]
            uniforms, gumbels = noise(seed, level, step, len(row))
            l = {f: logits(tokens, level, f, mask) for f in own}
            codes = {f: row[f] for f in own}
            for f in open_:
                if last or options["greedy"]:
                    codes[f] = argmax(l[f])
                else:
                    codes[f] = inverse_cdf(filtered(l[f], options), uniforms[f])
            if last:
                for f in open_:
                    row[f] = codes[f]
            else:
                with_candidates = [list(t) for t in tokens]
                for f in open_:
                    with_candidates[level][f] = codes[f]
                scores = critic(with_candidates, level)
                ranked = {}
                for f in own if kind == "least_confident" else open_:
                    p = softmax(l[f])
                    best, second = sorted(p, reverse=True)[:2]
                    ranked[f] = {
                        "probability": math.log(p[codes[f]]),
                        "margin": math.log(best - second),
                        "entropy": -entropy(p),
                        "critic": scores[f],
                    }[options["confidence"]]
                    if not options["greedy"]:
                        ranked[f] += options["confidence_noise"] * (1 - step / steps) * gumbels[f]
                    if options["order"] == "random":
                        ranked[f] = gumbels[f]
                    if options["order"] == "van_der_corput":
                        ranked[f] = order[f]
                best = {}
                for f, confidence in ranked.items():
                    best[span[f]] = max(best.get(span[f], -math.inf), confidence)
                queue = sorted(ranked, key=lambda f: (-best[span[f]] if length > 1 else -ranked[f], f))
                kept, after = n - len(open_), left[step - 1]
                if options["entropy_budget"] is not None:
                    spent, largest, filled = 0, 0, []
                    for f in queue:
                        parts = round(entropy(softmax(l[f])) * 1024)
                        spent, largest = spent + parts, max(largest, parts)
                        if (spent - largest) / 1024 > options["entropy_budget"]:
                            break
                        filled.append(f)
                    lost = []
                elif kind == "least_confident":
                    stay = queue[: n - after]
                    filled = [f for f in stay if row[f] == mask]
                    lost = [f for f in own if row[f] != mask and f not in stay]
                elif kind in ("cap", "rescale"):
                    most = min(1, Fraction(after, kept)) if kept else 0
                    eta = Fraction(remdm["eta"])
                    share = min(eta, most) if kind == "cap" else eta * most
                    again = math.floor(share * kept)
                    weight = {f: gumbels[f] for f in own if row[f] != mask}
                    if remdm.get("by_confidence"):
                        weight = {f: w - filled_with[f] for f, w in weight.items()}
                    lost = sorted(weight, key=lambda f: -weight[f])[:again]
                    filled = queue[: len(open_) - after + again]
                else:
                    filled, lost = queue[: len(open_) - after], []
                for f in filled:
                    row[f] = codes[f]
                    filled_with[f] = softmax(l[f])[codes[f]]
                for f in lost:
                    row[f] = mask
                if options["entropy_budget"] is None:
                    assert row.count(mask) == after
            if row != before:
                trace.append([level, step, [list(t) for t in tokens]])
    return trace


def case(name, rows, mask, algorithm=decode, **options):
    options = {**DEFAULTS, **options}
    done = []
    for seed, tokens in rows:
        done.append(dict(seed=seed, tokens=tokens, trace=algorithm(tokens, seed, mask, options)))
    return dict(name=name, mask_id=mask, options=options, rows=done)


def published(tokens, seed, mask, options):
    """parallel_decode.decode of the published MaskGIT, for the only level. Its categorical draw and its Gumbels
    take our random numbers, and its last step SoundStorm's most likely codes."""
    steps, temperature = options["steps"][0], options["confidence_noise"]
    [ids] = tokens
    ids, trace = list(ids), []
    unknown_at_the_beginning = ids.count(mask)
    for step in range(steps):
        uniforms, gumbels = noise(seed, 0, step + 1, len(ids))
        l = [logits([ids], 0, f, mask) for f in range(len(ids))]
        last = step == steps - 1
        draw = [
            argmax(l[f]) if last else inverse_cdf(softmax(l[f]), uniforms[f])
            for f in range(len(ids))
        ]
        unknown = [token == mask for token in ids]
        sampled = [d if u else token for d, u, token in zip(draw, unknown, ids)]
        ratio = Fraction(step + 1, steps)
        mask_len = math.floor(unknown_at_the_beginning * (cosine(ratio) if not last else 0))
        mask_len = max(1, min(sum(unknown) - 1, mask_len))
        selected = [softmax(l[f])[sampled[f]] if unknown[f] else math.inf for f in range(len(ids))]
        confidence = [
            math.log(p) + temperature * (1 - float(ratio)) * g for p, g in zip(selected, gumbels)
        ]
        cut_off = sorted(confidence)[mask_len]
        ids = [mask if c < cut_off else s for c, s in zip(confidence, sampled)]
        # What is returned are the samples, not the ids that a next step would start from.
        trace.append([0, step + 1, [list(sampled if last else ids)]])
    return trace


if __name__ == "__main__":
    prompt = [(q, f, (q * 5 + f * 3) % 13) for q in range(2) for f in range(2)]
    inside = [(0, 7, 11), (1, 10, 6)]
    rows = [
        (row_seed(3, 0), masked(2, 11, 13, prompt)),
        (row_seed(3, 1), masked(2, 7, 13)),
        (row_seed(3, 2), masked(2, 17, 13, prompt + inside)),
    ]
    one = [(row_seed(4, i), masked(1, n, 13, fixed)) for i, (n, fixed) in enumerate([
        (17, []), (11, [(0, 0, 3), (0, 1, 12)]), (31, [(0, 5, 1)]),
    ])]
    steps = [6, 2]
    cases = [
        case("maskgit, as published", one, 13, published, steps=[8], clip_schedule=True),
        case("maskgit, as published, quiet", one, 13, published, steps=[5], clip_schedule=True, confidence_noise=1.0),
        case("top-p", rows, 13, steps=steps, top_p=0.6),
        case("typical", rows, 13, steps=steps, typical=0.5),
        case("all filters", rows, 13, steps=steps, temperature=1.5, top_k=9, top_p=0.85, typical=0.7),
        case("margin", rows, 13, steps=steps, confidence="margin", confidence_noise=0.5),
        case("entropy", rows, 13, steps=steps, confidence="entropy", confidence_noise=0.5),
        case("critic", rows, 13, steps=steps, confidence="critic", confidence_noise=0.5),
        case("random order", rows, 13, steps=steps, order="random"),
        case("van der Corput", rows, 13, steps=steps, order="van_der_corput"),
        case("spans", rows, 13, steps=[5, 2], span=3, confidence_noise=1.0),
        case("spans, in order, clipped", rows, 13, steps=[4], span=2, order="van_der_corput", clip_schedule=True),
        case("least confident", rows, 13, steps=steps, remask="least_confident", confidence_noise=1.0),
        case("least confident, greedy", rows, 13, steps=steps, remask="least_confident", greedy=True),
        case("token-critic", rows, 13, steps=steps, remask="least_confident", confidence="critic"),
        case("least confident spans", rows, 13, steps=steps, remask="least_confident", span=2),
        case("remdm, capped", rows, 13, steps=steps, remask={"cap": {"eta": 0.25}}),
        case("remdm, rescaled", rows, 13, steps=steps, schedule="linear", remask={"rescale": {"eta": 0.75}}),
        case("remdm, by confidence", rows, 13, steps=steps, order="random",
             remask={"cap": {"eta": 0.5, "by_confidence": True}}),
        case("remdm, by confidence, long", [(row_seed(5, 0), masked(1, 61, 13))], 13, steps=[7],
             remask={"cap": {"eta": 0.5, "by_confidence": True}}),
        case("entropy budget", rows, 13, steps=[9, 3], entropy_budget=4.0, confidence_noise=0.0),
        case("no entropy", rows, 13, steps=[5, 2], entropy_budget=0.0, order="random"),
    ]
    print(json.dumps(dict(cases=cases), separators=(",", ":")))
