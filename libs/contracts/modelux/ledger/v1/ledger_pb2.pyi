from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Meter(_message.Message):
    __slots__ = ("budget_id", "value", "unit")
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    budget_id: str
    value: str
    unit: str
    def __init__(self, budget_id: _Optional[str] = ..., value: _Optional[str] = ..., unit: _Optional[str] = ...) -> None: ...

class Want(_message.Message):
    __slots__ = ("meter", "need", "want")
    METER_FIELD_NUMBER: _ClassVar[int]
    NEED_FIELD_NUMBER: _ClassVar[int]
    WANT_FIELD_NUMBER: _ClassVar[int]
    meter: Meter
    need: int
    want: int
    def __init__(self, meter: _Optional[_Union[Meter, _Mapping]] = ..., need: _Optional[int] = ..., want: _Optional[int] = ...) -> None: ...

class GrantRequest(_message.Message):
    __slots__ = ("replica_id", "epoch", "op_id", "wants")
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    WANTS_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    epoch: int
    op_id: str
    wants: _containers.RepeatedCompositeFieldContainer[Want]
    def __init__(self, replica_id: _Optional[str] = ..., epoch: _Optional[int] = ..., op_id: _Optional[str] = ..., wants: _Optional[_Iterable[_Union[Want, _Mapping]]] = ...) -> None: ...

class AccountView(_message.Message):
    __slots__ = ("meter", "window_start_us", "window_end_us", "cap", "settled", "leased", "hard")
    METER_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_US_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_US_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    HARD_FIELD_NUMBER: _ClassVar[int]
    meter: Meter
    window_start_us: int
    window_end_us: int
    cap: int
    settled: int
    leased: int
    hard: bool
    def __init__(self, meter: _Optional[_Union[Meter, _Mapping]] = ..., window_start_us: _Optional[int] = ..., window_end_us: _Optional[int] = ..., cap: _Optional[int] = ..., settled: _Optional[int] = ..., leased: _Optional[int] = ..., hard: _Optional[bool] = ...) -> None: ...

class Granted(_message.Message):
    __slots__ = ("lease_id", "amount", "usable_for_us", "account")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    USABLE_FOR_US_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    amount: int
    usable_for_us: int
    account: AccountView
    def __init__(self, lease_id: _Optional[str] = ..., amount: _Optional[int] = ..., usable_for_us: _Optional[int] = ..., account: _Optional[_Union[AccountView, _Mapping]] = ...) -> None: ...

class Denied(_message.Message):
    __slots__ = ("account", "needed", "reason")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    account: AccountView
    needed: int
    reason: str
    def __init__(self, account: _Optional[_Union[AccountView, _Mapping]] = ..., needed: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class GrantResponse(_message.Message):
    __slots__ = ("granted", "denied")
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    DENIED_FIELD_NUMBER: _ClassVar[int]
    granted: _containers.RepeatedCompositeFieldContainer[Granted]
    denied: Denied
    def __init__(self, granted: _Optional[_Iterable[_Union[Granted, _Mapping]]] = ..., denied: _Optional[_Union[Denied, _Mapping]] = ...) -> None: ...

class RefuseRequest(_message.Message):
    __slots__ = ("replica_id", "epoch", "meter", "needed", "request_id")
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    METER_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    epoch: int
    meter: Meter
    needed: int
    request_id: str
    def __init__(self, replica_id: _Optional[str] = ..., epoch: _Optional[int] = ..., meter: _Optional[_Union[Meter, _Mapping]] = ..., needed: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class RefuseResponse(_message.Message):
    __slots__ = ("denied",)
    DENIED_FIELD_NUMBER: _ClassVar[int]
    denied: Denied
    def __init__(self, denied: _Optional[_Union[Denied, _Mapping]] = ...) -> None: ...

class LeaseReport(_message.Message):
    __slots__ = ("lease_id", "meter", "window_start_us", "granted", "settled", "unknown", "overrun", "closed")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    METER_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_US_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    OVERRUN_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    meter: Meter
    window_start_us: int
    granted: int
    settled: int
    unknown: int
    overrun: int
    closed: bool
    def __init__(self, lease_id: _Optional[str] = ..., meter: _Optional[_Union[Meter, _Mapping]] = ..., window_start_us: _Optional[int] = ..., granted: _Optional[int] = ..., settled: _Optional[int] = ..., unknown: _Optional[int] = ..., overrun: _Optional[int] = ..., closed: _Optional[bool] = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ("replica_id", "epoch", "leases")
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    epoch: int
    leases: _containers.RepeatedCompositeFieldContainer[LeaseReport]
    def __init__(self, replica_id: _Optional[str] = ..., epoch: _Optional[int] = ..., leases: _Optional[_Iterable[_Union[LeaseReport, _Mapping]]] = ...) -> None: ...

class LeaseAnswer(_message.Message):
    __slots__ = ("lease_id", "state", "account")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    state: str
    account: AccountView
    def __init__(self, lease_id: _Optional[str] = ..., state: _Optional[str] = ..., account: _Optional[_Union[AccountView, _Mapping]] = ...) -> None: ...

class ReportResponse(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[LeaseAnswer]
    def __init__(self, leases: _Optional[_Iterable[_Union[LeaseAnswer, _Mapping]]] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("replica_id",)
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    def __init__(self, replica_id: _Optional[str] = ...) -> None: ...

class JoinResponse(_message.Message):
    __slots__ = ("replica_id", "epoch", "leases")
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    epoch: int
    leases: _containers.RepeatedCompositeFieldContainer[LeaseAnswer]
    def __init__(self, replica_id: _Optional[str] = ..., epoch: _Optional[int] = ..., leases: _Optional[_Iterable[_Union[LeaseAnswer, _Mapping]]] = ...) -> None: ...

class RecallsRequest(_message.Message):
    __slots__ = ("replica_id",)
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    def __init__(self, replica_id: _Optional[str] = ...) -> None: ...

class RecallsResponse(_message.Message):
    __slots__ = ("meters",)
    METERS_FIELD_NUMBER: _ClassVar[int]
    meters: _containers.RepeatedCompositeFieldContainer[Meter]
    def __init__(self, meters: _Optional[_Iterable[_Union[Meter, _Mapping]]] = ...) -> None: ...
