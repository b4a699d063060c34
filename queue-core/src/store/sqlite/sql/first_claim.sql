-- first_claim: when a job was claimed for the first time.
-- Gives one row; null when it never was.
select min(claimed_at)
  from attempt
 where job = :job;
