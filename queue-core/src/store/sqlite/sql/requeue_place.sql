-- requeue_place: send a job to the end of the line.
-- Changes one row.
update job
   set position = :position, queued_at = :queued_at
 where id = :job;
