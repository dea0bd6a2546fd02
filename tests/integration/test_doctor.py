"""The doctor on this machine, and on machines that lack what it looks for."""

import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from usher.adapters.embedded.ports import free_port
from usher.cli.doctor import DoctorSettings, Finding, render, run_checks
from usher.cli.doctor.speech import check_speech


async def findings(settings: DoctorSettings) -> dict[str, Finding]:
    return {finding.name: finding async for finding in run_checks(settings)}


async def test_all_is_well_here(tmp_path: Path, speech_model: Path, database_dsn: str, redis_url: str) -> None:
    port = free_port()
    settings = DoctorSettings(tmp_path, model=speech_model, dsn=database_dsn, redis_url=redis_url, ports=(port,))
    found = await findings(settings)
    names = ["disk", "memory", f"port {port}", "database", "Redis", "browser", "audio capture", "speech model"]
    assert list(found) == names
    assert [finding for finding in found.values() if not finding.ok or finding.remedy] == []


async def test_nothing_is_well_and_every_line_says_what_to_do(tmp_path: Path) -> None:
    broken = DoctorSettings(
        tmp_path / "not" / "there",
        chromium=Path("/bin/false"),
        model=tmp_path,
        dsn="postgresql://usher:wrong@127.0.0.1:1/usher",
        redis_url="redis://127.0.0.1:1/0",
    )
    found = await findings(broken)
    for name in ("database", "Redis", "browser", "speech model"):
        assert not found[name].ok, name
        assert "USHER_" in found[name].remedy, name
        assert "wrong" not in found[name].detail + found[name].remedy, "a password is never shown"
    assert "audio capture" not in found


async def test_embedded_servers_are_tried_out_and_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    found = await findings(DoctorSettings(tmp_path, chromium=Path("/bin/false"), model=tmp_path))
    assert found["database"].ok, found["database"]
    assert found["Redis"].ok, found["Redis"]
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_a_taken_port_is_named(tmp_path: Path, redis_url: str) -> None:
    port = int(redis_url.rsplit(":", 1)[1].split("/", maxsplit=1)[0])
    settings = DoctorSettings(tmp_path, chromium=Path("/bin/false"), model=tmp_path, redis_url=redis_url, ports=(port,))
    finding = (await findings(settings))[f"port {port}"]
    assert not finding.ok
    assert "process" in finding.detail


async def test_a_model_that_does_not_load_is_found_out(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / name).write_text("{}")
    finding = await check_speech(tmp_path, tmp_path)
    assert not finding.ok
    assert "make setup" in finding.remedy


def test_the_report_shows_remedies_under_what_failed() -> None:
    console = Console(width=100, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(render([Finding("disk", True, "77 GiB free"), Finding("browser", False, "none", "Run [this].")]))
    lines = [line.split() for line in capture.get().splitlines()]
    assert lines == [["ok", "disk", "77", "GiB", "free"], ["no", "browser", "none"], ["→", "Run", "[this]."]]
