"""JupyterLab in a real browser: one server and one window for the session."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.browser.driver import Desk, Lab, Server
from tests.conftest import DemoStores

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SIZE: ViewportSize = {"width": 1400, "height": 1000}  # of a page, unless its test chooses
START_SECONDS = 60  # a cold JupyterLab on a busy machine

expect.set_options(timeout=20_000)  # what does not come at all fails all the same


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, so that `-m "not browser"` leaves it out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Debian's Chromium, or of the one BESTBT_CHROMIUM names."""
    found = os.environ.get("BESTBT_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), "")
    if not found and "CI" not in os.environ:
        pytest.skip("no Chromium: sudo apt install chromium, or set BESTBT_CHROMIUM")
    assert found, "no Chromium, and on CI there must be one"
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium without a window, kept from asking the network for anything."""
    flags = """--no-sandbox --disable-gpu --disable-quic --no-first-run
        --disable-background-networking --disable-component-update --disable-sync"""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=flags.split())
        yield started
        started.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_server(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the server answers; a server that ended says why in its log."""
    for _ in range(START_SECONDS * 5):
        try:
            with urlopen(f"{url}/api/status", timeout=1):
                return
        except (URLError, TimeoutError, ConnectionError):
            pass
        try:  # waits a fifth of a second, unless the server has ended
            process.wait(0.2)
            break
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(f"JupyterLab did not start on {url}:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, demo_stores: DemoStores) -> Iterator[Server]:
    """JupyterLab that knows nothing of the user's own settings, kernels or open notebooks.

    The store of its kernels holds the demo market, which no test changes.
    """
    home = tmp_path_factory.mktemp("jupyter")
    root = home / "notebooks"
    folders = {
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "IPYTHONDIR": home / "ipython",
        "BESTBT_STORE": home / "store.sqlite",
    }
    for folder in (root, home / "settings"):
        folder.mkdir()
    # nothing may pop up over the notebook, and no extension may phone home
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True})
    )

    # keep every cell in the page, not only those near the window: tests look at all of them
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))

    shutil.copy(demo_stores(), folders["BESTBT_STORE"])

    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={url.rpartition(':')[2]}", "--ServerApp.port_retries=0"]
    command += ["--IdentityProvider.token=", "--ServerApp.password="]
    command += ["--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={root}"]
    log = home / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **{name: str(folder) for name, folder in folders.items()}},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for_server(url, process, log)
            yield Server(url, root, folders["BESTBT_STORE"], folders["JUPYTER_RUNTIME_DIR"])
        finally:
            process.terminate()  # its kernels end with it
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """Yield the window of all pages: what one has loaded, the next finds in the cache."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    """Yield an empty page."""
    page = window.new_page()
    page.set_viewport_size(SIZE)
    yield page
    page.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return the folder for screenshots."""
    return Path(os.environ.get("BESTBT_SCREENSHOTS", tmp_path))


@pytest.fixture
def lab(page: Page, server: Server, pictures: Path) -> Iterator[Lab]:
    """JupyterLab newly loaded; its kernel ends with the test, and whatever that was doing.

    For tests that load, close or restart; others take the `desk`.
    """
    made = Lab(page, server, pictures)
    yield made
    server.end_kernel(made.name)


@pytest.fixture(scope="session")
def desks() -> list[Desk]:
    """Return the desk that is open, if there is one."""
    return []


@pytest.fixture
def desk(
    request: pytest.FixtureRequest,
    window: BrowserContext,
    server: Server,
    desks: list[Desk],
    pictures: Path,
) -> Iterator[Desk]:
    """JupyterLab as the test before left it; after one that failed, a new one."""
    if not desks:
        desks.append(Desk(window.new_page(), server, pictures))
    (desk,) = desks
    desk.pictures = pictures
    desk.page.bring_to_front()
    desk.page.set_viewport_size(SIZE)
    failed = request.session.testsfailed
    yield desk
    if request.session.testsfailed > failed:
        desks.clear()
        desk.page.close()
        server.end_kernel(desk.name)


@pytest.fixture(params=["Light", "Dark"])
def theme(request: pytest.FixtureRequest, desk: Desk) -> Iterator[str]:
    """Each theme, to be chosen at the desk; the next test has the usual one again."""
    yield request.param
    if request.param != "Light":
        desk.choose_theme("JupyterLab Light")
