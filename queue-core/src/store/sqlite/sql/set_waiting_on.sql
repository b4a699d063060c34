-- set_waiting_on: note how many dependencies of a job are not met.
-- Changes one row.
update job
   set waiting_on = :waiting_on
 where id = :job;
