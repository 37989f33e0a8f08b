"""Secrets out, all else left; and a redacted answer says what the whole one said."""

from __future__ import annotations

import html
import json
import re
import shlex
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.cli.common import fail
from etl.errors import SettingsError
from etl.redact import (
    MASK,
    may_hold_password,
    redact,
    remember,
    remember_address,
    remember_url,
    scrub,
    scrub_foreign,
    shown_reference,
    without_known,
)
from etl.resources.instances import read
from etl.resources.listing import parse_json
from etl.simcloud import LEAK_MARK, Story
from tests.odd_records import page, records, values

urls = st.text(st.sampled_from("a:/?#@ &=.<>\"'训\n"), max_size=30).map(lambda t: f"https://{t}")


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "passwd",
        "ssh_password",
        "PASSWORD",
        "pwd",
        "passphrase",
        "secret",
        "clientSecret",
        "token",
        "access_token",
        "tokens",
        "credentials",
        "Authorization",
        "cookie",
        "api_key",
        "apikey",
        "accessKey",
        "private_key",
        "key",
        "root_pwd",
        "rootpwd",
        "vnc_pass",
        "userPwd",
        "ssh-key",
        "sshKey",
        "SSHKey",
        "auth",
        "jwt",
        "session_id",
        "JSESSIONID",
        "exchange_code",
        "loginCode",
        "accessKeySecret",
        "card_pin",
        "signature",
        "password2",
        "密码",
        "登录密码",
        "口令",
        "密钥",
        "ｐａｓｓｗｏｒｄ",
    ],
)
@pytest.mark.parametrize("value", ["S3CRET", 5, ["S3CRET"], {"x": "S3CRET"}])
def test_of_a_member_with_a_secrets_name_a_mark_is_left(name: str, value: Any) -> None:
    assert redact({"a": [{name: value, "kept": 1}]}) == {"a": [{name: MASK, "kept": 1}]}


@pytest.mark.parametrize("value", [None, "", 0, False, True, [], {}])
def test_nothing_and_yes_or_no_are_no_secrets(value: Any) -> None:
    assert redact({"password": value}) == {"password": value}


@pytest.mark.parametrize(
    "name",
    [
        "keyboard",
        "monkey",
        "username",
        "gpu_name",
        "hint",
        "title",
        "status_code",
        "author",
        "public_key",
        "token_type",
        "password_file",
        "tokenizer",
        "compass",
        "image_key",
        "signal",
    ],
)
def test_a_member_with_another_name_is_kept(name: str) -> None:
    assert redact({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://h/lab?token=S3CRET", "https://h/lab"),
        ("https://h/lab#S3CRET", "https://h/lab"),
        ("https://me:S3CRET@h:80/x", "https://h:80/x"),
        ("https://S3CRET@h", "https://h"),
        ("ssh://root:S3@CRET@h:22", "ssh://h:22"),
        ("HTTPS://h?S3CRET", "HTTPS://h"),
        ("see https://h/a?S3CRET and http://i/b?S3CRET!", "see https://h/a and http://i/b"),
        ("https://h/a@b/c", "https://h/a@b/c"),
        ("https://h:80/a@b/c", "https://h:80/a@b/c"),
        ("https://me:S3/CRET?1@h/x", "https://h/x"),
        ("https://h/x;jsessionid=S3CRET", "https://h/x"),
        ("h.example/lab?token=S3CRET", "h.example/lab"),
        ("https://h/plain", "https://h/plain"),
        ("no url? at all", "no url? at all"),
    ],
)
def test_urls_lose_query_fragment_and_user_info(url: str, kept: str) -> None:
    assert scrub(url) == kept
    assert redact([url, {"url": url}]) == [kept, {"url": kept}]


@pytest.mark.parametrize(
    ("number", "kept"), [("6222020000001234", "1234"), (6222020000001234, "1234"), ("12", "12")]
)
def test_of_a_card_number_the_last_four_remain(number: Any, kept: str) -> None:
    assert redact({"card_no": number}) == {"card_no": kept}


SECRET = "Xy9CANARY7zQ"
FORMS = [
    f"root:{SECRET}@h:22",
    f"//me:{SECRET}@h/",
    f"redis://:{SECRET}@h",
    f"?token={SECRET}",
    f"x?a=1&sig={SECRET}",
    f"#access_token={SECRET}",
    f"/path;jsessionid={SECRET}",
    f"ssh -p 22 root@h password: {SECRET}",
    f"password is {SECRET}",
    f"sshpass -p {SECRET} ssh -p 22 root@h",
    f"sshpass -p '{SECRET} {SECRET}' ssh root@h",
    f'mysql -h db -u root -p"some words"{SECRET} lab',
    f"mysql -h db -P3306 -u root -p{SECRET} lab",
    f"redis-cli -h db -a {SECRET} ping",
    f"curl -u me:{SECRET} http://h/",
    f"docker run -e PASSWORD={SECRET} -e X=1 image",
    f"tool --api-key {SECRET} go",
    f"Authorization: Bearer {SECRET}",
    f"bearer {SECRET}",
    "Basic " + b64encode(f"me:{SECRET}".encode()).decode(),
    f"Set-Cookie: sid={SECRET}; path=/; x={SECRET}",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}",
    f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
    f"cy_{SECRET}",
    f"sk-{SECRET}",
    f"ghp_{SECRET}0123",
    f"AKIA{SECRET}0123",
    f"密码：{SECRET}",
    f"登录密码是：{SECRET}",
    f"口令: {SECRET}",
    f"rootPwd={SECRET}",
    f"url: https://h/%3Ftoken%3D{SECRET}",
    f"u%3A{SECRET}%40host",
    f"%253Ftoken%253D{SECRET}",
    json.dumps([{"ssh_info": {"password": SECRET}}]),
    json.dumps(json.dumps({"a": json.dumps({"jwt": SECRET})})),
    f"cfg={{'password': '{SECRET} {SECRET}', 'a': 1}}",
    f'half of it: {{"password":"{SECRET}',
]


@pytest.mark.parametrize("text", FORMS)
def test_a_text_that_holds_a_secret_is_left_without_it(text: str) -> None:
    secret = b64encode(f"me:{SECRET}".encode()).decode() if text.startswith("Basic") else SECRET
    assert secret in text
    for where in (text, f"see {text}", [text], {"x": text}, {"a": [{"b": text}]}, {text: 1}):
        assert secret not in json.dumps(redact(where))
    assert secret not in scrub(f"10:00:00 error: {text}")
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "ssh -p 22 root@gz14.chenyu.cn",
        "docker run -p 8080:80 pytorch:2.1@sha256:abcdef0123456789",
        "git@github.com:user/repo",
        "mailto:me@example.com",
        "09:30@room",
        'password authentication failed for user "etl"',
        "code 401: invalid token: expired",
        "10:02:07 lab instances: complete in 0.31 s: 5 listed, +1 ~2 -0",
        "sk-learn 1.4, cy_ and gpu_key",
        "训练：第 3 轮",
        '{"a": 1, "b": [true, null, 2.50]}',
        "100%",
        "50%25",
    ],
)
def test_a_text_without_a_secret_is_left_as_it_is(text: str) -> None:
    assert redact(text) == text
    assert scrub(text) == text


@pytest.mark.parametrize(
    "pair",
    [
        {"name": "PASSWORD", "value": SECRET},
        {"key": "db_password", "value": SECRET},
        {"k": "token", "v": SECRET, "x": 1},
        ["Authorization", SECRET],
    ],
)
def test_a_name_beside_its_value_names_a_secret(pair: Any) -> None:
    assert SECRET not in json.dumps(redact({"env": [pair]}))


@pytest.mark.parametrize("name", ["title", "remark", "image_name", "instance_uuid"])
@pytest.mark.parametrize(
    "text",
    [
        "see https://wiki/x?page=1",
        "sk-learn-tuning-2024",
        "cy_train_v2",
        "lr:0.1@gpu3",
        "tok=128",
        "fix token: bug",
        "max token: 32768",
        "token: llama",
        "编码: utf8 训练",
        "basic course",
        "auth-service v2",
        "9:30 训练：qwen",
    ],
)
def test_what_the_user_wrote_and_what_is_compared_is_left(name: str, text: str) -> None:
    assert redact({name: text}) == {name: text}


@pytest.mark.parametrize("name", ["title", "remark", "image_name"])
@pytest.mark.parametrize(
    "text",
    [
        f"root password: {SECRET}",
        f"密码：{SECRET}",
        f"PASSWORD={SECRET}",
        f"see https://wiki/x?token={SECRET}",
        f"git clone https://me:{SECRET}@git.example.com/x",
        f"root:{SECRET}@10.0.0.1:22",
        f"cy_{SECRET}0123456789abcdef",
        f"sk-proj-{SECRET}0123456789abcdef",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
        f"sshpass -p {SECRET} ssh x",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
        f"access_token: {SECRET}",
        f"兑换码：{SECRET}",
        f"卡密:{SECRET}",
    ],
)
def test_what_is_surely_a_secret_is_cut_from_what_the_user_wrote(name: str, text: str) -> None:
    assert SECRET not in json.dumps(redact({name: text}))


@pytest.mark.parametrize("name", ["card_no", "cardNumber", "卡号"])
def test_a_card_number_is_known_by_every_name(name: str) -> None:
    assert redact({name: "6222020000001234"}) == {name: "1234"}
    assert scrub(f"{name}: 6222020000001234") == f"{name}: 1234"
    assert scrub(f"{name}: 6222 0200 0000 1234, 12 of 20") == f"{name}: 1234, 12 of 20"
    assert redact({"title": f"{name}：6222-0200-0000-1234"}) == {"title": f"{name}：1234"}


@pytest.mark.parametrize("size", [200_000])
@pytest.mark.parametrize(
    "piece", ["a", "a:", "a.", "%25", "a=", "-", "x@", '\\"', "a?", "b/", " -p "]
)
def test_a_long_text_takes_no_longer_than_its_length(piece: str, size: int) -> None:
    """Quadratic time would take hours."""
    text = piece * (size // len(piece))
    assert redact(text) == text, "it holds no secret"


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql://etl:sec@ret1@127.0.0.1:18310/a", "sec@ret1"),
        ("postgresql://etl:sec@ret1@127.0.0.1:18310/a", "ret1"),
        ("postgresql://etl:sec/ret1@h/a", "ret1"),
        ("postgresql://etl:sec?ret1@h/a", "ret1"),
        ("postgresql://h:1/a?user=etl&password=secret1", "secret1"),
        ("postgresql://h/a?user=e@b&password=x@secret1", "secret1"),
        ("postgresql://u:p%40secret@[::1]:5432/a", "p@secret"),
        ("postgresql:/u:secret1@h/a", "secret1"),
        ("host=h dbname=a password='secret 1'", "secret 1"),
    ],
)
def test_the_password_of_a_url_is_cut_from_what_a_driver_says(url: str, secret: str) -> None:
    remember_url(url)
    assert scrub(f"no connection to {secret}, port 1") == f"no connection to {MASK}, port 1"


def test_the_address_of_a_webhook_is_cut_in_whole_and_in_parts() -> None:
    remember_address("https://hooks.example.com/bot/v2/0123456789abcdef?sign=Zz1")
    assert scrub("POST /bot/v2/0123456789abcdef failed") == f"POST /bot/v2/{MASK} failed"


def test_a_short_token_of_a_webhook_is_cut_where_its_path_or_its_query_is_repeated() -> None:
    remember_address("https://me:pw1x@hooks.example.com/send/Ab12?key=Xy34&to=you")
    for text in ("/send/Ab12?key=Xy34&to=you", "/send/Ab12?key=Xy34&amp;to=you"):
        assert scrub(f"no {text}") == f"no /{MASK}"
    assert scrub("of me pw1x Xy34, send to you") == f"of me {MASK} {MASK}, send to you"


@pytest.mark.parametrize("url", ["https://", "https:///", "http://", ""])
def test_the_address_of_nothing_is_no_secret(url: str) -> None:
    remember_address(url)
    assert scrub("see https://x.cn/a or http://x.cn") == "see https://x.cn/a or http://x.cn"


def test_a_password_that_is_also_the_users_name_leaves_texts_legible() -> None:
    remember_url("postgresql://postgres:postgres@h/lab")
    text = 'role "postgres" does not exist'
    assert scrub(text) == text


def test_a_short_secret_is_cut_as_a_word_alone() -> None:
    remember_url("postgresql://u:test@h/lab")
    assert scrub("the latest test failed") == f"the latest {MASK} failed"


@given(values)
def test_redacting_twice_is_redacting_once(value: Any) -> None:
    once = json.dumps(redact(value))
    assert json.dumps(redact(redact(value))) == once


@given(urls)
def test_redacting_urls_twice_is_redacting_once(url: str) -> None:
    assert scrub(scrub(url)) == scrub(url)


@given(urls.filter(lambda url: url.isprintable()))
def test_no_query_or_user_info_is_left_in_a_url(url: str) -> None:
    for word in scrub(url).split():
        if word.startswith("https://"):
            authority = word.removeprefix("https://").partition("/")[0]
            assert "@" not in re.split(r"[<>\"']", authority)[0]


@given(values)
def test_what_is_given_is_not_changed(value: Any) -> None:
    before = json.dumps(value)
    redact(value)
    assert json.dumps(value) == before


def read_redacted(body: bytes) -> Any:
    """What an archived answer is read as."""
    return read(json.dumps(redact(parse_json(body))).encode())


@given(st.lists(records, max_size=3))
def test_reading_a_redacted_page_gives_the_same(listed: list[dict[str, Any]]) -> None:
    body = page(*listed)
    assert read_redacted(body) == read(body)


@pytest.mark.parametrize("unknown", [{"token": "S3CRET"}, {"shutdown_regular": {"token": 1}}])
def test_unknown_secrets_alone_are_nothing_extra(unknown: dict[str, Any]) -> None:
    body = page({"instance_uuid": "a", "status": 2, **unknown})
    assert read_redacted(body) == read(body)


def test_the_secrets_of_a_whole_fleet_are_gone() -> None:
    cloud = Story()
    cloud.rents_many(5)
    assert LEAK_MARK in cloud.body().decode()
    assert LEAK_MARK not in json.dumps(redact(cloud.page()))
    seen, rejects = read(cloud.body())
    assert LEAK_MARK not in f"{seen}{rejects}"


def test_an_error_on_the_screen_holds_nothing_that_the_process_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    remember_url("postgresql://etl:hunter2@h/a")
    fail(SettingsError("no user etl with hunter2", advice="try hunter2 again, chenyu-etl"))
    assert capsys.readouterr().err == (
        f"error: no user etl with {MASK}\n       try {MASK} again, chenyu-etl\n"
    )


CANARY = "Xy9CANARY7zQ"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Token {CANARY}",
        f"curl -H 'Authorization: ApiKey {CANARY}' https://h",
        f'Proxy-Authorization: Digest username="a", response="{CANARY}"',
        f"ENV AWS_SECRET_ACCESS_KEY {CANARY}",
        f"PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 1\n{CANARY}",
        f"https://hooks.slack.com/services/T0/B0/{CANARY}",
        f"https://discord.com/api/webhooks/12/{CANARY}",
        f"https://api.telegram.org/bot123:{CANARY}/getMe",
        f"https://open.feishu.cn/open-apis/bot/v2/hook/{CANARY}",
        f"SCRAM-SHA-256$4096:{CANARY}$aaa:bbb",
        f"me:$apr1$x${CANARY}",
        f"登录密码 {CANARY}",
        f"密码为{CANARY}",
        f"ＰＡＳＳＷＯＲＤ={CANARY}",
        f"pass\u200bword={CANARY}",
        f"pass\u00adword: {CANARY}",
        f"password: |\n  {CANARY}\nuser: me\n",
        f"<password>{CANARY}</password>",
        f"卡密：{CANARY}",
        f"卡密 {CANARY}",
    ],
)
def test_a_secret_is_known_in_forms_of_other_programs(text: str) -> None:
    for left in (redact(text), scrub(text)):
        assert CANARY not in left
        assert "***" in left
        assert redact(left) == left
    assert CANARY not in json.dumps(redact({"名称": "密码", "值": CANARY}))


@pytest.mark.parametrize(
    "text",
    [
        "authorization: none",
        "Authorization failed for user",
        "<title>x</title>",
        "a|b > c",
        "密码登录",
        "price $5 and $6",
        "GPU_COUNT 80000000",
        "👨\u200d👩\u200d👧 family",
    ],
)
def test_what_looks_a_little_like_a_secret_stays(text: str) -> None:
    assert redact(text) == scrub(text) == text


# one or more for each kind of program and file that a password stands in
LINES = [
    f"db.example.com:5432:lab:etl:{CANARY}",
    f"*:*:*:etl:{CANARY}",
    f"[fe80::1]:5432:lab:etl:{CANARY}",
    f"wandb login --relogin {CANARY}",
    f"vault login -no-print {CANARY}",
    f"anything login --quiet {CANARY}0123456789",
    f"huggingface-cli login --token {CANARY}",
    f"ngrok config add-authtoken {CANARY}",
    f"echo {CANARY} | sudo -S apt update",
    f"printf '%s\\n' '{CANARY} x' | sudo -kS ls",
    f'echo "root:{CANARY}"|sudo chpasswd',
    f"echo {CANARY} | docker login -u me --password-stdin registry.example.com",
    f"echo {CANARY} | vncpasswd -f > ~/.vnc/passwd",
    f"sudo -S ls <<< {CANARY}",
    f"gh auth login --with-token <<<'{CANARY}'",
    f"xfreerdp /v:host /u:me /p:{CANARY}",
    f"cmdkey /add:host /user:me /pass:{CANARY}",
    f"net use Z: \\\\h\\s /user:me {CANARY}",
    f"net user admin {CANARY} /add",
    f"vncpasswd {CANARY}",
    f"plink -pw {CANARY} host",
    f"curl --proxy-user 'a:{CANARY}' http://h",
    f"http -a me:{CANARY} h",
    f"smbclient -U me%{CANARY} //h/s",
    f"lftp -u me,{CANARY} h",
    f"sqlplus lab/{CANARY}@h",
    f"jdbc:oracle:thin:lab/{CANARY}@h:1521/x",
    f"7z x -p{CANARY} a.7z",
    f"unzip -P {CANARY} x.zip",
    f"ssh-keygen -N '{CANARY}' -f k",
    f"openssl enc -k {CANARY}",
    f"ldapsearch -D cn=me -w {CANARY}",
    f"mosquitto_pub -u me -P {CANARY} -t x",
    f"twine upload -u __token__ -p {CANARY}",
    f"az login --service-principal -u a -p {CANARY} --tenant t",
    f"htpasswd -b f me {CANARY}",
    f"rabbitmqctl add_user me {CANARY}",
    f"wpa_passphrase net {CANARY}",
    f"requirepass {CANARY}",
    f"enable secret 5 {CANARY}",
    f"aws configure set aws_secret_access_key {CANARY}",
    f"rclone config create x s3 secret_access_key {CANARY}",
    f"machine h login me account x password {CANARY}",
    f"default login anonymous password {CANARY}",
    f"kubectl create secret generic x --from-literal=db={CANARY}",
    f"kind: Secret\nmetadata:\n  name: x\ndata:\n  db: {CANARY}\n  user: {CANARY}\n",
    f"- kind: Secret\n  stringData:\n    db: |\n      {CANARY}\n",
    f"kind: Secret\ndata: {{db: {CANARY}}}",
    json.dumps({"kind": "Secret", "data": {"db": CANARY}}),
    f"ALTER USER me WITH PASSWORD '{CANARY}'",
    f'CREATE USER me IDENTIFIED BY "{CANARY}"',
    f"SET PASSWORD = PASSWORD('{CANARY}')",
    f"gradio auth=('me', '{CANARY}')",
    f"id_rsa: |\n  {CANARY}\n",
    f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{CANARY}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
    f"password (root): {CANARY}",
    f"密码(root)：{CANARY}",
    f"Password for root is {CANARY}",
    f"用户名 root 密码 {CANARY}",
    f"jupyter lab --IdentityProvider.token {CANARY}",
]


@pytest.mark.parametrize("text", LINES)
def test_a_password_in_a_line_of_a_program_is_cut(text: str) -> None:
    for left in (redact(text), scrub(f"10:00:00 error: {text}"), json.dumps(redact({"x": text}))):
        assert CANARY not in left
        assert MASK in left
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "wandb login failed",
        "vault login failed: permission denied",
        "login failed for user root",
        "login root@gz14.chenyu.cn",
        "docker login registry1.example.com",
        "default password policy",
        "enable password login",
        "the password is wrong",
        "username or password wrong",
        "max tokens 128k",
        "pass 3 of 5",
        "echo training | wc -l",
        "msbuild /p:Configuration=Release",
        "127.0.0.1:8080:80",
        "2001:db8:85a3:8d3:1319:8a2e:370:7348",
        "aa:10:02:03:04:05",
        "GPU-0:8192:24576:10:20",
        "kind: Pod\ndata:\n  x: 1\n",
        "zip -r x.zip dir",
        "identified by John",
        "CHENYU_API_KEY_FILE /home/x/k.txt",
    ],
)
def test_a_line_of_a_program_without_a_password_stays(text: str) -> None:
    assert redact(text) == scrub(text) == redact({"title": text})["title"] == text


@pytest.mark.parametrize(
    "piece", ["login ", "mysql ", "a:1000:", "password (", "echo 'x", "data:\n  x", "net use "]
)
def test_long_lines_of_programs_take_no_longer_than_their_length(piece: str) -> None:
    """Quadratic time would take hours."""
    text = piece * (100_000 // len(piece))
    assert len(scrub(text)) <= 2 * len(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("key xK3Y0000 refused", f"key {MASK} refused"),
        ("refused CANARYmsgX", f"refused {MASK}"),
        ("InstanceNotFound in cn-hangzhou", "InstanceNotFound in cn-hangzhou"),
        ("余额不足，请充值后再试", "余额不足，请充值后再试"),
        ("APIKey disabled at 1790000000", "APIKey disabled at 1790000000"),
        ("page_size must be at most 100", "page_size must be at most 100"),
    ],
)
def test_an_odd_word_of_a_stranger_may_be_a_key(text: str, left: str) -> None:
    assert scrub_foreign(text) == left


@pytest.mark.parametrize(
    "title",
    [
        *("显卡密集型任务：A100", "双卡密度测试：ok2024", "最大token：4096", "上下文token:8192"),
        *("验证码识别：resnet50", "凭证编号:20240501", "bos_token: [unused1]", "token: llama3-8b"),
        *("per-token: 0.0012USD", "团队token：4096", "卡号：3 2024-05-01 训练"),
    ],
)
def test_a_title_about_tokens_codes_and_cards_stays(title: str) -> None:
    assert redact({"title": title})["title"] == title


def test_a_short_value_of_a_query_is_a_secret_by_its_name_alone() -> None:
    remember_address("https://hook.example.com/send?v=2024&access_token=7aB9&retry=3000")
    assert without_known("2024-05-01 port 3000") == "2024-05-01 port 3000"
    assert without_known("said 7aB9 again") == f"said {MASK} again"


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "in a URL": lambda s: quote(s, safe=""),
    "in a query": quote_plus,
    "in a URL within a URL": lambda s: quote(quote(s, safe=""), safe=""),
    "in JSON": lambda s: json.dumps(s)[1:-1],
    "in JSON within JSON": lambda s: json.dumps(json.dumps(s))[3:-3],
    "in JSON for a page": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    "as Python shows it": lambda s: repr(s + "'\"")[1:-4],
    "as Python shows its bytes": lambda s: repr(s.encode())[2:-1],
    "in HTML": html.escape,
    "in XML": lambda s: html.escape(s).replace("&#x27;", "&apos;"),
    "in a shell": lambda s: shlex.quote(s)[1:-1],
    "in SQL": lambda s: s.replace("'", "''"),
    "for libpq": lambda s: s.replace("\\", "\\\\").replace("'", "\\'"),
    "in a unit": lambda s: s.replace("%", "%%"),
    "in a header": lambda s: s.encode().decode("latin-1"),
    "wrapped": lambda s: "\r\n    ".join((s[:3], s[3:7], s[7:])),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "secret", ["S3cr't &\"w\\r%d/?", "pä$$<wörd>😀1+2", "--a''b\"\"c\\\\d%%&&//"]
)
def test_a_secret_that_is_known_is_cut_in_every_spelling(secret: str, spelling: str) -> None:
    remember(secret)
    assert without_known(f"x {SPELLINGS[spelling](secret)} y") == f"x {MASK} y"


@pytest.mark.parametrize("before", ["", "u:", "me:", "\0me\0"])
@pytest.mark.parametrize("behind", ["", "@", "\n1"])
def test_a_secret_that_is_known_is_cut_from_what_is_packed_as_base64(
    before: str, behind: str
) -> None:
    remember("Xy9CANARY??>7zQ")
    for pack in (b64encode, urlsafe_b64encode):
        left = without_known(pack(f"{before}Xy9CANARY??>7zQ{behind}".encode()).decode())
        # bits of the first and the last character may stay, with what is around them
        assert MASK in left
        assert len(left) <= len(MASK) + 4 * (len(before) + len(behind)) // 3 + 8


@pytest.mark.parametrize("piece", ["\\", "'", "%25", "&amp;", "secret", "-"])
def test_known_secrets_are_looked_for_in_a_long_text_in_no_more_than_its_length(piece: str) -> None:
    remember("secret'\\x%&", "\\\\\\secret", "-" * 30 + "x", "'" * 30 + "x")
    text = piece * 50_000
    assert without_known(text) == text


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("postgresql://u:pw@h/x", True),
        ("postgresql://u:a/b@h/x", True),
        ("postgresql://u:a@b@h/x", True),
        ("postgresql:/u:pw@h/x", True),
        ("postgresql://etl:etl@h/etl", True),
        ("postgresql://h/x?password=p", True),
        ("postgresql://u@h/x?sslpassword=p", True),
        ("postgresql://u@h/x?oauth_client_secret=p", True),
        ("postgresql://u@h/x?scram_client_key=p", True),
        ("host=h password=p", True),
        ("me:pw@proxy:3128", True),
        ("socks5://me:pw@proxy:3128", True),
        ("postgresql://u@h:5432/x?sslmode=require", False),
        ("postgresql:///x", False),
        ("/var/lib/a:b@c.db", False),
        ("proxy:3128", False),
        ("instances=2m; bills=0 * * * *", False),
    ],
)
def test_an_address_that_may_hold_a_password_is_recognised(address: str, may: bool) -> None:
    assert may_hold_password(address) is may


@pytest.mark.parametrize(
    "name",
    [
        "LAB_KEY",
        "LAB2KEY01",
        "lab_key",
        "lab.key",
        "/etc/k3y0abcd/lab.key",
        "C:/keys/lab.key",
        "~/k",
    ],
)
def test_the_name_of_a_variable_or_a_file_is_shown(name: str) -> None:
    assert shown_reference(name) == name


@pytest.mark.parametrize(
    "name",
    [
        f"cy_{CANARY}",
        CANARY,
        f"https://open.feishu.cn/open-apis/bot/v2/hook/{CANARY}",
        f"https:/open.feishu.cn/open-apis/bot/v2/hook/{CANARY}",
        f"tgram://{CANARY}/1",
        f"$CREDENTIALS_DIRECTORY/cy_{CANARY}0123",
    ],
)
def test_a_secret_in_the_place_of_the_name_of_its_variable_or_file_is_not_shown(name: str) -> None:
    assert CANARY not in shown_reference(name)
    assert MASK in shown_reference(name)


def test_a_secret_of_backslashes_and_signs_is_looked_for_in_no_more_time() -> None:
    remember("\\ " * 8 + "x")
    text = ("\\" * 60 + " ") * 300
    assert without_known(text) == text


@pytest.mark.parametrize("sign", ["-", "'", "\\", "%", "&"])
def test_a_secret_of_one_sign_alone_is_looked_for_in_no_more_time(sign: str) -> None:
    """It is like a line of a table; a choice for each sign would never end."""
    remember(sign * 60)
    text = f"{sign * 59} " * 1_000
    assert without_known(text) == text
    assert without_known(f"x {sign * 60} y") == f"x {MASK} y"


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("sqlite:////data/12:30@lab.db", False),
        ("/data/a:b@c.db", False),
        ("postgresql://etl@host/lab", False),
        ("postgresql://etl:a/b@host/lab", True),
        ("me:pw@proxy:3128", True),
    ],
)
def test_the_name_of_a_file_holds_no_password(address: str, may: bool) -> None:
    assert may_hold_password(address) is may
