"""Docker's multiplexed log format: an 8-byte header (stream, three zeros, length big-endian), then the payload."""

from __future__ import annotations

from wavepool.drivers.base import LogChunk

_HEADER_BYTES = 8
_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}


class FrameDecoder:
    """Takes bytes as they arrive and gives chunks; keeps at most one header, whatever a frame's length claims."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._stream = "stdout"
        self._left = 0

    @property
    def inside(self) -> bool:
        """True where a frame has begun and not ended: a stream that ends here was cut."""
        return self._left > 0 or len(self._header) > 0

    def feed(self, data: bytes) -> list[LogChunk]:
        """The chunks that `data` completes or carries on; a long frame comes as several.

        Raises:
            ValueError: this is no multiplexed stream.
        """
        chunks: list[LogChunk] = []
        position = 0
        while position < len(data):
            if self._left == 0:
                taken = data[position : position + _HEADER_BYTES - len(self._header)]
                self._header += taken
                position += len(taken)
                if len(self._header) == _HEADER_BYTES:
                    self._begin()
                continue
            piece = data[position : position + self._left]
            position += len(piece)
            self._left -= len(piece)
            chunks.append(LogChunk(stream=self._stream, data=bytes(piece)))
        return chunks

    def _begin(self) -> None:
        kind = self._header[0]
        if kind not in _STREAMS or any(self._header[1:4]):
            raise ValueError(f"not a frame header: {bytes(self._header)!r}")
        self._stream = _STREAMS[kind]
        self._left = int.from_bytes(self._header[4:], "big")
        self._header.clear()
