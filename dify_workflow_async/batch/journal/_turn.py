"""One transaction's turn: who we are in it, who else lives, and what it changed.

Safe in both databases, and this is why. Rows of an owner that is in the table of owners
are touched by nobody else. An owner is struck from that table only if its lease has
expired or its process has ended, and its id is never given again. In a turn, our own
line in the table is read first, and locked: until the commit, nobody strikes us.

Who aborted a batch and left stays in the table until its lease has expired, whatever
became of its process: those who work at the batch shall all see that it was aborted.
"""

from __future__ import annotations

from collections.abc import Collection
from secrets import token_hex
from typing import Any, Self

import attrs
import sqlalchemy as sa

from sqlalchemy.dialects import postgresql, sqlite

from .._values import State, Wish
from ._process import Process
from ._schema import OWNERS, ROWS


_CLOCKS = {
    # Neither is the time of the transaction's begin: it may have waited for a lock.
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "extract(epoch from clock_timestamp())::float8",
}


@attrs.define(kw_only=True)
class Holder:
    """Who claims, and what it holds, as of the last commit.

    Attributes:
        lease: seconds.
        token: by which we know ourselves; our id is the database's to give.
        owner: our id; None before the first claim.
        held: the rows that we hold, and how they stood before.
        wish: the last that we told those who take from our batch; None: nothing.
    """

    lease: float
    process: Process = attrs.field(factory=Process.this)
    token: str = attrs.field(factory=lambda: token_hex(16))
    owner: int | None = None
    held: dict[bytes, State] = attrs.field(factory=dict[bytes, State])
    wish: Wish | None = None

    def commit(self, turn: Turn) -> None:
        """Take over what a turn changed, which has been committed."""
        self.owner = turn.owner
        self.wish = turn.wish or self.wish
        for row in turn.ended | turn.lost:
            self.held.pop(row, None)
        self.held.update(turn.gained)


@attrs.define(kw_only=True)
class Turn:
    """A transaction, while it lasts.

    Attributes:
        now: the database's clock at its begin.
        owner: our id; None before the first claim.
        gained: rows that were claimed, and how they stood before.
        ended: rows whose claims we ended.
        lost: rows that others took from us.
        has_beaten: True if the lease was begun anew.
        wish: what those who take from our batch are told; None: nothing new.
    """

    connection: sa.Connection
    holder: Holder
    now: float = 0.0
    owner: int | None = None
    gained: dict[bytes, State] = attrs.field(factory=dict[bytes, State])
    ended: set[bytes] = attrs.field(factory=set[bytes])
    lost: set[bytes] = attrs.field(factory=set[bytes])
    has_beaten: bool = False
    wish: Wish | None = None

    @classmethod
    def reading(cls, connection: sa.Connection, holder: Holder) -> Self:
        """A turn that writes nothing: it does not matter who we are."""
        return cls(connection=connection, holder=holder)

    @classmethod
    def begin(cls, connection: sa.Connection, holder: Holder) -> Self:
        """Look who we are; if somebody took us for gone, be somebody new."""
        clock: sa.ColumnElement[float] = sa.literal_column(
            _CLOCKS[connection.dialect.name], sa.Double()
        )
        us = (
            sa.select(OWNERS.c.id, clock.label("now"))
            .where(OWNERS.c.token == holder.token)
            .with_for_update(read=True)
        )
        found = connection.execute(us).first()
        now = found.now if found else connection.execute(sa.select(clock)).scalar_one()
        turn = cls(connection=connection, holder=holder, now=now)
        turn.owner = found.id if found else None
        if turn.owner != holder.owner:
            turn._come_back()
        return turn

    def _come_back(self) -> None:
        """Keep, under our new id, what nobody took in the meantime."""
        before, now = self.holder.owner, self.become_owner()
        kept = self.connection.scalars(
            sa.update(ROWS)
            # They have our new id if all this was committed, and the answer was lost.
            .where(ROWS.c.identity.in_(self.holder.held))
            .where(ROWS.c.owner.in_([before, now]))
            .values(owner=now)
            .returning(ROWS.c.identity)
        )
        self.lost = self.holder.held.keys() - set(kept)

    def holds(self, row: bytes) -> bool:
        """True if the row is ours."""
        return row in self.holder.held and not (row in self.lost or row in self.ended)

    def become_owner(self) -> int:
        """Our id; we enter the table of owners with the first claim."""
        owner = self.owner
        if owner is None:
            process, wish = self.holder.process, self.holder.wish
            values = {
                "token": self.holder.token,
                "host": process.host,
                "machine": process.machine,
                "pid": process.pid,
                "process": process.started,
                "expires_at": self.now + self.holder.lease,
                "wish": wish and wish.value,  # it went with the line that was struck
            }
            owner = self.owner = self.connection.execute(
                sa.insert(OWNERS).values(values).returning(OWNERS.c.id)
            ).scalar_one()
            self.has_beaten = True
        return owner

    def live(self, owners: Collection[int]) -> set[int]:
        """Those of *owners* that live; the others are struck."""
        if not owners:
            return set()
        return self._live(OWNERS.c.id.in_(owners))

    def strike(self) -> None:
        """Strike all owners that are gone."""
        self._live(OWNERS.c.id != (self.owner or 0))

    def _live(self, which: sa.ColumnElement[bool]) -> set[int]:
        live: set[int] = set()
        for found in self.connection.execute(sa.select(OWNERS).where(which)).all():
            gone = sa.delete(OWNERS).where(OWNERS.c.id == found.id)
            if found.wish == Wish.ABORT.value or not _process_of(found).has_ended():
                if found.expires_at > self.now:
                    live.add(found.id)
                    continue
                # It may come back to life between our reading and our striking.
                gone = gone.where(OWNERS.c.expires_at <= self.now)
            if not self.connection.execute(gone).rowcount:
                live.add(found.id)  # or another struck it: we shall know the next time
        return live

    def leave(self) -> None:
        """Strike ourselves: all that we hold is free."""
        if self._has_aborted:
            self.beat()  # so that those who work at our batch have all the time
        elif self.owner is not None:
            self.connection.execute(sa.delete(OWNERS).where(OWNERS.c.id == self.owner))
            self.owner = None
            self.ended.update(self.holder.held)

    @property
    def _has_aborted(self) -> bool:
        wish = self.wish or self.holder.wish
        return wish is Wish.ABORT and not self.holder.held

    def beat(self) -> None:
        """Show that we live."""
        if self.owner is not None:
            self.connection.execute(
                sa.update(OWNERS)
                .where(OWNERS.c.id == self.owner)
                .values(expires_at=self.now + self.holder.lease)
            )
            self.has_beaten = True


def _process_of(found: Any) -> Process:
    return Process(
        host=found.host,
        machine=found.machine,
        pid=found.pid,
        started=found.process,
    )


def insert_new(connection: sa.Connection, table: sa.Table) -> sa.Insert:
    """A statement that puts in what is not in yet, and passes over the rest."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()
