-- One journal is one run. Facts are only ever added; seq counts from 1 without a gap.
CREATE TABLE meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    schema_version INTEGER NOT NULL,
    owner TEXT NOT NULL,
    run_id TEXT NOT NULL,
    syncs INTEGER NOT NULL -- counts calls of sync(): the commit that carries the count makes all before it durable
);

CREATE TABLE facts (
    seq INTEGER PRIMARY KEY,
    boot_s REAL NOT NULL, -- seconds on the boot clock
    utc TEXT NOT NULL, -- ISO 8601, for people
    kind TEXT NOT NULL, -- for people; the body says it too
    body BLOB NOT NULL, -- see codec.py
    crc32 INTEGER NOT NULL -- over the other five columns
);
