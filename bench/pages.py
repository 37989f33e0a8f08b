"""Answers of `/instance/list`, made ahead: the same bytes for the same arguments, whenever."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final

import msgspec

PAGE_SIZE: Final = 100

_GPUS: Final = ("NVIDIA RTX 4090", "NVIDIA RTX 3090", "NVIDIA A100", "NVIDIA L40S", "NVIDIA H100")
_IMAGES: Final = (
    "PyTorch 2.0 环境",
    "ComfyUI 整合包",
    "LLaMA-Factory",
    "vLLM 推理",
    "Ubuntu 22.04",
)
_TASKS: Final = ("微调", "推理", "评测", "whisper", "sdxl", "rlhf", "ocr")


def editions(count: int, number: int, created: int) -> Iterator[list[bytes]]:
    """`number` listings of `count` instances as page bodies; each differs from the one before in
    one instance of a hundred (stopped, started, started anew or renamed). `created` is the time of
    the first creation; all happens within the 28 hours after it."""
    dice = Random(count)
    uuids = [f"{dice.getrandbits(128):032x}" for _ in range(count)]
    changes = [0] * count
    fragments = [_fragment(i, uuid, 0, created + i) for i, uuid in enumerate(uuids)]
    for edition in range(number):
        if edition:
            for i in dice.sample(range(count), count // 100):
                changes[i] += 1
                fragments[i] = _fragment(i, uuids[i], changes[i], created + i)
        yield _bodies(fragments)


def _bodies(fragments: list[bytes]) -> list[bytes]:
    """Every page, and the empty one behind the last."""
    return [
        b'{"code":0,"msg":"success","data":{"instance_list":[%b],"total":%d}}'
        % (b",".join(fragments[at : at + PAGE_SIZE]), len(fragments))
        for at in range(0, len(fragments) + PAGE_SIZE, PAGE_SIZE)
    ]


def _fragment(i: int, uuid: str, changes: int, created: int) -> bytes:
    return msgspec.json.encode(_record(i, uuid, changes, created))


def _record(i: int, uuid: str, changes: int, created: int) -> dict[str, Any]:
    """Instance `i` after so many changes. Of three, one is stopped and started, one is started anew,
    one is renamed."""
    kind = i % 3
    on = changes % 2 == 0
    starts = changes // 2 if kind == 0 else changes if kind == 1 else 0
    named = f"实验-{_TASKS[i % 7]}-{i}" + (f" v{changes}" if kind == 2 and changes else "")
    image = f"{i % 5:08x}-4321-4321-4321-210987654321"
    return {
        "instance_uuid": f"inst_{uuid[:8]}-{uuid[8:12]}-{uuid[12:16]}-{uuid[16:20]}-{uuid[20:]}",
        "status": 2 if on or kind else 22,
        "title": named,
        "create_time": created,
        "start_time": created + 60 + 3_600 * starts,
        "server_url": [
            f"https://jupyter-{uuid[:12]}.chenyu.cn",
            f"https://ssh-{uuid[:12]}.chenyu.cn",
        ],
        "server_map": [
            {
                "title": "Jupyter Lab",
                "url": f"https://jupyter-{uuid[:12]}.chenyu.cn",
                "port_type": "http",
                "protocol": "tcp",
            },
            {
                "title": "SSH Terminal",
                "url": f"ssh://ssh-{uuid[:12]}.chenyu.cn:22",
                "port_type": "ssh",
                "protocol": "tcp",
                "ssh_info": {
                    "host": f"inst{uuid}.gzxx.chenyu.cn",
                    "port": 20_000 + i % 40_000,
                    "username": "root",
                    "password": f"password-{uuid[::-2]}",
                },
            },
        ],
        "save_image_status": 2,
        "charging_type": 1,
        "shutdown_regular": {"shutdown_time": created + 86_400, "enable": i % 4 == 0},
        "image_uuid": f"img_{image}",
        "image_name": _IMAGES[i % 5],
        "image_tag": "v2.0",
        "gpu_uuid": f"gpu_{image}",
        "gpu_name": _GPUS[i % 5],
        "gpu_nums": 1 + i % 4,
    }
