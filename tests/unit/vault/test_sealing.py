"""The sealed format: returns what went in, and nothing to whoever changes a byte or the place."""

import base64
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.ids import new_id
from bailiwick.vault.errors import MasterKeyError, SealBrokenError
from bailiwick.vault.key_file import KeyFile
from bailiwick.vault.providers import CommandKey, LocalKey
from bailiwick.vault.sealing import OVERHEAD_BYTES, Place, key_id_of, open_sealed, seal

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
KEY_ID = new_id()

places = st.builds(Place, st.uuids().map(str), st.text(max_size=30), st.none() | st.text(max_size=30))


@given(st.binary(max_size=2000), places)
def test_any_bytes_open_where_they_were_sealed(plaintext: bytes, place: Place) -> None:
    sealed = seal(KEY, KEY_ID, plaintext, place)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert key_id_of(sealed) == KEY_ID
    assert open_sealed(KEY, sealed, place) == plaintext


@given(st.binary(max_size=60), places, st.data())
def test_a_change_of_any_byte_is_noticed(plaintext: bytes, place: Place, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, KEY_ID, plaintext, place))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBrokenError):
        open_sealed(KEY, bytes(sealed), place)


@given(st.binary(max_size=60), places, st.integers(0, 104))
def test_a_shortened_value_is_noticed(plaintext: bytes, place: Place, cut: int) -> None:
    short = seal(KEY, KEY_ID, plaintext, place)[: -1 - cut]
    if len(short) < OVERHEAD_BYTES:
        with pytest.raises(SealBrokenError):
            key_id_of(short)
    else:
        with pytest.raises(SealBrokenError):
            open_sealed(KEY, short, place)


@given(places, places)
def test_no_two_places_are_the_same_to_the_seal(one: Place, other: Place) -> None:
    assert (one == other) == (one.encoded() == other.encoded())


@given(st.binary(max_size=60), places, places)
def test_a_value_moved_to_another_place_does_not_open(plaintext: bytes, one: Place, other: Place) -> None:
    sealed = seal(KEY, KEY_ID, plaintext, one)
    for key, place in ((KEY, other), (OTHER_KEY, one)):
        if (key, place) != (KEY, one):
            with pytest.raises(SealBrokenError):
                open_sealed(key, sealed, place)


def test_parts_of_a_place_cannot_run_into_each_other() -> None:
    organization_id = new_id()
    assert Place(organization_id, "ab", "c").encoded() != Place(organization_id, "a", "bc").encoded()
    assert Place(organization_id, "ab", None).encoded() != Place(organization_id, "ab", "").encoded()


def test_the_same_text_is_never_sealed_the_same_way_twice() -> None:
    place = Place(new_id(), "p", None)
    assert len({seal(KEY, KEY_ID, b"x", place) for _ in range(100)}) == 100


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(bytes(31)).decode(), "%%%%", "ключ"])
def test_what_is_no_master_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(MasterKeyError, match="openssl rand -base64 32") as refused:
        LocalKey.from_text(text, where="BAILIWICK_MASTER_KEY")
    assert not text or text not in str(refused.value)


@given(st.binary(min_size=32, max_size=32))
def test_a_master_key_is_read_as_standard_and_as_url_safe_base64(key: bytes) -> None:
    texts = (base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode() + "\n")
    assert {LocalKey.from_text(text, where="here").id for text in texts} == {LocalKey(key).id}
    assert base64.b64encode(key).decode() not in LocalKey(key).id


@pytest.fixture
def service(tmp_path: Path) -> str:
    """A key service as a command: it wraps by a secret of its own, and shows what settings of ours it could see."""
    program = tmp_path / "service.py"
    program.write_text(
        "import base64, os, sys\n"
        "assert not [name for name in os.environ if name.startswith('BAILIWICK_')], 'it sees our settings'\n"
        "verb = sys.argv[-1]\n"
        "if verb == 'id': print('key/7'); sys.exit()\n"
        "data = base64.b64decode(sys.stdin.read())\n"
        "if verb == 'unwrap' and not data.startswith(b'W'): sys.exit('secret detail')\n"
        "done = b'W' + data[::-1] if verb == 'wrap' else data[1:][::-1]\n"
        "print(base64.encodebytes(done).decode())\n"
    )
    return f"{sys.executable} {program} --region nowhere"


def test_a_command_wraps_and_unwraps_and_sees_none_of_our_settings(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", "postgresql://ada:hunter2@db/x")
    key = CommandKey(service)
    assert key.id == "command:key/7"
    assert key.unwrap(key.wrap(bytes(range(48)))) == bytes(range(48))


def test_a_command_that_fails_is_named_without_its_output(service: str) -> None:
    with pytest.raises(MasterKeyError, match="unwrap failed with exit code 1; run it by hand") as failed:
        CommandKey(service).unwrap(b"not wrapped")
    assert "secret detail" not in str(failed.value)
    with pytest.raises(MasterKeyError, match="did not answer: FileNotFoundError"):
        CommandKey("/no/such/program").wrap(b"x")


def test_a_key_file_that_is_not_ours_to_make_is_asked_for(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "key", may_create=False)
    assert list(file.at_hand()) == []
    with pytest.raises(MasterKeyError, match="openssl rand -base64 32"):
        file.make_first()
