"""What processor this is, as Linux says it; elsewhere nothing is known of it."""

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# What results are made with wherever there is more.
COMMON = {"avx2", "fma"}


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


def has_common_instructions() -> bool:
    """Return whether this is an x86-64 processor with AVX2 and FMA."""
    return platform.machine() in ("x86_64", "AMD64") and flags() >= COMMON


def _first(cpuinfo: Path) -> dict[str, str]:
    """Return what stands about the first processor."""
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}
