"""An interpreter in which nobody has imported `json`, as the hook's is."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def without_json() -> Iterator[None]:
    """Take away what the C scanner of `_json` names its errors by, for a `with` block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "json.decoder")
        patch.setattr(json, "decoder", json.decoder)  # what another import of it would replace
        yield
