"""Made-up one-minute bars: a seeded random walk, the same on every machine.

usage: bars.py FILE COUNT [SEED]
"""

import sys

START_MS = 1_577_836_800_000
MASK = (1 << 64) - 1


def draws(seed):
    """SplitMix64 (Steele et al. 2014) as uniform numbers in [0, 1)."""
    state = seed & MASK
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield ((z ^ (z >> 31)) >> 11) / (1 << 53)


def write(path, count, seed=1):
    """Prices in whole cents around 20,000; the walk has no drift and is held within 5,000 and 80,000."""
    draw = draws(seed)
    close = 2_000_000
    with open(path, "w", encoding="ascii") as out:
        out.write("open_time,open,high,low,close,volume\n")
        for at in range(count):
            # The sum of four uniform draws is near enough to a bell.
            noise = sum(next(draw) for _ in range(4)) - 2.0
            opened = close + round((next(draw) - 0.5) * close * 0.0001)
            close = opened + round(noise * close * 0.001)
            close = min(max(close, 500_000), 8_000_000)
            wick = close * 0.0004
            high = max(opened, close) + round(next(draw) * wick)
            low = min(opened, close) - round(next(draw) * wick)
            volume = 10 + round(next(draw) * 100)
            prices = ",".join(f"{cents / 100:.2f}" for cents in (opened, high, low, close))
            out.write(f"{START_MS + 60_000 * at},{prices},{volume}\n")


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
