from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="SuccessfulExecution")


@_attrs_define
class SuccessfulExecution:
    """
    Attributes:
        bundle_id (str | Unset): Jito bundle ID (hex string) for this group of transactions.
        tx_hashes (list[str] | Unset): Array of Solana transaction signatures (base58 strings) for executed
            transactions.
    """

    bundle_id: str | Unset = UNSET
    tx_hashes: list[str] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        bundle_id = self.bundle_id

        tx_hashes: list[str] | Unset = UNSET
        if not isinstance(self.tx_hashes, Unset):
            tx_hashes = self.tx_hashes

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if bundle_id is not UNSET:
            field_dict["bundleId"] = bundle_id
        if tx_hashes is not UNSET:
            field_dict["txHashes"] = tx_hashes

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        bundle_id = d.pop("bundleId", UNSET)

        tx_hashes = cast(list[str], d.pop("txHashes", UNSET))

        successful_execution = cls(
            bundle_id=bundle_id,
            tx_hashes=tx_hashes,
        )

        successful_execution.additional_properties = d
        return successful_execution

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
