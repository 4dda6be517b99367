"""The cycles of a scan as a picture: tokens, the pools between them, and how far each is mispriced.

A pool's mispricing is what its marginal price, after the fee, gives above the joint optimum's token prices:
those at which all pools together have nothing left to give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.amm.estimates import est_rate_nb
from engine.app.output import require_writable, show_amount
from engine.app.scan_report import ScanReport
from engine.app.scan_table import symbol_of
from engine.domain.errors import UsageError
from engine.domain.opportunity import Opportunity
from engine.market.market import Market
from engine.search.joint_solver import JointSolver

SUFFIXES = (".png", ".svg")
_SIZE_INCHES = 11.0
_ROUNDS = 400
# Edges curve by this much more for each further pool between the same tokens.
_BEND, _BEND_STEP = 0.12, 0.13


def require_plottable(path: Path | None) -> None:
    """Raises UsageError unless a picture can be made and written at `path`; called before the work starts."""
    if path is None:
        return
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--plot {path} must end in {' or '.join(SUFFIXES)}")
    require_writable(path)
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise UsageError("--plot needs matplotlib: install roundtrip[plot]") from None


@dataclass(frozen=True, slots=True)
class Arrow:
    """A pool that some cycle passes: from the token sold to the one bought, by address. `mispricing` is
    relative; `cycles` the ranks of the cycles through it, 0 the best."""

    sold: str
    bought: str
    pool: str
    mispricing: float
    cycles: tuple[int, ...]


def arrows_of(report: ScanReport, market: Market, prices: NDArray[np.float64]) -> list[Arrow]:
    """One arrow for each pool and direction of the report's cycles; `prices` f64[tokens] are fair ones."""
    cycles: dict[tuple[str, str, str], list[int]] = {}
    for rank, found in enumerate(report.opportunities):
        for hop in found.hops:
            cycles.setdefault((hop.token_in, hop.token_out, hop.pool), []).append(rank)
    return [
        Arrow(*key, _mispricing(market, *key, prices), tuple(ranks)) for key, ranks in sorted(cycles.items())
    ]


def fair_prices(market: Market, values: dict[str, float]) -> NDArray[np.float64]:
    """The joint optimum's token prices f64[tokens]; `values`: what a base unit of each base is worth."""
    rows = {market.token_row[token]: value for token, value in values.items()}
    return JointSolver(market.arrays, len(market.pools), len(market.tokens), rows).solve().prices


def _mispricing(market: Market, sold: str, bought: str, pool: str, prices: NDArray[np.float64]) -> float:
    arrays, row = market.arrays, market.pool_row[pool]
    pair = {market.token_row[sold], market.token_row[bought]}
    while {int(arrays.token0[row]), int(arrays.token1[row])} != pair:
        row += 1
    zero_for_one = int(arrays.token0[row]) == market.token_row[sold]
    price_in, price_out = prices[market.token_row[sold]], prices[market.token_row[bought]]
    if price_in <= 0.0 or price_out <= 0.0:
        return math.nan
    return float(est_rate_nb(arrays, row, zero_for_one) * price_out / price_in - 1.0)


def draw(
    report: ScanReport, market: Market, bases: Sequence[str], values: dict[str, float], path: Path
) -> None:
    """Write the picture; its form follows the suffix. Raises UsageError when the disk refuses."""
    import matplotlib
    from matplotlib.figure import Figure

    arrows = arrows_of(report, market, fair_prices(market, values or {bases[0]: 1.0}))
    places = _places(arrows, bases)
    # The same market gives the same file.
    with matplotlib.rc_context({"svg.hashsalt": "roundtrip", "font.size": 9}):
        figure = Figure(figsize=(_SIZE_INCHES, _SIZE_INCHES * 0.8), layout="constrained")
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.set_title(_title(report, market), loc="left")
        if arrows:
            _draw_arrows(figure, axes, arrows, places)
        _draw_tokens(axes, places, market, set(bases))
        axes.margins(0.12)
        metadata: dict[str, Any] = {"Date": None} if path.suffix.lower() == ".svg" else {}
        try:
            figure.savefig(path, dpi=150, metadata=metadata)
        except OSError as error:
            raise UsageError(f"picture {path} could not be written: {error.strerror}") from error


def _draw_arrows(figure: Any, axes: Any, arrows: Sequence[Arrow], places: dict[str, Any]) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import FancyArrowPatch

    bps = [1e4 * arrow.mispricing for arrow in arrows if math.isfinite(arrow.mispricing)]
    scale = max([abs(value) for value in bps], default=0.0) or 1.0
    colours = ScalarMappable(Normalize(-scale, scale), colormaps["coolwarm"])
    parallel: dict[tuple[str, str], int] = {}
    for arrow in arrows:
        ends = (arrow.sold, arrow.bought)
        bend = _BEND + _BEND_STEP * parallel.get(ends, 0)
        parallel[ends] = parallel.get(ends, 0) + 1
        best = arrow.cycles[0] == 0
        known = math.isfinite(arrow.mispricing)
        axes.add_patch(
            FancyArrowPatch(
                places[arrow.sold],
                places[arrow.bought],
                connectionstyle=f"arc3,rad={bend}",
                arrowstyle="-|>",
                mutation_scale=14,
                shrinkA=17,
                shrinkB=17,
                linewidth=3.2 if best else 1.3,
                color=colours.to_rgba(np.array(1e4 * arrow.mispricing)) if known else "0.6",
                zorder=3 if best else 2,
            )
        )
        if known:
            _label(axes, arrow, places, bend, best)
    bar = figure.colorbar(colours, ax=axes, shrink=0.6, pad=0.02)
    bar.set_label("pool's marginal price after its fee, above the joint optimum's prices (bps)")


def _label(axes: Any, arrow: Arrow, places: dict[str, Any], bend: float, best: bool) -> None:
    start, end = places[arrow.sold], places[arrow.bought]
    across = np.array([end[1] - start[1], start[0] - end[0]])
    # The curve's middle lies half as far out as its control point.
    middle = (start + end) / 2 + bend * across / 2
    axes.text(
        *middle,
        f"{1e4 * arrow.mispricing:+.0f}",
        fontsize=8 if best else 6.5,
        weight="bold" if best else "normal",
        ha="center",
        va="center",
        bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8},
        zorder=4,
    )


def _draw_tokens(axes: Any, places: dict[str, Any], market: Market, bases: set[str]) -> None:
    for token, place in places.items():
        face = "#ffd66b" if token in bases else "#e6eaf0"
        axes.scatter(*place, s=900, color=face, edgecolor="0.3", zorder=5)
        # A symbol is the token's own text: it is not to be read as mathematics.
        axes.text(*place, symbol_of(market, token), ha="center", va="center", zorder=6, parse_math=False)


def _places(arrows: Sequence[Arrow], bases: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Where tokens stand: pulled together by pools, pushed apart by one another, from a circle on, so that
    the same cycles always give the same picture (T. Fruchterman, E. Reingold, 1991)."""
    used = {token for arrow in arrows for token in (arrow.sold, arrow.bought)}
    tokens = [token for token in bases if token in used] + sorted(used - set(bases))
    if not tokens:
        return {}
    number = {token: n for n, token in enumerate(tokens)}
    count = len(tokens)
    angles = np.linspace(0.0, 2 * np.pi, count, endpoint=False)
    place = np.column_stack((np.cos(angles), np.sin(angles)))
    tie = np.zeros((count, count))
    for arrow in arrows:
        tie[number[arrow.sold], number[arrow.bought]] = tie[number[arrow.bought], number[arrow.sold]] = 1.0
    spacing = 1.6 / math.sqrt(count)
    for step in range(_ROUNDS):
        apart = place[:, None, :] - place[None, :, :]
        distance = np.maximum(np.linalg.norm(apart, axis=-1), 1e-3)
        push = (spacing / distance) ** 2
        pull = tie * distance / spacing
        move = (apart * (push - pull)[..., None]).sum(axis=1)
        length = np.maximum(np.linalg.norm(move, axis=-1, keepdims=True), 1e-9)
        place += move / length * np.minimum(length, 0.1 * (1 - step / _ROUNDS))
    return {token: place[n] for token, n in number.items()}


def _title(report: ScanReport, market: Market) -> str:
    text = f"Block {report.block.number}: {len(report.opportunities)} cycles over {report.pools:,} pools"
    if report.opportunities:
        best = report.opportunities[0]
        text += f"; the best (bold) nets {_amount(best, market)}"
    return text


def _amount(found: Opportunity, market: Market) -> str:
    base = market.tokens[market.token_row[found.base_token]]
    # A dollar sign would begin mathematics.
    symbol = symbol_of(market, found.base_token).replace("$", r"\$")
    return f"{show_amount(found.net_profit, base.decimals)} {symbol}"
