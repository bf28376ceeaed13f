"""`reage devices`: list what nets can compute on."""

from __future__ import annotations

from reage.cli.console import print_json, print_table
from reage.cli.options import AsJson


def devices(as_json: AsJson = False) -> None:
    """List the devices for --device: which of them this computer has, and which `auto` takes."""
    from reage.nets.runtime import PROVIDERS, find_devices

    found = find_devices()
    if as_json:
        print_json({"devices": {device: device in found for device in PROVIDERS}, "auto": found[0]})
        return
    rows = [
        (f"{device} (auto)" if device == found[0] else device, "yes" if device in found else "no", provider)
        for device, provider in PROVIDERS.items()
    ]
    print_table(("device", "usable here", "of ONNX Runtime"), rows)
