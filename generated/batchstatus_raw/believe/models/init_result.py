from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.successful_execution import SuccessfulExecution


T = TypeVar("T", bound="InitResult")


@_attrs_define
class InitResult:
    """
    Attributes:
        total (float | Unset): Total number of setup transactions processed.
        total_successful (float | Unset): Number of setup transactions that succeeded.
        total_failed (float | Unset): Number of setup transactions that failed.
        successful_executions (list[SuccessfulExecution] | Unset): Array of successful bundle executions during setup.
        failed_tx_msg (str | Unset): Error message if setup failed (optional).
        batch_index (float | Unset): The batch index used in the multisig.
    """

    total: float | Unset = UNSET
    total_successful: float | Unset = UNSET
    total_failed: float | Unset = UNSET
    successful_executions: list[SuccessfulExecution] | Unset = UNSET
    failed_tx_msg: str | Unset = UNSET
    batch_index: float | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        total = self.total

        total_successful = self.total_successful

        total_failed = self.total_failed

        successful_executions: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.successful_executions, Unset):
            successful_executions = []
            for successful_executions_item_data in self.successful_executions:
                successful_executions_item = successful_executions_item_data.to_dict()
                successful_executions.append(successful_executions_item)

        failed_tx_msg = self.failed_tx_msg

        batch_index = self.batch_index

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if total is not UNSET:
            field_dict["total"] = total
        if total_successful is not UNSET:
            field_dict["totalSuccessful"] = total_successful
        if total_failed is not UNSET:
            field_dict["totalFailed"] = total_failed
        if successful_executions is not UNSET:
            field_dict["successfulExecutions"] = successful_executions
        if failed_tx_msg is not UNSET:
            field_dict["failedTxMsg"] = failed_tx_msg
        if batch_index is not UNSET:
            field_dict["batchIndex"] = batch_index

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.successful_execution import SuccessfulExecution  # noqa: PLC0415

        d = dict(src_dict)
        total = d.pop("total", UNSET)

        total_successful = d.pop("totalSuccessful", UNSET)

        total_failed = d.pop("totalFailed", UNSET)

        _successful_executions = d.pop("successfulExecutions", UNSET)
        successful_executions: list[SuccessfulExecution] | Unset = UNSET
        if _successful_executions is not UNSET:
            successful_executions = []
            for successful_executions_item_data in _successful_executions:
                successful_executions_item = SuccessfulExecution.from_dict(successful_executions_item_data)

                successful_executions.append(successful_executions_item)

        failed_tx_msg = d.pop("failedTxMsg", UNSET)

        batch_index = d.pop("batchIndex", UNSET)

        init_result = cls(
            total=total,
            total_successful=total_successful,
            total_failed=total_failed,
            successful_executions=successful_executions,
            failed_tx_msg=failed_tx_msg,
            batch_index=batch_index,
        )

        init_result.additional_properties = d
        return init_result

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
