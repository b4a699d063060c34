-- remove_job: remove an ended job with all that belongs to it.
-- Changes one row, and those that refer to it.
delete from job
 where id = :job
   and state in ('completed', 'failed', 'cancelled');
