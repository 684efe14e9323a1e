-- In which minutes of an hour a device was alive; `hour` is when it began, bit n of `minutes` is minute n.
CREATE TABLE heartbeats (
    device_id TEXT NOT NULL,
    hour INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    PRIMARY KEY (device_id, hour)
) WITHOUT ROWID;
