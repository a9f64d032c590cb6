"""Airflow in a folder of its own: its environment, its command line, and its servers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers import PATIENCE, free_port, is_listening, running

DAGS = Path(__file__).parent / "airflow_dags"
EXAMPLES = Path(__file__).parent.parent.parent.parent / "examples"
AIRFLOW = sys.executable, "-m", "airflow"


def connection(vendor: str, url: str, password: str, **extra: object) -> str:
    """Return a connection as the variable AIRFLOW_CONN_... takes it."""
    return json.dumps({"conn_type": vendor, "host": url, "password": password, "extra": json.dumps(extra)})


def connections(simulator: Any) -> dict[str, str]:
    """Return the variables of the default connections, with keys that the simulator accepts."""
    keys = simulator.environment()
    gameball = connection("gameball", simulator.url, keys["GAMEBALL_API_KEY"], secret_key=keys["GAMEBALL_SECRET_KEY"])
    return {
        "AIRFLOW_CONN_GAMEBALL_DEFAULT": gameball,
        "AIRFLOW_CONN_BELIEVE_DEFAULT": connection("believe", simulator.url, keys["BELIEVE_API_KEY"]),
    }


def settings(home: Path, database: str | None = None) -> dict[str, str]:
    """Return the environment of an Airflow that keeps all that it writes in a folder."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database or f"sqlite:///{home}/airflow.db",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__FERNET_KEY": "dGVzdC1mZXJuZXQta2V5LXRlc3QtZmVybmV0LWtleS0=",
        "AIRFLOW__API_AUTH__JWT_SECRET": "test-secret-of-sixty-four-characters-for-the-tokens-of-workers--",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": f"{DAGS}{os.pathsep}{EXAMPLES}",
    }


def airflow(*words: object, env: dict[str, str]) -> str:
    """Run a command of Airflow, and return what it prints."""
    command = [*AIRFLOW, *map(str, words)]
    ended = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 0, f"{words}: {ended.stdout[-4_000:]}\n{ended.stderr[-4_000:]}"
    return ended.stdout


class Servers:
    """The servers of an Airflow on Postgres: an API server and a scheduler; triggerers are the caller's to start."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.port = folder, free_port()
        address = f"http://127.0.0.1:{self.port}"
        self.database = database
        self.env = settings(folder, database.replace("postgresql://", "postgresql+psycopg2://")) | {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": address,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        }

    @contextmanager
    def run(self) -> Iterator[Servers]:
        """Make the database, and run both servers."""
        airflow("db", "migrate", env=self.env)
        airflow("dags", "reserialize", env=self.env)
        with (
            self.start("api-server", is_ready=lambda: is_listening(self.port)),
            self.start("scheduler", "--skip-serve-logs"),
        ):
            yield self

    def start(self, *words: str, name: str | None = None, **options: Any) -> Any:
        """Run a server of Airflow; its log is in the folder."""
        log = self.folder / f"{name or words[0]}.log"
        return running(*AIRFLOW, *words, log=log, env=self.env, **options)

    def triggerer(self, name: str = "triggerer") -> Any:
        return self.start("triggerer", "--skip-serve-logs", name=name)

    def trigger(self, dag: str, run: str, **conf: object) -> None:
        """Start a run of a DAG."""
        airflow("dags", "trigger", dag, "--run-id", run, "--conf", json.dumps(conf), env=self.env)

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what the database answers."""
        import psycopg

        with psycopg.connect(self.database) as found:
            return found.execute(query, values).fetchall()

    def states(self, run: str, task: str = "wait") -> list[str | None]:
        return [
            state
            for (state,) in self.ask("select state from task_instance where run_id = %s and task_id = %s", run, task)
        ]

    def forget(self, run: str) -> None:
        """Delete a run with its tasks, whose triggers the next triggerer would take up."""
        import psycopg

        with psycopg.connect(self.database) as found:
            found.execute("delete from dag_run where run_id = %s", (run,))

    def until(self, is_so: Any, seconds: float = 240.0) -> None:
        """Wait until something is so, as long as only a hang takes."""
        give_up_at = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > give_up_at:
                logs = "\n".join(path.read_text()[-2_500:] for path in sorted(self.folder.glob("*.log")))
                raise AssertionError(f"it is not so after {seconds} s:\n{logs}")
            time.sleep(0.25)

    def everything(self) -> dict[str, bytes]:
        """Return all that is kept, by where: each row of each table, and each file of the folder."""
        kept = {}
        for (name,) in self.ask("select tablename from pg_tables where schemaname = 'public'"):
            for number, row in enumerate(self.ask(f'select * from "{name}"')):
                kept[f"{name} {number}"] = repr(row).encode()
        for path in self.folder.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file():
                    kept[str(path.relative_to(self.folder))] = path.read_bytes()
        return kept
