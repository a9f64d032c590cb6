"""The example DAG of the package, where Airflow looks for DAGs."""

from __future__ import annotations

from batchstatus.engines.airflow.example_dag import example

__all__ = ["example"]
