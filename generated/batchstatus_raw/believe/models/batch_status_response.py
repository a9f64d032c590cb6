from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.execution_result import ExecutionResult
    from ..models.init_result import InitResult


T = TypeVar("T", bound="BatchStatusResponse")


@_attrs_define
class BatchStatusResponse:
    """
    Attributes:
        status (str): Current batch status.
        id (str | Unset): The unique batch identifier (UUID).
        flywheel_id (str | Unset): The flywheel this batch belongs to.
        token_id (str | Unset): The token ID associated with this batch.
        mint_address (str | Unset): The Solana mint address for the token.
        batch_index (str | Unset): The multisig batch index used for execution.
        vault_index (str | Unset): The vault index within the multisig.
        multisig (str | Unset): The multisig wallet address.
        vault_address (str | Unset): The vault address for token operations.
        init_result (InitResult | Unset):
        execute_result (ExecutionResult | Unset):
        date_created (str | Unset): ISO 8601 timestamp when the batch was created.
        date_updated (str | Unset): ISO 8601 timestamp when the batch was last updated.
    """

    status: str
    id: str | Unset = UNSET
    flywheel_id: str | Unset = UNSET
    token_id: str | Unset = UNSET
    mint_address: str | Unset = UNSET
    batch_index: str | Unset = UNSET
    vault_index: str | Unset = UNSET
    multisig: str | Unset = UNSET
    vault_address: str | Unset = UNSET
    init_result: InitResult | Unset = UNSET
    execute_result: ExecutionResult | Unset = UNSET
    date_created: str | Unset = UNSET
    date_updated: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        status = self.status

        id = self.id

        flywheel_id = self.flywheel_id

        token_id = self.token_id

        mint_address = self.mint_address

        batch_index = self.batch_index

        vault_index = self.vault_index

        multisig = self.multisig

        vault_address = self.vault_address

        init_result: dict[str, Any] | Unset = UNSET
        if not isinstance(self.init_result, Unset):
            init_result = self.init_result.to_dict()

        execute_result: dict[str, Any] | Unset = UNSET
        if not isinstance(self.execute_result, Unset):
            execute_result = self.execute_result.to_dict()

        date_created = self.date_created

        date_updated = self.date_updated

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "status": status,
            }
        )
        if id is not UNSET:
            field_dict["id"] = id
        if flywheel_id is not UNSET:
            field_dict["flywheelId"] = flywheel_id
        if token_id is not UNSET:
            field_dict["tokenId"] = token_id
        if mint_address is not UNSET:
            field_dict["mintAddress"] = mint_address
        if batch_index is not UNSET:
            field_dict["batchIndex"] = batch_index
        if vault_index is not UNSET:
            field_dict["vaultIndex"] = vault_index
        if multisig is not UNSET:
            field_dict["multisig"] = multisig
        if vault_address is not UNSET:
            field_dict["vaultAddress"] = vault_address
        if init_result is not UNSET:
            field_dict["initResult"] = init_result
        if execute_result is not UNSET:
            field_dict["executeResult"] = execute_result
        if date_created is not UNSET:
            field_dict["dateCreated"] = date_created
        if date_updated is not UNSET:
            field_dict["dateUpdated"] = date_updated

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.execution_result import ExecutionResult  # noqa: PLC0415
        from ..models.init_result import InitResult  # noqa: PLC0415

        d = dict(src_dict)
        status = d.pop("status")

        id = d.pop("id", UNSET)

        flywheel_id = d.pop("flywheelId", UNSET)

        token_id = d.pop("tokenId", UNSET)

        mint_address = d.pop("mintAddress", UNSET)

        batch_index = d.pop("batchIndex", UNSET)

        vault_index = d.pop("vaultIndex", UNSET)

        multisig = d.pop("multisig", UNSET)

        vault_address = d.pop("vaultAddress", UNSET)

        _init_result = d.pop("initResult", UNSET)
        init_result: InitResult | Unset
        if isinstance(_init_result, Unset):
            init_result = UNSET
        else:
            init_result = InitResult.from_dict(_init_result)

        _execute_result = d.pop("executeResult", UNSET)
        execute_result: ExecutionResult | Unset
        if isinstance(_execute_result, Unset):
            execute_result = UNSET
        else:
            execute_result = ExecutionResult.from_dict(_execute_result)

        date_created = d.pop("dateCreated", UNSET)

        date_updated = d.pop("dateUpdated", UNSET)

        batch_status_response = cls(
            status=status,
            id=id,
            flywheel_id=flywheel_id,
            token_id=token_id,
            mint_address=mint_address,
            batch_index=batch_index,
            vault_index=vault_index,
            multisig=multisig,
            vault_address=vault_address,
            init_result=init_result,
            execute_result=execute_result,
            date_created=date_created,
            date_updated=date_updated,
        )

        batch_status_response.additional_properties = d
        return batch_status_response

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
