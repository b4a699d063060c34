-- default_checkpoint: what the earlier attempts of a job saved under the default name.
-- Gives one row, or none.
select value
  from checkpoint
 where job = :job
   and name = 'default';
