-- remove_tag: take a label off a job.
-- Changes one row, or none when it has no such label.
delete from tag
 where job = :job
   and key = :key;
