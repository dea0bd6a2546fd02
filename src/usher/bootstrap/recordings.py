"""Where the settings want recordings to be kept."""

from usher.adapters.recordings.disk import DiskRecordingStore
from usher.domain.errors import Invalid
from usher.ports import RecordingStore
from usher.settings import S3Settings, Settings


def recording_store(settings: Settings) -> RecordingStore:
    """Return the store of the settings. Nothing is asked of it yet.

    Raises:
        Invalid: What it needs is not installed or not set; the error says which.
    """
    wanted = settings.recordings
    if wanted.kind == "s3":
        return _s3(wanted.s3)
    return DiskRecordingStore(wanted.directory or settings.data_dir / "recordings")


def _s3(wanted: S3Settings) -> RecordingStore:
    if wanted.bucket is None:
        raise Invalid("missing_setting", "Recordings in S3 need a bucket: set USHER_RECORDINGS__S3__BUCKET.")
    try:
        from usher.adapters.recordings.s3 import Bucket, S3RecordingStore  # noqa: PLC0415 - it need not be installed
    except ModuleNotFoundError:
        raise Invalid("not_installed", "Recordings in S3 need more: pip install 'usher-bots[s3]'.") from None
    secret = wanted.secret_access_key
    return S3RecordingStore(
        Bucket(
            name=wanted.bucket,
            prefix=wanted.prefix,
            endpoint=wanted.endpoint,
            region=wanted.region,
            access_key_id=wanted.access_key_id,
            secret_access_key=None if secret is None else secret.get_secret_value(),
            virtual_hosted=wanted.virtual_hosted,
            timeout_s=wanted.timeout_s,
        )
    )
