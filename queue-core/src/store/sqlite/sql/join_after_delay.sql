-- join_after_delay: put a job whose delay is over at the end of its line.
-- Changes one row, or none when somebody gave the job a place meanwhile.
update job
   set position = :position, queued_at = :queued_at
 where id = :job
   and keeps_place = 0;
