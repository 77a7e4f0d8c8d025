"""The page of a run in a real Chromium: as it is shown, at three widths, light and dark."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.report import write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to look at pages with")

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Each is an expression of JavaScript whose value must be an empty list.
FAULTS = {
    "wider than the window": """
        document.documentElement.scrollWidth > innerWidth ? [document.documentElement.scrollWidth]
        : []""",
    "a picture without words": """
        [...document.querySelectorAll('svg')].filter(e => !e.closest('[aria-hidden=true]')
            && !(e.getAttribute('role') == 'img' && e.getAttribute('aria-label'))
        ).map(e => e.outerHTML.slice(0, 80))""",
    "a heading that skips a level": """
        (() => {
            const levels = [...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1]);
            return levels.filter((level, n) => level > (n ? levels[n - 1] : 0) + 1);
        })()""",
    "a link to nowhere": """
        [...document.querySelectorAll('a[href^="#"]')].map(e => e.getAttribute('href'))
        .filter(href => !document.querySelector(href))""",
    "text too small to read": """
        (() => {
            const own = e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim());
            const scale = e => {
                const svg = e.closest('svg');
                const box = svg && svg.viewBox.baseVal;
                return box && box.width ? svg.getBoundingClientRect().width / box.width : 1;
            };
            return [...document.querySelectorAll('body *')].filter(own)
                .filter(e => e.getClientRects().length && !e.closest('title, desc, .skip'))
                .filter(e => parseFloat(getComputedStyle(e).fontSize) * scale(e) < 9)
                .map(e => e.outerHTML.slice(0, 120));
        })()""",
    "a caption that is cut": """
        [...document.querySelectorAll('caption, figcaption')].filter(e => e.getClientRects().length)
            .filter(e => {
                const range = document.createRange();
                range.selectNodeContents(e);
                const around = e.closest('.scroll') || document.documentElement;
                const end = around.getBoundingClientRect().right + 1;
                return range.getBoundingClientRect().right > end;
            }).map(e => e.textContent.slice(0, 60))""",
    "a place to scroll that the keyboard does not reach": """
        [...document.querySelectorAll('body *')].filter(e => e.scrollWidth > e.clientWidth + 1)
            .filter(e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))
            .filter(e => e.tabIndex < 0 || !e.getAttribute('aria-label'))
            .map(e => e.outerHTML.slice(0, 80))""",
    "a table without scopes": """
        [...document.querySelectorAll('thead th:not([scope])')].map(e => e.textContent)""",
    "text that does not stand out": """
        (() => {
            const parse = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
            const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
                .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
                .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
            const under = e => {
                for (; e; e = e.parentElement) {
                    const colour = parse(getComputedStyle(e).backgroundColor);
                    if (colour.length < 4 || colour[3] > 0) return colour;
                }
                return [255, 255, 255];
            };
            const own = e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim());
            return [...document.querySelectorAll('body *')].filter(own)
                .filter(e => e.getClientRects().length && !e.closest('title, desc'))
                .filter(e => {
                    const style = getComputedStyle(e);
                    const ink = e instanceof SVGElement ? style.fill : style.color;
                    const [a, b] = [light(parse(ink)), light(under(e))].sort((x, y) => x - y);
                    return (b + 0.05) / (a + 0.05) < 4.5;
                }).map(e => e.outerHTML.slice(0, 120));
        })()""",
}


class Chromium:
    """One page of a browser that is driven over its debugging pipe."""

    def __init__(self, profile: Path) -> None:
        command = [str(CHROMIUM), *QUIET, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        redirected = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1'  # where it reads and writes
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", redirected, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._sent, self._session, self._rest = 0, "", b""
        self.events: list[dict[str, Any]] = []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        attached = self("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command of the protocol, and returns its result."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        pipe = self._process.stdin
        assert pipe is not None
        pipe.write(json.dumps(message).encode() + b"\0")
        pipe.flush()
        while (answer := self._read()).get("id") != self._sent:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, url: str, *, width: int = 1280, dark: bool = False) -> None:
        """Shows a page, and waits until it is loaded."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self("Emulation.setDeviceMetricsOverride", **size)
        self.events.clear()
        self("Page.navigate", url=url)
        while not self.of("Page.loadEventFired"):
            self.events.append(self._read())

    def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        found = self("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def of(self, *methods: str) -> list[dict[str, Any]]:
        """The parameters of the events seen of these kinds."""
        return [event["params"] for event in self.events if event.get("method") in methods]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> dict[str, Any]:
        pipe = self._process.stdout
        assert pipe is not None
        while b"\0" not in self._rest:
            read = pipe.read1(1 << 20)
            assert read, "chromium has ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    chromium = Chromium(tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.close()


@pytest.fixture
def url(pipeline, lake, full_run) -> str:
    return write(pipeline, lake, run=full_run, core_hour_price="0.05 EUR").as_uri()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 820, 390])
def test_page_reads_well(browser, url, width, dark):
    browser.open(url, width=width, dark=dark)
    browser.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert {name: found for name, rule in FAULTS.items() if (found := browser.value(rule))} == {}
    assert browser.of("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled") == []
    asked = [sent["request"]["url"] for sent in browser.of("Network.requestWillBeSent")]
    assert set(asked) == {url}


def test_list_of_runs_reads_well(browser, lake, url):
    browser.open(lake.report("index").as_uri(), width=390)
    assert {name: found for name, rule in FAULTS.items() if (found := browser.value(rule))} == {}
    assert browser.of("Log.entryAdded") == []
    assert browser.value("document.querySelector('tbody a').href") == url


def test_each_place_the_keyboard_reaches_shows_that_it_is_there(browser, url):
    browser.open(url)
    tab = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    reached = []
    for _ in range(12):
        browser("Input.dispatchKeyEvent", type="keyDown", **tab)
        browser("Input.dispatchKeyEvent", type="keyUp", **tab)
        reached.append(
            browser.value(
                "[document.activeElement.outerHTML.slice(0, 90),"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
        )
    assert "Skip to the content" in reached[0][0]
    assert [where for where, outline in reached if outline == "none"] == []
    assert len({where for where, _ in reached}) > 10


def test_contents_lead_to_each_section_by_keyboard(browser, url):
    browser.open(url, width=1440)
    named = "[...document.querySelectorAll('nav[aria-label=Contents] a')]"
    anchors = browser.value(f"{named}.map(each => each.getAttribute('href').slice(1))")
    assert anchors == browser.value("[...document.querySelectorAll('main section')].map(s => s.id)")
    assert len(anchors) == 13
    browser.value(f"{named}.at(-1).focus()")
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
    browser("Input.dispatchKeyEvent", type="keyDown", **enter)
    browser("Input.dispatchKeyEvent", type="keyUp", **enter)
    assert browser.value("location.hash") == "#versions"
    beside = "document.querySelector('.contents').getBoundingClientRect()"
    assert browser.value(f"{beside}.top") == 0  # it stays where it can be reached


def test_all_of_the_page_is_printed_on_paper(browser, url):
    browser.open(url, dark=True)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser("Emulation.setEmulatedMedia", media="print", features=[dark])
    shown = "getComputedStyle(document.body)"
    assert browser.value(f"{shown}.color") == "rgb(27, 32, 39)"
    assert browser.value("getComputedStyle(document.querySelector('.contents')).display") == "none"
    hidden = "[...document.querySelectorAll('details:not([open]) table')]"
    assert browser.value(f"{hidden}.length") > 3
    assert browser.value(f"{hidden}.filter(each => !each.checkVisibility()).length") == 0
    printed = base64.b64decode(browser("Page.printToPDF", printBackground=True)["data"])
    browser("Emulation.setEmulatedMedia", media="")
    assert printed.startswith(b"%PDF")


def test_faults_are_seen(browser, tmp_path):
    page = tmp_path / "faulty.html"
    page.write_text(
        "<!doctype html><title>t</title><h1>a</h1><h3>b</h3><svg></svg><a href='#none'>c</a>"
        "<table><thead><tr><th>d</th></tr></thead></table><p style='color: #bbb'>pale</p>"
        "<div style='width: 3000px'>wide</div><p style='font-size: 6px'>small</p>"
        "<div style='overflow: auto; width: 50px'><table><caption style='width: 4000px'>long"
        "</caption><tr><td>wide</td></tr></table></div>"
    )
    browser.open(page.as_uri())
    assert [name for name, rule in FAULTS.items() if not browser.value(rule)] == []
