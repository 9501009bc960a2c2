-- The part of the platform's database that names objects. The collector's user may read it, and nothing else.
CREATE SCHEMA heimdall;

CREATE TABLE heimdall.measurements (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  session          text NOT NULL,
  frequency_hz     bigint NOT NULL,
  created_at       timestamp NOT NULL DEFAULT now(),   -- without a time zone; nobody may compare it with the store's dates
  iq_data_location text                                -- s3://bucket/key
);
CREATE INDEX ON heimdall.measurements (iq_data_location);

CREATE TABLE heimdall.synthetic_datasets (
  id     text PRIMARY KEY,
  name   text NOT NULL,
  status text NOT NULL DEFAULT 'ready'
);

CREATE TABLE heimdall.synthetic_iq_samples (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset_id     text NOT NULL REFERENCES heimdall.synthetic_datasets ON DELETE CASCADE,   -- objects do not cascade
  storage_bucket text NOT NULL DEFAULT 'heimdall-synthetic-iq',
  storage_path   text                                  -- the key
);
CREATE INDEX ON heimdall.synthetic_iq_samples (storage_path);

CREATE TABLE heimdall.websdr_recordings (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  station  text NOT NULL,
  metadata jsonb NOT NULL                              -- {"chunks": [{"url": ...}, ...]}
);

CREATE ROLE heimdall LOGIN PASSWORD 'not-a-secret';
GRANT USAGE ON SCHEMA heimdall TO heimdall;
GRANT SELECT ON ALL TABLES IN SCHEMA heimdall TO heimdall;
