-- The same players as bulk.lua, as functions of PostgreSQL: loops of single statements, as the others have them.
CREATE TABLE player (id int PRIMARY KEY, x real NOT NULL, y real NOT NULL, z real NOT NULL, health int NOT NULL,
  name text NOT NULL);

CREATE FUNCTION insert(count int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 0 .. count - 1 LOOP
    INSERT INTO player VALUES (i, i, 0, 0, 100, 'player_name_0016');
  END LOOP;
END $$;

CREATE FUNCTION update(count int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 0 .. count - 1 LOOP
    UPDATE player SET x = x + 1, health = health - 1 WHERE id = i;
  END LOOP;
END $$;

CREATE FUNCTION get(count int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  found player;
BEGIN
  FOR i IN 0 .. count - 1 LOOP
    SELECT * INTO found FROM player WHERE id = i;
  END LOOP;
END $$;

CREATE FUNCTION scan(count int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  each player;
  total int := 0;
BEGIN
  FOR each IN SELECT * FROM player LOOP
    IF each.health <> 0 THEN total := total + 1; END IF;
  END LOOP;
  IF total <> count THEN RAISE EXCEPTION 'found % players', total; END IF;
END $$;

CREATE FUNCTION delete(count int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 0 .. count - 1 LOOP
    DELETE FROM player WHERE id = i;
  END LOOP;
END $$;

CREATE FUNCTION memory(int) RETURNS bigint LANGUAGE sql AS $$ SELECT pg_total_relation_size('player') $$;
