-- set_place: put a job elsewhere in its line.
-- Changes one row.
update job
   set position = :position, queued_at = :queued_at
 where id = :job;
