"""Contains all the data models used in inputs/outputs"""

from .batch_status_response import BatchStatusResponse

__all__ = ("BatchStatusResponse",)
