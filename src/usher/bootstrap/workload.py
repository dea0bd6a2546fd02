"""What a bot is started with."""

from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import SecretStr

from usher.bootstrap.addresses import bots_url, public_url, required
from usher.bootstrap.guests import read_guest
from usher.domain.meeting import Platform
from usher.domain.reconcile import WorkloadName
from usher.ports import Meeting, WorkloadSpec
from usher.protocol.bot import BotConfiguration, Patience
from usher.protocol.credentials import BotCredentials, BotIdentity
from usher.settings import Settings, bare_environment


class Specifier:
    """Says what a bot is started with."""

    def __init__(self, settings: Settings, credentials: BotCredentials) -> None:
        self._settings = settings
        self._credentials = credentials

    def __call__(self, meeting: Meeting) -> WorkloadSpec:
        """Return the workload of the meeting's current attempt."""
        bot = BotIdentity(meeting.meeting_id, meeting.connection_id)
        settings, limits = self._settings, self._settings.lifecycle
        guest = read_guest(settings.bots.guests, meeting.user_id)
        document = BotConfiguration(
            meeting_id=meeting.meeting_id,
            connection_id=meeting.connection_id,
            attempt=meeting.attempt,
            platform=meeting.ref.platform,
            native_meeting_id=meeting.ref.native_id,
            meeting_url=SecretStr(self._meeting_url(meeting)),
            bot_name=meeting.bot_name,
            language=meeting.desired_configuration.language,
            task="translate" if meeting.desired_configuration.task == "translate" else "transcribe",
            recording=meeting.recording_enabled,
            token=SecretStr(self._credentials.token(bot)),
            manager_url=bots_url(settings),
            redis_url=SecretStr(self._redis_url(bot)),
            transcription_url=settings.transcription.url or "",
            speech_backlog_min=settings.bots.speech_backlog_min,
            chromium=settings.bots.chromium,
            headless=settings.bots_are_headless,
            sandbox=settings.bots_use_sandbox,
            proxy=SecretStr(guest.proxy) if guest.proxy else None,
            profile=SecretStr(guest.profile) if guest.profile else None,
            patience=Patience(
                join_s=limits.join_timeout_s * 0.8,
                help_s=limits.help_timeout_s,
                admission_s=limits.admission_timeout_s,
                reconnect_s=limits.reconnect_timeout_s,
                alone_s=limits.alone_timeout_s,
                no_one_joined_s=limits.no_one_joined_timeout_s,
                leave_s=limits.leave_grace_s * 0.4,
                heartbeat_s=limits.heartbeat_s,
            ),
        )
        name = WorkloadName(meeting.meeting_id, meeting.attempt)
        machine = {} if settings.launcher.has_image else bare_environment()
        return WorkloadSpec(name, machine | document.to_environment())

    def _meeting_url(self, meeting: Meeting) -> str:
        """Return where the bot joins: our own rooms by the address at which bots reach them."""
        ours = public_url(self._settings)
        if meeting.ref.platform is Platform.ROOM and meeting.ref.url.startswith(f"{ours}/"):
            return bots_url(self._settings) + meeting.ref.url.removeprefix(ours)
        return meeting.ref.url

    def _redis_url(self, bot: BotIdentity) -> str:
        base = self._settings.redis.bot_url or required(self._settings.redis.url, "USHER_REDIS__URL")
        parts = urlsplit(base)
        place = parts.netloc.rpartition("@")[2]
        user = quote(f"usher-bot-{bot.connection_id}")
        netloc = f"{user}:{self._credentials.redis_password(bot)}@{place}"
        return urlunsplit((parts.scheme, netloc, parts.path, "", ""))
