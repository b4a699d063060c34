-- set_origin: note what was there when the job first began, where that is not known yet.
-- Changes one row, or none where it is known.
update job_body
   set origin = :origin
 where job = :job
   and origin is null;
