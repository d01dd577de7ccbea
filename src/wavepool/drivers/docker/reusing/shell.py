"""What is said to the shell that runs one task after the other: pure text, for dash, busybox and bash.

The shell is process 1 of its container: the kernel spares it from all signals that its tasks could send, it reaps
what they leave, and with it everything ends. It keeps the container's output as descriptors 3 and 4 and is silent
itself. A task gets the output opened anew, so that it cannot make the shell's own non-blocking.

The kernel's lists of System V IPC are held open as 5, 6 and 7, read up to their headings: a shell reads byte by byte,
and the headings alone would take 380 calls each time.

After each task come, in this order and without a fork where nothing was left: kill all others; if any is left yet, or
anything in a place, tell the exit code, wait until they are gone, wipe; look again; tell on both streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wavepool.drivers.docker.parking import script
from wavepool.drivers.docker.reusing.places import Place

QUICK_LOOKS = 100
"""How often it is looked for processes that were killed, one after the other; then a hundredth of a second apart."""
LOOKS = 800
"""In all: some seven seconds, then the container is given up."""
_STREAMS = b"</dev/null >/proc/self/fd/3 2>/proc/self/fd/4 3>&- 4>&- 5<&- 6<&- 7<&-"


def greeting(nonce: str) -> bytes:
    """Put the streams in their places, and say hello on both."""
    return (
        "exec 3>&1 4>&2 >/dev/null 2>/dev/null\n"
        "exec 5</proc/sysvipc/shm 6</proc/sysvipc/sem 7</proc/sysvipc/msg\n"
        "read -r wp_l <&5; read -r wp_l <&6; read -r wp_l <&7\n"
        f"printf '\\036%s hello;' {nonce} >&4; printf '\\036%s hello;' {nonce} >&3\n"
    ).encode("ascii")


def lessons(places: Sequence[Place]) -> bytes:
    """The functions that end a task and prove that nothing of it is left."""
    return "".join((_alone(), _dirty(places), _wipe(places), _sealed(places), _finish())).encode(
        "utf-8", "surrogateescape"
    )


def task(nonce: str, *, argv: Sequence[str], variables: Mapping[str, str | bytes | None], directory: str) -> bytes:
    """One compound command: half of it never runs. `variables` are to be set, or not to be there at all (None).

    Raises:
        InputError: something that cannot be told to every shell.
    """
    command = script.words(argv)
    script.check_room(argv, variables)
    own = {name: variables.get(name) for name in script.CHANGED_BY_SHELLS}
    others = {name: value for name, value in variables.items() if name not in own}
    parts = [
        *script.settings(others),
        b"cd %b || exit 126" % script.quoted(script.absolute(directory)),
        *script.settings(own),
        b"exec %b" % command,
    ]
    return _compound(nonce, b"; ".join(parts))


def trial(nonce: str, places: Sequence[Place]) -> bytes:
    """A task that leaves files, so that all of its end is tried; it fails where output cannot be opened anew."""
    left = [b": >%b" % script.quoted(f"{place.path}/.wavepool") for place in places if not place.kept]
    return _compound(nonce, b"; ".join(left or [b":"]))


def quoted(path: str) -> str:
    """One word of any shell."""
    return script.quoted(path).decode("utf-8", "surrogateescape")


def _compound(nonce: str, inner: bytes) -> bytes:
    return b"{ wp_nonce=%b; ( %b ) %b; wp_finish $?; }\n" % (nonce.encode("ascii"), inner, _STREAMS)


def _alone() -> str:
    return "wp_alone() { set -- /proc/[0-9]*; [ $# = 1 ]; }\n"


def _globs(path: str) -> str:
    """All names in a directory, with hidden ones."""
    inside = quoted(path)
    return f"{inside}/* {inside}/.[!.]* {inside}/..?*"


def _dirty(places: Sequence[Place]) -> str:
    """True if something is left anywhere; a glob that finds nothing stays as it is, and does not exist."""
    there = 'if [ -e "$wp_f" ] || [ -L "$wp_f" ]; then return 0; fi'
    plain = " ".join(_globs(place.path) for place in places if not place.kept)
    lines = [f"for wp_f in {plain}; do {there}; done"] if plain else []
    lines += [_each_but_kept(place, there) for place in places if place.kept]
    return _function("wp_dirty", [*lines, "return 1"])


def _wipe(places: Sequence[Place]) -> str:
    """Remove all. A mount's root itself cannot be removed (it is busy); with it as the argument no list is too long."""
    plain = [place.path for place in places if not place.kept]
    roots = " ".join(quoted(path) for path in plain)
    inside = " ".join(_globs(path) for path in plain)
    lines = [f"rm -rf -- {roots}"] if plain else []
    lines += [_each_but_kept(place, 'rm -rf -- "$wp_f"') for place in places if place.kept]
    opened = [f"chmod -R u+rwx -- {inside}"] if plain else []
    opened += [_each_but_kept(place, 'chmod -R u+rwx -- "$wp_f"') for place in places if place.kept]
    return _function("wp_wipe", lines or [":"]) + _function("wp_open", opened or [":"])


def _sealed(places: Sequence[Place]) -> str:
    """Say in wp_bad what is not as it should be: places, and what the kernel keeps of System V's IPC."""
    roots = " ".join(quoted(place.path) for place in places if place.is_root) or "/"
    return _function(
        "wp_check",
        [
            f'for wp_f in {roots}; do if [ -r "$wp_f" ] && [ -w "$wp_f" ] && [ -x "$wp_f" ]; then :; '
            'else wp_bad="$wp_f cannot be used any more"; fi; done',
            'if read -r wp_l <&5 || read -r wp_l <&6 || read -r wp_l <&7; then wp_bad="it left System V IPC"; fi',
            'if wp_alone; then :; else wp_bad="it left processes that cannot be killed"; fi',
        ],
    )


def _finish() -> str:
    clear = _function(
        "wp_clear",
        [
            "printf '\\036%s ended %s;' $wp_nonce $1 >&3",
            f"wp_n=0; while wp_n=$((wp_n + 1)); [ $wp_n -lt {LOOKS} ]; do if wp_alone; then break; fi; "
            f"if [ $wp_n -gt {QUICK_LOOKS} ]; then sleep 0.01; fi; jobs; kill -9 -1; done",
            "if wp_dirty; then wp_wipe; if wp_dirty; then wp_open; wp_wipe; fi; "
            'if wp_dirty; then wp_bad="$wp_f cannot be removed"; fi; fi',
        ],
    )
    finish = _function(
        "wp_finish",
        [
            "kill -9 -1",
            "wp_bad=",
            "if wp_alone; then if wp_dirty; then wp_clear $1; fi; else wp_clear $1; fi",
            "wp_check",
            "printf '\\036%s done;' $wp_nonce >&4",
            # what it names may have any bytes: it is cut off at the mark's end, and after so many of them
            "wp_bad=${wp_bad%%;*}; while [ ${#wp_bad} -gt 200 ]; do wp_bad=${wp_bad%?}; done",
            "printf '\\036%s done %s %s;' $wp_nonce $1 \"$wp_bad\" >&3",
        ],
    )
    return clear + finish


def _each_but_kept(place: Place, act: str) -> str:
    kept = "|".join(quoted(path) for path in place.kept)
    return f"for wp_f in {_globs(place.path)}; do case $wp_f in {kept}) ;; *) {act};; esac; done"


def _function(name: str, lines: Iterable[str]) -> str:
    body = "\n".join(lines)
    return f"{name}() {{\n{body}\n}}\n"
