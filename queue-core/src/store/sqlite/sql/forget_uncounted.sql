-- forget_uncounted: drop all but the newest tries of a job that did not count.
-- Changes no row as long as there are few; gives the epochs of those that are gone.
delete from attempt
 where job = :job
   and counted = 0
   and epoch <= (
         select epoch
           from attempt
          where job = :job
            and counted = 0
          order by epoch desc
          limit 1 offset :kept)
returning epoch;
