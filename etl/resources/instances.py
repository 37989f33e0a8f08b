"""Instances: the records of `/instance/list`, as facts that can be compared.

Odd values are read as `etl.resources.values` says. A missing or null optional field is null, unknown
fields are kept in `extra`; a field of another type, or a count out of 32 bits, makes the record a
reject that names its path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec

from etl.errors import Changed
from etl.poll import Instant
from etl.redact import mask, redact, redact_words, redacts_no_words, redacts_none
from etl.resources.listing import (
    Reject,
    are_identities,
    is_identity,
    open_listing,
    parse_answer,
    records_of,
)
from etl.resources.resource import Resource
from etl.resources.values import canonical, instant_of, is_instant, reject_of, text_of
from etl.texts import tr

VERSION: Final = 3
LIST_KEY: Final = "instance_list"
FEW: Final = 5

# a whole number of 32 bits, as both databases hold it
Code = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
"""Number of GPUs. No machine has more, and the product of more with the seconds of years would leave
what databases hold."""
Moment = int | float | str | None
Leaf = str | int | float | bool | None | msgspec.UnsetType


class Instance(msgspec.Struct, frozen=True):
    """The facts of one instance: two that are not equal are two versions.

    Fields and meanings are the source's (`/instance/list`), but for `shutdown_time` and
    `shutdown_enabled`, which are `shutdown_regular`'s `shutdown_time` and `enable`. Instants are
    whole seconds. `server_url` and `server_map` are canonical JSON without secrets, their lists
    sorted.
    """

    instance_uuid: str
    status: int
    title: str | None = None
    create_time: Instant | None = None
    start_time: Instant | None = None
    charging_type: int | None = None
    shutdown_time: Instant | None = None
    shutdown_enabled: bool | None = None
    save_image_status: int | None = None
    image_uuid: str | None = None
    image_name: str | None = None
    image_tag: str | None = None
    gpu_uuid: str | None = None
    gpu_name: str | None = None
    gpu_nums: int | None = None
    server_url: str | None = None
    server_map: str | None = None


class Sighting(msgspec.Struct, frozen=True):
    """An instance as one answer shows it. `extra` is canonical JSON of the members that no fact
    holds.
    """

    facts: Instance
    extra: str | None = None

    @property
    def identity(self) -> str:
        return self.facts.instance_uuid


class _Shutdown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shutdown_time: Moment = None
    enable: bool | None = None


# strict on purpose: a page with a member that it does not
# know is read record by record, which keeps it
class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    instance_uuid: str
    status: Code
    title: str | None = None
    create_time: Moment = None
    start_time: Moment = None
    # the published schema calls the items objects, and its example has texts
    server_url: list[Any] | str | None = None
    server_map: list[Any] | dict[str, Any] | str | None = None
    save_image_status: Code | None = None
    charging_type: Code | None = None
    shutdown_regular: _Shutdown | None = None
    image_uuid: str | None = None
    image_name: str | None = None
    image_tag: str | None = None
    gpu_uuid: str | None = None
    gpu_name: str | None = None
    gpu_nums: Count | None = None


class _Ssh(msgspec.Struct, forbid_unknown_fields=True):
    host: Leaf = msgspec.UNSET
    password: Leaf = msgspec.UNSET
    port: Leaf = msgspec.UNSET
    username: Leaf = msgspec.UNSET


class _Service(msgspec.Struct, forbid_unknown_fields=True):
    port_type: Leaf = msgspec.UNSET
    protocol: Leaf = msgspec.UNSET
    ssh_info: _Ssh | str | msgspec.UnsetType | None = msgspec.UNSET
    title: Leaf = msgspec.UNSET
    url: Leaf = msgspec.UNSET


class _UsualWire(_Wire, frozen=True, forbid_unknown_fields=True):
    """A record whose services are as documented: read in half the time, to the same facts."""

    server_url: list[str] | str | None = None
    server_map: list[_Service] | None = None


def _answer_decoder(wire: type[_Wire]) -> msgspec.json.Decoder[Any]:
    content = msgspec.defstruct(
        "Content",
        [("instance_list", list[wire] | None), ("total", Any, None)],  # type: ignore[valid-type]
    )
    return msgspec.json.Decoder(msgspec.defstruct("Answer", [("data", content)]), strict=False)


_DECODERS: Final = (_answer_decoder(_UsualWire), _answer_decoder(_Wire))
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_encode: Final = _ENCODER.encode
_NO_SHUTDOWN: Final = _Shutdown()
_FACTS: Final = Instance.__struct_fields__
_AS_THEY_ARE: Final = tuple(name for name in _FACTS if name in _Wire.__struct_fields__)
"""Facts that are a member of a record."""
_members_of: Final[Callable[[_Wire], tuple[Any, ...]]] = attrgetter(*_AS_THEY_ARE)
_WHOLE: Final = {int, type(None)}
_INSTANTS: Final = ("create_time", "start_time", "shutdown_time")
_SERVICES: Final = ("server_url", "server_map")
_service_texts: Final = attrgetter("port_type", "protocol", "url")
_ssh_texts: Final = attrgetter("host", "port", "username")
_PEOPLES: Final = ("title", "image_name", "image_tag", "gpu_name")
"""Facts that people wrote."""
MEMBERS: Final = frozenset(_Wire.__struct_fields__)
"""Members of a record that are understood; others are kept in `extra`."""
_SHUTDOWN_FIELDS: Final = frozenset(_Shutdown.__struct_fields__)


def read(body: bytes) -> tuple[list[Sighting], list[Reject]]:
    """Return the instances of one answer, and the records that could not be understood.

    Raises `Changed` if the answer is no JSON, has no instance list, or is nested too deeply.
    """
    try:
        return _decode(body)
    except RecursionError:
        raise Changed(tr("the answer is nested too deeply")) from None


def _decode(body: bytes) -> tuple[list[Sighting], list[Reject]]:
    # the strict decoders take a page in one step; nearly all pages pass the first
    for decoder in _DECODERS:
        try:
            wires = decoder.decode(body).data.instance_list or []
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        # msgspec knows no rule for a name that both databases can hold
        if are_identities([wire.instance_uuid for wire in wires]):
            return _sightings(wires), []
    # one odd record must not cost its neighbours: each is read alone
    return _read_one_by_one(records_of(parse_answer(body), LIST_KEY)[1])


def _sightings(wires: list[Any]) -> list[Sighting]:
    """Return the instances of records, all at once if none holds anything odd or secret but passwords."""
    if not wires or type(wires[0]) is not _UsualWire:
        return [_sighting(wire, {}, _services_json) for wire in wires]
    # of few records each column costs more than it saves
    if len(wires) < FEW:
        return [_sighting(wire, {}, _usual_services) for wire in wires]
    columns = dict(zip(_AS_THEY_ARE, zip(*map(_members_of, wires), strict=True), strict=True))
    shutdowns = [wire.shutdown_regular or _NO_SHUTDOWN for wire in wires]
    columns["shutdown_enabled"] = tuple([shutdown.enable for shutdown in shutdowns])
    columns["shutdown_time"] = tuple([shutdown.shutdown_time for shutdown in shutdowns])
    if not (_are_plain(columns) and _are_plain_services(columns)):
        return [_sighting(wire, {}, _usual_services) for wire in wires]
    for name in _INSTANTS:
        # what is not positive is how some say that there is none
        columns[name] = tuple([at if at and at > 0 else None for at in columns[name]])
    for name in _SERVICES:
        columns[name] = _plain_services(columns[name])
    return list(map(Sighting, map(Instance, *[columns[name] for name in _FACTS])))


def _are_plain(columns: dict[str, tuple[Any, ...]]) -> bool:
    """Tell whether texts and instants of records are read as they came."""
    for name in _INSTANTS:
        # by type, since 1.0 is equal to 1
        if not _WHOLE.issuperset(map(type, columns[name])):
            return False
        instants = [at for at in columns[name] if at is not None and at > 0]
        if instants and not (is_instant(min(instants)) and is_instant(max(instants))):
            return False
    words = {text for name in _PEOPLES for text in columns[name]} - {None}
    ids = {text for name in ("image_uuid", "gpu_uuid") for text in columns[name]} - {None}
    return "".join([*words, *ids]).isprintable() and redacts_no_words(words)


def _are_plain_services(columns: dict[str, tuple[Any, ...]]) -> bool:
    """Tell whether services hold nothing secret but their passwords."""
    services = list(_flat(columns["server_map"]))
    ssh_infos = list(map(attrgetter("ssh_info"), services))
    ways = [ssh for ssh in ssh_infos if type(ssh) is _Ssh]
    titles = set(map(attrgetter("title"), services))
    others = {
        *_flat(columns["server_url"]),
        *chain.from_iterable(map(_service_texts, services)),
        *chain.from_iterable(map(_ssh_texts, ways)),
        *(ssh for ssh in ssh_infos if type(ssh) is str),
    }
    return redacts_no_words({title for title in titles if type(title) is str}) and redacts_none(
        {text for text in others if type(text) is str}
    )


def _flat(lists: Iterable[Any]) -> Iterator[Any]:
    """Yield the services of records that list them."""
    return chain.from_iterable([services for services in lists if type(services) is list])


def _read_one_by_one(records: list[Any]) -> tuple[list[Sighting], list[Reject]]:
    sightings: list[Sighting] = []
    rejects: list[Reject] = []
    for record in records:
        try:
            sightings.append(_read_one(record))
        except msgspec.ValidationError as error:
            rejects.append(_reject(record, str(error)))
    return sightings, rejects


def _read_one(record: Any) -> Sighting:
    if not isinstance(record, dict):
        raise msgspec.ValidationError("Expected `object` - at `$`")
    known = {name: value for name, value in record.items() if name in MEMBERS}
    extra = {name: value for name, value in record.items() if name not in MEMBERS}
    shutdown = known.get("shutdown_regular")
    # an unknown member of the timer is kept, and does not make the record a reject
    if isinstance(shutdown, dict) and not shutdown.keys() <= _SHUTDOWN_FIELDS:
        known["shutdown_regular"] = {k: v for k, v in shutdown.items() if k in _SHUTDOWN_FIELDS}
        extra["shutdown_regular"] = {k: v for k, v in shutdown.items() if k not in _SHUTDOWN_FIELDS}
    wire = msgspec.convert(known, _Wire, strict=False)
    if not is_identity(wire.instance_uuid):
        raise msgspec.ValidationError("Expected a name - at `$.instance_uuid`")
    return _sighting(wire, extra, _services_json)


def _reject(record: Any, message: str) -> Reject:
    identity = record.get("instance_uuid") if isinstance(record, dict) else None
    return reject_of(record, message, identity if is_identity(identity) else None)


def _sighting(
    wire: _Wire, extra: dict[str, Any], services: Callable[[Any], str | None]
) -> Sighting:
    shutdown = wire.shutdown_regular or _NO_SHUTDOWN
    facts = Instance(
        instance_uuid=wire.instance_uuid,
        status=wire.status,
        title=redact_words(text_of(wire.title)),
        create_time=instant_of(wire.create_time, "create_time", extra),
        start_time=instant_of(wire.start_time, "start_time", extra),
        charging_type=wire.charging_type,
        shutdown_time=instant_of(shutdown.shutdown_time, "shutdown_time", extra),
        shutdown_enabled=shutdown.enable,
        save_image_status=wire.save_image_status,
        image_uuid=text_of(wire.image_uuid),
        image_name=redact_words(text_of(wire.image_name)),
        image_tag=redact_words(text_of(wire.image_tag)),
        gpu_uuid=text_of(wire.gpu_uuid),
        gpu_name=redact_words(text_of(wire.gpu_name)),
        gpu_nums=wire.gpu_nums,
        server_url=services(wire.server_url),
        server_map=services(wire.server_map),
    )
    return Sighting(facts, _unmapped_members(extra))


def _unmapped_members(extra: dict[str, Any]) -> str | None:
    """Return the members that no fact holds, without secrets; None if there are none."""
    return canonical(redact(extra)) if extra else None


def _services_json(value: Any) -> str | None:
    if value is None:
        return None
    plain = redact(value)
    if isinstance(plain, list) and len(plain) > 1:
        plain = sorted(plain, key=canonical)  # as it will be written, so NUL already replaced
    return canonical(plain)


def _usual_services(services: Any) -> str | None:
    """Return canonical JSON of services given as texts or as `_Service`s, whose members are
    declared in canonical order.
    """
    # type, not isinstance: this runs for each service of each instance
    if type(services) is not list:
        return _services_json(services)
    return _sorted_json([redact(s) if type(s) is str else _without_secrets(s) for s in services])


def _plain_services(column: Sequence[Any]) -> tuple[str | None, ...]:
    """Return `_usual_services` of each record, of services without a secret but their passwords."""
    services = list(_flat(column))
    for service in services:
        if type(service) is _Service and type(service.ssh_info) is _Ssh:
            service.ssh_info.password = mask(service.ssh_info.password)
    encoded = _ENCODER.encode_lines(services).decode()
    if "\\u0000" in encoded:
        return tuple(map(_usual_services, column))
    # JSON escapes an end of line within a text
    texts = iter(encoded.split("\n"))
    return tuple(
        [
            f"[{','.join(sorted(islice(texts, len(value))))}]"
            if type(value) is list
            else _services_json(value)
            for value in column
        ]
    )


def _sorted_json(services: list[Any]) -> str | None:
    text = f"[{','.join(sorted([_encode(service).decode() for service in services]))}]"
    return _services_json(msgspec.json.decode(text)) if "\\u0000" in text else text


def _without_secrets(service: _Service) -> _Service:
    """Redact the members of a service in place, since `redact` would need it as a dict."""
    service.port_type = redact(service.port_type)
    service.protocol = redact(service.protocol)
    service.title = redact_words(service.title)
    service.url = redact(service.url)
    ssh = service.ssh_info
    if type(ssh) is _Ssh:
        ssh.host = redact(ssh.host)
        ssh.password = mask(ssh.password)
        ssh.port = redact(ssh.port)
        ssh.username = redact(ssh.username)
    elif type(ssh) is str:
        service.ssh_info = redact(ssh)
    return service


RESOURCE: Resource[Sighting] = Resource(
    name="instances",
    path="/instance/list",
    keeping="instances",
    every_s=120,
    version=VERSION,
    table="instance",
    open=lambda body: open_listing(body, LIST_KEY, "instance_uuid", "create_time"),
    read=read,
    births=(LIST_KEY, "instance_uuid", "create_time"),
    list_key=LIST_KEY,
)
