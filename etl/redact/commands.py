"""Secrets in lines of shells, of programs' own files and of SQL: recognised by the syntax around them.

A password on a command line has no form of its own: only the program and the option before it tell.
No pattern reads a line again and again, since what it reads comes from outside and may be long.
"""

from __future__ import annotations

import re
from typing import Final

from etl.redact.known import MASK

# a shell joins what follows a quote at once; a comma or a bracket belongs to the text around
VALUE: Final = r"((?:'[^']*'|\"[^\"]*\")[^\s'\",:;|&()\[\]{}]*|[^\s'\"]+)"

_WITHIN: Final = r"[^\n|;&]{0,200}?"
"""The rest of one command, up to what follows: a longer line is no command that somebody typed."""
_USER: Final = r"[\w.@+-]{1,64}"
_OPTIONS: Final = {
    r"sshpass": r"-p\s*",
    r"mysql\w{0,8}|mariadb[\w-]{0,8}": r"-p",
    r"mongo\w{0,8}": r"-p\s*",
    r"(?:docker|podman|nerdctl|skopeo|buildah|az|oc|cf|ibmcloud)\s+login": r"-p\s*",
    r"redis-cli|valkey-cli|keydb-cli": r"-a\s*",
    r"curl|wget": rf"(?:-[uU]\s*|--(?:proxy-)?user[\s=]\s*)['\"]?{_USER}:",
    r"https?|xh": rf"(?:-a\s*|--auth[\s=]\s*){_USER}:",
    r"plink|pscp|psftp|putty|kitty|winscp": r"-pw\s+",
    r"7z[az]?r?|rar|unrar": r"-p",
    r"zip|unzip|mosquitto_[ps]ub|sqlcmd|bcp|tsql|isql": r"-P\s*",
    r"ssh-keygen": r"-[NP]\s*",
    r"twine|useradd|usermod|ncftp\w*|psexec|impala-shell|beeline|snmp\w+": r"-p\s+",
    r"openssl": r"(?:-k\s+|-pass(?:in|out)?\s+pass:)",
    r"ossutil\w*|swanlab": r"-k\s+",
    r"ldap\w+": r"-w\s+",
    r"smbclient|rpcclient|smbmap|net": rf"(?:-U\s*|--user[\s=]){_USER}%",
    r"lftp|ncat": rf"-u\s*{_USER},",
    r"sqlplus|expdp?|impdp?|sqlldr|rman": r"[\w$#.]{1,64}/(?=[^/\s])",
}
"""Programs, and the option right before a password."""
ODD: Final = (
    # capitals tell: the patterns around it ignore case
    r"(?-i:(?=['\"]|[^\s]{0,80}[0-9]|[^\s]{0,80}[a-z][A-Z]|[^\s]{0,80}[A-Z]{2}[a-z]|[^\s]{16}))"
)
"""Looks ahead at what is no ordinary word: `wandb login failed` is prose."""
_POSITIONS: Final = (
    r"net\s+use\b[^\n|;&]{0,200}?\s/user:\S+\s+(?!/)",
    r"(?:requirepass|masterauth)\s+",
    r"(?:machine\s+\S+|default)\s+(?:(?:login|account|user)\s+\S+\s+)+password\s+",
    r"--from-literal[=\s]\s*['\"]?[\w.-]{1,60}=",
    r"htpasswd\s+-\w*b\w*\s+(?:-\w+\s+)*\S+\s+\S+\s+",
    r"wpa_passphrase\s+\S+\s+",
    r"rabbitmqctl\s+(?:add_user|change_password|authenticate_user)\s+\S+\s+",
    r"gcloud\s+auth\s+activate-refresh-token\s+\S+\s+",
)
"""Words after which the next one is a password, whatever it looks like."""
_LIKELY_POSITIONS: Final = (
    r"(?:wandb|vault|comet|clearml|neptune)\s+login(?:\s+--?[\w-]+(?:=\S*)?)*\s+(?!-)",
    r"ngrok\s+(?:config\s+)?(?:add-)?authtoken\s+",
    r"vncpasswd\s+(?!-)",
    r"net\s+user\s+\S+\s+(?!/)",
    r"mysqladmin\b[^\n|;&]{0,200}?\spassword\s+",
    r"(?:enable|username\s+\S+)\s+(?:secret|password)\s+(?:[0-9]\s+)?+",
    r"snmp-server\s+community\s+",
    r"identified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?",
    r"(?:aws|git|npm|rclone|dvc|poetry)\s+(?:remote\s+)?config\w*[^\n|;&]{0,200}?"
    r"(?:password|secret\w*|token|pass)(?:\.\w+)?\s+",
)
"""Words after which a password is likely: only an odd word is one."""
_READERS: Final = (
    r"(?:sudo\b[^\n|]{0,80}?\s-\w*S|(?:ch|vnc|smb)?passwd\b|kinit\b|cryptsetup\b|su\b|ecryptfs"
    r"|(?:gh|glab)\s+auth\b|[^\n|]{0,120}?\blogin\b"
    r"|[^\n|]{0,120}?\s--?(?:password-|passphrase-|token-)?stdin\b"
    r"|[^\n|]{0,120}?\s--(?:with-token|passphrase-fd)\b|openssl\b[^\n|]{0,80}?stdin)"
)
"""Commands that read a password from standard input."""

_PROGRAM: Final = re.compile(
    r"(?<![\w.-])("
    + "|".join(rf"(?i:{name})\b{_WITHIN}\s{option}" for name, option in _OPTIONS.items())
    + f"){VALUE}"
)
_POSITION: Final = re.compile(rf"(?i)(?<![\w.])({'|'.join(_POSITIONS)}){VALUE}")
_LIKELY: Final = re.compile(rf"(?i)(?<![\w.])({'|'.join(_LIKELY_POSITIONS)}){ODD}{VALUE}")
_PIPED: Final = re.compile(
    r"(?<![\w-])((?:echo|printf)\s+(?:-\w{1,3}\s+)*)"
    r"(?:'[^'\n]{0,200}'|\"[^\"\n]{0,200}\"|[^\n|'\"]){1,300}?"
    rf"(?=\s*\|\s*(?:sudo\s+|exec\s+)?{_READERS})"
)
_HERE: Final = re.compile(rf"(?<![\w-])((?:sudo|{_READERS})[^\n|;&]{{0,200}}?<<<\s*){VALUE}")
_ECHOED: Final = re.compile(
    rf"((?:-key|passphrase-file|password-file)[\s=]\s*<\(\s*\w+\s+){VALUE}(?=\s*\))"
)
_SLASHED: Final = re.compile(r"(?<!\S)(/p(?:ass(?:word)?)?:)(?!\S*=)" + VALUE)
"""Options of Windows: `mstsc /p:…`, `cmdkey /pass:…`; with a `=`, it is a property of a build."""
_ANY_LOGIN: Final = re.compile(
    r"(?<![\w-])(login(?:\s+--?[\w-]{1,40}(?:=[^\s]*)?){0,8}\s+)(?=[^\s]{0,80}[0-9])[\w+/=~-]{16,}(?!\S)"
)
"""Whatever the program: a long word with a digit is no name of a user or a host."""
_ACCOUNT_PAIR: Final = re.compile(
    r"(?<!\w)(auth\w{0,4}\s{0,2}=\s{0,2}[\[(]\s{0,2}(?:'[^']{0,60}'|\"[^\"]{0,60}\")\s{0,2},\s{0,2})"
    r"(?:'[^']*'|\"[^\"]*\")"
)
_ORACLE: Final = re.compile(r"(oracle:\w{1,20}:[\w$#.]{1,64}/)[^\s@'\"]+(?=@)")
_PASSWORD_FILE: Final = re.compile(
    r"(?<![\w.:*\\-])(?![0-9A-Fa-f:]+(?:\s|\Z))"  # an IPv6 address has as many colons
    r"((?:\[[0-9A-Fa-f:]+\]|\*|localhost|[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}):(?:[0-9]{3,5}|\*)"
    r":[^:\s]{1,63}:(?=[^:\s]*[A-Za-z*])[^:\s]{1,63}:)[^\s'\"]+"
)
"""A line of libpq's password file: host, port, database, user, password."""
_KUBERNETES: Final = re.compile(r"kind[\"']?\s*:\s*[\"']?Secret\b")
_SECRET_BLOCK: Final = re.compile(
    r"(?m)^([ \t]*+)((?:string|binary)?[dD]ata:[ \t]*+\n)(?:\1[ \t]+[^\n]*+(?:\n|\Z))+"
)
_SECRET_BRACES: Final = re.compile(r"((?:string|binary)?[dD]ata[\"']?\s*+:\s*+\{)[^{}]++(?=\})")

_MARKS: Final = re.compile(
    r"\||<[<(]|[*\d]:|(?<!\S)/p|(?i:login|token|-cli\b|curl|wget|http|\bxh\b|passw|mysql|mariadb|mongo"
    r"|plink|pscp|psftp|putty|winscp|7z|rar\b|zip|mosquitto|sqlcmd|bcp|[ti]sql|ssh-keygen|sshpass"
    r"|twine|useradd|usermod|ncftp|psexec|openssl|beeline|impala|snmp|ossutil|swanlab|ldap|smb"
    r"|rpcclient|lftp|ncat|sqlplus|exp|imp|sqlldr|rman|\bnet\b|rabbitmq|wpa_|gcloud|requirepass"
    r"|masterauth|enable|username|machine|default|from-literal|identified|config|auth|oracle|kind)"
)
"""Without one of these a text holds none of the lines that this module knows."""


def cut_commands(text: str) -> str:
    """Return the text without the passwords and tokens of command lines and of programs' files."""
    # most texts hold none: one pattern instead of a dozen
    if _MARKS.search(text) is None:
        return text
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{MASK}", text)
    # a ConfigMap has `data`, too, and is meant to be read
    if _KUBERNETES.search(text) is None:
        return text
    text = _SECRET_BLOCK.sub(rf"\1\2\1  {MASK}\n", text)
    return _SECRET_BRACES.sub(rf"\1{MASK}", text)


_PATTERNS: Final = (
    *(_PROGRAM, _POSITION, _LIKELY, _PIPED, _HERE, _ECHOED, _SLASHED, _ANY_LOGIN),
    *(_ACCOUNT_PAIR, _ORACLE, _PASSWORD_FILE),
)
