from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sendpool.config import ConfigError
from sendpool.config.places import command_socket, database_of, secret_key


def test_a_database_is_where_its_url_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert database_of("sqlite:///data/sendpool.db") == Path("data/sendpool.db")
    assert database_of(f"sqlite:///{tmp_path}/sendpool.db") == tmp_path / "sendpool.db"


def test_a_link_to_a_file_or_a_folder_leads_to_the_file_itself(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sendpool.db").touch()
    (tmp_path / "folder").symlink_to("data")
    (tmp_path / "link.db").symlink_to("data/sendpool.db")

    for name in ("folder/sendpool.db", "link.db"):
        assert database_of(f"sqlite:///{tmp_path}/{name}") == tmp_path / "data" / "sendpool.db"


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite://x", "mysql://localhost/x", ""])
def test_any_other_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ConfigError, match=r"use sqlite:///PATH, for example sqlite:///sendpool.db"):
        database_of(url)


def test_a_key_is_made_once_beside_the_database_and_only_we_can_read_it(tmp_path: Path) -> None:
    made = secret_key(None, f"sqlite:///{tmp_path}/sendpool.db")

    assert len(made) >= 32
    assert secret_key(None, f"sqlite:///{tmp_path}/sendpool.db") == made
    assert stat.S_IMODE((tmp_path / "sendpool.db.key").stat().st_mode) == 0o600


def test_a_configured_key_needs_no_file(tmp_path: Path) -> None:
    assert secret_key("pässphrase", f"sqlite:///{tmp_path}/sendpool.db") == "pässphrase".encode()
    assert list(tmp_path.iterdir()) == []


def test_a_postgresql_server_keeps_its_url_and_needs_a_key() -> None:
    url = "postgresql://user@localhost/x"

    assert database_of(url) == url
    assert command_socket(url) != command_socket("postgresql://user@localhost/y")
    with pytest.raises(ConfigError, match="set SENDPOOL_SECRET_KEY"):
        secret_key(None, url)
