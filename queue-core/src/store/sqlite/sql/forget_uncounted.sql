-- forget_uncounted: drop all but the newest tries of a job that did not count.
-- Changes no row as long as there are few; gives the epochs of those that are gone.
delete from attempt
 where job = :job
   and epoch <= (
         select epoch
           from attempt
          where job = :job
            and class in ('snoozed', 'interrupted')
          order by epoch desc
          limit 1 offset :kept)
   and class in ('snoozed', 'interrupted')
returning epoch;
