"""The commands of the Dockerfile, run as they are in a folder that takes the place of the image's root."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from service import serving
from tools import DEPLOY, ROOT, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an image is built by root")

TEXT = re.sub(r"\\\n", "", (DEPLOY / "Dockerfile").read_text())
STEPS = [line.split(None, 1) for line in TEXT.splitlines() if line and not line.startswith("#")]


def of(kind: str) -> list[str]:
    """Return the arguments of all instructions of a kind."""
    return [rest for name, rest in STEPS if name == kind]


class Image:
    """A folder in the place of an image's root; absolute paths in commands lead into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = "/"

    def inside(self, text: str) -> str:
        """Return a text whose absolute paths lead into the image."""
        return re.sub(r"(?<![\w.$/])/(?=(opt|src|var)\b)", f"{self.root}/", text)

    def path(self, name: str) -> Path:
        """Return a path of the image."""
        return self.root / Path(self.folder, name).relative_to("/")

    def copy(self, words: list[str]) -> None:
        """Do what COPY does, out of the checkout."""
        *sources, target = words
        for source in sources:
            name = f"{target}/{Path(source).name}" if target.endswith("/") else target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, self.path(name), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                self.path(name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, self.path(name))


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Both stages of the image: the second one takes the first one's virtual environment, which may not move."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        Path(folder).chmod(0o755)
        yield built(Image(Path(folder)))


def built(made: Image) -> Image:
    """Follow the instructions."""
    binaries = made.root / "bin"
    binaries.mkdir()
    (binaries / "python").symlink_to(sys._base_executable)
    environ = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"}
    environ.pop("VIRTUAL_ENV", None)
    for kind, rest in STEPS:
        if kind == "WORKDIR":
            made.folder = rest
            made.path("").mkdir(parents=True, exist_ok=True)
        elif kind == "COPY" and not rest.startswith("--from=build"):
            made.copy(rest.split())
        elif kind == "COPY":
            _, source, target = rest.split()
            assert source == target
        elif kind == "RUN":
            run("sh", "-ec", made.inside(rest), cwd=made.path(""), env=environ)
    return made


def environment(image: Image) -> dict[str, str]:
    found = {}
    for pair in [pair for rest in of("ENV") for pair in shlex.split(rest)]:
        name, value = pair.split("=", 1)
        found[name] = image.inside(value).replace("$PATH", os.environ["PATH"])
    return found


@pytest.fixture
def user_of_image(user, image) -> dict[str, str]:
    """The environment inside, with keys."""
    return {name: value for name, value in user.items() if "KEY" in name or "URL" in name} | environment(image)


def test_there_are_two_stages_and_the_last_is_not_root():
    assert len(of("FROM")) == 2
    uid, _ = of("USER")[-1].split(":")
    assert int(uid) > 0
    assert [name for name, _ in STEPS].index("USER") > [rest for _, rest in STEPS].index(of("FROM")[1])


def test_the_installed_versions_are_the_locked_ones(image):
    installed = json.loads(
        run(image.inside("/opt/batchstatus/bin/pip"), "--disable-pip-version-check", "list", "--format", "json")
    )
    locked = dict(re.findall(r"^([a-z0-9-]+)==([\w.]+)", (DEPLOY / "requirements.txt").read_text(), re.MULTILINE))
    found = {item["name"].lower().replace("_", "-"): item["version"] for item in installed}
    assert {"starlette", "uvicorn", "prometheus-client", "click", "httpx"} <= set(found)
    assert {name: version for name, version in found.items() if name in locked}.items() <= locked.items()
    assert set(found) - set(locked) <= {"batchstatus", "pip", "setuptools", "wheel"}


def test_the_image_runs_and_is_healthy(image, user_of_image, tmp_path):
    """Its command serves as its user, and its health check tells a living service from a dead one."""
    (entry,) = map(json.loads, of("ENTRYPOINT"))
    (command,) = map(json.loads, of("CMD"))
    address = command.index("--http")
    assert command[address : address + 2] == ["--http", "0.0.0.0:9464"]
    (check,) = (json.loads(rest.split(" CMD ", 1)[1]) for rest in of("HEALTHCHECK"))
    rest = command[:address] + command[address + 2 :]
    program = shutil.which(entry[0], path=user_of_image["PATH"])
    with serving(user_of_image, tmp_path, command=(*as_user(image), program, *rest)) as service:
        port = service.url.rstrip("/").rsplit(":", 1)[1]
        words = [word.replace("9464", port) for word in check]
        assert health(words, user_of_image) == 0
        store = (image.root / "var/lib/batchstatus/store.sqlite3").stat()
        assert store.st_mode & 0o777 == 0o600
        assert service.end() == 0
        assert health(words, user_of_image) != 0


def as_user(image: Image) -> list[str]:
    """Return the command that runs another one as the image's user, unless this machine's Python is closed to it."""
    uid, gid = of("USER")[-1].split(":")
    command = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    python = image.inside("/opt/batchstatus/bin/python")
    is_open = subprocess.run([*command, python, "-c", ""], capture_output=True, check=False).returncode == 0
    return command if is_open else []


def health(words: list[str], environ: dict[str, str]) -> int:
    return subprocess.run(words, env=environ, capture_output=True, timeout=60, check=False).returncode
