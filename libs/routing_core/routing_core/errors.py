"""Errors that a user can mend.

ModeluxError(code, message, hint, where)
    InvalidConfig      a policy, rule or setting that cannot be saved
"""

from __future__ import annotations


class ModeluxError(Exception):
    """What is wrong (`message`), where (`where`: a path such as `attempts[1].timeout_ms`, or a column), and how to mend
    it (`hint`).
    """

    def __init__(self, code: str, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        place = f" (at {self.where})" if self.where else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.message}{place}.{hint}" if hint else f"{self.message}{place}"


class InvalidConfig(ModeluxError):
    """A policy document, rule or setting that is refused at save. `where` is the field's path within the document."""

    def __init__(self, message: str, *, where: str = "", hint: str = "", code: str = "invalid_config") -> None:
        super().__init__(code, message, hint=hint, where=where)
