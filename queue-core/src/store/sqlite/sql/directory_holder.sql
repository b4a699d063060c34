-- directory_holder: the running job that has a directory to itself.
-- Gives one row, or none when the directory is free.
select id
  from job
 where directory = :directory
   and directory <> ''
   and state = 'in_progress'
 order by id
 limit 1;
