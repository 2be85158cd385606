from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EmbedRequest(_message.Message):
    __slots__ = ("texts",)
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, texts: _Optional[_Iterable[str]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("embedder", "dimensions", "vectors")
    EMBEDDER_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    embedder: str
    dimensions: int
    vectors: bytes
    def __init__(self, embedder: _Optional[str] = ..., dimensions: _Optional[int] = ..., vectors: _Optional[bytes] = ...) -> None: ...

class Pair(_message.Message):
    __slots__ = ("first", "second")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    first: str
    second: str
    def __init__(self, first: _Optional[str] = ..., second: _Optional[str] = ...) -> None: ...

class ScoreRequest(_message.Message):
    __slots__ = ("pairs",)
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    pairs: _containers.RepeatedCompositeFieldContainer[Pair]
    def __init__(self, pairs: _Optional[_Iterable[_Union[Pair, _Mapping]]] = ...) -> None: ...

class ScoreResponse(_message.Message):
    __slots__ = ("embedder", "scores")
    EMBEDDER_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    embedder: str
    scores: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, embedder: _Optional[str] = ..., scores: _Optional[_Iterable[float]] = ...) -> None: ...

class SimilarRequest(_message.Message):
    __slots__ = ("organization_id", "project_id", "text", "vector", "k")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    project_id: str
    text: str
    vector: bytes
    k: int
    def __init__(self, organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., text: _Optional[str] = ..., vector: _Optional[bytes] = ..., k: _Optional[int] = ...) -> None: ...

class Neighbour(_message.Message):
    __slots__ = ("request_id", "score")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    score: float
    def __init__(self, request_id: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class SimilarResponse(_message.Message):
    __slots__ = ("embedder", "neighbours", "indexed")
    EMBEDDER_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    INDEXED_FIELD_NUMBER: _ClassVar[int]
    embedder: str
    neighbours: _containers.RepeatedCompositeFieldContainer[Neighbour]
    indexed: int
    def __init__(self, embedder: _Optional[str] = ..., neighbours: _Optional[_Iterable[_Union[Neighbour, _Mapping]]] = ..., indexed: _Optional[int] = ...) -> None: ...

class ClusterRequest(_message.Message):
    __slots__ = ("texts", "topics", "seed")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    TOPICS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    topics: int
    seed: int
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., topics: _Optional[int] = ..., seed: _Optional[int] = ...) -> None: ...

class ClusterResponse(_message.Message):
    __slots__ = ("embedder", "topics")
    EMBEDDER_FIELD_NUMBER: _ClassVar[int]
    TOPICS_FIELD_NUMBER: _ClassVar[int]
    embedder: str
    topics: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, embedder: _Optional[str] = ..., topics: _Optional[_Iterable[int]] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("embedder", "charged_model", "groups")
    EMBEDDER_FIELD_NUMBER: _ClassVar[int]
    CHARGED_MODEL_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    embedder: str
    charged_model: str
    groups: bool
    def __init__(self, embedder: _Optional[str] = ..., charged_model: _Optional[str] = ..., groups: _Optional[bool] = ...) -> None: ...
