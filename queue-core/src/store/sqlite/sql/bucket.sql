-- bucket: a limit and the state of its bucket.
-- Gives one row, or none when nobody set it.
select count, per_ms, burst, tat_ns
  from limit_bucket
 where name = :name;
