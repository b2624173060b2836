"""What processor this is, as Linux says it; elsewhere nothing is known of it."""

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def name(cpuinfo: Path = CPUINFO) -> str:
    """Return the processor's name, with its maker, family and model where Linux tells them."""
    said = _first(cpuinfo)
    if "model name" not in said:
        return platform.processor() or platform.machine()
    kind = ", ".join(f"{key} {said[key]}" for key in ("cpu family", "model", "stepping") if key in said)
    return f"{said['model name']} ({said.get('vendor_id', 'unknown')}, {kind})"


def flags(cpuinfo: Path = CPUINFO) -> set[str]:
    """Return the instruction sets that Linux lists: {"avx2", "fma", ...}; none where it lists none."""
    return set(_first(cpuinfo).get("flags", "").split())


def _first(cpuinfo: Path) -> dict[str, str]:
    """Return what stands about the first processor."""
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}
