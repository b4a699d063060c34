-- set_lane: put a job into another lane.
-- Changes one row.
update job
   set lane = :lane
 where id = :job;
