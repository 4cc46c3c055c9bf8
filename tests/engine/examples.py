"""What small cases worked out by hand are played with: both engines, over tiny worlds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

import pytest

from bestbt.engine.fees import NoFees
from tests.engine.programs import (
    CAPITAL,
    Action,
    Actions,
    Level,
    Program,
    Rules,
    Scripted,
    simulation,
)
from tests.engine.reference import Reference
from tests.engine.worlds import Day, Option, World

Fill = tuple[int, int, int, int, str, str]


class Played(NamedTuple):
    fills: list[Fill]
    orders: list[tuple[str, str, str]]  # type, kind, status
    levels: list[tuple[int, int]]  # trigger and price of each
    changes: list[tuple[int, int, int]]  # of all orders: trigger, price, units before
    refused: list[str]
    skipped: list[int]
    ambiguous: int
    equity: list[int]  # less the capital
    gains: dict[str | None, tuple[int, int]]


def by_reference(world: World, program: Program, slippage: str, close: bool, r: Rules) -> Played:
    ref = Reference(world, program, slippage, close, r, charged=False).run()
    return Played(
        [(*divmod(f.point, 4), f.qty, f.price, f.reason, f.kind) for f in ref.fills],
        [(o.type, o.kind, o.status) for o in ref.orders],
        [(o.trigger, o.price) for o in ref.orders],
        [c[1:] for o in ref.orders for c in o.changes],
        [r[1] for r in ref.refused],
        ref.skipped,
        len(ref.ambiguous),
        [e - CAPITAL for e in ref.equity],
        {tag: ref.gains(tag) for tag in (None, "a", "b")},
    )


def by_engine(world: World, program: Program, slippage: str, close: bool, r: Rules) -> Played:
    sim = simulation(world, program, slippage, close, r, NoFees()).run()
    assert isinstance(sim.strategy, Scripted)
    result = sim.result
    return Played(
        [(*divmod(f.point, 4), f.qty, f.raw_price, f.reason, f.kind) for f in result.fills],
        [(o.type, o.kind, o.status) for o in result.orders],
        [(o.raw_trigger, o.raw_price) for o in result.orders],
        [tuple(c[1:]) for o in result.orders for c in o.changes],  # type: ignore[misc]
        [r[1] for r in sim.strategy.refused],
        [e.bar for e in result.log if e.kind == "stop-skipped"],
        result.ambiguous,
        [int(e) - CAPITAL for e in result.equity()],
        {tag: sim.strategy.gains(tag) for tag in (None, "a", "b")},
    )


Play = Callable[..., Played]


@pytest.fixture(params=[by_reference, by_engine])
def play(request: pytest.FixtureRequest) -> Play:
    """Play actions by bar over an option's bars."""

    def run(
        bars: list[Any],
        actions: dict[int, Action | Actions],
        *more: list[Any],
        quotes: list[Any] | None = None,
        volume: list[int] | None = None,
        sessions: int = 1,
        slippage: str = "0",
        close: bool = False,
        relot: int | None = None,
        **rules: Any,
    ) -> Played:
        world = market([bars, *more], quotes, volume, sessions, relot)
        by_bar = {b: a if isinstance(a, tuple) and not isinstance(a, Action) else (a,)
                  for b, a in actions.items()}  # fmt: skip
        by: Play = request.param
        return by(world, Program(bars=by_bar), slippage, close, Rules(**rules))

    return run


def market(
    options: list[list[Any]],
    quotes: list[Any] | None,
    volume: list[int] | None,
    sessions: int,
    relot: int | None = None,
) -> World:
    """Calls of strikes 100, 105 … over sessions of as many bars each; quotes are the first's.

    Lots are of 50 units; with *relot*, of so many until the second session.
    """
    full = [[(b,) * 4 if isinstance(b, int) else b for b in bars] for bars in options]
    n = len(full[0])
    days = tuple(Day(date(2024, 1, 1 + i), ((555, n // sessions),)) for i in range(sessions))
    return World(
        1,
        days,
        ((10_000,) * 4,) * n,
        tuple(
            Option(
                date(2024, 2, 29), 100 + 5 * i, "CE", 50, tuple(bars),
                quotes=tuple(quotes) if quotes and i == 0 else None,
                volume=tuple(volume) if volume and i == 0 else None,
                relot=(date(2024, 1, 2), relot) if relot else None,
            )
            for i, bars in enumerate(full)
        ),
        {},
        ("window", 30),
    )  # fmt: skip


def buy(type: str = "market", offset: int = 0, beyond: int = 0, **terms: Any) -> Action:
    return Action("buy", type=type, offset=offset, beyond=beyond, **terms)


def sell(type: str = "market", offset: int = 0, beyond: int = 0, **terms: Any) -> Action:
    return Action("sell", type=type, offset=offset, beyond=beyond, **terms)


def seen(ticks: int) -> Level:
    return Level("seen", ticks)


def pts(value: str) -> Level:
    return Level("pts", value)
