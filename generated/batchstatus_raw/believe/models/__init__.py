"""Contains all the data models used in inputs/outputs"""

from .batch_status_response import BatchStatusResponse
from .error import Error
from .execution_result import ExecutionResult
from .init_result import InitResult
from .successful_execution import SuccessfulExecution

__all__ = (
    "BatchStatusResponse",
    "Error",
    "ExecutionResult",
    "InitResult",
    "SuccessfulExecution",
)
