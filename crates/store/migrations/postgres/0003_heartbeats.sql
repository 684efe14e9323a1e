-- In which minutes of an hour a device was alive; `hour` is when it began, bit n of `minutes` is minute n.
CREATE TABLE heartbeats (
    device_id TEXT COLLATE "C" NOT NULL,
    hour BIGINT NOT NULL,
    minutes BIGINT NOT NULL,
    PRIMARY KEY (device_id, hour)
);
