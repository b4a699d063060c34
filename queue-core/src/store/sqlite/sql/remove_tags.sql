-- remove_tags: take all labels off a job.
-- Changes as many rows as it had labels.
delete from tag
 where job = :job;
