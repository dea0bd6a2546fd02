"""A witness inside PostgreSQL: triggers on the outbox that note who claims an effect, until when, and who settles it.

They are installed by a test into its own database. The managers know nothing of them; which of them speaks is in a
setting of its sessions that came with the DSN. So the witness goes neither by the tokens of claims nor by what a
statement made sure of: for it a claim is somebody's from the moment at which they took it, until the time that they
took it for is over, somebody else takes it, or it is given back.

A manager that has claimed an effect anew may settle it by an older claim of its own: that is not told apart.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlencode, urlsplit

import asyncpg
from tests.support.invariants.evidence import Fill, Settlement

from usher.domain.policy import Policy
from usher.ports import Lane

_HOLDER = "witness.holder"

# The time of a settlement is that at which its transaction began, as for the product: the rest of a message may come
# most of a second after its beginning (measured, through a proxy). But who has lost the claim to another by the time of
# the statement, or has given it back, has none, whenever they began.
_INSTALL = """
CREATE SCHEMA witness;

CREATE TABLE witness.claims (
    token         text PRIMARY KEY,
    effect_id     bigint NOT NULL,
    lane          text NOT NULL,
    holder        text NOT NULL,
    begun_at      timestamptz NOT NULL,
    claimed_until timestamptz NOT NULL,
    ended_at      timestamptz
);

CREATE TABLE witness.settlements (
    meeting_id    bigint NOT NULL,
    tries         integer NOT NULL,
    settled_at    timestamptz NOT NULL,
    claimed_until timestamptz NOT NULL
);

CREATE FUNCTION witness.note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    speaker text := coalesce(current_setting('witness.holder', true), 'somebody');
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.claim_token IS NOT DISTINCT FROM OLD.claim_token AND NEW.claim_token IS NOT NULL THEN
        UPDATE witness.claims SET claimed_until = NEW.claimed_until WHERE token = NEW.claim_token;
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' OR NEW.claim_token IS NULL THEN
        INSERT INTO witness.settlements VALUES (
            OLD.meeting_id,
            CASE TG_OP WHEN 'UPDATE' THEN NEW.tries ELSE OLD.tries END,
            now(),
            coalesce((
                SELECT CASE WHEN c.ended_at IS NULL THEN c.claimed_until ELSE '-infinity' END
                FROM witness.claims c WHERE c.effect_id = OLD.id AND c.holder = speaker
                ORDER BY c.begun_at DESC LIMIT 1
            ), '-infinity'));
    END IF;
    UPDATE witness.claims SET ended_at = statement_timestamp() WHERE effect_id = OLD.id AND ended_at IS NULL;
    IF TG_OP = 'UPDATE' AND NEW.claim_token IS NOT NULL THEN
        INSERT INTO witness.claims VALUES (
            NEW.claim_token, NEW.id, NEW.lane, speaker, statement_timestamp(), NEW.claimed_until, NULL);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER witness AFTER UPDATE OR DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION witness.note();
"""

_SETTLEMENTS = """
SELECT meeting_id, extract(epoch FROM settled_at)::float8, extract(epoch FROM claimed_until)::float8
FROM witness.settlements ORDER BY settled_at
"""

_HELD = """
SELECT lane, holder, max(held) FROM (
    SELECT lane, holder, sum(step) OVER (PARTITION BY lane, holder ORDER BY at, step) AS held FROM (
        SELECT lane, holder, begun_at AS at, 1 AS step FROM witness.claims
        UNION ALL
        SELECT lane, holder, least(claimed_until, ended_at), -1 FROM witness.claims
    ) AS steps
) AS counts GROUP BY lane, holder ORDER BY lane, holder
"""

_TRIES = "SELECT coalesce(max(tries), 0) FROM witness.settlements"

_MOST_CLAIMS: Mapping[str, int] = {Lane.WORKLOAD: 32, Lane.COMMAND: 16, Lane.NOTIFY: 256}
"""Effects that a manager may run at a time."""

Ask = Callable[[str], Awaitable[Sequence[asyncpg.Record]]]


def as_holder(dsn: str, holder: str) -> str:
    """Return a DSN whose sessions tell the witness whose they are."""
    return urlsplit(dsn)._replace(query=urlencode({_HOLDER: holder})).geturl()


async def call_witness(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Install the witness in a migrated database; it notes what happens from now on."""
    await pool.execute(_INSTALL)


async def settlements(ask: Ask) -> list[Settlement]:
    """Return what was settled, and until when whoever settled it had it claimed."""
    return [Settlement(*row) for row in await ask(_SETTLEMENTS)]


async def held(ask: Ask, policy: Policy) -> list[Fill]:
    """Return how many effects managers had claimed at a time, and how often one effect was tried."""
    ((tries,),) = await ask(_TRIES)
    claims = [
        Fill(f"the {lane} lane of {holder}", int(peak), _MOST_CLAIMS[lane]) for lane, holder, peak in await ask(_HELD)
    ]
    return [*claims, Fill("the number of tries of an effect", tries, policy.effect_tries)]
