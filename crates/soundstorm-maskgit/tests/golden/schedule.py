"""Golden numbers of src/schedule.rs: exact fractions, cosines with 50 digits. Python 3, standard library only.

    python3 schedule.py
"""

from decimal import Decimal, getcontext
from fractions import Fraction
from math import floor

getcontext().prec = 50
PI = Decimal("3.14159265358979323846264338327950288419716939937510")


def cosine(progress):
    x = PI / 2 * Decimal(progress.numerator) / Decimal(progress.denominator)
    term = total = Decimal(1)
    for k in range(1, 40):
        term = -term * x * x / ((2 * k - 1) * (2 * k))
        total += term
    return total.quantize(Decimal("1e-40"))


def linear(progress):
    return 1 - progress


def counts(gamma, n, steps, clip=False):
    out, before = [], n
    for step in range(1, steps):
        after = floor(n * gamma(Fraction(step, steps)))
        after = max(1, min(before - 1, after)) if clip and before else min(before, after)
        out.append(after)
        before = after
    return out + [0]


if __name__ == "__main__":
    for gamma, n, steps, clip in [
        (cosine, 97, 16, False),
        (cosine, 101, 7, False),
        (cosine, 3, 5, False),
        (cosine, 3, 5, True),
        (linear, 10, 10, False),
        (linear, 13, 5, False),
        (linear, 2, 5, True),
    ]:
        print(gamma.__name__, n, steps, clip, counts(gamma, n, steps, clip))
