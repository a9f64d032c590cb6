"""The DAG of examples/, where Airflow looks for DAGs."""

from __future__ import annotations

from airflow_dag import example

__all__ = ["example"]
