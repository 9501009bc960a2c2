-- The database of the photo service. Over the years its versions wrote the place of a file in seven ways.
CREATE TABLE photos (id INTEGER PRIMARY KEY, title TEXT NOT NULL, file TEXT);
INSERT INTO photos (title, file) VALUES
  ('Beach',   '2023/beach.jpg'),
  ('Dunes',   '/2023/dunes.jpg'),
  ('Forest',  's3://photos/2023/forest.jpg'),
  ('Harbour', 'https://s3.example/photos/2024/harbour.jpg'),
  ('Lake',    'https://photos.s3.example/2024/lake.jpg?X-Amz-Expires=3600'),
  ('Münster', 'https://photos.s3.example/2024/m%C3%BCnster%20at%20night.jpg'),
  ('Night',   'https://cdn.example/img/2024/night.jpg'),
  -- The files of these three are about to lose their rows.
  ('Party',   '2023/party.jpg'),
  ('Parade',  '/2023/parade.jpg'),
  ('Picnic',  's3://photos/2024/picnic.jpg'),
  ('Blank',   NULL);
-- Three photos are deleted by their owners. The rows go, the files stay: this is how a disk fills up.
DELETE FROM photos WHERE title IN ('Party', 'Parade', 'Picnic');
