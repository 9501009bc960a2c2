-- What the platform holds today, with every way in which its rows have named objects over the years.
INSERT INTO heimdall.measurements (session, frequency_hz, iq_data_location) VALUES
  ('a1b2', 145500000, 's3://heimdall-raw-iq/sessions/a1b2/websdr_1.npy'),
  ('a1b2', 145500000, 's3://heimdall-raw-iq/sessions/a1b2/websdr_2.npy'),
  ('c3d4', 433920000, 's3://heimdall-raw-iq/sessions/c3d4/websdr_1.npy'),
  ('c3d4', 433920000, 's3://heimdall-raw-iq/sessions/c3d4/websdr_2.npy'),
  -- Written before the bucket got its present name.
  ('0001', 145500000, 's3://heimdall-iq/sessions/0001/websdr_1.npy'),
  -- After s3://bucket/ everything is literal: this key has a percent sign.
  ('imp1', 145500000, 's3://heimdall-raw-iq/sessions/legacy import/file%2001.npy'),
  -- A replay of a synthetic sample, and a recording that went to another team's bucket.
  ('sim1', 145500000, 's3://heimdall-synthetic-iq/synthetic/replay/rx_0.npy'),
  ('old9', 145500000, 's3://heimdall-archive/2023/websdr_9.npy'),
  -- Rows whose objects are gone: a transaction rolled back after the objects had been deleted.
  ('gone', 145500000, 's3://heimdall-raw-iq/sessions/gone/websdr_1.npy'),
  ('gone', 145500000, 's3://heimdall-raw-iq/sessions/gone/websdr_2.npy'),
  -- Nothing was stored.
  ('none', 145500000, NULL),
  -- These sessions are about to be deleted.
  ('dead', 433920000, 's3://heimdall-raw-iq/sessions/dead/websdr_1.npy'),
  ('dead', 433920000, 's3://heimdall-raw-iq/sessions/dead/websdr_2.npy'),
  ('0ff0', 433920000, 's3://heimdall-raw-iq/sessions/0ff0/websdr_1.npy'),
  ('77aa', 433920000, 's3://heimdall-raw-iq/sessions/77aa/websdr_1.npy'),
  ('5e5e', 433920000, 's3://heimdall-raw-iq/sessions/5e5e/websdr_1.npy');

INSERT INTO heimdall.synthetic_datasets (id, name, status) VALUES
  ('ds-7f3e', 'Po valley, 10 receivers', 'ready'),
  ('ds-0b1d', 'First try', 'ready'),
  ('ds-4e4e', 'Ran out of disk', 'failed'),
  ('ds-2c2c', 'Alps, 12 receivers', 'generating');
INSERT INTO heimdall.synthetic_iq_samples (dataset_id, storage_path)
  SELECT 'ds-7f3e', format('synthetic/ds-7f3e/sample-%s/rx_%s.npy', sample, rx)
  FROM generate_series(0, 3) AS sample, generate_series(0, 1) AS rx;
INSERT INTO heimdall.synthetic_iq_samples (dataset_id, storage_path)
  SELECT 'ds-0b1d', format('synthetic/ds-0b1d/sample-%s/rx_%s.npy', sample, rx)
  FROM generate_series(0, 1) AS sample, generate_series(0, 1) AS rx;
INSERT INTO heimdall.synthetic_iq_samples (dataset_id, storage_bucket, storage_path) VALUES
  -- This sample is a raw recording, in the other bucket.
  ('ds-7f3e', 'heimdall-raw-iq', 'sessions/c3d4/websdr_3.npy'),
  -- The object of this one was lost.
  ('ds-7f3e', 'heimdall-synthetic-iq', 'synthetic/ds-7f3e/sample-9/rx_0.npy'),
  ('ds-7f3e', 'heimdall-synthetic-iq', NULL);

INSERT INTO heimdall.websdr_recordings (station, metadata) VALUES
  ('HB9-1', '{"chunks": [{"url": "http://minio:9000/heimdall-audio-chunks/chunks/hb9-1/chunk-10.opus"},
                         {"url": "http://minio:9000/heimdall-audio-chunks/chunks/hb9-1/chunk-11.opus"},
                         {"url": null}]}'),
  -- Through the proxy, percent-encoded.
  ('HB9-2', '{"chunks": [{"url": "https://audio.heimdall.example/chunks/Gen%C3%A8ve%20HB9/chunk-11.opus"}]}'),
  -- A link for a browser, with its signature.
  ('HB9-3', '{"chunks": [{"url": "https://heimdall-audio-chunks.s3.example/chunks/Z%C3%BCrich/1.opus?X-Amz-Expires=3600&X-Amz-Signature=0a1b"}]}'),
  -- Signs that mean something in URLs, and are part of these keys.
  ('HB9-4', '{"chunks": [{"url": "http://minio:9000/heimdall-audio-chunks/chunks/50%25/a+b.opus"},
                         {"url": "http://minio:9000/heimdall-audio-chunks/chunks/50%25/a%23b%3F.opus"}]}'),
  -- The object's name came from a Mac, with the dots of the u apart. No object has the name as it is written here.
  ('DL0-1', '{"chunks": [{"url": "http://minio:9000/heimdall-audio-chunks/chunks/M%C3%BCnchen/1.opus"}]}'),
  ('IK1-1', '{"chunks": [{"url": "http://minio:9000/heimdall-audio-chunks/chunks/ik1/lost.opus"}]}'),
  ('IK1-2', '{"chunks": []}'),
  ('F6A-1', '{"chunks": [{"url": "http://minio:9000/heimdall-audio-chunks/chunks/f6a/1.opus"},
                         {"url": "http://minio:9000/heimdall-audio-chunks/chunks/f6a/2.opus"}]}');

-- People delete what they do not need. The rows go, the objects stay: this is how a disk fills up.
DELETE FROM heimdall.measurements WHERE session IN ('dead', '0ff0', '77aa', '5e5e');
DELETE FROM heimdall.synthetic_datasets WHERE id IN ('ds-0b1d', 'ds-4e4e');
DELETE FROM heimdall.websdr_recordings WHERE station = 'F6A-1';
