-- What did not add up for one account, for its story. Only incidents write here.
CREATE INDEX discrepancies_of_account ON discrepancies (account_id, business_day);
