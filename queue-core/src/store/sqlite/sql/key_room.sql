-- key_room: how many more jobs with a concurrency key may run.
-- Gives one row.
select coalesce((select places from concurrency_key where key = :key), 1)
         - (select count(*)
              from job
             where concurrency_key = :key
               and concurrency_key <> ''
               and state = 'in_progress');
