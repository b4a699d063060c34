-- take_answer: the attempt that asked has the answer itself.
-- Changes one row, or none when there is no answer, or the job does not run under this epoch.
update question
   set is_taken = 1
 where job = :job
   and number = :number
   and epoch = :epoch
   and answer is not null
   and exists (
         select 1
           from job
          where id = :job
            and state = 'in_progress'
            and epoch = :epoch);
