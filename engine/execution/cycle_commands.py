"""Which commands execute a cycle, in which order, and which tokens pass through the router on the way."""

from __future__ import annotations

from dataclasses import replace

from engine.domain.errors import ExecutionError
from engine.domain.execution import Pinned
from engine.domain.market import PAYING_FIRST, Protocol
from engine.domain.opportunity import Conversion, Hop, Opportunity
from engine.domain.pool_details import (
    ZERO_ADDRESS,
    BalancerV2StableDetails,
    BalancerV2WeightedDetails,
    CryptoSwapVariant,
    CurveCryptoDetails,
    CurveStableDetails,
    StableSwapVariant,
    UniswapV4Details,
)
from engine.execution.commands import (
    BalancerV2Swap,
    BalancerV3Swap,
    Command,
    Hold,
    Kind,
    Loan,
    NativeWrap,
    Place,
    Pull,
    V2Swap,
    V3Swap,
    V4Hop,
    V4Run,
)
from engine.execution.lenders import BALANCER_V2, Lender, lends_for, needs_loan

_V2 = {Protocol.UNISWAP_V2, Protocol.SOLIDLY, Protocol.CAMELOT_V2}
_V3 = {Protocol.UNISWAP_V3, Protocol.SLIPSTREAM, Protocol.ALGEBRA}
_V4 = {Protocol.UNISWAP_V4}
_BALANCER_V3 = {Protocol.BALANCER_V3_WEIGHTED, Protocol.BALANCER_V3_STABLE}
_CURVE = {Protocol.CURVE_STABLESWAP, Protocol.CURVE_CRYPTOSWAP}
# Their locks must balance to the unit, so that they may not be overpaid.
_EXACT_PAYEES = _V4 | _BALANCER_V3


def cycle_commands(
    part: Opportunity | Conversion, pinned: Pinned, lender: Lender | None = None
) -> tuple[list[Command], tuple[str, ...]]:
    """The commands of a cycle or conversion, and the tokens that the router holds in between besides the one
    it sells first.

    Raises ExecutionError when the router cannot execute a hop, or no hop pays first and there is no lender.
    """
    hops, base = part.hops, part.hops[0].token_in
    if needs_loan(part):
        if lender is None or isinstance(part, Conversion):
            raise ExecutionError("no pool of it pays before it is paid, and there is no lender")
        return _borrowed(part, pinned, lender)
    leading = max(index for index, hop in enumerate(hops) if hop.protocol in PAYING_FIRST)
    behind = hops[leading + 1 :]
    first, used = _first(hops[: leading + 1], behind, base, pinned)
    commands: list[Command] = [
        first,
        *(_placed(hop, Place.FORWARD, pinned, hop is hops[-1]) for hop in behind),
    ]
    held = [hop.token_in for hop in behind]
    nested, nested_held = _nested(hops[: leading + 1 - used], hops[leading + 1 - used], pinned)
    commands += nested
    commands = _with_unlocked_runs(commands)
    held += nested_held
    held += [run.hops[-1].token_in for run in commands if isinstance(run, V4Run) and run.by_router]  # type: ignore[misc]
    if _pulls(hops[0]):
        commands.append(Hold())
    return commands, tuple(dict.fromkeys(token for token in held if token not in (base, None)))


def _borrowed(
    opportunity: Opportunity, pinned: Pinned, lender: Lender
) -> tuple[list[Command], tuple[str, ...]]:
    base, hops = opportunity.base_token, opportunity.hops
    if not lends_for(lender, opportunity):
        raise ExecutionError("Balancer's vault does not swap while it lends, or the lender has not enough")
    token = None if base == pinned.wrapped_native else base
    commands: list[Command] = [Loan(lender.kind, opportunity.amount_in, lender.address, token)]
    commands += [_placed(hop, Place.FORWARD, pinned, hop is hops[-1]) for hop in hops]
    if lender.kind is not Kind.BALANCER_LOAN:
        commands.append(Hold())
    return commands, tuple(hop.token_in for hop in hops[1:])


def _first(hops: tuple[Hop, ...], behind: tuple[Hop, ...], base: str, pinned: Pinned) -> tuple[Command, int]:
    """The first command, and how many hops it takes from the end of `hops`."""
    last = hops[-1]
    exact_out = bool(behind)
    amount = behind[0].amount_in if exact_out else last.amount_in
    if last.protocol in _V2:
        out = behind[0].amount_in if exact_out else last.amount_out
        return V2Swap(last.pool, last.zero_for_one, last.amount_in, out), 1
    if last.protocol in _V3:
        return V3Swap(last.pool, last.zero_for_one, amount, exact_out), 1
    if last.protocol in _BALANCER_V3:
        _require_pinned(last, pinned)
        return BalancerV3Swap(last.pool, last.token_in, last.token_out, amount, exact_out), 1
    run, used = _run(hops, pinned)
    return replace(run, amount=amount, exact_out=exact_out), used


def _run(hops: tuple[Hop, ...], pinned: Pinned) -> tuple[V4Run, int]:
    """The V4 hops at the end of `hops` as one run."""
    taken = []
    for hop in reversed(hops):
        details = hop.details
        if not isinstance(details, UniswapV4Details):
            break
        _require_pinned(hop, pinned)
        token_in = _unless_pinned(hop.token_in, pinned)
        taken.append(V4Hop(token_in, details.key_fee, details.tick_spacing, details.hooks))
    if not taken:
        raise ExecutionError(f"{hops[-1].pool}: a V4 hop needs its pool key")
    return V4Run(_unless_pinned(hops[-1].token_out, pinned), tuple(taken)), len(taken)


def _nested(hops: tuple[Hop, ...], payee: Hop, pinned: Pinned) -> tuple[list[Command], list[str]]:
    """Commands of `hops` from the last to the first; `payee` is the hop that the last of them pays."""
    commands: list[Command] = []
    held: list[str] = []
    while hops:
        hop, used = hops[-1], 1
        if hop.protocol in _V2:
            commands.append(V2Swap(hop.pool, hop.zero_for_one, hop.amount_in))
        elif hop.protocol in _V3:
            commands.append(V3Swap(hop.pool, hop.zero_for_one))
        elif hop.protocol in _V4:
            run, used = _run(hops, pinned)
            commands.append(run)
        elif hop.protocol in _BALANCER_V3:
            _require_pinned(hop, pinned)
            commands.append(BalancerV3Swap(hop.pool, hop.token_in, hop.token_out))
        else:
            place = _place(hop, payee)
            commands.append(_placed(hop, place, pinned, False))
            held += [hop.token_in] if _pulls(hop) else []
            held += [hop.token_out] if place is Place.RELAY or _pulls(payee) else []
        payee = hops[-used]
        hops = hops[:-used]
    return commands, held


def _place(hop: Hop, payee: Hop) -> Place:
    """Can the hop's output go straight to the payee?"""
    if hop.protocol is Protocol.WETH:
        return Place.DIRECT if hop.token_out == ZERO_ADDRESS else Place.RELAY
    if hop.protocol is Protocol.WSTETH or (hop.protocol in _CURVE and not _pushes(hop)):
        return Place.RELAY
    over = hop.amount_out != payee.amount_in
    return Place.RELAY if over and payee.protocol in _EXACT_PAYEES else Place.DIRECT


def _pushes(hop: Hop) -> bool:
    """Curve pools of the newer generations take tokens that were sent to them."""
    details = hop.details
    if isinstance(details, CurveStableDetails):
        return details.variant is StableSwapVariant.NG
    if isinstance(details, CurveCryptoDetails):
        return details.variant is not CryptoSwapVariant.TRICRYPTO
    return False


def _pulls(hop: Hop) -> bool:
    """Must the hop's input be in the router?"""
    if hop.protocol in _V4:
        return False
    return hop.protocol not in PAYING_FIRST and not _pushes(hop)


def _placed(hop: Hop, place: Place, pinned: Pinned, exact_in: bool) -> Command:
    """A hop that must be paid first. `exact_in`: its whole input is sold, whatever that gives."""
    if hop.protocol in BALANCER_V2:
        details = hop.details
        assert isinstance(details, BalancerV2WeightedDetails | BalancerV2StableDetails)
        _require_pinned(hop, pinned)
        out = None if exact_in else hop.amount_out
        tokens = _unless_pinned(hop.token_in, pinned), _unless_pinned(hop.token_out, pinned)
        return BalancerV2Swap(place, details.pool_id, *tokens, hop.amount_in, out)
    if hop.protocol is Protocol.WETH:
        if hop.pool != pinned.wrapped_native:
            raise ExecutionError(f"{hop.pool} is not the wrapped native token the router knows")
        return NativeWrap(place, hop.amount_in, hop.token_out == ZERO_ADDRESS)
    relayed = hop.token_out if place is Place.RELAY else None
    if hop.protocol in _CURVE:
        pushed = _pushes(hop) and place is not Place.FORWARD
        return Pull(
            Kind.CURVE,
            place,
            hop.pool,
            hop.amount_in,
            hop.protocol is Protocol.CURVE_CRYPTOSWAP,
            (hop.coin_in, hop.coin_out),
            pushed,
            None if pushed else _unless_pinned(hop.token_in, pinned),
            relayed,
            not pushed and hop.token_in == pinned.wrapped_native,
        )
    kinds = {Protocol.ERC4626: Kind.VAULT, Protocol.WSTETH: Kind.WRAPPER}
    if hop.protocol not in kinds:
        raise ExecutionError(f"the router has no command for {hop.protocol}")
    # The vault's own shares, and wstETH itself, are given up without approval.
    giving_up = hop.token_in == hop.pool
    approved = None if giving_up else _unless_pinned(hop.token_in, pinned)
    return Pull(
        kinds[hop.protocol],
        place,
        hop.pool,
        hop.amount_in,
        giving_up,
        approved=approved,
        relayed=relayed,
        approves_base=not giving_up and hop.token_in == pinned.wrapped_native,
    )


def _with_unlocked_runs(commands: list[Command]) -> list[Command]:
    """A V4 run inside another finds the manager unlocked, and the outer one has to pay by itself."""
    places = [index for index, command in enumerate(commands) if isinstance(command, V4Run)]
    changed = list(commands)
    for order, index in enumerate(places):
        run = commands[index]
        assert isinstance(run, V4Run)
        changed[index] = replace(run, unlocked=order > 0, by_router=index != places[-1])
    return changed


def _unless_pinned(token: str, pinned: Pinned) -> str | None:
    return None if token == pinned.wrapped_native else token


def _require_pinned(hop: Hop, pinned: Pinned) -> None:
    """A hop of a venue with one contract for all pools must be of the contract the router knows."""
    known = {
        Protocol.UNISWAP_V4: pinned.pool_manager,
        Protocol.BALANCER_V2_WEIGHTED: pinned.balancer_vault,
        Protocol.BALANCER_V2_STABLE: pinned.balancer_vault,
        Protocol.BALANCER_V3_WEIGHTED: pinned.balancer_vault_v3,
        Protocol.BALANCER_V3_STABLE: pinned.balancer_vault_v3,
    }[hop.protocol]
    details = hop.details
    named = getattr(details, "manager", None) or getattr(details, "vault", None)
    if known is None or named is None or named.lower() != known.lower():
        raise ExecutionError(f"{hop.pool} belongs to {named}, which is not what the router knows: {known}")
