"""The image's Dockerfile and locks, the plugin's archive. `make image-try` tries what the image does."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from clientorg import __version__
from handlers import health
from release import plugin
from tests.image.dockerfile import DockerfileError, parse, variables
from tests.support.httpserver import LocalServer, QuietHandler

ROOT = Path(__file__).resolve().parents[2]


# -- the Dockerfile -------------------------------------------------------------------------------------------------


def test_image_runs_as_nobody_from_a_pinned_base() -> None:
    build, final = parse(ROOT / "Dockerfile")

    assert re.search(r"@sha256:[0-9a-f]{64}$", final.base)
    assert build.base == final.base
    uid = final.user.partition(":")[0]
    assert uid.isdecimal()
    assert int(uid) > 0


def test_image_and_deployment_agree() -> None:
    _, final = parse(ROOT / "Dockerfile")
    documents = yaml.safe_load_all((ROOT / "manifests" / "deployment.yaml").read_text())
    pod = next(document for document in documents if document["kind"] == "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert container["command"] == final.command
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == final.user
    assert container["image"].endswith(f":{__version__}")


def test_packages_are_installed_by_hash_and_never_built() -> None:
    build, _ = parse(ROOT / "Dockerfile")
    (install,) = (rest for keyword, rest in build.steps if keyword == "RUN" and "pip install" in rest)

    assert "--require-hashes" in install
    assert "--only-binary=:all:" in install


def test_step_has_the_environment_that_was_set_before_it(tmp_path: Path) -> None:
    """The final image's PATH has no sbin, and apt-get would not find what it needs there."""
    file = tmp_path / "Dockerfile"
    file.write_text("FROM base\nARG A=1\nRUN one\nENV PATH=/opt/bin:/bin \\\n    B=${A}\nRUN two\n")
    (stage,) = parse(file)

    assert [keyword for keyword, _ in stage.steps] == ["RUN", "ENV", "RUN"]
    assert variables(stage.steps[1][1]) == stage.environment == {"PATH": "/opt/bin:/bin", "B": "1"}


def test_unknown_instruction_is_not_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM debian\nONBUILD RUN true\n")
    with pytest.raises(DockerfileError, match="ONBUILD"):
        parse(file)


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("there is no hadolint for this platform")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


# -- locks and SBOM -------------------------------------------------------------------------------------------------


def pins(name: str) -> dict[str, str]:
    """Names and versions of a lock."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["image", "plugin"])
def test_what_is_shipped_is_what_is_tested(name: str) -> None:
    tested = pins("dev")
    assert {package: tested.get(package) for package in pins(name)} == pins(name)


def test_image_has_no_tools_of_development_and_the_plugin_no_operator() -> None:
    assert not {"pytest", "mypy", "ruff", "hatchling", "mkdocs", "pip"} & set(pins("image"))
    assert {"kopf", "opentelemetry-sdk"} <= set(pins("image"))
    assert not {"kopf", "prometheus-client", "opentelemetry-sdk"} & set(pins("plugin"))


def test_sbom_lists_every_package_of_the_image(tmp_path: Path) -> None:
    """The command is the Makefile's own."""
    makefile = (ROOT / "Makefile").read_text()
    assert "cyclonedx-py requirements" in makefile
    program, file = Path(sys.executable).with_name("cyclonedx-py"), tmp_path / "sbom.json"
    options = ("--pyproject", ROOT / "pyproject.toml", "--of", "JSON", "--sv", "1.6", "--output-file", file)
    done = subprocess.run(
        [program, "requirements", *options, ROOT / "requirements" / "image.txt"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(file.read_text())

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert {component["name"]: component["version"] for component in document["components"]} == pins("image")


# -- the health check -----------------------------------------------------------------------------------------------


class Probe(LocalServer):
    """Answers every GET the same way."""

    def __init__(self, status: int, text: str) -> None:
        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

        super().__init__(Handler)
        self.url = f"http://127.0.0.1:{self.port}/healthz"


def test_health_check_tells_a_healthy_operator_from_others(capsys: pytest.CaptureFixture[str]) -> None:
    with Probe(200, "clientorg_synced 1.0\n") as well, Probe(503, "a pass hangs\n") as ill:
        assert health.main([well.url]) == 0
        assert health.main([well.url, "--expect=clientorg_synced 1.0"]) == 0
        assert capsys.readouterr().err == ""
        assert health.main([well.url, "--expect=clientorg_synced 0.0"]) == 1
        assert "without a line 'clientorg_synced 0.0'" in capsys.readouterr().err
        assert health.main([ill.url]) == 1
        assert "answers 503: a pass hangs" in capsys.readouterr().err
    assert health.main([well.url, "--timeout=1"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_health_check_needs_nothing_but_the_standard_library() -> None:
    """It runs every half minute in every container."""
    code = "import sys, handlers.health; print({'kopf', 'aiohttp', 'clientorg'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "operator", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "set()", done.stderr


# -- the plugin's archive -------------------------------------------------------------------------------------------


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A folder with a wheel, archive and manifest. (What a wheel is made of is tested elsewhere.)"""
    (tmp_path / f"clientorg-{__version__}-py3-none-any.whl").write_bytes(b"a wheel")
    assert plugin.main([str(tmp_path)]) == 0
    return tmp_path


def test_archive_has_all_that_the_plugin_needs_and_its_manifest_its_checksum(dist: Path) -> None:
    content = (dist / f"kubectl-clientorg-{__version__}.tar.gz").read_bytes()
    manifest = yaml.safe_load((dist / "clientorg.yaml").read_text())
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        modes = {member.name: member.mode for member in tar.getmembers()}

    assert {name for name, mode in modes.items() if mode == 0o755} == {
        "kubectl-clientorg",
        "kubectl_complete-clientorg",
    }
    assert {"LICENSE", "requirements.txt", f"clientorg-{__version__}-py3-none-any.whl"} <= set(modes)
    assert manifest["spec"]["version"] == f"v{__version__}"
    assert {platform["sha256"] for platform in manifest["spec"]["platforms"]} == {hashlib.sha256(content).hexdigest()}
    assert all(platform["uri"].endswith(f"v{__version__}/kubectl-clientorg-{__version__}.tar.gz")
               for platform in manifest["spec"]["platforms"])  # fmt: skip
    assert plugin.main([str(dist)]) == 0
    assert (
        dist / f"kubectl-clientorg-{__version__}.tar.gz"
    ).read_bytes() == content  # the same sources, the same bytes


def test_script_runs_what_is_installed_and_names_a_python_that_is_too_old(dist: Path) -> None:
    with tarfile.open(dist / f"kubectl-clientorg-{__version__}.tar.gz") as tar:
        tar.extractall(dist, filter="data")
    script = dist / "kubectl-clientorg"
    name = re.search(rf"{re.escape(__version__)}|@", script.read_text())
    assert name is not None
    assert "@" not in re.findall(r"^version=(.*)$", script.read_text(), re.MULTILINE)[0]
    home = re.search(r"\$version-(\w+)", script.read_text())
    assert home is not None
    base = {"PATH": "/usr/bin:/bin", "HOME": str(dist)}

    old = {**base, "KUBECTL_CLIENTORG_PYTHON": "/bin/false"}
    done = subprocess.run([script, "--version"], env=old, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr

    (dist / "homes").mkdir()
    (dist / "homes" / f"{__version__}-{home[1]}").symlink_to(Path(sys.executable).parents[1])
    installed = {**base, "KUBECTL_CLIENTORG_HOME": str(dist / "homes")}
    done = subprocess.run([script, "--version"], env=installed, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, f"kubectl-clientorg {__version__}")
