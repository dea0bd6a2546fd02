"""The speech model: Whisper base in CTranslate2's form, found in a directory.

Source: huggingface.co/Systran/faster-whisper-base at the revision below; the hashes are those of its files.
"""

from dataclasses import dataclass
from pathlib import Path

from usher.domain.errors import Invalid, Unavailable

MODEL_NAME = "faster-whisper-base"
REPOSITORY = "Systran/faster-whisper-base"
REVISION = "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of the model, as it has to be."""

    name: str
    size_bytes: int
    sha256: str


MODEL_FILES = (
    ModelFile("config.json", 2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
    ModelFile("model.bin", 145_217_532, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
    ModelFile("tokenizer.json", 2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
    ModelFile("vocabulary.txt", 459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
)

_NEEDED = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*")


def find_model(configured: Path | None, cache_dir: Path) -> Path:
    """Return the directory of the model to use: the configured one, else the installed one.

    Args:
        configured: The user's choice, any CTranslate2 Whisper model; nothing else is looked at when there is one.
        cache_dir: Directory in which `install_model` puts models.

    Raises:
        Invalid: The configured directory is not a whole model; the message says what is missing.
        Unavailable: No model is installed; the message says how to get one.
    """
    if configured is not None:
        missing = find_missing(configured)
        if missing:
            raise Invalid(
                "model_incomplete",
                f"{configured} is not a CTranslate2 Whisper model: {', '.join(missing)} missing. "
                "Correct USHER_TRANSCRIPTION__MODEL, or unset it to use the installed model.",
            )
        return configured
    installed = cache_dir / MODEL_NAME
    if not is_installed(installed):
        raise Unavailable(
            f"No speech model in {cache_dir}. Run `make setup`, or set USHER_TRANSCRIPTION__MODEL to a directory "
            "with a CTranslate2 Whisper model."
        )
    return installed


def find_missing(directory: Path) -> list[str]:
    """Return the names of what a model in this directory would lack."""
    return [name for name in _NEEDED if not any(path.is_file() for path in directory.glob(name))]


def is_installed(directory: Path) -> bool:
    """Say whether the directory holds the pinned model; by size, as contents are verified at installation."""
    return all(_size_bytes(directory / file.name) == file.size_bytes for file in MODEL_FILES)


def _size_bytes(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
