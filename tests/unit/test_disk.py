"""How much of a disk is left to others."""

import shutil
from types import SimpleNamespace

import pytest

from avrobust.data.disk import check_room
from avrobust.program import UserError


@pytest.mark.parametrize(("size", "refused"), [(0, False), (600, False), (601, True)])
def test_what_would_leave_too_little_is_refused(tmp_path, monkeypatch, size, refused):
    monkeypatch.setattr(shutil, "disk_usage", {tmp_path: SimpleNamespace(free=1000)}.get)
    if refused:
        with pytest.raises(UserError, match=f"{tmp_path}: 1000 bytes are free and at least 1001 are needed"):
            check_room(tmp_path, 400, size)
    else:
        check_room(tmp_path, 400, size)
