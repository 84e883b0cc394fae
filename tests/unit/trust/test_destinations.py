"""T10: what a foreign node may make us call. Every line of these lists is an attack that somebody once carried out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.trust.destinations import Rules, destination, endpoint, is_public
from schemas.problem import Problem

RULES = Rules()
DEVELOPMENT = Rules(names={"surf.example:443": "127.0.0.1:8102"}, literals=frozenset({"127.0.0.1:8100"}))

FORBIDDEN_URLS = """
http://surf.example/
http://169.254.169.254/latest/meta-data/
https://169.254.169.254/latest/meta-data/
https://127.0.0.1/
https://127.1/
https://2130706433/
https://0x7f000001/
https://0x7f.1/
https://0177.0.0.1/
https://127.0.0.1.:443/
https://0/
https://[::1]/
https://[::ffff:127.0.0.1]/
https://[::ffff:7f00:1]/
https://[fe80::1%25eth0]/
https://localhost/
https://localhost:443/
https://metadata/
https://surf.example./
https://SURF.example/
https://user@surf.example/
https://user:secret@surf.example/
https://surf.example@127.0.0.1/
https://surf.example\\@127.0.0.1/
https://surf.example#@127.0.0.1/
https://surf.example/#fragment
https://surf.example/ space
https://surf.example/\r\nHost: inside
https://surf.example/\x00
https://surf.example:22/
https://surf.example:6379/
https://surf.example:0/
https://surf.example:65536/
https://surf.example:0443443/
https://surf.example:/
https://surf.example:+443/
https://-surf.example/
https://surf-.example/
https://surf..example/
https://.example/
https://%73urf.example/
https://ｓurf.example/
https://ⅼocalhost/
https://１２７.0.0.1/
https:surf.example
https:///surf.example
//surf.example/
HTTPS://surf.example/
file:///etc/passwd
ftp://surf.example/
gopher://surf.example:70/_
data:text/plain,x
unix:/var/run/docker.sock
http+unix://%2Fvar%2Frun%2Fdocker.sock/
ws://surf.example/
javascript:1
""".strip("\n").split("\n")

FORBIDDEN_TARGETS = """
unix:/var/run/x.sock
unix:///var/run/x.sock
unix-abstract:x
vsock:1:443
dns:///surf.example:443
dns://8.8.8.8/surf.example:443
xds:///surf.example
ipv4:127.0.0.1:443
ipv6:[::1]:443
127.0.0.1:443
[::1]:443
surf.example
surf.example:22
surf.example:443/path
localhost:443
passthrough:///surf.example:443
https://surf.example:443
surf.example:443,10.0.0.1:443
""".strip().split("\n")

INSIDE = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 169.254.169.254
172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1
203.0.113.9 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe
64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1:: 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe::1
2002:c0a8:101::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 2a00::1%eth0 fec0::1 ff02::1 ff0e::1
nonsense 1.2.3 0x7f.1 2130706433
""".split()

OPEN = "1.1.1.1 8.8.8.8 145.0.0.1 2606:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 2002:808:808::1 64:ff9b::808:808".split()


@pytest.mark.parametrize("url", FORBIDDEN_URLS)
def test_a_forbidden_url_is_refused_by_its_form(url: str) -> None:
    for rules in (RULES, DEVELOPMENT):
        with pytest.raises(Problem) as refused:
            destination(url, rules)
        assert refused.value.code == "INVALID_ARGUMENT"
        assert refused.value.field == "url"


@pytest.mark.parametrize("text", FORBIDDEN_TARGETS)
def test_a_forbidden_grpc_target_is_refused_by_its_form(text: str) -> None:
    for rules in (RULES, DEVELOPMENT):
        with pytest.raises(Problem) as refused:
            endpoint(text, rules)
        assert refused.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OPEN)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_an_https_url_with_a_name_is_called() -> None:
    assert destination("https://surf.example", RULES) == ("https", "surf.example", 443)
    assert destination("https://a.b-c.example:8443/x?y=%2F&z=1", RULES) == ("https", "a.b-c.example", 8443)
    assert destination("https://xn--bcher-kva.example/.well-known/openid-federation", RULES).port == 443
    assert endpoint("surf.example:8443", RULES).authority == "surf.example:8443"


def test_development_opens_what_it_lists_and_no_port_beside_it() -> None:
    assert destination("http://127.0.0.1:8100/x", DEVELOPMENT).authority == "127.0.0.1:8100"
    assert endpoint("127.0.0.1:8100", DEVELOPMENT).authority == "127.0.0.1:8100"
    for url in ("http://127.0.0.1:8101/", "http://127.0.0.1/", "http://127.0.0.2:8100/", "http://surf.example/"):
        with pytest.raises(Problem):
            destination(url, DEVELOPMENT)
    with pytest.raises(Problem):
        destination("http://127.0.0.1:8100/", RULES)


@pytest.mark.parametrize("address", ["10.0.0.1:443", "example.org:443", "127.0.0.1", "127.0.0.1:0", "[::1]:443"])
def test_development_cannot_be_made_to_lead_off_loopback(address: str) -> None:
    with pytest.raises(Problem):
        Rules(names={"surf.example:443": address})
    with pytest.raises(Problem):
        Rules(literals=frozenset({address}))


@given(st.text(max_size=60))
def test_no_text_is_more_than_refused(text: str) -> None:
    for candidate in (text, f"https://{text}", f"https://surf.example/{text}"):
        for judge in (destination, endpoint):
            try:
                found = judge(candidate, RULES)
            except Problem:
                continue
            assert found.scheme == "https"
            assert found.port in RULES.ports
            assert candidate.isascii()


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_never_makes_it_public(inner: object) -> None:
    for wrapped in (f"::ffff:{inner}", f"64:ff9b::{inner}"):
        assert is_public(wrapped) == is_public(str(inner))
