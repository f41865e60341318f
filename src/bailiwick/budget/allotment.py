"""The allotment of a run or step: a hard limit, what is reserved for calls in flight, and what is spent."""

from typing import Self

import msgspec

from bailiwick.base import Category, Refusal
from bailiwick.budget.money import format_usd

SOFT_LIMIT_PERCENT = 80


class BudgetExhausted(Refusal, code="budget_exhausted", category=Category.EXHAUSTED):
    """A call could cost more than is left, so it was not made and nothing was reserved."""

    def __init__(self, *, limit: int, spent: int, reserved: int, asked: int) -> None:
        super().__init__(
            f"${format_usd(asked)} may be needed and ${format_usd(limit - spent - reserved)} of "
            f"${format_usd(limit)} is left (spent ${format_usd(spent)}, reserved ${format_usd(reserved)})",
            remedy="raise the budget and resume the run, or ask for less: a smaller output limit or context",
            limit=limit,
            spent=spent,
            reserved=reserved,
            asked=asked,
        )


class Misbooked(Refusal, code="misbooked", category=Category.CONFLICT):
    """A booking does not fit the allotment: a negative amount, or more settled than was reserved."""

    def __init__(self, reason: str, **facts: int) -> None:
        super().__init__(
            f"the booking does not fit: {reason}",
            remedy="read the run again; this reservation was settled before, or never made",
            **facts,
        )


class Allotment(msgspec.Struct, frozen=True):
    """Money set aside, in micro-USD; every booking yields a new allotment.

    `spent + reserved <= limit` holds as long as no call costs more than its reservation. One that does
    (a provider that ignores the output limit) is booked in full, and nothing can be reserved after it.
    """

    limit: int
    reserved: int = 0
    spent: int = 0

    @property
    def remaining(self) -> int:
        """What can still be reserved, >= 0."""
        return max(self.limit - self.spent - self.reserved, 0)

    @property
    def soft_limit_reached(self) -> bool:
        """Whether 80 % is spent: the agent is then told to finish. Reservations do not count, they may come back."""
        return self.spent * 100 >= self.limit * SOFT_LIMIT_PERCENT

    def reserve(self, amount: int) -> Self:
        """Set the most that a call can cost aside, before it is made.

        Raises:
            BudgetExhausted: More than remains.
            Misbooked: A negative amount.
        """
        if amount < 0:
            raise Misbooked("a negative reservation", amount=amount)
        if amount > self.limit - self.spent - self.reserved:
            raise BudgetExhausted(limit=self.limit, spent=self.spent, reserved=self.reserved, asked=amount)
        return msgspec.structs.replace(self, reserved=self.reserved + amount)

    def settle(self, reservation: int, cost: int | None) -> Self:
        """Close a reservation with what the call did cost; None is an unknown cost, charged at the reservation.

        Raises:
            Misbooked: A negative amount, or more than is reserved.
        """
        charged = reservation if cost is None else cost
        if reservation < 0 or charged < 0 or reservation > self.reserved:
            raise Misbooked(
                "more settled than is reserved, or below zero",
                reservation=reservation,
                cost=charged,
                reserved=self.reserved,
            )
        return msgspec.structs.replace(self, reserved=self.reserved - reservation, spent=self.spent + charged)

    def top_up(self, amount: int) -> Self:
        """Raise the limit: the named act that resumes a run whose budget was exhausted.

        Raises:
            Misbooked: Not above zero; a limit is never lowered under a running call.
        """
        if amount <= 0:
            raise Misbooked("a top-up must be above zero", amount=amount)
        return msgspec.structs.replace(self, limit=self.limit + amount)
