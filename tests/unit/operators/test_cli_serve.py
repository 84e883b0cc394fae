"""`peerway-operator serve` and `sample` as a person meets them."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from operators.cli.main import main
from operators.config import load_config


def test_the_printed_sample_loads(tmp_path: Path) -> None:
    printed = CliRunner().invoke(main, ["sample"])
    assert printed.exit_code == 0
    path = tmp_path / "operator.toml"
    path.write_text(printed.output)
    assert load_config(path).name == "SURF"


def test_both_commands_are_listed_and_show_an_example() -> None:
    listed = CliRunner().invoke(main, ["--help"]).output
    for name in ("serve", "sample"):
        assert name in listed
        helped = CliRunner().invoke(main, [name, "--help"])
        assert helped.exit_code == 0
        assert f"peerway-operator {name}" in helped.output


def test_serve_needs_a_configuration() -> None:
    refused = CliRunner().invoke(main, ["serve"])
    assert refused.exit_code == 2
    assert "--config" in refused.output
