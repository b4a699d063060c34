-- set_place: put a job elsewhere in its line. One that keeps its place stays there when the time
-- comes that it waits for.
-- Changes one row.
update job
   set position = :position, queued_at = :queued_at, keeps_place = :keeps_place
 where id = :job;
