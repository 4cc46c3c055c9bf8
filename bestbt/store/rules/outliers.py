"""Rules for prices that cannot be: next to the bars beside them, and next to their chain.

Each measures how far a bar lies outside what it is held against, as a share of how far it may.
Above 1 it is taken away; above a half or a quarter it is noted. A bar is judged by the price of
it that lies *nearest* (an index by the farthest: it has no trades that could be off), so a lone
trade inside a bar is never reason enough. The limits are some times what two years of real index
minutes, a real day of a whole chain and ten weeks of chain snapshots have at most; the figures are
in docs/importing.md. Last prices beside quotes are not judged: they may be hours old, and are not
what a run marks with.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from bestbt.store.rules.bench import Bench, Floats, Ints, Mask
from bestbt.store.sessions import local_days
from bestbt.units import MINUTE

__all__ = ["off_chain", "spikes", "spot_off_chain"]

_SPIKE = {"index": 0.02, "future": 0.05, "equity": 0.10, "option": 0.02}  # option: of the strike
_TIMES = 3.0  # and an option's price is a multiple, or a fraction, of its neighbours'
_MAYBE = 0.5

_ABOVE = 0.05  # a call is worth no more than the index, a put no more than the strike
_BELOW = 0.10  # nor less than what it would pay now
_NEIGHBOUR = 0.02  # nor more than the next strikes that pay more
_CARRY = 0.08  # a year: interest and dividends until expiry
_PERHAPS = 0.25

_PARITY = 0.03
_PAIRS = 5  # calls with puts, to know where their index is


def spikes(bench: Bench) -> None:
    """Take away a bar that leaves the bars before and after it, which agree, and comes back.

    The limit grows with the root of the time between them. A session's first and last bars have
    no neighbour on one side, and are not judged.
    """
    rows = bench.rows
    if len(rows.line) < 3:
        return
    days = bench.days()
    joined = (np.diff(rows.code) == 0) & (np.diff(days) == 0)
    inner = np.zeros(len(days), dtype=bool)
    inner[1:-1] = joined[1:] & joined[:-1]
    # what lies within the bars beside it is none: these are as wild
    high_side = np.maximum(np.roll(rows.high, 1), np.roll(rows.high, -1))
    low_side = np.minimum(np.roll(rows.low, 1), np.roll(rows.low, -1))
    apart = (np.roll(rows.start, -1) - np.roll(rows.start, 1)) / (2 * MINUTE)
    room = np.sqrt(np.maximum(apart, 1))
    share = np.array([_SPIKE[s.asset] for s in bench.specs])[rows.code] * room
    strike = np.array([(s.strike or 0) * s.scale for s in bench.specs])[rows.code]
    option, index = bench.of("option"), bench.of("index")

    def severity(up: Floats, down: Floats) -> Floats:
        """How far bars lie outside, by the price that counts above and the one that does below."""
        away = np.maximum(up - high_side, low_side - down)
        level = np.where(option, strike, np.where(up > high_side, high_side, low_side))
        found = away / (share * level)
        times = np.maximum(up / high_side, low_side / down)
        enough = ~option | (times >= 1 + (_TIMES - 1) * np.minimum(found, 1))
        return np.where(inner & enough, found, 0)

    with np.errstate(divide="ignore", invalid="ignore"):
        nearest = severity(rows.low, rows.high)
        farthest = severity(rows.high, rows.low)
    judged = np.where(index, farthest, nearest)
    trusted = bench.quoted()
    gone = (judged > 1) & ~trusted
    bench.note("maybe-spike", (judged > _MAYBE) & ~gone & ~trusted)
    bench.note("far-extreme", (farthest > 1) & (nearest <= _MAYBE) & ~index & ~trusted)
    bench.quarantine("spike", gone, judged=True)


def spot_off_chain(bench: Bench) -> None:
    """Take away a bar of an index that all its calls and puts of that bar contradict.

    They say the index by parity, strike + call − put: the median over the nearest expiry.
    """
    rows = bench.rows
    index, option = bench.of("index"), bench.of("option")
    if not index.any() or not option.any():
        return
    gone = np.zeros(len(rows.line), dtype=bool)
    for number, spec in enumerate(bench.specs):
        if spec.asset != "index":
            continue
        own = np.flatnonzero(rows.code == number)
        implied = _implied(bench, spec.symbol, option)
        if implied is None or not len(own):
            continue
        found = implied.reindex(rows.start[own])
        level, carry = found["level"].to_numpy(), found["carry"].to_numpy()
        limit = (_PARITY + carry) * level
        gone[own] = (rows.low[own] - level > limit) | (level - rows.high[own] > limit)
    bench.quarantine("spot-off-chain", gone, judged=True)


def _implied(bench: Bench, symbol: str, option: Mask) -> pd.DataFrame | None:
    """Return the index by start, as the nearest expiry's calls and puts say it."""
    rows, specs = bench.rows, bench.specs
    of_symbol = np.array([s.symbol == symbol for s in specs])[rows.code]
    which = np.flatnonzero(option & of_symbol)
    codes = rows.code[which]
    price = rows.close[which]
    if rows.bid is not None and rows.ask is not None:
        both = (rows.bid[which] > 0) & (rows.ask[which] > 0)
        price = np.where(both, (rows.bid[which] + rows.ask[which]) / 2, price)
    pairs: dict[tuple[date | None, float | None], int] = {}
    pair_of = np.array([pairs.setdefault((s.expiry, s.strike), len(pairs)) for s in specs])
    call = np.array([s.right == "CE" for s in specs])[codes]
    key = (rows.start[which] - rows.start.min()) // bench.step * len(pairs) + pair_of[codes]
    _, calls, puts = np.intersect1d(key[call], key[~call], assume_unique=True, return_indices=True)
    at = which[call][calls]
    if not len(at):
        return None
    strike = np.array([(s.strike or 0) * s.scale for s in specs])[rows.code[at]]
    table = pd.DataFrame(
        {
            "start": rows.start[at],
            "expires": bench.expires[rows.code[at]],
            "level": strike + price[call][calls] - price[~call][puts],
        }
    )
    said = table.groupby(["start", "expires"], sort=True)["level"].agg(["median", "size"])
    said = said[said["size"] >= _PAIRS].reset_index()
    said = said.drop_duplicates("start").set_index("start")
    days = local_days(said.index.to_numpy(), bench.calendar.market.tz)
    carry = _CARRY * (said["expires"] - days) / 365
    return pd.DataFrame({"level": said["median"], "carry": carry})


def off_chain(bench: Bench) -> None:
    """Take away prices of options that no market can have had, next to index and strikes."""
    rows = bench.rows
    option = bench.of("option")
    if not option.any():
        return
    which = np.flatnonzero(option & ~bench.quoted())
    outside = np.maximum(_bounds(bench, which), _strikes(bench, which))
    severity = np.zeros(len(rows.line))
    severity[which] = outside
    bench.note("maybe-off-chain", (severity > _PERHAPS) & (severity <= 1))
    bench.quarantine("off-chain", severity > 1, judged=True)


def _bounds(bench: Bench, which: Ints) -> Floats:
    """How far prices lie above the index or strike, or below what the option pays now."""
    rows, specs = bench.rows, bench.specs
    code = rows.code[which]
    strike = np.array([(s.strike or 0) * s.scale for s in specs])[code]
    call = np.array([s.right == "CE" for s in specs])[code]
    lowest, highest = _index_range(bench, which)
    years = (bench.expires[code] - bench.days()[which]) / 365
    may_below = (_BELOW + _CARRY * years) * strike
    most = np.where(call, highest, strike)
    pays = np.where(call, lowest - strike, strike - highest)
    above = (rows.low[which] - most) / (_ABOVE * strike)
    below = (pays - rows.high[which]) / may_below
    return np.asarray(np.nan_to_num(np.fmax(above, below)))


def _index_range(bench: Bench, which: Ints) -> tuple[Floats, Floats]:
    """Return low and high of each row's index in its bar; NaN where the file has none."""
    rows, specs = bench.rows, bench.specs
    low, high = np.full(len(which), np.nan), np.full(len(which), np.nan)
    for number, spec in enumerate(specs):
        if spec.asset != "index":
            continue
        own = np.flatnonzero(rows.code == number)
        if not len(own):
            continue
        mine = np.array([s.symbol == spec.symbol for s in specs])[rows.code[which]]
        at = np.minimum(np.searchsorted(rows.start[own], rows.start[which]), len(own) - 1)
        mine &= rows.start[own][at] == rows.start[which]
        low[mine], high[mine] = rows.low[own][at[mine]], rows.high[own][at[mine]]
    return low, high


def _strikes(bench: Bench, which: Ints) -> Floats:
    """How far prices lie from those of both next strikes that must be dearer, or cheaper."""
    rows, specs = bench.rows, bench.specs
    if len(which) < 3:
        return np.zeros(len(which))
    # In a chain, contracts by falling worth: calls by strike, puts from the highest down.
    chains: dict[tuple[str, date | None, str | None], int] = {}
    chain = np.array([chains.setdefault((s.symbol, s.expiry, s.right), len(chains)) for s in specs])
    worth = np.array([(s.strike or 0) * (1 if s.right == "CE" else -1) for s in specs])
    rank = np.empty(len(specs), dtype=np.int64)
    rank[np.lexsort((worth, chain))] = np.arange(len(specs))
    moment = (rows.start[which] - rows.start[which].min()) // bench.step
    order = np.argsort(moment * len(specs) + rank[rows.code[which]], kind="stable")
    at = which[order]
    place, moment = chain[rows.code[at]], moment[order]
    low, high = rows.low[at], rows.high[at]
    limit = _NEIGHBOUR * np.abs(worth[rows.code[at]]) * bench.scale[rows.code[at]]
    outside = np.zeros(len(at))
    same_1 = (place[1:] == place[:-1]) & (moment[1:] == moment[:-1])
    same_2 = same_1[1:] & same_1[:-1]
    dear = np.maximum(high[1:-1], high[:-2])  # the two before: worth more
    outside[2:] = np.where(same_2, (low[2:] - dear) / limit[2:], 0)
    cheap = np.minimum(low[1:-1], low[2:])  # the two behind: worth less
    outside[:-2] = np.maximum(outside[:-2], np.where(same_2, (cheap - high[:-2]) / limit[:-2], 0))
    found = np.zeros(len(which))
    found[order] = outside
    return found
