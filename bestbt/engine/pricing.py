"""Black-76 on an expiry's forward: price, implied volatility and greeks of whole chains at once.

Everything here works row by row on arrays that broadcast; `right` is ``"CE"``, ``"PE"``, or an
array of bool that is True for calls. The result has the broadcast shape, and scalars give an array
of shape (). A row that has no answer is NaN, never 0, and no input makes numpy warn.

Inside, a price is its intrinsic value plus the value of the out-of-the-money option of the same
strike (parity), and that is measured as a share of the most it can be worth, the smaller of
forward and strike. Deep in and far out of the money then keep their digits.
"""

from __future__ import annotations

import math
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from bestbt.errors import UsageError
from bestbt.units import Right

__all__ = ["Greeks", "black76", "greeks", "implied_vol", "years_to"]

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
_T = TypeVar("_T")

MINUTES_PER_YEAR = 525_600.0  # 365 calendar days
DAYS_PER_YEAR = 365.0
_LOST = 8 * np.finfo(np.float64).eps  # what rounding leaves of a price is not information


def _pairs(top: tuple[float, ...], bottom: tuple[float, ...]) -> list[Floats]:
    return [np.array(pair)[:, None] for pair in zip(top, bottom, strict=True)]


# W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969),
# 631-637: numerators and denominators, highest power first, on 0 … 0.46875 (erf), … 4 and beyond
# (erfc). Their relative error is below 1e-15.
_NEAR = _pairs(
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
     2.84423683343917062e3),
)  # fmt: skip
_MIDDLE = _pairs(
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
     1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3,
     1.23033935480374942e3),
)  # fmt: skip
_FAR = _pairs(
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1,
     1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1,
     6.05183413124413191e-2, 2.33520497626869185e-3),
)  # fmt: skip


class Greeks(NamedTuple, Generic[_T]):
    """Sensitivities of one option per unit of the underlying, each of the broadcast shape.

    Those of a portfolio are sums over units held: floats, in currency.

    Attributes
    ----------
    delta
        Change of the price per 1.0 of the *forward*, discounted: ``exp(-rate × years) × N(d1)``
        for a call, the same less ``exp(-rate × years)`` for a put.
    gamma
        Change of delta per 1.0 of the forward.
    theta
        Change of the price in one calendar day (1/365 year) at an unchanged forward.
    vega
        Change of the price per vol point: from 15 % to 16 %.
    """

    delta: _T
    gamma: _T
    theta: _T
    vega: _T


def years_to(minutes: npt.ArrayLike) -> Floats:
    """Return calendar minutes to expiry in years of 525,600 minutes, floored at one minute.

    >>> float(years_to(1440) * 365), bool(years_to(0) == years_to(1))
    (1.0, True)
    """
    return np.asarray(np.maximum(np.asarray(minutes, dtype=np.float64), 1.0) / MINUTES_PER_YEAR)


@np.errstate(all="ignore")
def black76(
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    vol: npt.ArrayLike,
    right: Right | npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
) -> Floats:
    """Return the price of European options.

    Parameters
    ----------
    forward, strike
        Currency per unit of the underlying, above 0.
    years
        Time to expiry (see `years_to`); at 0 the price is the intrinsic value.
    vol
        Per year, as a fraction: 0.15 is 15 %.
    right
        ``"CE"``, ``"PE"``, or an array of bool, True for calls.
    rate
        Continuously compounded, per year; discounts the payoff.

    Returns
    -------
    ndarray of float64
        Prices; NaN where an input is not finite, forward or strike is not above 0, or years or
        vol is negative.

    Examples
    --------
    >>> black76(100.0, [90.0, 100.0, 110.0], 0.25, 0.2, "CE").round(4)
    array([10.7124,  3.9878,  0.9539])
    """
    shape, call, (f, k, t, v, r) = _rows(right, forward, strike, years, vol, rate)
    known = _usable(f, k, t, v, r)
    return np.where(known, _price(f, k, t, v, r, call), np.nan).reshape(shape)


@np.errstate(all="ignore")
def implied_vol(
    price: npt.ArrayLike,
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    right: Right | npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
) -> Floats:
    """Return the volatility at which `black76` gives the price.

    Parameters
    ----------
    price
        Currency per unit of the underlying; NaN for a row that is stale.
    forward, strike, years, right, rate
        As for `black76`; years above 0.

    Returns
    -------
    ndarray of float64
        Per year, as a fraction. NaN where no volatility gives the price, or every one does as far
        as it can be told: at or below the intrinsic value; in the money with a time value that is
        rounding of the price (below 2e-15 of forward or strike); at or above the most the option
        can be worth; or an input of no meaning.

    Notes
    -----
    The price comes back within a few roundings of the forward. The volatility itself is as good
    as the time value has digits: deep in the money few are left.

    Examples
    --------
    >>> implied_vol([3.9878, 0.0, 12.0], 100.0, [100.0, 100.0, 80.0], 0.25, "CE").round(4)
    array([0.2, nan, nan])
    """
    shape, call, (p, f, k, t, r) = _rows(right, price, forward, strike, years, rate)
    low, high = np.minimum(f, k), np.maximum(f, k)
    intrinsic = np.maximum(np.where(call, f - k, k - f), 0.0)
    time_value = p * np.exp(r * t) - intrinsic
    share = time_value / low
    known = _usable(f, k, t, p, r) & (t > 0) & (share > 0) & (1 - share > _LOST)
    known &= (intrinsic == 0) | (time_value > _LOST * high)
    out = np.full(len(p), np.nan)
    out[known] = _solve(share[known], _distance(f, k)[known]) / np.sqrt(t[known])
    return out.reshape(shape)


@np.errstate(all="ignore")
def greeks(
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    vol: npt.ArrayLike,
    right: Right | npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
) -> Greeks[Floats]:
    """Return delta, gamma, theta and vega; their units are those of `Greeks`.

    Parameters
    ----------
    forward, strike, years, vol, right, rate
        As for `black76`, but years and vol above 0: without them a price has a kink and no slope.

    Returns
    -------
    Greeks
        NaN in every field of a row that `black76` would not price, or without years or vol.

    Examples
    --------
    >>> g = greeks(23000.0, 23000.0, years_to(3 * 1440), 0.14, "PE")
    >>> round(float(g.delta), 4), round(float(g.theta), 2), round(float(g.vega), 2)
    (-0.4975, -19.41, 8.32)
    """
    shape, call, (f, k, t, v, r) = _rows(right, forward, strike, years, vol, rate)
    known = _usable(f, k, t, v, r) & (t > 0) & (v > 0)
    width = v * np.sqrt(t)
    x = _distance(f, k)
    d1 = np.where(f >= k, x, -x) / width + width / 2
    discount = np.exp(-r * t)
    side = np.where(call, 1.0, -1.0)
    bell = discount * np.exp(-0.5 * d1 * d1) / math.sqrt(2 * math.pi)
    vega = f * bell * np.sqrt(t)
    # The payoff comes nearer: less discount.
    carry = r * _price(f, k, t, v, r, call) if r.any() else 0.0
    found = (
        side * discount * _normal_cdf(side * d1),
        bell / (f * width),
        (carry - vega * v / (2 * t)) / DAYS_PER_YEAR,
        vega / 100,
    )
    return Greeks(*(np.where(known, each, np.nan).reshape(shape) for each in found))


def _rows(
    right: Right | npt.ArrayLike, *numbers: npt.ArrayLike
) -> tuple[tuple[int, ...], Bools, list[Floats]]:
    """Broadcast and flatten: the shape of the answer, which rows are calls, the numbers."""
    call = np.asarray(right == "CE" if isinstance(right, str) else right)
    if isinstance(right, str) and right not in ("CE", "PE"):
        raise UsageError(f"right={right!r} is no right of an option; write 'CE' or 'PE'.")
    if call.dtype != np.bool_:
        raise UsageError(
            f"right is an array of {call.dtype}; give 'CE', 'PE', or bool: rights == 'CE'."
        )
    columns = (np.asarray(n, dtype=np.float64) for n in numbers)
    call, *rest = np.broadcast_arrays(call, *columns)
    return call.shape, call.ravel(), [each.ravel() for each in rest]


def _usable(forward: Floats, strike: Floats, years: Floats, amount: Floats, rate: Floats) -> Bools:
    """Rows on which the model has a meaning; *amount* is a volatility or a price."""
    known = (forward > 0) & (strike > 0) & (years >= 0) & (amount >= 0)
    for each in (forward, strike, years, amount, rate):
        known &= np.isfinite(each)
    return known


def _distance(forward: Floats, strike: Floats) -> Floats:
    """Return ``|ln(forward / strike)|``, with all its digits near the money too."""
    low = np.minimum(forward, strike)
    return np.asarray(np.log1p((np.maximum(forward, strike) - low) / low))


def _price(f: Floats, k: Floats, t: Floats, v: Floats, r: Floats, call: Bools) -> Floats:
    width = v * np.sqrt(t)
    moves = width > 0
    share = np.where(moves, _share(np.where(moves, width, 1.0), _distance(f, k)), 0.0)
    intrinsic = np.maximum(np.where(call, f - k, k - f), 0.0)
    return np.asarray(np.exp(-r * t) * (intrinsic + np.minimum(f, k) * share))


class _Ends(NamedTuple):
    """An option's share of its greatest value, told by the smaller of the share and its rest."""

    u: Floats  # -|d1| or -|d2|, whichever is nearer to 0, turned so that it grows with the width
    far: Bools  # u < 0: the share itself is told; else what is missing to 1
    sum: Floats  # of two scaled tails; the part told is ½ exp(-u²/2) × sum

    @property
    def part(self) -> Floats:
        return np.asarray(0.5 * np.exp(-0.5 * self.u * self.u) * self.sum)


def _ends(width: Floats, distance: Floats) -> _Ends:
    """Evaluate ``N(u) - exp(distance) × N(-w)``; *width* is vol × sqrt(years), above 0.

    With erfcx the two products of a huge and a tiny number become one common factor, so their
    difference keeps its digits and nothing overflows.
    """
    half, steps = width / 2, distance / width
    u, w = half - steps, half + steps
    tails = _erfcx(np.concatenate((np.abs(u), w)) * math.sqrt(0.5))
    near, other = tails[: len(u)], tails[len(u) :]
    far = u < 0
    return _Ends(u, far, near + np.where(far, -other, other))


def _share(width: Floats, distance: Floats) -> Floats:
    ends = _ends(width, distance)
    return np.asarray(np.maximum(np.where(ends.far, ends.part, 1 - ends.part), 0.0))


def _solve(share: Floats, distance: Floats) -> Floats:
    """Return the width at which an option is worth *share* of the most it can be worth.

    Halley's method on the log odds of the share, which bend little at both ends, inside a bracket
    that every evaluation narrows; a step that leaves the bracket is a bisection, and from the
    twelfth on all are. It starts at a lower bound of the answer and as a rule ends in four.
    """
    goal = np.log(share) - np.log1p(-share)
    low = np.zeros_like(share)
    high = 18 + np.sqrt(2 * distance)  # beyond it the share is 1 in float64
    z = _rough_quantile(share)
    root = np.sqrt(z * z + 2 * distance)
    bound = np.where(z < 0, 2 * distance / (root - z), root + z)  # where u = z
    width = np.maximum(bound, math.sqrt(2 * math.pi) * share)
    done = np.zeros(len(share), dtype=np.bool_)
    for turn in range(80):
        ends = _ends(width, distance)
        part, sign = ends.part, np.where(ends.far, 1.0, -1.0)
        log_part = np.log(0.5 * ends.sum) - 0.5 * ends.u * ends.u  # `part` may underflow
        miss = sign * (log_part - np.log1p(-part)) - goal
        low, high = np.where(miss < 0, width, low), np.where(miss < 0, high, width)
        hazard = math.sqrt(2 / math.pi) / ends.sum
        slope = hazard / (1 - part)
        bend = -ends.u * (0.5 + distance / width / width) - sign * slope * (1 - 2 * part)
        newton = -miss / slope
        step = newton / np.maximum(1 + 0.5 * newton * bend, 0.25)
        # Halley triples the digits: after a step this small none are left to gain.
        close = np.abs(step) <= 1e-7 * width
        new = width + step
        inside = close | ((new > low) & (new < high) & (turn < 12))
        width = np.where(done, width, np.where(inside, new, 0.5 * (low + high)))
        done |= close
        if done.all():
            break
    return np.where(done, width, np.nan)


def _rough_quantile(p: Floats) -> Floats:
    """Inverse of the normal CDF to 5e-4: Abramowitz and Stegun (1964), 26.2.23."""
    t: Floats = np.sqrt(-2 * np.log(np.minimum(p, 1 - p)))
    top = 2.515517 + t * (0.802853 + t * 0.010328)
    z: Floats = t - top / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
    return np.where(p < 0.5, -z, z)


def _normal_cdf(z: Floats) -> Floats:
    tail = 0.5 * np.exp(-0.5 * z * z) * _erfcx(np.abs(z) * math.sqrt(0.5))
    return np.where(z < 0, tail, 1 - tail)


def _erfcx(y: Floats) -> Floats:
    """Scaled complementary error function, ``exp(y²) × erfc(y)``, for y of 0 or more."""
    a = np.minimum(y, 0.5)
    square = a * a
    near = np.exp(square) * (1 - a * _ratio(_NEAR, square))
    middle = _ratio(_MIDDLE, np.minimum(y, 4.0))
    b = np.maximum(y, 4.0)
    inverse = 1 / (b * b)
    far = (1 / math.sqrt(math.pi) - inverse * _ratio(_FAR, inverse)) / b
    return np.where(y <= 0.46875, near, np.where(y <= 4.0, middle, far))


def _ratio(pairs: list[Floats], z: Floats) -> Floats:
    """Evaluate numerator and denominator side by side, by Horner's rule."""
    both = np.repeat(pairs[0], len(z), axis=1)
    for pair in pairs[1:]:
        both *= z
        both += pair
    return np.asarray(both[0] / both[1])
