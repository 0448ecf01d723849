-- The same accounts and transfers as transfer.lua, as functions of PostgreSQL.
CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 50);

CREATE FUNCTION seed(count int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO account SELECT id, 1000000000 FROM generate_series(0, count - 1) AS id;
END $$;

-- Rows are locked in one order, whoever pays whom: else transfers that cross end each other.
CREATE FUNCTION transfer(payer int, payee int, amount bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  rich bigint;
BEGIN
  IF payer = payee OR amount <= 0 THEN RAISE EXCEPTION 'nothing to transfer'; END IF;
  PERFORM 1 FROM account WHERE id = least(payer, payee) FOR NO KEY UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'no such account'; END IF;
  PERFORM 1 FROM account WHERE id = greatest(payer, payee) FOR NO KEY UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'no such account'; END IF;
  UPDATE account SET balance = balance - amount WHERE id = payer RETURNING balance INTO rich;
  IF rich < 0 THEN RAISE EXCEPTION 'not enough money'; END IF;
  UPDATE account SET balance = balance + amount WHERE id = payee;
END $$;

CREATE FUNCTION total(int) RETURNS bigint LANGUAGE sql AS $$ SELECT sum(balance)::bigint FROM account $$;
