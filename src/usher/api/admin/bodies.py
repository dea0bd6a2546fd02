"""From what the store holds to what the Admin API answers."""

from typing import Any

from usher.ports import AuditEntry, Token, User
from usher.protocol.admin import AuditBody, TokenBody, TokenInfo, UserBody


def user_body(user: User) -> UserBody:
    """Return a user as the Admin API shows it."""
    return UserBody(
        id=user.user_id,
        email=user.email,
        name=user.name,
        max_concurrent_bots=user.max_concurrent_bots,
        created_at=user.created_at,
        data=dict(user.data),
    )


def token_info(token: Token) -> TokenInfo:
    """Return an API key as it may be shown."""
    return TokenInfo(**_shown(token))


def token_body(token: Token, key: str) -> TokenBody:
    """Return a new API key, the only time that it is shown."""
    return TokenBody(**_shown(token), token=key)


def audit_body(entry: AuditEntry) -> AuditBody:
    """Return a line of the log of deeds."""
    return AuditBody(
        id=entry.entry_id,
        actor=entry.actor,
        origin=entry.origin,
        action=entry.action,
        subject=entry.subject,
        data=dict(entry.data),
        at=entry.at,
    )


def _shown(token: Token) -> dict[str, Any]:
    return {
        "id": token.token_id,
        "user_id": token.user_id,
        "name": token.name,
        "scopes": None if token.scopes is None else sorted(token.scopes),
        "ending": token.ending,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
    }
