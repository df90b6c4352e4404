"""``send`` into a simulated city keeps the city's time."""

from __future__ import annotations

from tests.commands.console import CityRun, Cli


def test_what_is_sent_today_does_not_make_the_city_late(city: CityRun, cli: Cli) -> None:
    today = (
        b'{"device":"today","metric":"rain","value":0.2,"unit":"mm","t":"2026-12-01T08:00:00Z",'
        b'"place":"440103001001001"}\n'
    )
    old = today.replace(b"2026-12-01T08", b"2026-03-01T20")
    faulty = old.replace(b'"mm"', b'"furlong"')
    given = b"{}\n" + today + old + faulty
    sent = cli("send", "-", "--topic", "city.sensor.v1", "--data", city.data, given=given)
    assert sent.code == 0
    clock = "the city's clock (2026-03-02 0"
    ahead, behind = (line for line in sent.err.splitlines() if clock in line)
    assert ahead.startswith("too far ahead: 1, refused as over a day ahead of ")
    assert behind.startswith("too far behind: 2, late as ")
    assert "faults of content are not looked at here" in sent.err
    assert f"`cityvitals deadletter list --data {city.data}`" in sent.err
    after = cli("up", "--no-page", "--data", city.data, "--for", "1s", "--json").lines[-1]["total"]
    before = city.ended.lines[-1]["total"]
    read, late = (after[name] - before[name] for name in ("read", "late"))
    assert read > 1000
    assert late < read / 50
