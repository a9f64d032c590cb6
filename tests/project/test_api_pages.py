"""docs/reference/ has every public name, once."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted((ROOT / "docs" / "reference").rglob("*.md"))
WITHOUT_ALL = {
    "batchstatus.paces": {"paced"},
    "batchstatus.paces.postgres": {"PostgresPace", "AsyncPostgresPace"},
    "batchstatus.paces.redis": {"RedisPace", "AsyncRedisPace"},
    "batchstatus.service.systemd": {"notify", "keep_watchdog"},
    "batchstatus.telemetry.opentelemetry": {"OpenTelemetryObserver"},
    "batchstatus.testing.pytest_plugin": {"fake_vendors"},
    "batchstatus.testing.vendor_tests": {"VendorTests"},
}
ELSEWHERE = {
    "batchstatus.__version__",
    "batchstatus.webhooks.Change",  # that of the service
}
NO_INTERFACE = ("batchstatus.cli", "batchstatus.schemas", "batchstatus.service.store", "batchstatus.vendors")


def public_names() -> set[str]:
    """Read each module's `__all__` without importing it: engines and servers are not installed here."""
    facade = ROOT / "facade"
    found = {f"{module}.{name}" for module, names in WITHOUT_ALL.items() for name in names}
    for path in facade.rglob("*.py"):
        module = ".".join(path.relative_to(facade).with_suffix("").parts).removesuffix(".__init__")
        if "._" in module or module.startswith(NO_INTERFACE):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                found |= {f"{module}.{name}" for name in ast.literal_eval(node.value)}
    return found - ELSEWHERE


def test_each_public_name_stands_on_one_page():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    assert len(shown) == len(set(shown))
    assert set(shown) == public_names()
